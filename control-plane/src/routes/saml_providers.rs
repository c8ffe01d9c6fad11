//! Identity providers that speak SAML, made and changed from their metadata: that upload pins the keys they are believed
//! by. Who the provider is never changes, since every account there is an account of that one.

use crate::app::App;
use crate::base::Base;
use crate::body::JsonBody;
use crate::clock::rfc3339;
use crate::guard::Admin;
use crate::name::{self, shown};
use crate::problem::Refusal;
use crate::routes::providers::{may_give, unknown};
use crate::saml::{Settings, make_key, us};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daam_api::v1::{NewSamlProvider, Provider, ProviderKey, ProviderKind};
use daam_saml::IdentityProvider;
use daam_store::{Lasting, StoredProvider, UserAuth, new_provider_id};
use std::sync::Arc;

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    user: Admin,
    JsonBody(request): JsonBody<NewSamlProvider>,
) -> Result<(StatusCode, Json<Provider>), Refusal> {
    add(&app, &user, request).await.map(|made| (StatusCode::CREATED, Json(made)))
}

pub(crate) async fn change(
    State(app): State<Arc<App>>,
    user: Admin,
    Path(id): Path<String>,
    request: Result<JsonBody<NewSamlProvider>, Refusal>,
) -> Result<Json<Provider>, Refusal> {
    let now = stored(&app, &user, &id).await?;
    let JsonBody(request) = request?;
    replace(&app, &user, now, request).await.map(Json)
}

/// The provider itself, whichever surface asks.
pub(crate) async fn add(app: &App, user: &UserAuth, request: NewSamlProvider) -> Result<Provider, Refusal> {
    let provider = read(app, &request)?;
    let id = new_provider_id();
    let (sealed, certificate) = make_key(app, (user.scope().org(), &id)).await?;
    let NewSamlProvider { name, metadata: _, email_attribute, rules } = request;
    let (issuer, keys) = (provider.entity_id.clone(), keys(&provider));
    let settings = Settings { provider, certificate: STANDARD.encode(certificate), email_attribute };
    let new = StoredProvider {
        client_id: us(app.base(), &id).entity_id,
        id,
        name,
        issuer,
        sealed_secret: Some(sealed),
        rules,
        saml: Some(settings.text()?),
    };
    app.db().add_saml_provider(user, (&new, &keys), app.now()).await?;
    Ok(listed(app.base(), new))
}

/// A provider of the caller's organization that speaks SAML.
pub(crate) async fn stored(app: &App, user: &UserAuth, id: &str) -> Result<StoredProvider, Refusal> {
    let providers = app.db().providers(user.scope()).await?;
    let found = providers.into_iter().find(|provider| provider.id == id && provider.saml.is_some());
    found.ok_or_else(|| unknown(id))
}

/// A provider with other metadata, another name, other rules.
pub(crate) async fn replace(
    app: &App,
    user: &UserAuth,
    now: StoredProvider,
    request: NewSamlProvider,
) -> Result<Provider, Refusal> {
    let provider = read(app, &request)?;
    let settings = Settings::of(&now)?.ok_or_else(|| unknown(&now.id))?;
    let title = format!("the metadata is of `{}`, which is another provider", shown(&provider.entity_id));
    let other = || {
        Refusal::conflict("provider.other", title.as_str())
            .allowed("metadata of the same `entityID`, or a new provider")
    };
    if provider.entity_id != now.issuer {
        return Err(other());
    }
    if provider.pinned() != settings.provider.pinned() {
        user.scope().basis().may(Lasting::ProviderKeys)?;
    }
    let keys = keys(&provider);
    let before = now.saml.clone().unwrap_or_default();
    let email_attribute = request.email_attribute.clone();
    let settings = Settings { provider, certificate: settings.certificate, email_attribute };
    let changed = StoredProvider {
        name: request.name.clone(),
        rules: request.rules.clone(),
        saml: Some(settings.text()?),
        ..now
    };
    if !app.db().change_saml_provider(user, (&before, &changed, &keys), app.now()).await? {
        let title = "the provider was changed by somebody else meanwhile";
        return Err(
            Refusal::conflict("provider.changed", title).allowed("the same after looking at it again")
        );
    }
    Ok(listed(app.base(), changed))
}

fn keys(provider: &IdentityProvider) -> Vec<String> {
    provider.pinned().into_iter().map(|key| key.sha256).collect()
}

fn read(app: &App, request: &NewSamlProvider) -> Result<IdentityProvider, Refusal> {
    name::label(&request.name)?;
    may_give(&request.rules)?;
    for attribute in request.email_attribute.iter().chain(&request.rules.groups_claim) {
        if attribute.is_empty() || attribute.len() > 255 || attribute.chars().any(char::is_control) {
            let title = format!("`{}` is not a name of an attribute", shown(attribute));
            return Err(
                Refusal::bad("provider.attribute", title).allowed("up to 255 characters without controls")
            );
        }
    }
    if request.rules.provision && !request.rules.trust_unverified_email {
        let title = "SAML has no word for an address that was verified, so nobody could join";
        return Err(Refusal::bad("provider.unverified", title).allowed(
            "`rules.trust_unverified_email`, if the provider gives people only addresses of their own",
        ));
    }
    IdentityProvider::from_metadata(&request.metadata, app.now()).map_err(|error| {
        Refusal::bad("provider.metadata", format!("the metadata cannot be used: {error}")).allowed(
            "the provider's own metadata document, with the certificate it signs with and an `https` address for \
             `HTTP-Redirect`",
        )
    })
}

pub(crate) fn listed(base: &Base, provider: StoredProvider) -> Provider {
    let settings = Settings::of(&provider).ok().flatten();
    let StoredProvider { id, name, issuer, client_id: _, rules, sealed_secret: _, saml: _ } = provider;
    let us = us(base, &id);
    let shown =
        |key: daam_saml::Pinned| ProviderKey { sha256: key.sha256, not_after: rfc3339(key.not_after) };
    let pinned = settings.as_ref().map(|settings| settings.provider.pinned()).unwrap_or_default();
    Provider {
        kind: ProviderKind::Saml,
        redirect_uri: us.acs,
        backchannel_logout_uri: us.logout,
        client_id: us.entity_id,
        id,
        name,
        issuer,
        rules,
        email_attribute: settings.and_then(|settings| settings.email_attribute),
        keys: pinned.into_iter().map(shown).collect(),
    }
}
