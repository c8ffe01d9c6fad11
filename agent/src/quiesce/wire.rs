//! What the command and the agent say to each other: one JSON document a line.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest line either side reads.
pub(super) const LONGEST: u64 = 256 * 1024;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// Relations, as patterns of the scope (`schema.table`).
    pub tables: Vec<String>,
    /// How long transactions that use them may take to end.
    pub wait: Duration,
    /// How long statements that need them wait before they are refused.
    pub patience: Duration,
    /// Whether sessions that still use them after that are ended.
    pub end_sessions: bool,
}

/// What the agent answers, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Answer {
    /// Nobody uses these relations, and nobody will until the connection ends or says that it is done.
    Held {
        /// All of them, with partitions and views.
        tables: Vec<String>,
    },
    /// It did not come to that.
    Refused {
        /// Why, and what would help.
        reason: String,
    },
    /// The agent could not read the schema after the migration, and goes on trying. Until then nobody may use the tables.
    StillHeld {
        /// Why it cannot be read.
        reason: String,
    },
    /// The hold is over; sessions know the tables as they are now.
    Released,
}

/// Said by the command when the migration is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Over {
    /// The command has ended.
    Done,
}
