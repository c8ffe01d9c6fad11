//! The audit as evidence. Checkpoints themselves are `daam-ledger`'s.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The public key that checkpoints of the audit are verified with.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditKey {
    /// Base64 of its SPKI form.
    pub public: String,
    /// Its id in checkpoints.
    pub keyid: String,
}

/// How long entries of the audit are kept.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditRetention {
    /// For how many days, at least 30; null keeps them for ever.
    pub days: Option<u32>,
}

/// An entry of the organization's audit.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its place: 1, 2, 3 …
    pub seq: i64,
    /// RFC 3339.
    pub at: String,
    /// Who.
    pub actor: String,
    /// Did what.
    pub action: String,
    /// To what.
    pub target: String,
    /// With what; may be empty.
    pub detail: String,
}
