//! Health and metrics over HTTP, on an address of the operator's choice. What is served here stays local: the detailed
//! form names the scope's patterns, which the control plane never sees.

use crate::audit::AuditState;
use crate::keeper::Keeper;
use crate::link::unix_now;
use crate::quiesce::Holds;
use crate::sessions::Registry;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use daam_bundle::Standing;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What health is read from.
#[derive(Debug, Clone)]
pub struct Health {
    /// The desired state.
    pub keeper: Arc<Keeper>,
    /// Live sessions.
    pub sessions: Arc<Registry>,
    /// Tables held for migrations.
    pub holds: Arc<Holds>,
    /// Whether the link is up.
    pub connected: Arc<AtomicBool>,
    /// The scope's patterns as written; replaced on reload.
    pub patterns: Arc<Mutex<Vec<String>>>,
    /// The last second of the agent's certificate.
    pub certificate_end: Arc<AtomicI64>,
    /// The audit.
    pub audit: Arc<AuditState>,
    /// The last record the control plane confirmed.
    pub audit_confirmed: Arc<AtomicU64>,
}

/// The routes.
pub fn router(health: Health) -> Router {
    Router::new()
        .route("/health/live", get(async || "ok\n"))
        .route("/health/ready", get(ready))
        .route("/health/detailed", get(detailed))
        .route("/metrics", get(metrics))
        .with_state(health)
}

async fn ready(State(health): State<Health>) -> impl IntoResponse {
    let state = health.keeper.current();
    let missing: Vec<&str> = [
        ("policy bundle", state.bundle.is_some()),
        ("directory", state.directory.version() > 0),
        ("schema", state.catalog.server.0 > 0),
    ]
    .into_iter()
    .filter_map(|(what, there)| (!there).then_some(what))
    .collect();
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": missing.is_empty(), "missing": missing })))
}

async fn detailed(State(health): State<Health>) -> Json<Value> {
    let now = unix_now();
    let state = health.keeper.current();
    let patterns = health.patterns.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let bundle = state.bundle.as_ref().map(|bundle| {
        json!({
            "serial": bundle.serial,
            "expires_at": bundle.expires_at,
            "standing": bundle.standing(now).as_str(),
            "starts_requests": state.may_start_requests(now),
            "fresh_until": bundle.attested.said.as_ref().map(|said| said.statement().expires_at),
            "signer_revoked": health.keeper.revoked_signer().map(|revoked| json!({
                "since": revoked.since, "why": revoked.why,
            })),
        })
    });
    let (trust_version, trust_end) = health.keeper.trust();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "scope": {
            "active": state.scope.is_active(),
            "patterns": patterns,
            "in_scope_object_count": health.keeper.in_scope(),
        },
        "policy": {
            "generation": state.generation,
            "enforced_generation": health.sessions.oldest_generation().unwrap_or(state.generation),
        },
        "bundle": bundle,
        "trust": { "version": trust_version, "expires_at": trust_end },
        "directory": { "version": state.directory.version(), "users": state.directory.len() },
        "sessions": health.sessions.count(),
        "held": health.holds.current().tables.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "certificate": { "not_after": health.certificate_end.load(Ordering::Relaxed) },
        "audit": {
            "writable": !health.audit.is_broken(),
            "records": health.audit.durable(),
            "lost": health.audit.lost(),
            "confirmed": health.audit_confirmed.load(Ordering::Relaxed),
        },
        "control_plane": { "connected": health.connected.load(Ordering::Relaxed) },
    }))
}

async fn metrics(State(health): State<Health>) -> String {
    let state = health.keeper.current();
    let certificate_end = u64::try_from(health.certificate_end.load(Ordering::Relaxed)).unwrap_or(0);
    let connected = u64::from(health.connected.load(Ordering::Relaxed));
    let serial = state.bundle.as_ref().map_or(0, |bundle| bundle.serial);
    let standing = state.bundle.as_ref().map(|bundle| bundle.standing(unix_now()));
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    [
        ("daam_sessions", "gauge", "live sessions", number(health.sessions.count())),
        ("daam_bundle_serial", "gauge", "serial of the bundle in force, 0 if none", serial),
        (
            "daam_bundle_fresh",
            "gauge",
            "1 while the bundle in force is known to be the latest",
            u64::from(standing == Some(Standing::Fresh)),
        ),
        ("daam_trust_version", "gauge", "version of the trust file in force", health.keeper.trust().0),
        ("daam_directory_version", "gauge", "directory version in force", state.directory.version()),
        ("daam_in_scope_relations", "gauge", "relations in scope", number(health.keeper.in_scope())),
        (
            "daam_scope_violations_total",
            "counter",
            "rejected targets outside the scope",
            health.keeper.violations(),
        ),
        (
            "daam_certificate_not_after_seconds",
            "gauge",
            "last second of the agent's certificate, Unix time",
            certificate_end,
        ),
        (
            "daam_audit_writable",
            "gauge",
            "1 while records can be written",
            u64::from(!health.audit.is_broken()),
        ),
        ("daam_audit_records", "gauge", "the last record on disk", health.audit.durable()),
        ("daam_audit_lost_total", "counter", "records that could not be written", health.audit.lost()),
        (
            "daam_audit_confirmed",
            "gauge",
            "the last record the control plane confirmed",
            health.audit_confirmed.load(Ordering::Relaxed),
        ),
        ("daam_control_plane_connected", "gauge", "1 while the link is up", connected),
    ]
    .iter()
    .fold(String::new(), |mut text, (name, kind, help, value)| {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
        text
    })
}
