//! In and out. A link signs nobody in by being looked at: mail programs and chats look at links, so it takes a press of
//! the button. Signing in always begins a new session, and whatever session the browser had has ended.

use super::form::FormBody;
use super::path::LocalPath;
use super::session::{MaybeSession, Session};
use super::{cookie, page, passkeys, saml};
use crate::app::App;
use crate::problem::Refusal;
use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use daam_store::{LinkTarget, Secret};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    org: String,
    return_to: String,
    providers: Vec<daam_store::Door>,
    passkeys: bool,
}

/// Where to sign in, and where to go on to.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Door {
    #[serde(default)]
    org: String,
    #[serde(default)]
    return_to: String,
}

pub(super) async fn sign_in(
    State(app): State<Arc<App>>,
    door: Result<Query<Door>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Door { org, return_to } = door.map(|Query(door)| door).unwrap_or_default();
    let org = org.trim().to_ascii_lowercase();
    let providers = if org.is_empty() { Vec::new() } else { app.db().providers_of(&org).await? };
    let return_to = LocalPath::or_overview(&return_to).as_str().to_owned();
    let passkeys = passkeys::possible(&app);
    let shown = page(&SignIn { org, return_to, providers, passkeys })?;
    Ok(if passkeys { passkeys::scripted(shown) } else { shown })
}

#[derive(Template)]
#[template(path = "link.html")]
struct Link {
    target: Option<LinkTarget>,
    secret: String,
    providers: Vec<daam_store::Door>,
    now: Option<String>,
}

pub(super) async fn show_link(
    State(app): State<Arc<App>>,
    MaybeSession(session): MaybeSession,
    Path(secret): Path<String>,
) -> Result<Response, Refusal> {
    let target = app.db().link_target(&secret, app.now()).await?;
    let providers = match &target {
        Some(target) if target.joins => app.db().providers_of(&target.org).await?,
        _ => Vec::new(),
    };
    let status = if target.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    let now = session.filter(|session| session.person().is_some()).map(|s| s.user().email().to_owned());
    Ok((status, page(&Link { target, secret, providers, now })?).into_response())
}

pub(super) async fn use_link(
    State(app): State<Arc<App>>,
    MaybeSession(session): MaybeSession,
    Path(secret): Path<String>,
) -> Result<Response, Refusal> {
    let person = session.as_ref().and_then(|session| session.person());
    let gone = Link { target: None, secret: String::new(), providers: Vec::new(), now: None };
    let target = app.db().link_target(&secret, app.now()).await?;
    let replaced = target.filter(|target| target.replaces).map(|target| target.org);
    let Some(begun) = app.db().use_link(&secret, person, app.now()).await? else {
        return Ok((StatusCode::NOT_FOUND, page(&gone)?).into_response());
    };
    left_behind(&app, session).await?;
    if let Some(org) = replaced {
        // Certificates of whoever was here before are revoked.
        app.changed_in(&org).await;
    }
    Ok(entered(begun, "/"))
}

pub(super) async fn sign_out(State(app): State<Arc<App>>, session: Session) -> Result<Response, Refusal> {
    let there = app.db().known_there(&session).await?;
    left_behind(&app, Some(session)).await?;
    let told = match there {
        // They are out, whatever becomes of telling it.
        Some(there) => saml::signed_out_here(&app, &there).await.ok().flatten(),
        None => None,
    };
    Ok(entered_with(told.unwrap_or_else(|| Redirect::to("/sign-in").into_response()), cookie::clear()))
}

/// Where to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    org: String,
}

pub(super) async fn switch(
    State(app): State<Arc<App>>,
    session: Session,
    FormBody(Switch { org }): FormBody<Switch>,
) -> Result<Response, Refusal> {
    match app.db().switch_organization(&session, &org, app.now()).await? {
        Some(begun) => {
            app.changed(session.user().scope()).await;
            Ok(entered(begun, "/"))
        }
        None => Err(Refusal::missing("organization.unknown", "there is no such organization of yours")
            .allowed("one that is listed on your account page")),
    }
}

/// Whatever session the browser had has ended, for agents too.
pub(super) async fn left_behind(app: &App, before: Option<Session>) -> Result<(), Refusal> {
    if let Some(before) = before {
        app.db().end_session(&before, app.now()).await?;
        app.changed(before.user().scope()).await;
    }
    Ok(())
}

/// On with a new session.
pub(super) fn entered(begun: Secret, to: &str) -> Response {
    entered_with(Redirect::to(to).into_response(), cookie::set(begun))
}

pub(super) fn entered_with(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
