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
