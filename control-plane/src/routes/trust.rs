//! The organization's trust file: which keys may sign bundles. Ours is a convenience; agents trust their own copy.

use crate::app::App;
use crate::body::RawBody;
use crate::name::shown;
use crate::problem::Refusal;
use axum::Extension;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use daam_bundle::TrustFile;
use daam_store::{Caller, TenantScope, UserAuth};
use std::error::Error as _;
use std::sync::Arc;

const JSON: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];

pub(crate) async fn store(
    State(app): State<Arc<App>>,
    Extension(user): Extension<UserAuth>,
    RawBody(bytes): RawBody,
) -> Result<impl IntoResponse, Refusal> {
    let org = user.scope().org();
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Refusal::bad("trust.malformed", "the trust file is not UTF-8 text"))?;
    let trust = TrustFile::parse(text).map_err(|error| {
        let why = error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
        Refusal::bad("trust.malformed", why).allowed("what `daam trust init` writes")
    })?;
    if trust.org() != org {
        let title = format!("the trust file is for `{}`", shown(trust.org()));
        return Err(Refusal::bad("trust.organization", title).allowed(format!("a trust file for `{org}`")));
    }
    if !app.db().put_trust(user.scope(), trust.version(), text, app.now()).await? {
        let title = format!("a trust file of version {} or higher is already here", trust.version());
        return Err(Refusal::conflict("trust.version-behind", title)
            .allowed("a trust file with a higher version, or the same file again"));
    }
    Ok((JSON, text.to_owned()))
}

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<impl IntoResponse, Refusal> {
    Ok((JSON, stored(&app, caller.scope()).await?))
}

pub(crate) async fn stored(app: &App, scope: &TenantScope) -> Result<String, Refusal> {
    app.db().trust(scope).await?.ok_or_else(|| {
        Refusal::missing("trust.missing", "this organization has no trust file yet")
            .allowed("`PUT /v1/trust` by an admin first")
    })
}
