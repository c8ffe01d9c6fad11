//! Who was connected.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A developer's session at an agent. No address, no statement, no row.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Connection {
    /// The agent.
    pub agent_id: String,
    /// Its name.
    pub agent: String,
    /// The session's id there.
    pub session_id: String,
    /// The database.
    pub database: String,
    /// Whose.
    pub user_id: String,
    /// Whose, if that is a member.
    pub email: Option<String>,
    /// RFC 3339.
    pub started_at: String,
    /// RFC 3339; absent while it goes on. When it was learned, if the agent did not say when.
    pub ended_at: Option<String>,
    /// Why it ended.
    pub reason: Option<String>,
    /// Statements, once it has ended.
    pub statements: i64,
}
