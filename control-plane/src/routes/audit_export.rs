//! Where an organization's audit goes as OpenTelemetry logs. What is sent along is kept encrypted and shown to nobody.

use crate::app::App;
use crate::body::JsonBody;
use crate::guard::{Admin, Overseer};
use crate::oidc::origin_of;
use crate::otlp;
use crate::problem::Refusal;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use daam_api::v1::{AuditExport, NewAuditExport};
use daam_store::UserAuth;
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
    app.db().set_audit_export(&user, (endpoint.as_str(), &names, &sealed), app.now()).await?;
    found(&app, &user).await
}

pub(crate) async fn show(State(app): State<Arc<App>>, user: Overseer) -> Result<Json<AuditExport>, Refusal> {
    found(&app, &user).await
}

pub(crate) async fn remove(State(app): State<Arc<App>>, user: Admin) -> Result<StatusCode, Refusal> {
    if app.db().remove_audit_export(&user, app.now()).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(nowhere())
}

async fn found(app: &App, user: &UserAuth) -> Result<Json<AuditExport>, Refusal> {
    let found = app.db().audit_export(user.scope()).await?.ok_or_else(nowhere)?;
    let daam_store::ListedAuditExport { endpoint, header_names, after, failure } = found;
    Ok(Json(AuditExport { endpoint, headers: header_names, after, failure }))
}

fn nowhere() -> Refusal {
    Refusal::missing("audit.otlp-unknown", "the audit is sent nowhere")
        .allowed("this after `PUT /v1/audit/otlp`")
}
