//! What monitoring sees: `/metrics` for Prometheus, `/healthz` for whoever starts and stops relays.
//!
//! Numbers only: no organization, no agent, no address.

use crate::serve::Snapshot;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use std::fmt::Write;
use std::time::Duration;
use tokio::sync::watch;

/// A state older than this means that forwarding stands still.
const STALE: Duration = Duration::from_secs(5);

/// Serves both.
pub fn router(snapshots: watch::Receiver<Snapshot>) -> Router {
    Router::new().route("/metrics", get(metrics)).route("/healthz", get(health)).with_state(snapshots)
}

async fn metrics(State(snapshots): State<watch::Receiver<Snapshot>>) -> String {
    text(&snapshots.borrow())
}

async fn health(State(snapshots): State<watch::Receiver<Snapshot>>) -> (StatusCode, &'static str) {
    let now = *snapshots.borrow();
    match now.at {
        _ if now.leaving => (StatusCode::SERVICE_UNAVAILABLE, "leaving\n"),
        Some(at) if at.elapsed() <= STALE => (StatusCode::OK, "forwarding\n"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "not forwarding\n"),
    }
}

/// In the text format of Prometheus.
pub fn text(now: &Snapshot) -> String {
    let gauges = [
        ("agents", "Agents bound.", now.agents),
        ("sessions", "Client sessions open.", now.sessions),
        ("tcp_connections", "Peers connected over TCP.", now.connections),
        ("leaving", "1 while every peer is told to move.", usize::from(now.leaving)),
    ];
    let counters = now.counters;
    let counters = [
        ("packets", "Packets sent on.", counters.forwarded),
        ("bytes", "Bytes sent on.", counters.forwarded_bytes),
        ("limited", "Packets dropped by a rate limit.", counters.limited),
        ("refused", "Bindings refused.", counters.refused),
    ];
    let mut out = String::new();
    for (name, help, value) in gauges {
        // Writing to a string does not fail.
        writeln!(
            out,
            "# HELP daam_relay_{name} {help}\n# TYPE daam_relay_{name} gauge\ndaam_relay_{name} {value}"
        )
        .unwrap_or_default();
    }
    for (name, help, value) in counters {
        writeln!(
            out,
            "# HELP daam_relay_{name}_total {help}\n# TYPE daam_relay_{name}_total counter\ndaam_relay_{name}_total {value}"
        )
        .unwrap_or_default();
    }
    out
}
