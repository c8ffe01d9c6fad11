//! Passkeys: adding, naming and removing one's own, and signing in by one. A browser lends them to scripts only, so the two
//! pages that use them, and no others, let the console's own script run; it asks here what to ask the authenticator and
//! sends the answer as a form.

use super::door::{entered, entered_with, left_behind};
use super::form::FormBody;
use super::path::LocalPath;
use super::session::{MaybeSession, Session};
use super::shell::Shell;
use super::{cookie, page};
use crate::app::App;
use crate::name;
use crate::passkeys::{self as ask, ANSWER_SECONDS, Answer, Holder, Named, PasskeyError};
use crate::problem::Refusal;
use askama::Template;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use daam_store::{
    NewPasskey, PasskeyAdded, PasskeyOutcome, PasskeyRemoved, PasskeyStanding, Secret, SecretKind,
    StoredPasskey, digest,
};
use serde::Deserialize;
use std::error::Error;
use std::sync::Arc;

/// Sign-ins nobody has answered yet, over all.
const MOST_OPEN: i64 = 40_000;

/// Our own script, what it fetches from us, and nothing that could make a script of a text.
const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// The script.
pub(super) async fn script() -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    ([kind], include_str!("../../assets/passkeys.js")).into_response()
}

/// Lets a page run the script.
pub(super) fn scripted(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// Whether there can be passkeys at our address.
pub(super) fn possible(app: &App) -> bool {
    ask::party(app.base()).is_ok()
}

/// The form of the sign-in page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    #[serde(default)]
    org: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    return_to: String,
    #[serde(default)]
    credential: String,
}

impl SignIn {
    fn org(&self) -> Option<String> {
        Some(self.org.trim().to_ascii_lowercase()).filter(|org| !org.is_empty())
    }
}

pub(super) async fn begin_sign_in(
    State(app): State<Arc<App>>,
    FormBody(form): FormBody<SignIn>,
) -> Result<Response, Refusal> {
    let party = ask::party(app.base()).map_err(|error| impossible(&error))?;
    let email = form.email.trim().to_ascii_lowercase();
    let name = format!("{}/{email}", form.org().unwrap_or_default());
    let (person, known);
    let named = if email.is_empty() {
        Named::Nobody
    } else {
        person = app.db().person_of(&form.org().unwrap_or_default(), &email).await?;
        known = match &person {
            Some(person) => app.db().passkeys(person).await?,
            None => Vec::new(),
        };
        match &person {
            Some(person) if !known.is_empty() => Named::Person(person, &known),
            _ => Named::Stranger(&name),
        }
    };
    let (options, kept) =
        ask::begin_sign_in(&party, &named, app.vault().decoys()).map_err(|error| impossible(&error))?;
    let browser = Secret::generate(SecretKind::Flow)?;
    let times = (MOST_OPEN, app.now(), app.now().saturating_add(ANSWER_SECONDS));
    app.db().begin_passkey_sign_in(&browser.sha256(), &kept, times).await?;
    Ok(entered_with(Json(options).into_response(), cookie::set_ceremony(browser)))
}

pub(super) async fn finish_sign_in(
    State(app): State<Arc<App>>,
    MaybeSession(session): MaybeSession,
    headers: HeaderMap,
    FormBody(form): FormBody<SignIn>,
) -> Result<Response, Refusal> {
    let party = ask::party(app.base()).map_err(|error| impossible(&error))?;
    let browser = cookie::read_ceremony(&headers).unwrap_or_default();
    let kept = app.db().take_passkey_sign_in(&digest(browser), app.now()).await?;
    let kept = kept.ok_or_else(|| refused("this sign-in did not begin in this browser, or is over"))?;
    let answer = Answer::read(&form.credential).map_err(|error| doubted(&error))?;
    let found = app.db().passkey(&answer.credential_id()).await?;
    let passkey = found.ok_or_else(|| refused(NOT_OURS))?;
    let credential = match answer.of(&party, &kept, &passkey) {
        Ok(credential) => credential,
        Err(error) => {
            if matches!(error, PasskeyError::Cloned) {
                app.db().doubt_passkey(&passkey, app.now()).await?;
            }
            return Err(doubted(&error));
        }
    };
    let org = form.org();
    match app.db().sign_in_by_passkey(&passkey, &credential, org.as_deref(), app.now()).await? {
        PasskeyOutcome::Done(begun) => {
            left_behind(&app, session).await?;
            Ok(entered(begun, LocalPath::or_overview(&form.return_to).as_str()))
        }
        PasskeyOutcome::Forced => {
            let title = "this organization is signed in to by its identity provider only";
            Err(Refusal::new(StatusCode::FORBIDDEN, "sign-in.forced", title)
                .allowed("a provider that the sign-in page names, or another organization of yours"))
        }
        PasskeyOutcome::Nowhere => Err(refused("this passkey's person is no enabled member there")),
        PasskeyOutcome::Outdated => Err(refused("this passkey was used or removed meanwhile")),
    }
}

#[derive(Template)]
#[template(path = "passkeys.html")]
struct Page {
    shell: Shell,
    passkeys: Vec<StoredPasskey>,
    standing: PasskeyStanding,
    possible: bool,
}

impl Page {
    fn may(&self) -> bool {
        matches!(self.standing, PasskeyStanding::May(_))
    }
    fn stale(&self) -> bool {
        self.standing == PasskeyStanding::Stale
    }
}

pub(super) async fn list(State(app): State<Arc<App>>, session: Session) -> Result<Response, Refusal> {
    let standing = app.db().passkey_standing(&session, app.now()).await?;
    let person = match &standing {
        PasskeyStanding::May(person) => Some(person.as_str()),
        PasskeyStanding::Stale => session.person(),
        PasskeyStanding::Unproven => None,
    };
    let passkeys = match person {
        Some(person) => app.db().passkeys(person).await?,
        None => Vec::new(),
    };
    let shell = Shell::of(&session, "/account");
    page(&Page { shell, passkeys, standing, possible: possible(&app) }).map(scripted)
}

/// The form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    name: String,
    #[serde(default)]
    credential: String,
}

pub(super) async fn begin(
    State(app): State<Arc<App>>,
    session: Session,
    FormBody(form): FormBody<New>,
) -> Result<Response, Refusal> {
    name::label(&form.name)?;
    let party = ask::party(app.base()).map_err(|error| impossible(&error))?;
    let person = match app.db().passkey_standing(&session, app.now()).await? {
        PasskeyStanding::May(person) => person,
        standing => return Err(not_now(&standing)),
    };
    let known = app.db().passkeys(&person).await?;
    let holder = Holder { person: &person, email: session.user().email() };
    let (options, kept) =
        ask::begin_registration(&party, &holder, &known).map_err(|error| impossible(&error))?;
    let times = (app.now(), app.now().saturating_add(ANSWER_SECONDS));
    app.db().begin_passkey_registration(&session, &kept, times).await?;
    Ok(Json(options).into_response())
}

pub(super) async fn add(
    State(app): State<Arc<App>>,
    session: Session,
    FormBody(form): FormBody<New>,
) -> Result<Response, Refusal> {
    name::label(&form.name)?;
    let party = ask::party(app.base()).map_err(|error| impossible(&error))?;
    let kept = app.db().take_passkey_registration(&session, app.now()).await?;
    let kept = kept.ok_or_else(|| refused("no passkey is being added in this session, or no longer"))?;
    let made = ask::finish_registration(&party, &kept, &form.credential).map_err(|error| doubted(&error))?;
    let new =
        NewPasskey { name: &form.name, credential_id: &made.credential_id, credential: &made.credential };
    match app.db().add_passkey(&session, &new, app.now()).await? {
        PasskeyAdded::Done(Some(begun)) => Ok(entered(begun, "/passkeys")),
        PasskeyAdded::Done(None) => Ok(Redirect::to("/passkeys").into_response()),
        PasskeyAdded::Exists => {
            Err(Refusal::conflict("passkey.exists", "this passkey is here already").allowed("another one"))
        }
        PasskeyAdded::Full => {
            Err(Refusal::conflict("passkey.full", "you have as many passkeys as one person may have")
                .allowed("this after removing one"))
        }
        PasskeyAdded::Refused(standing) => Err(not_now(&standing)),
    }
}

pub(super) async fn remove(
    State(app): State<Arc<App>>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    match app.db().remove_passkey(&session, &id, app.now()).await? {
        PasskeyRemoved::Done => {
            app.changed(session.user().scope()).await;
            Ok(Redirect::to("/passkeys").into_response())
        }
        PasskeyRemoved::Unknown => {
            Err(Refusal::missing("passkey.unknown", "there is no such passkey of yours"))
        }
        PasskeyRemoved::Last => {
            let title = "this is your last passkey, and nothing else would let you in";
            Err(Refusal::conflict("passkey.last", title).allowed("this after adding another one"))
        }
        PasskeyRemoved::Refused(standing) => Err(not_now(&standing)),
    }
}

const NOT_OURS: &str = "this passkey does not sign anybody in here";

fn refused(why: &str) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "passkey.refused", why)
        .allowed("to begin again, from the page itself, or another way in")
}

/// The cause goes to the log; strangers learn nothing from it.
fn doubted(error: &PasskeyError) -> Refusal {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    tracing::warn!(%error, cause, "a passkey's answer was refused");
    refused(NOT_OURS)
}

fn impossible(error: &PasskeyError) -> Refusal {
    if matches!(error, PasskeyError::Address) {
        let title = "there are no passkeys at an address without a name";
        return Refusal::conflict("passkey.address", title)
            .allowed("the operator's `--public-url` with a host name");
    }
    Refusal::internal("ask for a passkey", error)
}

fn not_now(standing: &PasskeyStanding) -> Refusal {
    match standing {
        PasskeyStanding::Unproven => {
            let title = "a passkey opens everything you belong to, and this session proves less than that";
            Refusal::new(StatusCode::FORBIDDEN, "passkey.unproven", title)
                .allowed("a session that a passkey, your first invite or the operator's link began")
        }
        PasskeyStanding::Stale | PasskeyStanding::May(_) => {
            let title = "it is too long since you signed in";
            Refusal::new(StatusCode::FORBIDDEN, "passkey.stale", title)
                .allowed("this within a quarter of an hour of signing in again")
        }
    }
}
