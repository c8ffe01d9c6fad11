//! Metrics in Prometheus' text format, version 0.0.4. No label and no value names a person, a table or a pattern.

use super::Health;
use crate::link::unix_now;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use daam_bundle::Standing;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

/// A value at this moment, or one that only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gauge,
    Counter,
}

type Metric = (&'static str, Kind, &'static str, u64);

pub(super) async fn serve(State(health): State<Health>) -> impl IntoResponse {
    let metrics = [of_policy(&health), of_agent(&health)].concat();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text(&metrics))
}

fn of_policy(health: &Health) -> Vec<Metric> {
    use Kind::{Counter, Gauge};
    let state = health.keeper.current();
    let bundle = state.bundle.as_ref();
    let fresh = bundle.is_some_and(|bundle| bundle.standing(unix_now()) == Standing::Fresh);
    let expires = bundle.and_then(|bundle| u64::try_from(bundle.expires_at?).ok()).unwrap_or(0);
    let enforced = health.sessions.oldest_generation().unwrap_or(state.generation);
    vec![
        (
            "daam_bundle_serial",
            Gauge,
            "serial of the bundle in force, 0 if none",
            bundle.map_or(0, |bundle| bundle.serial),
        ),
        (
            "daam_bundle_fresh",
            Gauge,
            "1 while the bundle in force is known to be the latest",
            u64::from(fresh),
        ),
        (
            "daam_bundle_expires_seconds",
            Gauge,
            "when the bundle in force expires, Unix time, 0 if none",
            expires,
        ),
        ("daam_policy_generation", Gauge, "the desired state, counted", state.generation),
        ("daam_policy_enforced_generation", Gauge, "the oldest state that a live session acts on", enforced),
        ("daam_trust_version", Gauge, "version of the trust file in force", health.keeper.trust().0),
        ("daam_directory_version", Gauge, "directory version in force", state.directory.version()),
        ("daam_access_requests", Gauge, "approved access requests in force", number(state.requests.count())),
        ("daam_in_scope_relations", Gauge, "relations in scope", number(health.keeper.in_scope())),
        (
            "daam_scope_violations_total",
            Counter,
            "rejected targets outside the scope",
            health.keeper.violations(),
        ),
    ]
}

fn of_agent(health: &Health) -> Vec<Metric> {
    use Kind::{Counter, Gauge};
    let audit = health.audit.state();
    let certificate_end = u64::try_from(health.certificate_end.load(Ordering::Relaxed)).unwrap_or(0);
    let confirmed = health.audit_confirmed.load(Ordering::Relaxed);
    let connected = health.connected.load(Ordering::Relaxed);
    vec![
        (
            "daam_ready",
            Gauge,
            "1 while a new session would be served",
            u64::from(health.missing().is_empty()),
        ),
        ("daam_sessions", Gauge, "live sessions", number(health.sessions.count())),
        (
            "daam_database_up",
            Gauge,
            "1 while the database answers",
            u64::from(health.upkeep.reaches_database()),
        ),
        ("daam_control_plane_connected", Gauge, "1 while the link is up", u64::from(connected)),
        (
            "daam_certificate_not_after_seconds",
            Gauge,
            "last second of the agent's certificate, Unix time",
            certificate_end,
        ),
        ("daam_audit_writable", Gauge, "1 while records can be written", u64::from(!audit.is_broken())),
        ("daam_audit_records", Gauge, "the last record on disk", audit.durable()),
        ("daam_audit_lost_total", Counter, "records that could not be written", audit.lost()),
        ("daam_audit_confirmed", Gauge, "the last record the control plane confirmed", confirmed),
    ]
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn text(metrics: &[Metric]) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!(
        "# HELP daam_build_info the agent's version\n# TYPE daam_build_info gauge\n\
         daam_build_info{{version=\"{version}\"}} 1\n"
    );
    for (name, kind, help, value) in metrics {
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    }
    text
}
