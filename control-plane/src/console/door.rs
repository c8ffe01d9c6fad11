//! In and out. A link signs nobody in by being looked at: mail programs and chats look at links, so it takes a press of
//! the button. Signing in always begins a new session, and whatever session the browser had has ended.

use super::form::FormBody;
use super::session::{MaybeSession, Session};
use super::{cookie, page};
use crate::app::App;
use crate::problem::Refusal;
use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use daam_store::{LinkTarget, Secret};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn;

pub(super) async fn sign_in() -> Result<Response, Refusal> {
    page(&SignIn)
}

#[derive(Template)]
#[template(path = "link.html")]
struct Link {
    target: Option<LinkTarget>,
    now: Option<String>,
}

pub(super) async fn show_link(
    State(app): State<Arc<App>>,
    MaybeSession(session): MaybeSession,
    Path(secret): Path<String>,
) -> Result<Response, Refusal> {
    let target = app.db().link_target(&secret, app.now()).await?;
    let status = if target.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    let now = session.filter(|session| session.person().is_some()).map(|s| s.user().email().to_owned());
    Ok((status, page(&Link { target, now })?).into_response())
}

pub(super) async fn use_link(
    State(app): State<Arc<App>>,
    MaybeSession(session): MaybeSession,
    Path(secret): Path<String>,
) -> Result<Response, Refusal> {
    let person = session.as_ref().and_then(|session| session.person());
    let Some(begun) = app.db().use_link(&secret, person, app.now()).await? else {
        return Ok((StatusCode::NOT_FOUND, page(&Link { target: None, now: None })?).into_response());
    };
    if let Some(before) = session {
        app.db().end_session(&before, app.now()).await?;
    }
    Ok(entered(begun, "/"))
}

pub(super) async fn sign_out(State(app): State<Arc<App>>, session: Session) -> Result<Response, Refusal> {
    app.db().end_session(&session, app.now()).await?;
    Ok(with_cookie(Redirect::to("/sign-in").into_response(), cookie::clear()))
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
        Some(begun) => Ok(entered(begun, "/")),
        None => Err(Refusal::missing("organization.unknown", "there is no such organization of yours")
            .allowed("one that is listed on your account page")),
    }
}

/// On with a new session.
fn entered(begun: Secret, to: &str) -> Response {
    with_cookie(Redirect::to(to).into_response(), cookie::set(begun))
}

fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
