//! Jobs of pipelines that sign in with the token their runner gives them, and with no secret of ours.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Whose jobs may act as a member.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewWorkload {
    /// What it is for.
    pub name: String,
    /// Who issues the jobs' tokens.
    pub issuer: String,
    /// The only audience their tokens may be for; absent = the address they are exchanged at.
    pub audience: Option<String>,
    /// What their tokens must say: every claim by a pattern. `*` is any text without `/`, `**` any text.
    pub claims: BTreeMap<String, String>,
    /// The member they act as.
    pub email: String,
    /// Seconds a job may act for; absent = 900, at most 3600.
    pub lifetime: Option<u64>,
    /// The databases they may reach, 1 to 16, and nothing else of the organization; absent = whatever the member may.
    #[serde(default)]
    pub databases: Option<BTreeSet<String>>,
}

/// Whose jobs may act as a member.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct Workload {
    /// Its id, for `daam login --workload`.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// Who issues the jobs' tokens.
    pub issuer: String,
    /// The only audience their tokens may be for.
    pub audience: String,
    /// What their tokens must say.
    pub claims: BTreeMap<String, String>,
    /// The member they act as.
    pub email: String,
    /// Seconds a job may act for.
    pub lifetime: u64,
    /// Where a job's token is exchanged.
    pub token_endpoint: String,
    /// Who said so.
    pub created_by: String,
    /// RFC 3339.
    pub created_at: String,
    /// The databases they may reach, and nothing else of the organization; absent = whatever the member may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub databases: Option<BTreeSet<String>>,
    /// When a job last got a token, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
}

/// The answer to an exchange (RFC 8693).
#[derive(Clone, JsonSchema, Serialize, Deserialize)]
pub struct TokenExchanged {
    /// An API token.
    pub access_token: String,
    /// `urn:ietf:params:oauth:token-type:access_token`.
    pub issued_token_type: String,
    /// `Bearer`.
    pub token_type: String,
    /// Seconds.
    pub expires_in: u64,
}
