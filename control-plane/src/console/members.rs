//! Members and invites. A change here is the same change as over the API, and reaches agents the same way.

use super::form::FormBody;
use super::page;
use super::session::Session;
use super::shell::Shell;
use crate::app::App;
use crate::guard::{Admin, Overseer};
use crate::name;
use crate::problem::Refusal;
use crate::routes::{invites, users};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use daam_api::v1::NewInvite;
use daam_store::{ListedInvite, Role, Stored, TenantScope};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "members.html")]
struct Members {
    shell: Shell,
    users: Vec<Line>,
    invites: Vec<ListedInvite>,
    roles: [&'static str; 4],
    link: Option<(String, String)>,
}

struct Line {
    id: String,
    email: String,
    role: String,
    groups: String,
    disabled: bool,
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    session: Session,
    user: Overseer,
) -> Result<Response, Refusal> {
    shown(&app, &session, user.scope(), None).await
}

async fn shown(
    app: &App,
    session: &Session,
    scope: &TenantScope,
    link: Option<(String, String)>,
) -> Result<Response, Refusal> {
    let users = app.db().users(scope).await?.into_iter().map(|user| Line {
        id: user.id,
        email: user.email,
        role: user.role,
        groups: user.groups.into_iter().collect::<Vec<_>>().join(", "),
        disabled: user.disabled,
    });
    page(&Members {
        shell: Shell::of(session, "/members"),
        users: users.collect(),
        invites: app.db().invites(scope, app.now()).await?,
        roles: Role::EVERY.map(Role::name),
        link,
    })
}

/// The form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Invite {
    email: String,
    role: String,
    #[serde(default)]
    recover: String,
    #[serde(default)]
    groups: String,
}

pub(super) async fn invite(
    State(app): State<Arc<App>>,
    session: Session,
    user: Admin,
    FormBody(form): FormBody<Invite>,
) -> Result<Response, Refusal> {
    let email = name::email(form.email.trim())?;
    let known = app.db().users(user.scope()).await?.iter().any(|known| known.email == email);
    let groups = form.groups.split(',').map(str::trim).filter(|group| !group.is_empty()).map(str::to_owned);
    let request = NewInvite {
        role: (!known).then_some(form.role),
        groups: (!known).then(|| groups.collect()),
        recover: form.recover == "yes",
        email: email.clone(),
        expires_in: None,
    };
    let made = invites::invite(&app, &user, &request).await?;
    shown(&app, &session, user.scope(), Some((email, made.link))).await
}

pub(super) async fn withdraw(
    State(app): State<Arc<App>>,
    user: Admin,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    invites::withdraw(&app, &user, &id).await?;
    Ok(Redirect::to("/members").into_response())
}

/// The form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRole {
    role: String,
}

pub(super) async fn role(
    State(app): State<Arc<App>>,
    user: Admin,
    Path(email): Path<String>,
    FormBody(form): FormBody<NewRole>,
) -> Result<Response, Refusal> {
    change(&app, &user, (&email, Some(users::role(&form.role)?), None)).await
}

pub(super) async fn disable(
    State(app): State<Arc<App>>,
    user: Admin,
    Path(email): Path<String>,
) -> Result<Response, Refusal> {
    change(&app, &user, (&email, None, Some(true))).await
}

pub(super) async fn enable(
    State(app): State<Arc<App>>,
    user: Admin,
    Path(email): Path<String>,
) -> Result<Response, Refusal> {
    change(&app, &user, (&email, None, Some(false))).await
}

async fn change(
    app: &App,
    user: &Admin,
    (email, role, disabled): (&str, Option<Role>, Option<bool>),
) -> Result<Response, Refusal> {
    match app.db().change_member(user.scope(), (email, role, disabled), app.now()).await? {
        Some(Stored::Done(_)) => {
            app.changed(user.scope()).await;
            Ok(Redirect::to("/members").into_response())
        }
        Some(Stored::LastAdmin) => Err(users::last_admin(email)),
        None => Err(Refusal::missing("user.unknown", format!("there is no member `{}`", name::shown(email)))
            .allowed("one that is listed under Members")),
    }
}
