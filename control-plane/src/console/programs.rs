//! Letting a program on one's machine act as oneself. The page says which machine asks and shows the code to compare;
//! pressing the button is the consent. A program that waits on this machine is sent back to, and only to `127.0.0.1`.

use super::form::FormBody;
use super::page;
use super::session::Session;
use super::shell::Shell;
use crate::app::App;
use crate::name;
use crate::problem::Refusal;
use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use daam_store::{Secret, SecretKind};
use serde::Deserialize;
use std::sync::Arc;

/// For the way back to the program.
const HAND_SECONDS: i64 = 60;

#[derive(Template)]
#[template(path = "device.html")]
struct DevicePage {
    shell: Shell,
    code: String,
    device: Option<String>,
    done: Option<&'static str>,
}

/// A code that was filled in.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Code {
    #[serde(default)]
    code: String,
}

pub(super) async fn show_device(
    State(app): State<Arc<App>>,
    session: Session,
    query: Result<Query<Code>, QueryRejection>,
) -> Result<Response, Refusal> {
    let code = query.map(|Query(query)| tidy(&query.code)).unwrap_or_default();
    let device = if code.is_empty() { None } else { app.db().asked_sign_in(&code, app.now()).await? };
    if !code.is_empty() && device.is_none() {
        return Err(unknown());
    }
    page(&DevicePage { shell: Shell::of(&session, "/device"), code, device, done: None })
}

/// The answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    code: String,
    answer: String,
}

pub(super) async fn answer_device(
    State(app): State<Arc<App>>,
    session: Session,
    FormBody(form): FormBody<Answer>,
) -> Result<Response, Refusal> {
    let yes = form.answer == "yes";
    if !app.db().answer_sign_in(&session, (&tidy(&form.code), yes), app.now()).await? {
        return Err(unknown());
    }
    let done =
        if yes { "The program is signed in. You can close this page." } else { "The program was told no." };
    page(&DevicePage {
        shell: Shell::of(&session, "/device"),
        code: String::new(),
        device: None,
        done: Some(done),
    })
}

fn unknown() -> Refusal {
    Refusal::missing("sign-in.unknown", "no program waits with this code")
        .allowed("the code the program shows now, within ten minutes")
}

fn tidy(code: &str) -> String {
    code.trim().to_ascii_uppercase().chars().filter(|c| c.is_ascii_uppercase() || *c == '-').take(9).collect()
}

/// A program that waits at this machine.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Waiting {
    port: u16,
    challenge: String,
    state: String,
    device: String,
}

#[derive(Template)]
#[template(path = "program.html")]
struct Program {
    shell: Shell,
    waiting: Waiting,
}

pub(super) async fn show_program(
    session: Session,
    query: Result<Query<Waiting>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(waiting) = query.map_err(|_| not_ours())?;
    checked(&waiting)?;
    let port = waiting.port;
    let mut response = page(&Program { shell: Shell::of(&session, "/program"), waiting })?;
    // The form's answer leads to the program, and to no other place.
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' http://127.0.0.1:{port}; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    Ok(response)
}

pub(super) async fn hand_to_program(
    State(app): State<Arc<App>>,
    session: Session,
    FormBody(waiting): FormBody<Waiting>,
) -> Result<Response, Refusal> {
    checked(&waiting)?;
    let code = Secret::generate(SecretKind::Program)?;
    let sealed = (waiting.challenge.as_str(), code.sha256());
    let times = (app.now(), app.now().saturating_add(HAND_SECONDS));
    app.db().hand_sign_in(&session, &waiting.device, (sealed.0, &sealed.1), times).await?;
    let (port, state) = (waiting.port, waiting.state);
    Ok(Redirect::to(&format!("http://127.0.0.1:{port}/?code={}&state={state}", code.reveal()))
        .into_response())
}

fn checked(waiting: &Waiting) -> Result<(), Refusal> {
    let plain = |text: &str| {
        (16..=128).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name::label(&waiting.device)?;
    if waiting.port < 1024 || !plain(&waiting.challenge) || !plain(&waiting.state) {
        return Err(not_ours());
    }
    Ok(())
}

fn not_ours() -> Refusal {
    Refusal::bad("sign-in.malformed", "this is not an address `daam login` makes")
        .allowed("`daam login`, again")
}
