//! One's own sessions and organizations.

use super::page;
use super::session::Session;
use super::shell::Shell;
use crate::app::App;
use crate::problem::Refusal;
use crate::routes::identity_links;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use daam_store::{Door, ListedLink, ListedSession, Membership};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "account.html")]
struct Account<'a> {
    shell: Shell,
    org: &'a str,
    method: &'static str,
    until: i64,
    current: &'a str,
    sessions: Vec<ListedSession>,
    memberships: Vec<Membership>,
    providers: Vec<Door>,
    links: Vec<ListedLink>,
    may_link: bool,
}

pub(super) async fn show(State(app): State<Arc<App>>, session: Session) -> Result<Response, Refusal> {
    page(&Account {
        shell: Shell::of(&session, "/account"),
        org: session.user().scope().org(),
        method: session.method().name(),
        until: session.expires_at(),
        current: session.id(),
        sessions: app.db().sessions(session.user(), app.now()).await?,
        memberships: app.db().memberships(&session).await?,
        providers: app.db().providers_of(session.user().scope().org()).await?,
        links: app.db().own_identity_links(session.user()).await?,
        may_link: session.may_link(),
    })
}

pub(super) async fn unlink(
    State(app): State<Arc<App>>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    identity_links::outcome(&app.db().unlink_own(&session, &id, app.now()).await?)?;
    app.changed(session.user().scope()).await;
    Ok(Redirect::to("/account").into_response())
}

pub(super) async fn end(
    State(app): State<Arc<App>>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    if app.db().end_other_session(session.user(), &id, app.now()).await? {
        app.changed(session.user().scope()).await;
        return Ok(Redirect::to("/account").into_response());
    }
    Err(Refusal::missing("session.unknown", "there is no such session of yours"))
}
