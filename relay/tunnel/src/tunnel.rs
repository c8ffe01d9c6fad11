//! A live connection to one agent, as the CLI holds it.
//!
//! Every stream is refused once the connection has ended, with the reason it ended for.

use crate::close::{CloseCode, describe, reason_bytes};
use crate::path::report::{Condition, PathNote};
use crate::path::{PathKind, RelayTarget};
use crate::renew::{RenewError, Renewer};
use crate::roam::{Start, roam};
use crate::stream::{StreamKind, TunnelStream};
use crate::tls::Credentials;
use quinn::{Connection, ConnectionError};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

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
    renewer: Renewer,
    tickets: watch::Sender<Vec<RelayTarget>>,
    connection: Connection,
    report: watch::Receiver<Vec<PathNote>>,
    relays: Vec<SocketAddr>,
    /// Why we ended it, if we did.
    ended: Arc<OnceLock<String>>,
    _roaming: AbortOnDropHandle<()>,
}

impl Tunnel {
    pub(crate) fn new(
        (renewer, tickets): (Renewer, watch::Sender<Vec<RelayTarget>>),
        connection: Connection,
        start: Start,
        relays: Vec<SocketAddr>,
    ) -> Self {
        let first = PathNote { key: start.active.0, rtt: None, condition: Condition::InUse };
        let (sender, report) = watch::channel(vec![first]);
        let ended = Arc::clone(&start.ended);
        let roaming = AbortOnDropHandle::new(tokio::spawn(roam(start, sender)));
        Self { renewer, tickets, connection, report, relays, ended, _roaming: roaming }
    }

    /// Opens a stream for one PostgreSQL connection.
    pub async fn open_stream(&self) -> Result<TunnelStream, TunnelError> {
        let closed = |reason: String| TunnelError { reason };
        let (mut send, recv) = self.connection.open_bi().await.map_err(|e| closed(self.why(&e)))?;
        match send.write_all(&StreamKind::Postgres.header()).await {
            Ok(()) => Ok(TunnelStream::new(send, recv)),
            Err(quinn::WriteError::ConnectionLost(error)) => Err(closed(self.why(&error))),
            Err(_) => Err(closed("the agent takes no more streams".to_owned())),
        }
    }

    /// The path in use now.
    pub fn path(&self) -> PathKind {
        let report = self.report.borrow();
        let used = report.iter().find(|note| note.condition == Condition::InUse);
        used.map_or(PathKind::Direct, PathNote::kind)
    }

    /// Every path, as it stands; changes whenever anything about them does.
    pub fn paths(&self) -> watch::Receiver<Vec<PathNote>> {
        self.report.clone()
    }

    /// The relays of the session, in the order paths name them.
    pub fn relays(&self) -> &[SocketAddr] {
        &self.relays
    }

    /// The session's own measure of its round trip.
    pub fn round_trip(&self) -> Duration {
        self.connection.rtt()
    }

    /// Makes the session live as long as a newer certificate of the same person and device; streams notice nothing.
    pub async fn renew(&self, cert_pem: &str, key_pem: &str, ca_pem: &str) -> Result<(), RenewError> {
        let credentials = Credentials::read(cert_pem, key_pem, ca_pem)?;
        self.renewer.renew(&self.connection, credentials).await
    }

    /// Newer tickets for the session's relays, shown when one of them has to be asked again.
    pub fn renew_tickets(&self, relays: Vec<RelayTarget>) {
        self.tickets.send_replace(relays);
    }

    /// Waits until the tunnel ends and says why.
    pub async fn closed(&self) -> String {
        self.why(&self.connection.closed().await)
    }

    fn why(&self, error: &ConnectionError) -> String {
        self.ended.get().cloned().unwrap_or_else(|| describe(error))
    }

    /// Ends the tunnel; streams fail at once. See [`Tunnel::shutdown`] to be sure the agent hears of it.
    pub fn close(&self, reason: &str) {
        self.connection.close(CloseCode::Done.wire(), reason_bytes(reason));
    }

    /// Ends the tunnel and waits, at most a second, until the agent was told.
    pub async fn shutdown(&self, reason: &str) {
        self.close(reason);
        if tokio::time::timeout(GOODBYE, self.renewer.endpoint.wait_idle()).await.is_err() {
            tracing::debug!("the agent did not confirm the end of the tunnel");
        }
    }
}
