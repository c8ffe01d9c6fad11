//! The organization's trust file: which keys may sign what. We pass versions on and can withhold one; agents follow only
//! what root keys signed, from their own pinned copy.

use crate::app::App;
use crate::body::RawBody;
use crate::guard::{Admin, Overseer};
use crate::keys;
use crate::name::shown;
use crate::problem::Refusal;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use daam_api::v1::FreshnessKey;
use daam_bundle::{Role, TrustChain, TrustDocument, TrustFile};
use daam_store::{Caller, TenantScope};
use std::sync::Arc;

const JSON: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];

pub(crate) async fn store(
    State(app): State<Arc<App>>,
    user: Admin,
    RawBody(bytes): RawBody,
) -> Result<impl IntoResponse, Refusal> {
    let org = user.scope().org();
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Refusal::bad("trust.malformed", "the trust file is not UTF-8 text"))?;
    let document = TrustDocument::parse(text).map_err(|error| {
        Refusal::bad("trust.malformed", chain(&error)).allowed("what `daam trust init` and `rotate` write")
    })?;
    let trust = document.trust();
    if trust.org() != org {
        let title = format!("the trust file is for `{}`", shown(trust.org()));
        return Err(Refusal::bad("trust.organization", title).allowed(format!("a trust file for `{org}`")));
    }
    if let Some(held) = app.db().trust(user.scope()).await?.filter(|held| held != text) {
        follows(&parsed(&held)?, &document, text, app.now())?;
    }
    if !app.db().put_trust(user.scope(), trust.version(), text, app.now()).await? {
        let title = format!("a trust file of version {} or higher is already here", trust.version());
        return Err(Refusal::conflict("trust.version-behind", title)
            .allowed("a trust file with a higher version, or the same file again"));
    }
    app.changed(user.scope()).await;
    Ok((JSON, text.to_owned()))
}

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<impl IntoResponse, Refusal> {
    Ok((JSON, stored(&app, caller.scope()).await?))
}

pub(crate) async fn version(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(version): Path<String>,
) -> Result<impl IntoResponse, Refusal> {
    let version = version.parse().ok().filter(|version| i64::try_from(*version).is_ok()).unwrap_or(0_u64);
    let content = app.db().trust_at(caller.scope(), version).await?.ok_or_else(|| {
        Refusal::missing("trust.missing", format!("there is no version {version} of the trust file"))
            .allowed("versions that were stored with `PUT /v1/trust`")
    })?;
    Ok((JSON, content))
}

/// The public half of the key this control plane says what is fresh with, to be listed in the trust file.
pub(crate) async fn freshness_key(
    State(app): State<Arc<App>>,
    user: Overseer,
) -> Result<impl IntoResponse, Refusal> {
    let key = keys::freshness(&app, user.scope()).await?;
    Ok(Json(FreshnessKey { public: key.public().to_base64(), keyid: key.public().keyid() }))
}

/// Refuses early what no agent would follow. Agents decide for themselves, whatever is stored here.
fn follows(held: &TrustFile, next: &TrustDocument, text: &str, now: i64) -> Result<(), Refusal> {
    if held.role(Role::Root).is_none() || next.trust().version() <= held.version() {
        return Ok(());
    }
    if matches!(next, TrustDocument::Plain(_)) {
        return Err(Refusal::bad(
            "trust.unsigned",
            "the trust file in force has root keys; agents follow only what they sign",
        )
        .allowed("what `daam trust rotate` and `daam trust sign` write"));
    }
    match TrustChain::of(held.clone()).walk([text], now).ended {
        None => Ok(()),
        Some(error) => Err(Refusal::bad("trust.not-followed", chain(&error))
            .allowed("the next version, signed by enough root keys of both versions")),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// What a stored trust file says.
pub(crate) fn parsed(stored: &str) -> Result<TrustFile, Refusal> {
    TrustDocument::parse(stored)
        .map(|document| document.trust().clone())
        .map_err(|error| Refusal::internal("read the trust file", &error))
}

pub(crate) async fn stored(app: &App, scope: &TenantScope) -> Result<String, Refusal> {
    app.db().trust(scope).await?.ok_or_else(|| {
        Refusal::missing("trust.missing", "this organization has no trust file yet")
            .allowed("`PUT /v1/trust` by an admin first")
    })
}
