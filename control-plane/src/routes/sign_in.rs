//! Sign-ins of programs, as the programs see them: ask for a code (headless machines), and fetch the outcome.

use crate::app::App;
use crate::body::JsonBody;
use crate::clock::rfc3339;
use crate::name;
use crate::problem::Refusal;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daam_api::v1::{DeviceSignIn, FetchSignIn, NewDeviceSignIn, SignedIn};
use daam_store::{Fetched, ProgramRequest, Secret, SecretKind, digest};
use ring::digest::{SHA256, digest as ring_digest};
use std::sync::Arc;

/// For the person to get to a browser.
const DEVICE_SECONDS: i64 = 600;
/// Between two attempts to fetch.
const INTERVAL: u64 = 2;
/// Without vowels, so that no code is a word, and without what looks alike.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const ATTEMPTS: usize = 5;
/// Sign-ins nobody answered yet, over all.
const MOST_OPEN: i64 = 40_000;

pub(crate) async fn device(
    State(app): State<Arc<App>>,
    JsonBody(request): JsonBody<NewDeviceSignIn>,
) -> Result<(StatusCode, Json<DeviceSignIn>), Refusal> {
    name::label(&request.device)?;
    let expires_at = app.now().saturating_add(DEVICE_SECONDS);
    for _ in 0..ATTEMPTS {
        let secret = Secret::generate(SecretKind::Program)?;
        let user_code = user_code()?;
        let sha256 = secret.sha256();
        let new = ProgramRequest {
            device: &request.device,
            user_code: &user_code,
            fetch_sha256: &sha256,
            expires_at,
        };
        if app.db().ask_sign_in(&new, MOST_OPEN, app.now()).await? {
            let made = DeviceSignIn {
                device_code: secret.reveal(),
                verification_uri: app.base().url("/device"),
                verification_uri_complete: app.base().url(&format!("/device?code={user_code}")),
                user_code,
                interval: INTERVAL,
                expires_at: rfc3339(expires_at),
            };
            return Ok((StatusCode::CREATED, Json(made)));
        }
    }
    Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "sign-in.busy", "no code is free now")
        .allowed("the same later, or a sign-in with a token"))
}

pub(crate) async fn fetch(
    State(app): State<Arc<App>>,
    JsonBody(request): JsonBody<FetchSignIn>,
) -> Result<Json<SignedIn>, Refusal> {
    let challenge = request.verifier.as_deref().map(challenge);
    match app.db().fetch_sign_in(&digest(&request.code), challenge.as_deref(), app.now()).await? {
        Fetched::Done(token, expires_at) => {
            Ok(Json(SignedIn { token: token.reveal(), expires_at: rfc3339(expires_at) }))
        }
        Fetched::Pending => Err(Refusal::conflict("sign-in.pending", "nobody has answered yet")
            .allowed(format!("the same again in {INTERVAL} seconds"))),
        Fetched::Denied => {
            Err(Refusal::new(StatusCode::FORBIDDEN, "sign-in.denied", "somebody said no to this sign-in"))
        }
        Fetched::Unknown => Err(Refusal::bad("sign-in.unknown", "there is no such sign-in, or no longer")
            .allowed("a new sign-in, approved and fetched once, in time")),
    }
}

/// PKCE, S256.
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(ring_digest(&SHA256, verifier.as_bytes()))
}

/// `BCDF-GHJK`: 20^8 of them, for ten minutes.
fn user_code() -> Result<String, Refusal> {
    let mut code = String::with_capacity(9);
    while code.len() < 9 {
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random)
            .map_err(|error| Refusal::internal("get random bytes", &std::io::Error::other(error)))?;
        // Beyond 240 some letters would come more often than others.
        for byte in random.into_iter().filter(|byte| *byte < 240) {
            if code.len() == 4 {
                code.push('-');
            }
            if code.len() < 9
                && let Some(letter) = LETTERS.get(usize::from(byte % 20))
            {
                code.push(char::from(*letter));
            }
        }
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_can_be_typed_and_the_challenge_is_the_standards() {
        for _ in 0..50 {
            let code = user_code().unwrap();
            assert_eq!((code.len(), code.find('-')), (9, Some(4)), "{code}");
        }
        // The example of RFC 7636.
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }
}
