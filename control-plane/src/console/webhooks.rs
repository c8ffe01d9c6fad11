//! Where notices go.

use super::form::FormBody;
use super::page;
use super::session::Session;
use super::shell::Shell;
use crate::app::App;
use crate::guard::{Admin, Overseer};
use crate::problem::Refusal;
use crate::routes::webhooks;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use daam_api::v1::{NewWebhook, Webhook};
use daam_store::TenantScope;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "webhooks.html")]
struct WebhooksPage {
    shell: Shell,
    webhooks: Vec<Webhook>,
    secret: Option<String>,
    mail: bool,
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
    secret: Option<String>,
) -> Result<Response, Refusal> {
    let webhooks = app.db().webhooks(scope).await?;
    let mail = app.mailer().is_some();
    page(&WebhooksPage { shell: Shell::of(session, "/webhooks"), webhooks, secret, mail })
}

/// The form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    name: String,
    url: String,
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    session: Session,
    user: Admin,
    FormBody(Create { name, url }): FormBody<Create>,
) -> Result<Response, Refusal> {
    let made = webhooks::make(&app, &user, &NewWebhook { name, url }).await?;
    shown(&app, &session, user.scope(), Some(made.secret)).await
}

pub(super) async fn remove(
    State(app): State<Arc<App>>,
    user: Admin,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    webhooks::delete(&app, &user, &id).await?;
    Ok(Redirect::to("/webhooks").into_response())
}
