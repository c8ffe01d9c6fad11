//! A logout token that names a session and nobody (`sid` without `sub`, as the standard allows). The library reads ID
//! tokens only, which always name somebody; so the signature is verified by it, and the claims are judged here.

use super::{ALGORITHMS, LOGOUT_AGE, LOGOUT_EVENT, LOGOUT_TYPES, Metadata, OidcError, Party, cause, short};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::JsonWebKey as _;
use openidconnect::core::CoreJwsSigningAlgorithm;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[derive(Deserialize)]
struct Header {
    alg: CoreJwsSigningAlgorithm,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    iat: i64,
    exp: Option<i64>,
    jti: String,
    sid: String,
    events: Value,
    nonce: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// The session that ended, and the token's own id.
pub(super) struct Ended {
    pub(super) session: String,
    pub(super) jti: String,
}

/// Whether the token names nobody. Nothing of it is believed yet.
pub(super) fn names_nobody(token: &str) -> bool {
    let claims = token.split('.').nth(1).and_then(|part| decoded::<Value>(part).ok());
    claims.is_some_and(|claims| claims.is_object() && claims.get("sub").is_none())
}

/// Verifies such a token.
pub(super) fn ended(
    metadata: &Metadata,
    party: &Party<'_>,
    token: &str,
    now: i64,
) -> Result<Ended, OidcError> {
    let mut pieces = token.split('.');
    let (Some(header), Some(claims), Some(signature), None) =
        (pieces.next(), pieces.next(), pieces.next(), pieces.next())
    else {
        return Err(OidcError::Token("it is no signed token"));
    };
    let message = token.rsplit_once('.').map_or("", |(message, _)| message);
    let head: Header = decoded(header)?;
    let typ_is_ours =
        head.typ.as_ref().is_none_or(|typ| LOGOUT_TYPES.iter().any(|name| typ.eq_ignore_ascii_case(name)));
    if !ALGORITHMS.contains(&head.alg) || head.crit.is_some() || !typ_is_ours {
        return Err(OidcError::Token("its header is not one of a logout token"));
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|error| OidcError::Claims(cause(error)))?;
    let keys = metadata.jwks().keys().iter().filter(|key| {
        let named = head.kid.as_deref();
        named.is_none() || key.key_id().is_some_and(|id| Some(id.as_str()) == named)
    });
    if !keys.into_iter().any(|key| key.verify_signature(&head.alg, message.as_bytes(), &signature).is_ok()) {
        return Err(OidcError::Token("no key of the provider signed it"));
    }
    let claims: Claims = decoded(claims)?;
    let is_for_us = match &claims.aud {
        Audience::One(one) => one == party.client_id,
        Audience::Many(many) => many.iter().any(|one| one == party.client_id),
    };
    if claims.iss != party.issuer || !is_for_us || claims.nonce.is_some() {
        return Err(OidcError::Token("it is not for us"));
    }
    if claims.exp.is_some_and(|exp| exp <= now)
        || claims.iat.saturating_add(LOGOUT_AGE) < now
        || claims.iat > now.saturating_add(LOGOUT_AGE)
    {
        return Err(OidcError::Token("it is too old"));
    }
    if !claims.events.get(LOGOUT_EVENT).is_some_and(Value::is_object) {
        return Err(OidcError::Token("it does not say that somebody signed out"));
    }
    Ok(Ended { session: short(&claims.sid)?, jti: short(&claims.jti)? })
}

fn decoded<T: DeserializeOwned>(part: &str) -> Result<T, OidcError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|error| OidcError::Claims(cause(error)))?;
    serde_json::from_slice(&bytes).map_err(|error| OidcError::Claims(cause(error)))
}
