//! The token a runner gives a job: an OpenID Connect token of an issuer nobody signs in at, so there is no more to its
//! discovery document than its name and where its keys are.
//!
//! The library verifies signature, algorithm, issuer, audience and end. Besides, here: exactly one audience, no critical
//! extensions, that it is in force already, and by our own clock. Keys are asked for again when they are not new and a
//! token does not hold, so that a new key counts at once and a stranger cannot make us ask all the time.

use super::{ALGORITHMS, Extra, OidcError, Outbound, Token, cause, short};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daam_store::digest;
use openidconnect::core::{CoreJsonWebKey, CoreJsonWebKeySet};
use openidconnect::http::{Request, header};
use openidconnect::{
    AsyncHttpClient as _, ClientId, IdTokenVerifier, IssuerUrl, JsonWebKeySet, JsonWebKeySetUrl, Nonce,
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::str::FromStr as _;
use std::sync::{Mutex, PoisonError};

const LONGEST_TOKEN: usize = 16 * 1024;
/// Clocks differ.
const SKEW: i64 = 60;
/// A job's token does not live for days.
const LONGEST_LIFE: i64 = 86_400;
/// Keys are taken for granted for this long, and not asked for again sooner than that.
const KEYS_SECONDS: i64 = 300;
const AGAIN_SECONDS: i64 = 5;
const MOST_ISSUERS: usize = 1000;

/// What is asked of a token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) audience: &'a str,
}

/// A token that holds.
#[derive(Debug)]
pub(crate) struct Job {
    /// What it says.
    pub(crate) claims: BTreeMap<String, Value>,
    /// Whose it is, at its issuer.
    pub(crate) subject: String,
    /// The same for every copy of it.
    pub(crate) sha256: String,
    /// When it ends, unix seconds.
    pub(crate) expires_at: i64,
}

/// Keys of issuers, and when they were asked for.
#[derive(Debug, Default)]
pub(crate) struct JobKeys(Mutex<HashMap<String, (i64, CoreJsonWebKeySet)>>);

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Header {
    crit: Option<Value>,
}

/// Verifies a job's token.
pub(crate) async fn verify(
    (http, keys): (&Outbound, &JobKeys),
    wanted: Wanted<'_>,
    token: &str,
    now: i64,
) -> Result<Job, OidcError> {
    let claims = likely(wanted, token, now)?;
    let (asked_at, known) = match keys.known(wanted.issuer, now) {
        Some(known) => known,
        None => (now, keys.ask(http, wanted.issuer, now).await?),
    };
    let subject = match holds(wanted, token, &known) {
        Err(_) if asked_at.saturating_add(AGAIN_SECONDS) <= now => {
            holds(wanted, token, &keys.ask(http, wanted.issuer, now).await?)
        }
        judged => judged,
    }?;
    let message = token.rsplit_once('.').map_or("", |(message, _)| message);
    let expires_at = number(&claims, "exp").ok_or(OidcError::Token("it does not say when it ends"))?;
    Ok(Job { subject, sha256: digest(message), expires_at, claims })
}

/// What a token claims, if it could be one: nobody is asked about one that could not. Nothing of it is believed yet.
fn likely(wanted: Wanted<'_>, token: &str, now: i64) -> Result<BTreeMap<String, Value>, OidcError> {
    let mut pieces = token.split('.');
    let (Some(header), Some(claims), Some(_), None) =
        (pieces.next(), pieces.next(), pieces.next(), pieces.next())
    else {
        return Err(OidcError::Token("it is no signed token"));
    };
    if token.len() > LONGEST_TOKEN {
        return Err(OidcError::Token("it is too long"));
    }
    let header: Header = decoded(header)?;
    if header.crit.is_some() {
        return Err(OidcError::Token("it has critical extensions"));
    }
    let claims: BTreeMap<String, Value> = decoded(claims)?;
    let audience = match claims.get("aud") {
        Some(Value::Array(all)) => all.first().filter(|_| all.len() == 1),
        one => one,
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    if text(claims.get("iss")).as_deref() != Some(wanted.issuer)
        || text(audience).as_deref() != Some(wanted.audience)
    {
        return Err(OidcError::Token("it is of another issuer or for somebody else"));
    }
    let (Some(from), Some(until)) = (number(&claims, "iat"), number(&claims, "exp")) else {
        return Err(OidcError::Token("it does not say from when until when it holds"));
    };
    let from = claims.get("nbf").map_or(Some(from), |_| number(&claims, "nbf").map(|nbf| nbf.max(from)));
    let in_force = from.is_some_and(|from| from <= now.saturating_add(SKEW)) && now < until;
    if !in_force || until > now.saturating_add(LONGEST_LIFE) {
        return Err(OidcError::Token("it is over, not in force yet, or holds for too long"));
    }
    Ok(claims)
}

fn number(claims: &BTreeMap<String, Value>, name: &str) -> Option<i64> {
    claims.get(name).and_then(Value::as_i64)
}

/// Whose token it is, if these keys signed it.
fn holds(wanted: Wanted<'_>, token: &str, keys: &CoreJsonWebKeySet) -> Result<String, OidcError> {
    let issuer =
        IssuerUrl::new(wanted.issuer.to_owned()).map_err(|_| OidcError::Setup("its issuer is no address"))?;
    let audience = ClientId::new(wanted.audience.to_owned());
    let verifier: IdTokenVerifier<'_, CoreJsonWebKey> =
        IdTokenVerifier::new_public_client(audience, issuer, keys.clone()).set_allowed_algs(ALGORITHMS);
    let token = Token::from_str(token).map_err(|error| OidcError::Claims(cause(error)))?;
    let any = |_: Option<&Nonce>| Ok(());
    let claims: &openidconnect::IdTokenClaims<Extra, _> =
        token.claims(&verifier, any).map_err(|error| OidcError::Claims(cause(error)))?;
    short(claims.subject().as_str())
}

impl JobKeys {
    fn known(&self, issuer: &str, now: i64) -> Option<(i64, CoreJsonWebKeySet)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(issuer).filter(|(at, _)| at.saturating_add(KEYS_SECONDS) > now).cloned()
    }

    async fn ask(&self, http: &Outbound, issuer: &str, now: i64) -> Result<CoreJsonWebKeySet, OidcError> {
        let keys = published(http, issuer).await?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_ISSUERS {
            known.clear();
        }
        known.insert(issuer.to_owned(), (now, keys.clone()));
        Ok(keys)
    }
}

/// The keys an issuer publishes now.
pub(crate) async fn published(http: &Outbound, issuer: &str) -> Result<CoreJsonWebKeySet, OidcError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| OidcError::Discovery(error);
    let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let request = Request::builder().uri(address).header(header::ACCEPT, "application/json").body(Vec::new());
    let request = request.map_err(|error| failed(cause(error)))?;
    let answer = http.call(request).await.map_err(|error| failed(cause(error)))?;
    if !answer.status().is_success() {
        return Err(OidcError::Setup("it publishes no discovery document"));
    }
    let document: Document = serde_json::from_slice(answer.body()).map_err(|error| failed(cause(error)))?;
    if document.issuer != issuer {
        return Err(OidcError::Setup("its discovery document is of another issuer"));
    }
    let url = JsonWebKeySetUrl::new(document.jwks_uri).map_err(|error| failed(cause(error)))?;
    JsonWebKeySet::fetch_async(&url, http).await.map_err(|error| failed(cause(error)))
}

fn decoded<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, OidcError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|error| OidcError::Claims(cause(error)))?;
    serde_json::from_slice(&bytes).map_err(|error| OidcError::Claims(cause(error)))
}
