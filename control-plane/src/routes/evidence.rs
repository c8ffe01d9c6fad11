//! The audit as evidence: the whole log, its checkpoints, the key they are signed with, and how long entries are kept.

use crate::app::App;
use crate::body::JsonBody;
use crate::evidence::{checkpoint, way_on};
use crate::guard::{Admin, Overseer};
use crate::keys::{self, KeyError};
use crate::list::{Part, link};
use crate::problem::Refusal;
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{OriginalUri, Query, State};
use axum::http::header;
use axum::response::IntoResponse;
use daam_api::v1::{AuditKey, AuditRetention};
use daam_ledger::Signed;
use daam_store::{Checkpointed, UserAuth};
use futures_util::stream;
use serde::Deserialize;
use std::io;
use std::sync::Arc;

const MOST: u32 = 200;
/// Whoever shortens this cannot make what just happened disappear.
const LEAST_DAYS: u32 = 30;
const MOST_DAYS: u32 = 36_500;

/// The whole log, from where it begins, read as it is sent. It ends with a checkpoint made now, unless the log is not
/// whole: then it shows why. What this server remembers takes nothing from whoever wants to read.
pub(crate) async fn log(State(app): State<Arc<App>>, user: Overseer) -> Result<impl IntoResponse, Refusal> {
    app.db().audit_exported(&user, "the whole log", app.now()).await?;
    let scope = user.scope().clone();
    match checkpoint(&app, &scope).await {
        Err(error @ KeyError::Signed(_)) => {
            let (org, error): (&str, &dyn std::error::Error) = (scope.org(), &error);
            tracing::error!(org, error, "the audit of an organization goes out without a new checkpoint");
        }
        made => drop(made?),
    }
    let parts = stream::try_unfold((app, scope, Some(None)), |(app, scope, state)| async move {
        let Some(place) = state else { return Ok::<_, io::Error>(None) };
        let part = app.db().audit_log(&scope, place).await.map_err(io::Error::other)?;
        let text: String = part.lines.iter().map(daam_ledger::Line::write).collect();
        Ok(Some((text, (app, scope, part.next.map(Some)))))
    });
    let name = "attachment; filename=\"audit-log.jsonl\"";
    let headers = [(header::CONTENT_TYPE, "application/jsonl"), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(parts)))
}

/// Which checkpoints.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Before {
    /// Only of fewer entries.
    before: Option<u64>,
}

pub(crate) async fn checkpoints(
    State(app): State<Arc<App>>,
    user: Overseer,
    OriginalUri(uri): OriginalUri,
    query: Result<Query<Before>, QueryRejection>,
) -> Result<Part<Signed>, Refusal> {
    let Query(Before { before }) = query.map_err(|_| {
        Refusal::bad("request.malformed", "the query is not understood")
            .allowed("`before=NUMBER`, the size of the last checkpoint you have")
    })?;
    let found = app.db().checkpoints(user.scope(), before, MOST).await?;
    let full = u32::try_from(found.len()).is_ok_and(|count| count >= MOST);
    let last = found.last().filter(|_| full).map(|signed| signed.unverified().size.to_string());
    let headers = last.map(|size| link(&uri, &[("before", &size)])).unwrap_or_default();
    Ok((headers, Json(found)))
}

pub(crate) async fn make(State(app): State<Arc<App>>, user: Overseer) -> Result<Json<Signed>, Refusal> {
    match checkpoint(&app, user.scope()).await? {
        Checkpointed::Signed(signed) | Checkpointed::Present(signed) => Ok(Json(signed)),
        // Every organization begins with an entry.
        Checkpointed::Empty => Err(Refusal::conflict("audit.empty", "there is nothing to sign")),
        Checkpointed::Broken(fault) => {
            Err(Refusal::conflict("audit.broken", fault.to_string())
                .allowed(way_on(user.scope().org(), &fault)))
        }
    }
}

pub(crate) async fn key(State(app): State<Arc<App>>, user: Overseer) -> Result<Json<AuditKey>, Refusal> {
    let key = keys::audit(&app, user.scope()).await?.public();
    Ok(Json(AuditKey { public: key.to_base64(), keyid: key.keyid() }))
}

pub(crate) async fn retention(
    State(app): State<Arc<App>>,
    user: Overseer,
) -> Result<Json<AuditRetention>, Refusal> {
    let days = app.db().audit_keep_days(user.scope()).await?;
    Ok(Json(AuditRetention { days: days.and_then(|days| u32::try_from(days).ok()) }))
}

pub(crate) async fn keep(
    State(app): State<Arc<App>>,
    user: Admin,
    JsonBody(wanted): JsonBody<AuditRetention>,
) -> Result<Json<AuditRetention>, Refusal> {
    keep_for(&app, &user, wanted.days).await?;
    Ok(Json(wanted))
}

/// The setting itself, whichever surface asks.
pub(crate) async fn keep_for(app: &App, user: &UserAuth, days: Option<u32>) -> Result<(), Refusal> {
    if let Some(days) = days.filter(|days| !(LEAST_DAYS..=MOST_DAYS).contains(days)) {
        return Err(Refusal::bad("audit.retention", format!("entries cannot be kept for {days} days"))
            .allowed(format!("{LEAST_DAYS} to {MOST_DAYS} days, or for ever")));
    }
    Ok(app.db().keep_audit(user, days.map(i64::from), app.now()).await?)
}
