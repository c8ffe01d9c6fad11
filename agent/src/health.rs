//! Health and metrics over HTTP, on an address of the operator's choice. What is served here stays local: the detailed
//! form names the scope's patterns, which the control plane never sees. *Live* means that the process answers, and a
//! restart would not help; *ready* means that a new session would be served, and says what it waits for otherwise.

mod metrics;

use crate::audit::Audit;
use crate::keeper::Keeper;
use crate::link::unix_now;
use crate::quiesce::Holds;
use crate::sessions::Registry;
use crate::upkeep::Upkeep;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use daam_bundle::Standing;
use serde_json::{Value, json};
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
    /// Introspection, which knows whether the database answers.
    pub upkeep: Arc<Upkeep>,
    /// The audit.
    pub audit: Audit,
    /// The last record the control plane confirmed.
    pub audit_confirmed: Arc<AtomicU64>,
}

/// The routes.
pub fn router(health: Health) -> Router {
    Router::new()
        .route("/health/live", get(async || "ok\n"))
        .route("/health/ready", get(ready))
        .route("/health/detailed", get(detailed))
        .route("/metrics", get(metrics::serve))
        .with_state(health)
}

async fn ready(State(health): State<Health>) -> impl IntoResponse {
    let missing = health.missing();
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": missing.is_empty(), "missing": missing })))
}

impl Health {
    /// Why a new session would not be served.
    fn missing(&self) -> Vec<&'static str> {
        let now = unix_now();
        let state = self.keeper.current();
        let standing = state.bundle.as_ref().map(|bundle| bundle.standing(now));
        let bundle = match standing {
            None => Some("policy bundle"),
            Some(Standing::Expired) => Some("policy bundle that has not expired"),
            Some(Standing::Unknown) => Some("word that the policy bundle is the latest"),
            Some(Standing::Fresh | Standing::Stale) => None,
        };
        let others = [
            ("directory", state.directory.version() > 0),
            ("schema", state.catalog.server.0 > 0),
            ("database", self.upkeep.reaches_database()),
            ("audit", self.audit.check().is_ok()),
            ("certificate", self.certificate_end.load(Ordering::Relaxed) > now),
        ];
        let others = others.into_iter().filter_map(|(what, there)| (!there).then_some(what));
        bundle.into_iter().chain(others).collect()
    }
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
            "writable": !health.audit.state().is_broken(),
            "records": health.audit.state().durable(),
            "lost": health.audit.state().lost(),
            "confirmed": health.audit_confirmed.load(Ordering::Relaxed),
        },
        "control_plane": { "connected": health.connected.load(Ordering::Relaxed) },
    }))
}
