//! Signing in by an identity provider: off to it with a GET (the pages' policy lets no form lead elsewhere), back with
//! a code. The state belongs to the browser it began in, and it begins on a page of ours that names the organization: a
//! link elsewhere, to a provider of whoever wrote it, signs nobody in as somebody else.

use super::cookie;
use super::door::{entered, entered_with, left_behind};
use super::path::LocalPath;
use super::session::{MaybeSession, Session, from_our_pages, sign_in_page};
use crate::app::App;
use crate::name;
use crate::oidc::{self, Answer};
use crate::problem::Refusal;
use crate::routes::providers::{chain, party, secret};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use daam_store::{Flow, Secret, SecretKind, SignInOutcome, SignInProvider, digest};
use serde::Deserialize;
use std::sync::Arc;

/// For the way to the provider and back.
pub(super) const FLOW_SECONDS: i64 = 600;

/// What the way is for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Purpose {
    #[serde(default)]
    pub(super) return_to: String,
    /// A one-time link that is taken up by signing in.
    #[serde(default)]
    pub(super) invite: String,
    /// Link the account of whoever is signed in.
    #[serde(default)]
    link: bool,
}

impl Purpose {
    pub(super) fn invite_sha256(&self) -> Option<String> {
        Some(self.invite.as_str()).filter(|secret| !secret.is_empty()).map(digest)
    }
}

/// The member who links their account at a provider, if it is that.
pub(super) fn who_links(
    app: &App,
    at: &SignInProvider,
    (purpose, headers, session): (&Purpose, &HeaderMap, Option<&Session>),
) -> Result<Option<String>, Refusal> {
    if !purpose.link {
        return Ok(None);
    }
    // Or a page elsewhere could link an account of its own to whoever is signed in here.
    from_our_pages(headers, app.base().origin())?;
    let here = session.filter(|session| session.user().scope().org() == at.scope().org());
    let session = here.filter(|session| session.may_link()).ok_or_else(may_not_link)?;
    Ok(Some(session.user().user_id().to_owned()))
}

/// Where somebody is sent who did not press the link on a page of ours, so that they see where they would be signed in.
pub(super) fn from_elsewhere(
    (app, at): (&App, &SignInProvider),
    (purpose, headers): (&Purpose, &HeaderMap),
) -> Option<Response> {
    from_our_pages(headers, app.base().origin()).err()?;
    let to = LocalPath::or_overview(&purpose.return_to);
    Some(sign_in_page(&[("org", at.scope().org()), ("return_to", to.as_str())]))
}

pub(super) fn no_provider() -> Refusal {
    Refusal::missing("provider.unknown", "there is no such identity provider")
        .allowed("one that the sign-in page names")
}

pub(super) async fn start(
    State(app): State<Arc<App>>,
    MaybeSession(session): MaybeSession,
    Path(id): Path<String>,
    headers: HeaderMap,
    purpose: Result<Query<Purpose>, QueryRejection>,
) -> Result<Response, Refusal> {
    let purpose = purpose.map(|Query(purpose)| purpose).unwrap_or_default();
    let at = app.db().sign_in_provider(&id).await?.filter(|at| at.provider().saml.is_none());
    let at = at.ok_or_else(no_provider)?;
    let user_id = who_links(&app, &at, (&purpose, &headers, session.as_ref()))?;
    if let Some(elsewhere) = from_elsewhere((&app, &at), (&purpose, &headers)) {
        return Ok(elsewhere);
    }
    let secret = secret(&app, &at)?;
    let started =
        oidc::start(app.outbound(), &party(&at, secret.as_ref()), app.base()).await.map_err(|error| {
            tracing::warn!(provider = id, error = %chain(&error), "a sign-in could not begin");
            unreachable_now()
        })?;
    let browser = Secret::generate(SecretKind::Flow)?;
    let flow = Flow {
        nonce: started.nonce,
        verifier: started.verifier,
        return_to: LocalPath::or_overview(&purpose.return_to).as_str().to_owned(),
        user_id,
        invite_sha256: purpose.invite_sha256(),
        session_id: None,
    };
    let times = (app.now(), app.now().saturating_add(FLOW_SECONDS));
    app.db().begin_flow(&at, (&digest(&started.state), &browser.sha256()), &flow, times).await?;
    let response = Redirect::to(&started.url).into_response();
    Ok(entered_with(response, cookie::set_flow(browser)))
}

/// What a provider sends people back with.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Back {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
    iss: Option<String>,
    error: Option<String>,
}

pub(super) async fn callback(
    State(app): State<Arc<App>>,
    MaybeSession(session): MaybeSession,
    headers: HeaderMap,
    back: Result<Query<Back>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(back) = back.map_err(|_| refused("the answer is not understood"))?;
    let browser = cookie::read_flow(&headers).unwrap_or_default();
    let taken = app.db().take_flow((&digest(&back.state), &digest(browser)), app.now()).await?;
    let (at, flow) = taken
        .filter(|(at, _)| at.provider().saml.is_none())
        .ok_or_else(|| refused("this sign-in did not begin in this browser, or is over"))?;
    if let Some(user) = &flow.user_id {
        // Whoever began it may be signed out by now.
        let still = session.as_ref().filter(|session| session.may_link() && session.user().user_id() == user);
        still.ok_or_else(may_not_link)?;
    }
    if back.error.is_some() {
        return Err(refused("the identity provider did not sign you in"));
    }
    let secret = secret(&app, &at)?;
    let answer =
        Answer { code: &back.code, iss: back.iss.as_deref(), nonce: &flow.nonce, verifier: &flow.verifier };
    let proven = oidc::finish(app.outbound(), (&party(&at, secret.as_ref()), app.base()), &answer).await;
    let mut proven = proven.map_err(|error| {
        tracing::warn!(provider = at.provider().id, error = %chain(&error), "a sign-in was refused");
        refused("what the identity provider says does not hold")
    })?;
    // It becomes a name here, so it is one or it is not there.
    proven.email = proven.email.and_then(|email| name::email(&email).ok());
    match app.db().sign_in(&at, (&proven, &flow), app.now()).await? {
        SignInOutcome::Done(begun) => {
            left_behind(&app, session).await?;
            app.changed(at.scope()).await;
            Ok(entered(begun, &flow.return_to))
        }
        outcome => Err(not_let_in(&outcome)),
    }
}

pub(super) fn not_let_in(outcome: &SignInOutcome) -> Refusal {
    let (code, title, allowed) = match outcome {
        SignInOutcome::Done(_) => ("sso.refused", "the sign-in was refused", "to sign in again"),
        SignInOutcome::Unknown => (
            "sso.unknown",
            "you are not a member of this organization",
            "an invite from an admin, taken up with this provider",
        ),
        SignInOutcome::Unverified => (
            "sso.unverified",
            "the identity provider does not say that it verified your e-mail address",
            "a verified address, or a provider an admin trusts without",
        ),
        SignInOutcome::Domain => (
            "sso.domain",
            "your e-mail address is of none of the domains that may join",
            "an invite from an admin",
        ),
        SignInOutcome::EmailTaken => (
            "sso.email-taken",
            "a member has your e-mail address already, and that alone proves nothing",
            "to sign in as before and link the provider on the account page, or an invite from an admin",
        ),
        SignInOutcome::NotLinked => (
            "sso.not-linked",
            "this member belongs to another account of the provider, or the invite is not good any more",
            "the account that was linked, or another invite",
        ),
        SignInOutcome::Repeated => (
            "saml.replayed",
            "this was said before, and counts once",
            "to sign in again, from the sign-in page",
        ),
        SignInOutcome::Disabled => {
            ("sso.disabled", "your membership is disabled", "this once an admin enables it")
        }
    };
    Refusal::new(StatusCode::FORBIDDEN, code, title).allowed(allowed)
}

fn refused(why: &str) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "sso.refused", why).allowed("to sign in again, from the sign-in page")
}

pub(super) fn may_not_link() -> Refusal {
    let title = "an account cannot be linked by what this browser is signed in with";
    Refusal::new(StatusCode::FORBIDDEN, "sso.link", title)
        .allowed("a session of this organization that no API token began, from the account page")
}

fn unreachable_now() -> Refusal {
    Refusal::new(StatusCode::BAD_GATEWAY, "sso.unreachable", "the identity provider does not answer now")
        .allowed("the same later, or the operator's recovery link")
}
