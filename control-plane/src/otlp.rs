//! The audit as OpenTelemetry logs: entries become log records, in order, and are posted (OTLP over HTTP, protobuf) to where
//! each organization collects them. Whatever goes wrong, they are sent again, later and later and without end: an entry
//! arrives at least once, and its number says which it is. Receivers are asked as webhooks are: public addresses only.

use crate::app::App;
use crate::metrics::one_more;
use crate::oidc::Outbound;
use axum::http::{HeaderName, HeaderValue};
use daam_store::{AuditEntry, DueAuditExport, StoreError};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost_otlp::Message as _;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, USER_AGENT};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;

/// How often it is looked for what became due.
const LOOK: Duration = Duration::from_secs(2);
/// Attempts at once; an organization has one.
const AT_ONCE: usize = 64;
/// Entries of one message.
const MOST: u32 = 200;
/// Seconds from one attempt to the next; the last one again and again.
const PAUSES: [i64; 6] = [15, 30, 60, 120, 300, 600];
const LONGEST_FAILURE: usize = 300;
const NANOSECONDS: u64 = 1_000_000_000;

/// Until the server stops. Organizations do not wait for each other: each has one attempt under way at most, and where there
/// are more than may be, whoever waited longest is next.
pub(crate) async fn run(app: Arc<App>) {
    let mut under_way = UnderWay::default();
    loop {
        if let Err(error) = under_way.begin_what_is_due(&app).await {
            tracing::warn!(%error, "audits wait to be exported: the store could not be asked");
        }
        tokio::select! {
            () = app.stop().cancelled() => break,
            () = tokio::time::sleep(LOOK) => {}
            () = under_way.one_ends() => {}
        }
    }
    while !under_way.of.is_empty() {
        under_way.one_ends().await;
    }
}

/// Attempts, and of which organization each is.
#[derive(Default)]
struct UnderWay {
    attempts: JoinSet<()>,
    of: BTreeMap<String, tokio::task::Id>,
}

impl UnderWay {
    async fn begin_what_is_due(&mut self, app: &Arc<App>) -> Result<(), StoreError> {
        let room = AT_ONCE.saturating_sub(self.of.len());
        if room == 0 || app.stop().is_cancelled() {
            return Ok(());
        }
        let most = u32::try_from(AT_ONCE).unwrap_or(u32::MAX);
        let due = app.db().due_audit_exports(most, app.now()).await?;
        let due = due.into_iter().filter(|due| !self.of.contains_key(due.scope.org())).take(room);
        for due in due.collect::<Vec<_>>() {
            let (org, app) = (due.scope.org().to_owned(), Arc::clone(app));
            let begun = self.attempts.spawn(async move {
                if let Err(error) = one(&app, &due).await {
                    tracing::warn!(org = due.scope.org(), %error, "an audit waits to be exported");
                    // The store is asked again a while later.
                    tokio::time::sleep(LOOK).await;
                }
            });
            self.of.insert(org, begun.id());
        }
        Ok(())
    }

    /// Never, if there is none.
    async fn one_ends(&mut self) {
        let ended = match self.attempts.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
            None => return std::future::pending().await,
        };
        self.of.retain(|_, id| *id != ended);
    }
}

async fn one(app: &App, due: &DueAuditExport) -> Result<(), StoreError> {
    if !app.db().claim_audit_export(due, app.now().saturating_add(pause(due.attempts))).await? {
        return Ok(());
    }
    let entries = app.db().audit_to_export(due, MOST).await?;
    // Retention may have taken what was not sent.
    let Some(last) = entries.last().map(|(entry, _)| entry.seq) else { return Ok(()) };
    match attempt(app, due, &entries).await {
        Ok(remark) => {
            app.metrics().exported_at.store(app.now(), Ordering::Relaxed);
            app.db().audit_exported_to(due, (last, remark.as_deref()), app.now()).await
        }
        Err(error) => {
            one_more(&app.metrics().exports_failed);
            let why = plain(&error.to_string());
            tracing::warn!(org = due.scope.org(), attempts = due.attempts, why, "an audit was not exported");
            app.db().audit_export_failed(due, &why, app.now()).await
        }
    }
}

fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_FAILURE).collect()
}

/// After attempt `attempts` + 1.
fn pause(attempts: i64) -> i64 {
    let at = usize::try_from(attempts).unwrap_or(0).min(PAUSES.len() - 1);
    PAUSES.get(at).copied().unwrap_or(600)
}

type Failure = Box<dyn Error + Send + Sync>;

/// What the receiver did not like, if it took them but for that.
async fn attempt(
    app: &App,
    due: &DueAuditExport,
    entries: &[(AuditEntry, String)],
) -> Result<Option<String>, Failure> {
    let sealed = app.vault().open(&place(due.scope.org()), &due.sealed_headers)?;
    let headers = with(&serde_json::from_str(&sealed)?)?;
    let body = written(due.scope.org(), entries, app.now()).encode_to_vec();
    let outbound: &Outbound = app.outbound();
    let (status, answer) = outbound.exchange(&due.endpoint.parse::<Url>()?, headers, body).await?;
    if !status.is_success() {
        return Err(format!("the answer was {status}").into());
    }
    let said = ExportLogsServiceResponse::decode(answer.as_slice()).unwrap_or_default().partial_success;
    Ok(said.filter(|said| said.rejected_log_records > 0).map(|said| {
        plain(&format!("{} entries were rejected: {}", said.rejected_log_records, said.error_message))
    }))
}

/// Where an organization's headers are sealed for.
pub(crate) fn place(org: &str) -> String {
    format!("{org}/otlp")
}

/// Headers as they are sent, or which of them cannot be.
pub(crate) fn with(said: &BTreeMap<String, String>) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in said {
        let mut value = HeaderValue::from_str(value)?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_bytes(name.as_bytes())?, value);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    headers.insert(USER_AGENT, HeaderValue::from_static("daam-control-plane"));
    Ok(headers)
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn nanoseconds(unix: i64) -> u64 {
    u64::try_from(unix).unwrap_or(0).saturating_mul(NANOSECONDS)
}

fn record((entry, hash): &(AuditEntry, String), now: i64) -> LogRecord {
    let AuditEntry { seq, at, actor, action, target, detail } = entry;
    let number = Some(AnyValue { value: Some(Value::IntValue(*seq)) });
    let summary = format!("{actor} {action} {target}");
    LogRecord {
        time_unix_nano: nanoseconds(*at),
        observed_time_unix_nano: nanoseconds(now),
        severity_number: SeverityNumber::Info.into(),
        severity_text: "INFO".to_owned(),
        event_name: format!("daam.audit.{action}"),
        body: Some(AnyValue { value: Some(Value::StringValue(summary.trim_end().to_owned())) }),
        attributes: vec![
            KeyValue { key: "daam.audit.seq".to_owned(), value: number, ..KeyValue::default() },
            text("daam.audit.actor", actor),
            text("daam.audit.action", action),
            text("daam.audit.target", target),
            text("daam.audit.detail", detail),
            text("daam.audit.hash", hash),
        ],
        ..LogRecord::default()
    }
}

fn written(org: &str, entries: &[(AuditEntry, String)], now: i64) -> ExportLogsServiceRequest {
    let resource = Resource {
        attributes: vec![text("service.name", "daam-control-plane"), text("daam.organization", org)],
        ..Resource::default()
    };
    let scope = InstrumentationScope { name: "daam.audit".to_owned(), ..InstrumentationScope::default() };
    let log_records = entries.iter().map(|entry| record(entry, now)).collect();
    let logs = ScopeLogs { scope: Some(scope), log_records, ..ScopeLogs::default() };
    let logs = ResourceLogs { resource: Some(resource), scope_logs: vec![logs], ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![logs] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_come_later_and_later_and_never_end() {
        let pauses: Vec<i64> = (0..20).map(pause).collect();
        assert!(pauses.is_sorted());
        assert_eq!((pause(-1), pause(0), pause(i64::MAX)), (15, 15, 600));
    }
}
