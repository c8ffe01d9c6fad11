//! Where an organization's audit goes as OpenTelemetry logs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Where to send the audit.
#[derive(Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAuditExport {
    /// Where OTLP over HTTP is taken, such as `https://collector.example.com/v1/logs`.
    pub endpoint: String,
    /// What to send along, such as `authorization`. Kept encrypted and shown to nobody.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// Where the audit goes, and how far it got.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct AuditExport {
    /// Where.
    pub endpoint: String,
    /// The names of what is sent along.
    pub headers: BTreeSet<String>,
    /// The number of the last entry that arrived.
    pub after: i64,
    /// Why the last attempt did not succeed, or what the receiver did not like.
    pub failure: Option<String>,
    /// When entries last arrived there, RFC 3339.
    #[serde(default)]
    pub last_success: Option<String>,
    /// When entries last did not arrive, or not all of them, RFC 3339.
    #[serde(default)]
    pub last_failure: Option<String>,
    /// Entries that are still to be sent.
    #[serde(default)]
    pub backlog: u64,
}
