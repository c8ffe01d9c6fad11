//! API tokens. A new one is shown once, on the page that answers the form.

use super::form::FormBody;
use super::page;
use super::session::Session;
use super::shell::Shell;
use crate::app::App;
use crate::guard::Member;
use crate::problem::Refusal;
use crate::routes::tokens::{delete, make};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use daam_api::v1::NewToken;
use daam_store::ListedToken;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage {
    shell: Shell,
    tokens: Vec<ListedToken>,
    made: Option<String>,
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    session: Session,
    user: Member,
) -> Result<Response, Refusal> {
    let tokens = app.db().tokens(&user, app.now()).await?;
    page(&TokensPage { shell: Shell::of(&session, "/tokens"), tokens, made: None })
}

/// The form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    name: String,
    days: u64,
    #[serde(default)]
    email: String,
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    session: Session,
    user: Member,
    FormBody(form): FormBody<New>,
) -> Result<Response, Refusal> {
    let expires_in = Some(form.days.saturating_mul(86_400));
    let email = Some(form.email.trim().to_owned()).filter(|email| !email.is_empty());
    let made = make(&app, &user, &NewToken { name: form.name, email, expires_in }).await?;
    let tokens = app.db().tokens(&user, app.now()).await?;
    page(&TokensPage { shell: Shell::of(&session, "/tokens"), tokens, made: Some(made.token) })
}

pub(super) async fn remove(
    State(app): State<Arc<App>>,
    user: Member,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    delete(&app, &user, &id).await?;
    Ok(Redirect::to("/tokens").into_response())
}
