//! The organization's audit: found in the database, not in a page of it, and taken out whole. Taking it out is in the
//! audit, too.

use crate::app::App;
use crate::clock::rfc3339;
use crate::guard::Overseer;
use crate::list::{Part, link};
use crate::problem::Refusal;
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{OriginalUri, Query, State};
use axum::http::header;
use axum::response::IntoResponse;
use daam_api::v1::AuditEntry;
use daam_store::{AuditFilter, StoreError, TenantScope};
use futures_util::stream;
use serde::Deserialize;
use std::io;
use std::sync::Arc;
use time::format_description::well_known::Iso8601;
use time::{Date, Time};

const MOST: u32 = 500;
const DEFAULT: u32 = 100;
const DAY_SECONDS: i64 = 86_400;

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
        let some = |text: &String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let before = some(&self.before).map(|text| text.parse().map_err(|_| not_understood("before")));
        Ok(AuditFilter {
            text: some(&self.q),
            action: some(&self.action),
            since: some(&self.from).map(|day| begins(&day)).transpose()?,
            until: some(&self.to).map(|day| begins(&day).map(|at| at + DAY_SECONDS - 1)).transpose()?,
            before: before.transpose()?,
        })
    }
}

fn begins(day: &str) -> Result<i64, Refusal> {
    let date = Date::parse(day, &Iso8601::DATE).map_err(|_| not_understood("day"))?;
    Ok(date.with_time(Time::MIDNIGHT).assume_utc().unix_timestamp())
}

fn not_understood(what: &str) -> Refusal {
    Refusal::bad("request.malformed", format!("the {what} is not understood"))
        .allowed("days as `2026-01-31`, and for `before` the number of an entry")
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Csv,
    Jsonl,
}

/// Everything that fits, as a file that is read from the store as it is sent.
pub(crate) async fn export(
    State(app): State<Arc<App>>,
    user: Overseer,
    query: Result<Query<Export>, QueryRejection>,
) -> Result<impl IntoResponse, Refusal> {
    let Query(Export { format, asked }) = query.map_err(|_| {
        Refusal::bad("request.malformed", "the query is not understood")
            .allowed("`format=csv` or `format=jsonl`, and `q`, `action`, `from`, `to`")
    })?;
    let filter = asked.filter()?;
    let (kind, name) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"audit.csv\""),
        Format::Jsonl => ("application/jsonl", "attachment; filename=\"audit.jsonl\""),
    };
    app.db().audit_exported(&user, &format!("{format:?} {filter:?}"), app.now()).await?;
    let scope = user.scope().clone();
    let first = (app, scope, Some((filter, true)), format);
    let pages = stream::try_unfold(first, |(app, scope, state, format)| async move {
        let Some((filter, is_first)) = state else { return Ok::<_, io::Error>(None) };
        let (bytes, next) = page(&app, &scope, filter, (format, is_first)).await.map_err(io::Error::other)?;
        Ok(Some((bytes, (app, scope, next.map(|filter| (filter, false)), format))))
    });
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], Body::from_stream(pages)))
}

/// Why a page of the file could not be made.
#[derive(Debug, thiserror::Error)]
enum PageError {
    #[error("could not read the audit")]
    Store(#[from] StoreError),
    #[error("could not write an entry")]
    Csv(#[from] csv::Error),
    #[error("could not write an entry")]
    Json(#[from] serde_json::Error),
    #[error("could not write an entry")]
    Io(#[from] io::Error),
}

async fn page(
    app: &App,
    scope: &TenantScope,
    mut filter: AuditFilter,
    (format, is_first): (Format, bool),
) -> Result<(Vec<u8>, Option<AuditFilter>), PageError> {
    let found = app.db().search_audit(scope, &filter, MOST).await?;
    let full = found.len() == usize::try_from(MOST).unwrap_or(usize::MAX);
    filter.before = found.last().map(|entry| entry.seq);
    let entries = found.into_iter().map(entry);
    let bytes = match format {
        Format::Jsonl => {
            let mut bytes = Vec::new();
            for entry in entries {
                serde_json::to_writer(&mut bytes, &entry)?;
                bytes.push(b'\n');
            }
            bytes
        }
        Format::Csv => {
            let mut rows = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
            if is_first {
                rows.write_record(["seq", "at", "actor", "action", "target", "detail"])?;
            }
            for AuditEntry { seq, at, actor, action, target, detail } in entries {
                let texts = [actor, action, target, detail].map(|text| not_a_formula(&text));
                let [actor, action, target, detail] = &texts;
                rows.write_record([&seq.to_string(), &at, actor, action, target, detail])?;
            }
            rows.into_inner().map_err(|error| io::Error::other(error.to_string()))?
        }
    };
    Ok((bytes, full.then_some(filter)))
}

/// A spreadsheet computes what begins like this; people who are audited choose some of these texts.
fn not_a_formula(text: &str) -> String {
    // Where commas are in numbers, it takes a semicolon for the end of a field, whatever quotes are around it.
    let fields = text.split_inclusive(';').map(|field| {
        let quote = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
        format!("{quote}{field}")
    });
    fields.collect()
}

fn entry(entry: daam_store::AuditEntry) -> AuditEntry {
    let daam_store::AuditEntry { seq, at, actor, action, target, detail } = entry;
    AuditEntry { seq, at: rfc3339(at), actor, action, target, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_outside_is_no_formula_of_a_spreadsheet() {
        assert_eq!(not_a_formula("=HYPERLINK(\"x\")"), "'=HYPERLINK(\"x\")");
        assert_eq!(not_a_formula("user.put"), "user.put");
        assert_eq!(not_a_formula("a;=1+1;@x;b"), "a;'=1+1;'@x;b");
    }

    #[test]
    fn a_day_is_whole_and_nonsense_is_refused() {
        let asked = |from: &str, to: &str| Asked { from: from.into(), to: to.into(), ..Asked::default() };
        let filter = asked("2027-01-15", "2027-01-15").filter().unwrap();
        assert_eq!((filter.since, filter.until), (Some(1_799_971_200), Some(1_800_057_599)));
        assert!(asked("2027-02-30", "").filter().is_err());
        assert!(asked("", "soon").filter().is_err());
    }
}
