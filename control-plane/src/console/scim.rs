//! Provisioning: the address identity providers are given, and their tokens. A new one is shown once.

use super::form::FormBody;
use super::page;
use super::session::Session;
use super::shell::Shell;
use crate::app::App;
use crate::guard::{Admin, Overseer};
use crate::problem::Refusal;
use crate::routes::scim_tokens::{delete, make};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use daam_api::v1::NewScimToken;
use daam_store::ListedScimToken;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "scim.html")]
struct ScimPage {
    shell: Shell,
    base_url: String,
    tokens: Vec<ListedScimToken>,
    made: Option<String>,
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    session: Session,
    user: Overseer,
) -> Result<Response, Refusal> {
    let tokens = app.db().scim_tokens(user.scope(), app.now()).await?;
    let base_url = app.base().url("/scim/v2");
    page(&ScimPage { shell: Shell::of(&session, "/scim"), base_url, tokens, made: None })
}

/// The form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    name: String,
    days: u64,
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    session: Session,
    user: Admin,
    FormBody(form): FormBody<New>,
) -> Result<Response, Refusal> {
    let expires_in = Some(form.days.saturating_mul(86_400));
    let made = make(&app, &user, &NewScimToken { name: form.name, expires_in }).await?;
    let tokens = app.db().scim_tokens(user.scope(), app.now()).await?;
    let base_url = made.base_url;
    page(&ScimPage { shell: Shell::of(&session, "/scim"), base_url, tokens, made: Some(made.token) })
}

pub(super) async fn remove(
    State(app): State<Arc<App>>,
    user: Admin,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    delete(&app, &user, &id).await?;
    Ok(Redirect::to("/scim").into_response())
}
