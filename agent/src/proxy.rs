//! One developer's PostgreSQL session, from its first packet to its last.
//!
//! [`serve`] owns a client stream for as long as it lives. Everything it does is driven by one closed set of events:
//! bytes from the client, bytes from the database, a new policy, a timer, a command from outside. The roles it made
//! are removed on every way out. What it refuses: replication, start-up options that name a role, protocol versions
//! other than 3, databases other than its own, and people the policy does not let in.

use crate::context::ProxyContext;
use daam_identity::UserPrincipal;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEnd {
    /// Why, in words fit for a log.
    pub reason: String,
    /// Statements the client ran.
    pub statements: u64,
}

/// Serves one client stream until it ends.
pub async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    user: UserPrincipal,
    ctx: Arc<ProxyContext>,
) -> SessionEnd {
    drop((stream, user, ctx));
    SessionEnd { reason: "sessions cannot be served yet".to_owned(), statements: 0 }
}
