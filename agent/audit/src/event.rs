//! What a record tells. Nothing in here was written by a developer: texts and reasons are in the detail.

use serde::{Deserialize, Serialize};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The first record of a chain.
    ChainStarted {
        /// A random name of the chain.
        chain: String,
        /// The agent.
        agent: String,
        /// Its database.
        database: String,
        /// Its version.
        version: String,
    },
    /// The agent began to write to a chain that was there.
    AgentStarted {
        /// Its version.
        version: String,
        /// Bytes of a record that a crash cut short and that were removed.
        torn: u64,
    },
    /// The agent stopped as it should.
    AgentStopped {},
    /// A session can run statements.
    SessionOpened {
        /// Which.
        session: String,
        /// Whose.
        who: Who,
        /// The bundle it runs under.
        bundle: u64,
        /// Access requests in force for its user, by id.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        requests: Vec<String>,
    },
    /// Somebody got no session.
    SessionRefused {
        /// Who asked.
        who: Who,
        /// The bundle in force, 0 if none.
        bundle: u64,
        /// What the client was told.
        sqlstate: String,
    },
    /// A session moved to another policy.
    SessionChanged {
        /// Which.
        session: String,
        /// Whose.
        who: Who,
        /// The bundle it runs under now.
        bundle: u64,
        /// In which direction.
        change: Change,
        /// Access requests in force for its user now, by id.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        requests: Vec<String>,
    },
    /// A session is over.
    SessionEnded {
        /// Which.
        session: String,
        /// Whose.
        who: Who,
        /// Statements it ran or was refused.
        statements: u64,
    },
    /// A statement ran or was refused.
    Statement(Statement),
    /// Records that could not be written, as the agent was told to go on without.
    Lost {
        /// How many.
        records: u64,
    },
}

impl Event {
    /// The kind as records write it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ChainStarted { .. } => "chain_started",
            Self::AgentStarted { .. } => "agent_started",
            Self::AgentStopped {} => "agent_stopped",
            Self::SessionOpened { .. } => "session_opened",
            Self::SessionRefused { .. } => "session_refused",
            Self::SessionChanged { .. } => "session_changed",
            Self::SessionEnded { .. } => "session_ended",
            Self::Statement(_) => "statement",
            Self::Lost { .. } => "lost",
        }
    }

    /// Whom it is about.
    pub fn who(&self) -> Option<&Who> {
        match self {
            Self::SessionOpened { who, .. }
            | Self::SessionRefused { who, .. }
            | Self::SessionChanged { who, .. }
            | Self::SessionEnded { who, .. }
            | Self::Statement(Statement { who, .. }) => Some(who),
            _ => None,
        }
    }

    /// The session it is about.
    pub fn session(&self) -> Option<&str> {
        match self {
            Self::SessionOpened { session, .. }
            | Self::SessionChanged { session, .. }
            | Self::SessionEnded { session, .. }
            | Self::Statement(Statement { session, .. }) => Some(session),
            _ => None,
        }
    }

    /// Whether somebody was refused something.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::SessionRefused { .. } => true,
            Self::Statement(statement) => statement.decision == Decision::Refused,
            _ => false,
        }
    }
}

/// A person with a device, as the certificate names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The user's id.
    pub id: String,
    /// The user's e-mail.
    pub email: String,
    /// The device.
    pub device: String,
}

/// Which way a policy changed under a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Something was taken away.
    Tightened,
    /// It only gives more.
    Widened,
}

/// How a statement came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// A simple query, perhaps of several statements.
    Query,
    /// A statement being prepared.
    Parse,
    /// A prepared statement being run.
    Execute,
    /// A function called by number.
    FunctionCall,
}

/// What the agent said to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It was sent to the database.
    Allowed,
    /// It was not.
    Refused,
}

/// What became of an allowed statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It ran to its end.
    Completed,
    /// It gave as many rows as were asked for, and waits.
    Suspended,
    /// The database refused it or it failed; `sqlstate` says with what.
    Failed,
    /// The session ended before its answer.
    Unfinished,
}

/// One statement, or one simple query of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The session.
    pub session: String,
    /// Whose.
    pub who: Who,
    /// The bundle it was judged by.
    pub bundle: u64,
    /// How it came.
    pub via: Via,
    /// What the agent said.
    pub decision: Decision,
    /// What became of it; none if it was refused.
    pub outcome: Option<Outcome>,
    /// The error code of a refusal or failure.
    pub sqlstate: Option<String>,
    /// Commands that completed.
    pub commands: u32,
    /// The last of them, e.g. `SELECT`.
    pub command: Option<String>,
    /// Rows they report.
    pub rows: u64,
    /// Bytes of rows and COPY data that went to the client, also of a statement that failed later.
    pub bytes: u64,
    /// From sending to the last answer, in microseconds.
    pub micros: u64,
    /// Masked columns it names, as `schema.table.column`.
    pub masked: Vec<String>,
    /// Access requests in force for its user, by id; they may be why it was allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<String>,
}
