//! A live connection to one agent, as the CLI holds it.
//!
//! Every stream is refused once the connection has ended, with the reason it ended for.

use crate::close::{CloseCode, describe, reason_bytes};
use crate::path::PathKind;
use crate::standby::Standby;
use crate::stream::{StreamKind, TunnelStream};
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use std::time::Duration;

/// How long a close may take to reach the agent.
const GOODBYE: Duration = Duration::from_secs(1);

/// Why the tunnel could not be used any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tunnel is closed: {reason}")]
pub struct TunnelError {
    /// In words.
    pub reason: String,
}

/// A live connection to the agent.
#[derive(Debug)]
pub struct Tunnel {
    pub(crate) endpoint: Endpoint,
    pub(crate) connection: Connection,
    pub(crate) path: PathKind,
    /// Kept open as long as the tunnel; the agent's notices will come here.
    #[expect(dead_code, reason = "held, not read: dropping it would end it")]
    pub(crate) control: (SendStream, RecvStream),
    /// Keeps the relays' bindings, and moves to the other relay when the one in use is lost.
    #[expect(dead_code, reason = "held, not read: dropping it would end it")]
    pub(crate) relay: Option<Standby>,
}

impl Tunnel {
    /// Opens a stream for one PostgreSQL connection.
    pub async fn open_stream(&self) -> Result<TunnelStream, TunnelError> {
        let closed = |reason: String| TunnelError { reason };
        let (mut send, recv) = self.connection.open_bi().await.map_err(|e| closed(describe(&e)))?;
        match send.write_all(&StreamKind::Postgres.header()).await {
            Ok(()) => Ok(TunnelStream::new(send, recv)),
            Err(quinn::WriteError::ConnectionLost(error)) => Err(closed(describe(&error))),
            Err(_) => Err(closed("the agent takes no more streams".to_owned())),
        }
    }

    /// The path in use.
    pub fn path(&self) -> PathKind {
        self.path
    }

    /// Waits until the tunnel ends and says why.
    pub async fn closed(&self) -> String {
        describe(&self.connection.closed().await)
    }

    /// Ends the tunnel; streams fail at once. See [`Tunnel::shutdown`] to be sure the agent hears of it.
    pub fn close(&self, reason: &str) {
        self.connection.close(CloseCode::Done.wire(), reason_bytes(reason));
    }

    /// Ends the tunnel and waits, at most a second, until the agent was told.
    pub async fn shutdown(&self, reason: &str) {
        self.close(reason);
        if tokio::time::timeout(GOODBYE, self.endpoint.wait_idle()).await.is_err() {
            tracing::debug!("the agent did not confirm the end of the tunnel");
        }
    }
}
