//! The organization's audit, searched in the database.

use super::form::FormBody;
use super::page;
use super::session::Session;
use super::shell::Shell;
use crate::app::App;
use crate::guard::{Admin, Overseer};
use crate::problem::Refusal;
use crate::routes::audit::Asked;
use crate::routes::evidence::keep_for;
use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use daam_ledger::Checkpoint;
use daam_store::AuditEntry;
use serde::Deserialize;
use std::sync::Arc;

const MOST: u32 = 100;

#[derive(Template)]
#[template(path = "audit.html")]
struct Audit {
    shell: Shell,
    q: String,
    action: String,
    from: String,
    to: String,
    entries: Vec<AuditEntry>,
    before: Option<i64>,
    signed: Option<Checkpoint>,
    kept_days: Option<i64>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    session: Session,
    user: Overseer,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(asked) =
        query.map_err(|_| Refusal::bad("request.malformed", "the search is not understood"))?;
    let entries = app.db().search_audit(user.scope(), &asked.filter()?, MOST).await?;
    let full = entries.len() == usize::try_from(MOST).unwrap_or(usize::MAX);
    let before = entries.last().map(|entry| entry.seq).filter(|_| full);
    let Asked { q, action, from, to, before: _ } = asked;
    let latest = app.db().checkpoints(user.scope(), None, 1).await?;
    page(&Audit {
        shell: Shell::of(&session, "/audit"),
        q,
        action,
        from,
        to,
        entries,
        before,
        signed: latest.into_iter().next().map(|signed| signed.unverified().clone()),
        kept_days: app.db().audit_keep_days(user.scope()).await?,
    })
}

/// The form: no number keeps entries for ever.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keep {
    days: String,
}

pub(super) async fn keep(
    State(app): State<Arc<App>>,
    user: Admin,
    FormBody(form): FormBody<Keep>,
) -> Result<Response, Refusal> {
    let days = Some(form.days.trim()).filter(|days| !days.is_empty()).map(str::parse).transpose();
    let days = days.map_err(|_| {
        Refusal::bad("audit.retention", "that is not a number of days")
            .allowed("a number, or nothing to keep entries for ever")
    })?;
    keep_for(&app, &user, days).await?;
    Ok(Redirect::to("/audit").into_response())
}
