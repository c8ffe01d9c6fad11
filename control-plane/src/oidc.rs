//! Signing in by an OpenID Connect provider: the authorization code flow with PKCE, state and nonce, and what the provider
//! says when somebody signs out there.
//!
//! The library verifies signature, issuer, audience, times and nonce of every token. Besides, here: which algorithms are
//! taken at all, the issuer of the answer itself (RFC 9207, against a mix-up of two providers), that the access token is
//! the one the token was issued with, and what makes a token a logout token. Refused: a provider that is not reached over
//! TLS, and one at an address inside the operator's own network unless the operator allows that.

use crate::base::Base;
use daam_store::Proven;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClaimName, CoreClaimType,
    CoreClientAuthMethod, CoreErrorResponseType, CoreGenderClaim, CoreGrantType, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm,
    CoreResponseMode, CoreResponseType, CoreRevocableToken, CoreRevocationErrorResponse,
    CoreSubjectIdentifierType, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AccessTokenHash, AdditionalClaims, AdditionalProviderMetadata, AuthorizationCode, Client, ClientId,
    ClientSecret, CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, IdToken,
    IdTokenFields, IdTokenVerifier, IssuerUrl, JsonWebTokenType, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, PkceCodeVerifier, ProviderMetadata, RedirectUrl, Scope, StandardErrorResponse,
    StandardTokenResponse, TokenResponse as _, UserInfoClaims,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::str::FromStr as _;

mod job;
mod logout;
mod outbound;

pub(crate) use job::{JobKeys, Wanted, published, verify};
pub(crate) use outbound::{Outbound, origin_of};

/// Where providers send people back to, whichever it is.
pub(crate) const CALLBACK: &str = "/sign-in/oidc/callback";

const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// What a logout token may call itself; a sign-in takes no `logout+jwt`.
const LOGOUT_TYPES: [&str; 2] = ["logout+jwt", "JWT"];
/// A logout token is of now.
const LOGOUT_AGE: i64 = 600;
const LONGEST_NAME: usize = 255;

/// No `none`, and nothing with a shared secret: a client secret is not a key for tokens.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 6] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// A provider and our part in it.
#[derive(Debug)]
pub(crate) struct Party<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) client_secret: Option<&'a str>,
    pub(crate) groups_claim: Option<&'a str>,
}

/// A sign-in to send somebody off with.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) url: String,
    pub(crate) state: String,
    pub(crate) nonce: String,
    pub(crate) verifier: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) code: &'a str,
    pub(crate) iss: Option<&'a str>,
    pub(crate) nonce: &'a str,
    pub(crate) verifier: &'a str,
}

/// Somebody signed out at the provider.
#[derive(Debug)]
pub(crate) struct SignedOut {
    pub(crate) subject: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) jti: String,
    pub(crate) expires_at: i64,
}

/// Why a provider's word is not taken. The causes go to the log: they may quote tokens.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OidcError {
    #[error("the provider could not be reached, or does not describe itself as it must")]
    Discovery(#[source] Box<dyn Error + Send + Sync>),
    #[error("the provider is set up wrongly here: {0}")]
    Setup(&'static str),
    #[error("the answer is not from the provider that was asked")]
    Issuer,
    #[error("the provider did not accept the code")]
    Exchange(#[source] Box<dyn Error + Send + Sync>),
    #[error("the provider's token is not good: {0}")]
    Token(&'static str),
    #[error("the provider's token does not hold")]
    Claims(#[source] Box<dyn Error + Send + Sync>),
    #[error("the provider does not tell about the person")]
    UserInfo(#[source] Box<dyn Error + Send + Sync>),
}

/// Claims besides the standard ones.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Extra {
    #[serde(flatten)]
    all: BTreeMap<String, Value>,
}

impl AdditionalClaims for Extra {}

/// What the discovery document says besides.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct More {
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for More {}

type Metadata = ProviderMetadata<
    More,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

type Fields = IdTokenFields<
    Extra,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

type Token = IdToken<Extra, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;

type RelyingParty = Client<
    Extra,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Begins a sign-in.
pub(crate) async fn start(http: &Outbound, party: &Party<'_>, base: &Base) -> Result<Started, OidcError> {
    let (_, client) = discover(http, party, base).await?;
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let mut request = client
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
        .add_scope(Scope::new("email".to_owned()))
        .set_pkce_challenge(challenge);
    if let Some(claim) = party.groups_claim {
        // Many providers name the scope like the claim; one that does not ignores it.
        request = request.add_scope(Scope::new(claim.to_owned()));
    }
    let (url, state, nonce) = request.url();
    Ok(Started {
        url: url.to_string(),
        state: state.into_secret(),
        nonce: nonce.secret().clone(),
        verifier: verifier.into_secret(),
    })
}

/// Turns what came back into what the provider vouches for.
pub(crate) async fn finish(
    http: &Outbound,
    (party, base): (&Party<'_>, &Base),
    answer: &Answer<'_>,
) -> Result<Proven, OidcError> {
    let (metadata, client) = discover(http, party, base).await?;
    let says_issuer = metadata.additional_metadata().authorization_response_iss_parameter_supported;
    match answer.iss {
        Some(iss) if iss == party.issuer => {}
        None if !says_issuer => {}
        _ => return Err(OidcError::Issuer),
    }
    let response = client
        .exchange_code(AuthorizationCode::new(answer.code.to_owned()))
        .map_err(|_| OidcError::Setup("it names no token endpoint"))?
        .set_pkce_verifier(PkceCodeVerifier::new(answer.verifier.to_owned()))
        .request_async(http)
        .await
        .map_err(|error| OidcError::Exchange(cause(error)))?;
    let token = response.id_token().ok_or(OidcError::Token("there is no ID token"))?;
    let verifier = allowed(client.id_token_verifier());
    let claims = token
        .claims(&verifier, &Nonce::new(answer.nonce.to_owned()))
        .map_err(|error| OidcError::Claims(cause(error)))?;
    if let Some(expected) = claims.access_token_hash() {
        let algorithm = token.signing_alg().map_err(|error| OidcError::Claims(cause(error)))?;
        let key = token.signing_key(&verifier).map_err(|error| OidcError::Claims(cause(error)))?;
        let found = AccessTokenHash::from_token(response.access_token(), algorithm, key)
            .map_err(|error| OidcError::Claims(cause(error)))?;
        if found != *expected {
            return Err(OidcError::Token("it belongs to another access token"));
        }
    }
    let mut proven = Proven {
        subject: short(claims.subject().as_str())?,
        email: claims.email().map(|email| email.to_ascii_lowercase()),
        email_verified: claims.email_verified() == Some(true),
        groups: groups(party, claims.additional_claims()),
        session: text(claims.additional_claims(), "sid"),
        ..Proven::default()
    };
    if metadata.userinfo_endpoint().is_some() {
        let info: UserInfoClaims<Extra, CoreGenderClaim> = client
            .user_info(response.access_token().clone(), Some(claims.subject().clone()))
            .map_err(|_| OidcError::Setup("it names no user info endpoint"))?
            .request_async(http)
            .await
            .map_err(|error| OidcError::UserInfo(cause(error)))?;
        if proven.email.is_none() {
            proven.email = info.email().map(|email| email.to_ascii_lowercase());
            proven.email_verified = info.email_verified() == Some(true);
        }
        proven.groups.extend(groups(party, info.additional_claims()));
    }
    Ok(proven)
}

/// Reads a logout token.
pub(crate) async fn signed_out(
    http: &Outbound,
    (party, base): (&Party<'_>, &Base),
    token: &str,
    now: i64,
) -> Result<SignedOut, OidcError> {
    let (metadata, client) = discover(http, party, base).await?;
    let expires_at = now.saturating_add(LOGOUT_AGE).saturating_add(LOGOUT_AGE);
    if logout::names_nobody(token) {
        let logout::Ended { session, jti } = logout::ended(&metadata, party, token, now)?;
        return Ok(SignedOut { subject: None, session: Some(session), jti, expires_at });
    }
    let token = Token::from_str(token).map_err(|error| OidcError::Claims(cause(error)))?;
    let types =
        LOGOUT_TYPES.iter().filter_map(|name| JsonWebTokenType::new((*name).to_owned()).normalize().ok());
    let verifier = allowed(client.id_token_verifier()).set_allowed_jose_types(types);
    let no_nonce = |nonce: Option<&Nonce>| match nonce {
        None => Ok(()),
        Some(_) => Err("a logout token has no nonce".to_owned()),
    };
    let claims = token.claims(&verifier, no_nonce).map_err(|error| OidcError::Claims(cause(error)))?;
    let extra = claims.additional_claims();
    let event = extra.all.get("events").and_then(|events| events.get(LOGOUT_EVENT));
    if !event.is_some_and(Value::is_object) {
        return Err(OidcError::Token("it does not say that somebody signed out"));
    }
    if claims.issue_time().timestamp().saturating_add(LOGOUT_AGE) < now {
        return Err(OidcError::Token("it is too old"));
    }
    let jti = text(extra, "jti").ok_or(OidcError::Token("it has no `jti`"))?;
    Ok(SignedOut {
        subject: Some(short(claims.subject().as_str())?),
        session: text(extra, "sid"),
        jti: short(&jti)?,
        expires_at,
    })
}

async fn discover(
    http: &Outbound,
    party: &Party<'_>,
    base: &Base,
) -> Result<(Metadata, RelyingParty), OidcError> {
    let issuer =
        IssuerUrl::new(party.issuer.to_owned()).map_err(|_| OidcError::Setup("its issuer is no address"))?;
    let metadata =
        Metadata::discover_async(issuer, http).await.map_err(|error| OidcError::Discovery(cause(error)))?;
    let redirect = RedirectUrl::new(base.url(CALLBACK))
        .map_err(|_| OidcError::Setup("our own address cannot be gone back to"))?;
    let secret = party.client_secret.map(|secret| ClientSecret::new(secret.to_owned()));
    let client =
        Client::from_provider_metadata(metadata.clone(), ClientId::new(party.client_id.to_owned()), secret)
            .set_redirect_uri(redirect);
    Ok((metadata, client))
}

fn allowed(verifier: IdTokenVerifier<'_, CoreJsonWebKey>) -> IdTokenVerifier<'_, CoreJsonWebKey> {
    verifier.set_allowed_algs(ALGORITHMS)
}

fn cause(error: impl Error + Send + Sync + 'static) -> Box<dyn Error + Send + Sync> {
    Box::new(error)
}

fn text(extra: &Extra, claim: &str) -> Option<String> {
    extra.all.get(claim).and_then(Value::as_str).map(str::to_owned)
}

/// One group as a text, or a list of them; anything else is none.
fn groups(party: &Party<'_>, extra: &Extra) -> BTreeSet<String> {
    match party.groups_claim.and_then(|claim| extra.all.get(claim)) {
        Some(Value::String(group)) => BTreeSet::from([group.clone()]),
        Some(Value::Array(groups)) => groups.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => BTreeSet::new(),
    }
}

/// What is kept as a key.
fn short(text: &str) -> Result<String, OidcError> {
    if text.is_empty() || text.len() > LONGEST_NAME || text.contains('\0') {
        return Err(OidcError::Token("a name in it is empty or too long"));
    }
    Ok(text.to_owned())
}
