//! Identity providers: which there are, what to register with them, and whether they are the only way in.

use super::form::FormBody;
use super::page;
use super::session::Session;
use super::shell::Shell;
use crate::app::App;
use crate::guard::{Admin, Overseer};
use crate::problem::Refusal;
use crate::routes::providers::{add, listed, no_provider, unknown};
use crate::routes::{identity_links, saml_providers};
use crate::saml::Settings;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use daam_api::v1::{NewProvider, NewSamlProvider, Provider, ProviderKind, ProviderRules};
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
    let rules = joining(&form.domains);
    let New { name, issuer, client_id, client_secret, domains: _ } = form;
    let client_secret = Some(client_secret).filter(|secret| !secret.is_empty());
    add(&app, &user, NewProvider { name, issuer, client_id, client_secret, rules }).await?;
    Ok(Redirect::to("/providers").into_response())
}

/// Whoever has an address in these domains joins; none is nobody.
fn joining(domains: &str) -> ProviderRules {
    let domains = domains.split(',').map(|domain| domain.trim().to_ascii_lowercase());
    let allowed_domains: BTreeSet<String> = domains.filter(|domain| !domain.is_empty()).collect();
    ProviderRules { provision: !allowed_domains.is_empty(), allowed_domains, ..ProviderRules::default() }
}

/// The form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSaml {
    name: String,
    metadata: String,
    #[serde(default)]
    domains: String,
    #[serde(default)]
    email_attribute: String,
    #[serde(default)]
    groups_attribute: String,
}

pub(super) async fn create_saml(
    State(app): State<Arc<App>>,
    user: Admin,
    FormBody(form): FormBody<NewSaml>,
) -> Result<Response, Refusal> {
    let said = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let joining = joining(&form.domains);
    // The form says so where the domains are asked for.
    let trust_unverified_email = joining.provision;
    let rules =
        ProviderRules { trust_unverified_email, groups_claim: said(form.groups_attribute), ..joining };
    let NewSaml { name, metadata, .. } = form;
    let email_attribute = said(form.email_attribute);
    saml_providers::add(&app, &user, NewSamlProvider { name, metadata, email_attribute, rules }).await?;
    Ok(Redirect::to("/providers").into_response())
}

/// The form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metadata {
    metadata: String,
}

pub(super) async fn replace_metadata(
    State(app): State<Arc<App>>,
    user: Admin,
    Path(id): Path<String>,
    form: Result<FormBody<Metadata>, Refusal>,
) -> Result<Response, Refusal> {
    let now = saml_providers::stored(&app, &user, &id).await?;
    let FormBody(Metadata { metadata }) = form?;
    let email_attribute = Settings::of(&now)?.and_then(|settings| settings.email_attribute);
    let (name, rules) = (now.name.clone(), now.rules.clone());
    let request = NewSamlProvider { name, metadata, email_attribute, rules };
    saml_providers::replace(&app, &user, now, request).await?;
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
