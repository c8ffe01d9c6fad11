//! The organization's audit: found in the database, not in a page of it, and taken out whole. Taking it out is in the
//! audit, too.

use crate::app::App;
use crate::clock::rfc3339;
use crate::guard::Overseer;
use crate::list::{Part, link};
use crate::problem::Refusal;
use crate::routes::export::{Format, Row, days, file, given};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{OriginalUri, Query, State};
use axum::response::Response;
use daam_api::v1::AuditEntry;
use daam_store::{AuditFilter, StoreError, TenantScope};
use serde::Deserialize;
use std::sync::Arc;

const MOST: u32 = 500;
const DEFAULT: u32 = 100;

/// What to look for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    text: Option<String>,
    action: Option<String>,
    since: Option<i64>,
    until: Option<i64>,
    before: Option<i64>,
    limit: Option<u32>,
}

pub(crate) async fn search(
    State(app): State<Arc<App>>,
    user: Overseer,
    OriginalUri(uri): OriginalUri,
    query: Result<Query<Search>, QueryRejection>,
) -> Result<Part<AuditEntry>, Refusal> {
    let Query(Search { text, action, since, until, before, limit }) = query.map_err(|_| {
        Refusal::bad("request.malformed", "the query is not understood").allowed(
            "`text`, `action`, `since` and `until` (unix seconds), `before` (the last entry you have), `limit`",
        )
    })?;
    let limit = limit.unwrap_or(DEFAULT);
    if limit == 0 || limit > MOST {
        return Err(Refusal::bad("request.malformed", format!("a limit of {limit} is not possible"))
            .allowed(format!("1 to {MOST}")));
    }
    let filter = AuditFilter { text, action, since, until, before };
    let found = app.db().search_audit(user.scope(), &filter, limit).await?;
    let full = u32::try_from(found.len()).is_ok_and(|count| count >= limit);
    let last = found.last().filter(|_| full).map(|entry| entry.seq.to_string());
    let headers = last.map(|last| link(&uri, &[("before", &last)])).unwrap_or_default();
    Ok((headers, Json(found.into_iter().map(entry).collect())))
}

/// What to take out, in the words of the page's form.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Export {
    #[serde(default)]
    format: Format,
    #[serde(flatten)]
    asked: Asked,
}

/// What the page's form asks for; an empty field asks for nothing.
#[derive(Debug, Default, Clone, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    pub(crate) q: String,
    #[serde(default)]
    pub(crate) action: String,
    /// A day.
    #[serde(default)]
    pub(crate) from: String,
    /// A day, included.
    #[serde(default)]
    pub(crate) to: String,
    #[serde(default)]
    pub(crate) before: String,
}

impl Asked {
    pub(crate) fn filter(&self) -> Result<AuditFilter, Refusal> {
        let before = given(&self.before).map(|text| text.parse()).transpose().map_err(|_| {
            Refusal::bad("request.malformed", "the entry to go on before is not understood")
                .allowed("the number of an entry")
        })?;
        let (since, until) = days(&self.from, &self.to)?;
        Ok(AuditFilter { text: given(&self.q), action: given(&self.action), since, until, before })
    }
}

impl Row for AuditEntry {
    const COLUMNS: &'static [&'static str] = &["seq", "at", "actor", "action", "target", "detail"];

    fn fields(&self) -> Vec<String> {
        let Self { seq, at, actor, action, target, detail } = self;
        let texts = [at, actor, action, target, detail].map(String::clone);
        [seq.to_string()].into_iter().chain(texts).collect()
    }
}

/// Everything that fits, as a file that is read from the store as it is sent.
pub(crate) async fn export(
    State(app): State<Arc<App>>,
    user: Overseer,
    query: Result<Query<Export>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(Export { format, asked }) = query.map_err(|_| {
        Refusal::bad("request.malformed", "the query is not understood")
            .allowed("`format=csv` or `format=jsonl`, and `q`, `action`, `from`, `to`")
    })?;
    let filter = asked.filter()?;
    app.db().audit_exported(&user, &format!("{format:?} {filter:?}"), app.now()).await?;
    let scope = user.scope().clone();
    Ok(file((format, "audit"), filter, move |filter| page(Arc::clone(&app), scope.clone(), filter)))
}

async fn page(
    app: Arc<App>,
    scope: TenantScope,
    mut filter: AuditFilter,
) -> Result<(Vec<AuditEntry>, Option<AuditFilter>), StoreError> {
    let found = app.db().search_audit(&scope, &filter, MOST).await?;
    let full = u32::try_from(found.len()).is_ok_and(|count| count >= MOST);
    filter.before = found.last().map(|entry| entry.seq);
    Ok((found.into_iter().map(entry).collect(), full.then_some(filter)))
}

fn entry(entry: daam_store::AuditEntry) -> AuditEntry {
    let daam_store::AuditEntry { seq, at, actor, action, target, detail } = entry;
    AuditEntry { seq, at: rfc3339(at), actor, action, target, detail }
}
