//! Identity providers: which there are, what to register with them, and whether they are the only way in.

use super::form::FormBody;
use super::page;
use super::session::Session;
use super::shell::Shell;
use crate::app::App;
use crate::guard::{Admin, Overseer};
use crate::problem::Refusal;
use crate::routes::identity_links;
use crate::routes::providers::{add, listed, no_provider, unknown};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use daam_api::v1::{NewProvider, Provider, ProviderRules};
use daam_store::ListedLink;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "providers.html")]
struct ProvidersPage {
    shell: Shell,
    providers: Vec<Provider>,
    forced: bool,
    links: Vec<ListedLink>,
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    session: Session,
    user: Overseer,
) -> Result<Response, Refusal> {
    let providers = app.db().providers(user.scope()).await?;
    page(&ProvidersPage {
        shell: Shell::of(&session, "/providers"),
        providers: providers.into_iter().map(|provider| listed(app.base(), provider)).collect(),
        forced: app.db().forces_sso(user.scope()).await?,
        links: app.db().identity_links(user.scope()).await?,
    })
}

/// The form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    name: String,
    issuer: String,
    client_id: String,
    #[serde(default)]
    client_secret: String,
    #[serde(default)]
    domains: String,
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    user: Admin,
    FormBody(form): FormBody<New>,
) -> Result<Response, Refusal> {
    let domains = form.domains.split(',').map(|domain| domain.trim().to_ascii_lowercase());
    let allowed_domains: BTreeSet<String> = domains.filter(|domain| !domain.is_empty()).collect();
    let rules =
        ProviderRules { provision: !allowed_domains.is_empty(), allowed_domains, ..ProviderRules::default() };
    let New { name, issuer, client_id, client_secret, domains: _ } = form;
    let client_secret = Some(client_secret).filter(|secret| !secret.is_empty());
    add(&app, &user, NewProvider { name, issuer, client_id, client_secret, rules }).await?;
    Ok(Redirect::to("/providers").into_response())
}

pub(super) async fn remove(
    State(app): State<Arc<App>>,
    user: Admin,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    if !app.db().remove_provider(&user, &id, app.now()).await? {
        return Err(unknown(&id));
    }
    app.changed(user.scope()).await;
    Ok(Redirect::to("/providers").into_response())
}

pub(super) async fn unlink(
    State(app): State<Arc<App>>,
    user: Admin,
    Path((email, id)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    identity_links::unlink(&app, &user, (&email, &id)).await?;
    Ok(Redirect::to("/providers").into_response())
}

/// The form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    force: String,
}

pub(super) async fn policy(
    State(app): State<Arc<App>>,
    user: Admin,
    FormBody(form): FormBody<Policy>,
) -> Result<Response, Refusal> {
    if !app.db().force_sso(&user, form.force == "yes", app.now()).await? {
        return Err(no_provider());
    }
    app.changed(user.scope()).await;
    Ok(Redirect::to("/providers").into_response())
}
