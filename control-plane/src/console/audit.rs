//! The organization's audit, searched in the database.

use super::page;
use super::session::Session;
use super::shell::Shell;
use crate::app::App;
use crate::guard::Overseer;
use crate::problem::Refusal;
use crate::routes::audit::Asked;
use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use daam_store::AuditEntry;
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
    page(&Audit { shell: Shell::of(&session, "/audit"), q, action, from, to, entries, before })
}
