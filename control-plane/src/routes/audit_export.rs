//! Where an organization's audit goes as OpenTelemetry logs. What is sent along is kept encrypted and shown to nobody.

use crate::app::App;
use crate::body::JsonBody;
use crate::clock::rfc3339;
use crate::guard::{Admin, Overseer};
use crate::oidc::origin_of;
use crate::otlp;
use crate::problem::Refusal;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use daam_api::v1::{AuditExport, NewAuditExport};
use daam_store::TenantScope;
use reqwest::Url;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const LONGEST_URL: usize = 1000;
const MOST_HEADERS: usize = 10;
const LONGEST_HEADER: usize = 4096;
/// What is ours to say.
const OURS: [&str; 6] =
    ["content-type", "content-length", "host", "user-agent", "transfer-encoding", "connection"];

pub(crate) async fn set(
    State(app): State<Arc<App>>,
    user: Admin,
    JsonBody(new): JsonBody<NewAuditExport>,
) -> Result<Json<AuditExport>, Refusal> {
    put(&app, &user, new).await?;
    found(&app, user.scope()).await?.map(Json).ok_or_else(nowhere)
}

/// Says where it goes from now on, if it may go there with that.
pub(crate) async fn put(app: &App, user: &Admin, new: NewAuditExport) -> Result<(), Refusal> {
    let endpoint = new.endpoint.parse::<Url>().ok().filter(|url| {
        new.endpoint.len() <= LONGEST_URL && url.fragment().is_none() && app.outbound().may_ask(url)
    });
    let endpoint = endpoint.ok_or_else(|| {
        Refusal::bad(
            "audit.otlp-endpoint",
            format!("{} is not where logs can be sent", origin_of(&new.endpoint)),
        )
        .allowed("`https` at a public address, without a user name or password in it")
    })?;
    if endpoint.query().is_some() {
        return Err(Refusal::bad(
            "audit.otlp-query",
            "the endpoint has a query, which everybody who oversees sees",
        )
        .allowed("the endpoint without one; a key goes into `headers`, which are kept encrypted"));
    }
    let headers: BTreeMap<String, String> =
        new.headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let good = headers.len() <= MOST_HEADERS
        && headers
            .iter()
            .all(|(name, value)| !OURS.contains(&name.as_str()) && value.len() <= LONGEST_HEADER)
        && otlp::with(&headers).is_ok();
    if !good {
        return Err(Refusal::bad("audit.otlp-headers", "the headers cannot be sent").allowed(
            "up to 10 names and values of HTTP headers, none of them about the message or the connection itself",
        ));
    }
    let text = serde_json::to_string(&headers).map_err(|error| Refusal::internal("write headers", &error))?;
    let sealed = app.vault().seal(&otlp::place(user.scope().org()), &text);
    let sealed = sealed.map_err(|error| Refusal::internal("seal headers", &error))?;
    let names: BTreeSet<String> = headers.into_keys().collect();
    Ok(app.db().set_audit_export(user, (endpoint.as_str(), &names, &sealed), app.now()).await?)
}

pub(crate) async fn show(State(app): State<Arc<App>>, user: Overseer) -> Result<Json<AuditExport>, Refusal> {
    found(&app, user.scope()).await?.map(Json).ok_or_else(nowhere)
}

pub(crate) async fn remove(State(app): State<Arc<App>>, user: Admin) -> Result<StatusCode, Refusal> {
    delete(&app, &user).await.map(|()| StatusCode::NO_CONTENT)
}

/// Sends it nowhere any more.
pub(crate) async fn delete(app: &App, user: &Admin) -> Result<(), Refusal> {
    if app.db().remove_audit_export(user, app.now()).await? { Ok(()) } else { Err(nowhere()) }
}

/// Where it goes and how far it got, without what is sent along.
pub(crate) async fn found(app: &App, scope: &TenantScope) -> Result<Option<AuditExport>, Refusal> {
    let found = app.db().audit_export(scope).await?;
    Ok(found.map(|found| AuditExport {
        endpoint: found.endpoint,
        headers: found.header_names,
        after: found.after,
        failure: found.failure,
        last_success: found.sent_at.map(rfc3339),
        last_failure: found.failed_at.map(rfc3339),
        backlog: found.backlog,
    }))
}

fn nowhere() -> Refusal {
    Refusal::missing("audit.otlp-unknown", "the audit is sent nowhere")
        .allowed("this after `PUT /v1/audit/otlp`")
}
