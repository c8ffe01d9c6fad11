//! What every session needs from the agent, handed to the proxy as one value.

use crate::admin::Admin;
use crate::audit::Audit;
use crate::quiesce::Holds;
use crate::session_id::SessionId;
use crate::sessions::Registry;
use crate::state::PolicyState;
use crate::upstream::UpstreamConfig;
use daam_enforce::HashKey;
use daam_identity::UserPrincipal;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};

/// The agent as a session sees it.
#[derive(Debug)]
pub struct ProxyContext {
    /// Roles and grants.
    pub admin: Admin,
    /// The policy in force; every change is a new value.
    pub state: watch::Receiver<Arc<PolicyState>>,
    /// The database as policies name it.
    pub database: String,
    /// Where and how to log in as the session role.
    pub upstream: UpstreamConfig,
    /// Live sessions.
    pub sessions: Arc<Registry>,
    /// Tables held for migrations.
    pub holds: Arc<Holds>,
    /// Told when a statement met definitions that are not those the agent knows.
    pub drift: Arc<Notify>,
    /// How long views stay after a session's last transaction; zero releases at once.
    pub linger: Duration,
    /// The key of the `hash` mask.
    pub hash_key: HashKey,
    /// Where everything that happens is recorded.
    pub audit: Audit,
    /// Where session starts and ends are reported. Use `try_send`: a full queue must not hold a session up.
    pub events: mpsc::Sender<SessionEvent>,
}

/// A session started or ended.
#[derive(Debug, Clone)]
pub struct SessionEvent {
    /// Which.
    pub session: SessionId,
    /// Whose.
    pub user: UserPrincipal,
    /// What happened.
    pub kind: SessionEventKind,
}

/// What happened to a session.
#[derive(Debug, Clone)]
pub enum SessionEventKind {
    /// It can run statements now.
    Started,
    /// It is over.
    Ended {
        /// Why.
        reason: String,
        /// Statements it ran.
        statements: u64,
    },
}
