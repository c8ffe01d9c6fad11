//! Identity providers of the organization, and what they say when somebody signs out.

use crate::app::App;
use crate::base::Base;
use crate::body::JsonBody;
use crate::guard::{Admin, Overseer};
use crate::list::{Paging, Part};
use crate::name::{self, shown};
use crate::oidc::{self, CALLBACK, OidcError, Party, origin_of};
use crate::problem::Refusal;
use crate::routes::saml_providers;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Form, Json};
use daam_api::v1::{NewProvider, Provider, ProviderKind, ProviderRules, SignInPolicy};
use daam_store::{Role, SignInProvider, StoredProvider, UserAuth, new_provider_id};
use serde::Deserialize;
use std::sync::Arc;
use zeroize::Zeroizing;

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    user: Admin,
    JsonBody(request): JsonBody<NewProvider>,
) -> Result<(StatusCode, Json<Provider>), Refusal> {
    add(&app, &user, request).await.map(|made| (StatusCode::CREATED, Json(made)))
}

/// The provider itself, whichever surface asks.
pub(crate) async fn add(app: &App, user: &UserAuth, request: NewProvider) -> Result<Provider, Refusal> {
    name::label(&request.name)?;
    let issuer = reqwest::Url::parse(&request.issuer)
        .ok()
        .filter(|url| app.outbound().may_ask(url) && url.query().is_none() && url.fragment().is_none());
    if issuer.is_none() || request.client_id.is_empty() {
        let title = format!("{} is not an issuer that can be asked", origin_of(&request.issuer));
        return Err(Refusal::bad("provider.issuer", title).allowed(
            "an `https` address outside the operator's network, and the client id that was registered there",
        ));
    }
    may_give(&request.rules)?;
    let id = new_provider_id();
    let sealed_secret = match &request.client_secret {
        None => None,
        Some(secret) => {
            let sealed = app.vault().seal(&place(user.scope().org(), &id), secret);
            Some(sealed.map_err(|error| Refusal::internal("seal a client secret", &error))?)
        }
    };
    let NewProvider { name, issuer, client_id, rules, client_secret: _ } = request;
    let new = StoredProvider { id, name, issuer, client_id, sealed_secret, rules, saml: None };
    let party =
        Party { issuer: &new.issuer, client_id: &new.client_id, client_secret: None, groups_claim: None };
    // Asked now, so that a mistake shows to whoever makes it rather than to whoever signs in.
    oidc::start(app.outbound(), &party, app.base()).await.map_err(|error| {
        tracing::warn!(issuer = new.issuer, error = %chain(&error), "a new provider does not answer");
        Refusal::bad(
            "provider.unreachable",
            format!("`{}` does not answer as a provider", shown(&new.issuer)),
        )
        .allowed("an issuer that publishes `/.well-known/openid-configuration` naming itself")
    })?;
    app.db().add_provider(user, &new, app.now()).await?;
    Ok(listed(app.base(), new))
}

/// Whether rules give what a provider may give.
pub(crate) fn may_give(rules: &ProviderRules) -> Result<(), Refusal> {
    name::groups(rules.groups.values())?;
    let role = Role::from_name(&rules.default_role);
    if role.is_none_or(|role| role == Role::Admin) {
        let title = format!("`{}` is not a role a provider may give", shown(&rules.default_role));
        return Err(Refusal::bad("provider.role", title).allowed("`member`, `approver` or `auditor`"));
    }
    Ok(())
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    user: Overseer,
    paging: Paging,
) -> Result<Part<Provider>, Refusal> {
    let providers = app.db().providers(user.scope()).await?;
    Ok(paging.part(
        providers.into_iter().map(|provider| listed(app.base(), provider)).collect(),
        |provider: &Provider| format!("{}\n{}", provider.name, provider.id),
    ))
}

pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    user: Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    if app.db().remove_provider(&user, &id, app.now()).await? {
        app.changed(user.scope()).await;
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(unknown(&id))
}

pub(crate) fn unknown(id: &str) -> Refusal {
    Refusal::missing("provider.unknown", format!("there is no provider `{}`", shown(id)))
        .allowed("an id from `GET /v1/identity-providers`")
}

pub(crate) fn no_provider() -> Refusal {
    Refusal::conflict("sign-in.no-provider", "nobody could sign in: there is no identity provider")
        .allowed("this after `POST /v1/identity-providers`")
}

pub(crate) async fn policy(
    State(app): State<Arc<App>>,
    user: Admin,
    JsonBody(request): JsonBody<SignInPolicy>,
) -> Result<Json<SignInPolicy>, Refusal> {
    if app.db().force_sso(&user, request.force_sso, app.now()).await? {
        app.changed(user.scope()).await;
        return Ok(Json(request));
    }
    Err(no_provider())
}

/// What a provider posts.
#[derive(Debug, Deserialize)]
pub(crate) struct Logout {
    logout_token: String,
}

/// Somebody signed out at the provider: here, too, and in every database.
pub(crate) async fn logout(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    form: Result<Form<Logout>, axum::extract::rejection::FormRejection>,
) -> Result<StatusCode, Refusal> {
    let refused = || {
        Refusal::bad("logout.refused", "this does not say that somebody signed out")
            .allowed("`logout_token` as OpenID Connect Back-Channel Logout describes it, once")
    };
    let Form(Logout { logout_token }) = form.map_err(|_| refused())?;
    let at = app.db().sign_in_provider(&id).await?.filter(|at| at.provider().saml.is_none());
    let at = at.ok_or_else(refused)?;
    let secret = secret(&app, &at)?;
    let party = party(&at, secret.as_ref());
    let said = oidc::signed_out(app.outbound(), (&party, app.base()), &logout_token, app.now()).await;
    let said = said.map_err(|error| {
        tracing::warn!(provider = id, error = %chain(&error), "a logout token was refused");
        refused()
    })?;
    let who = (said.subject.as_deref(), said.session.as_deref());
    if !app.db().signed_out(&at, who, (&said.jti, said.expires_at), app.now()).await? {
        return Err(refused());
    }
    app.changed(at.scope()).await;
    Ok(StatusCode::OK)
}

/// Our client secret at the provider.
pub(crate) fn secret(app: &App, at: &SignInProvider) -> Result<Option<Zeroizing<String>>, Refusal> {
    let Some(sealed) = &at.provider().sealed_secret else { return Ok(None) };
    let opened = app.vault().open(&place(at.scope().org(), &at.provider().id), sealed);
    opened.map(Some).map_err(|error| Refusal::internal("open a client secret", &error))
}

/// Our part at the provider.
pub(crate) fn party<'a>(at: &'a SignInProvider, secret: Option<&'a Zeroizing<String>>) -> Party<'a> {
    let provider = at.provider();
    Party {
        issuer: &provider.issuer,
        client_id: &provider.client_id,
        client_secret: secret.map(|secret| secret.as_str()),
        groups_claim: provider.rules.groups_claim.as_deref(),
    }
}

/// An error with its causes, for the log.
pub(crate) fn chain(error: &OidcError) -> String {
    use std::error::Error as _;
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

pub(crate) fn listed(base: &Base, provider: StoredProvider) -> Provider {
    if provider.saml.is_some() {
        return saml_providers::listed(base, provider);
    }
    let StoredProvider { id, name, issuer, client_id, rules, sealed_secret: _, saml: _ } = provider;
    Provider {
        kind: ProviderKind::Oidc,
        redirect_uri: base.url(CALLBACK),
        backchannel_logout_uri: base.url(&format!("/v1/identity-providers/{id}/backchannel-logout")),
        id,
        name,
        issuer,
        client_id,
        rules,
        email_attribute: None,
        keys: Vec::new(),
    }
}

fn place(org: &str, id: &str) -> String {
    format!("{org}/oidc/{id}")
}
