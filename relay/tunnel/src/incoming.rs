//! A developer's connection as the agent holds it, and the two tasks that belong to it.
//!
//! One reads the headers of new streams and refuses unknown ones; the other ends the connection the second its
//! certificate, or the one that renewed it, runs out or is revoked.

use crate::close::{CloseCode, describe, reason_bytes};
use crate::path::PathKind;
use crate::renew::{self, Held, Place};
use crate::seats::Seat;
use crate::socket::kind_of;
use crate::stream::{HEADER_BYTES, StreamKind, TunnelStream};
use daam_identity::{CertificateFacts, UserPrincipal};
use quinn::Connection;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::{Mutex, mpsc, watch};

const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const WAITING_STREAMS: usize = 16;
/// The wall clock may be set while we sleep, so look again at least this often.
const CLOCK_CHECK: Duration = Duration::from_secs(30);

/// Serial numbers that are refused.
pub(crate) type Revoked = Arc<BTreeSet<String>>;

/// Ends the connection when its certificate runs out or is revoked.
pub(crate) async fn guard(
    connection: Connection,
    mut place: Place,
    mut revoked: watch::Receiver<Revoked>,
    _seat: Seat,
) {
    loop {
        let facts = place.facts.borrow_and_update().clone();
        let left = facts.not_after.saturating_sub(OffsetDateTime::now_utc().unix_timestamp());
        let Ok(left @ 0..) = u64::try_from(left) else {
            let reason = b"your sign-in has ended: your certificate has expired; log in again";
            connection.close(CloseCode::CertificateExpired.wire(), reason);
            return;
        };
        if revoked.borrow_and_update().contains(&facts.serial_hex) {
            connection.close(CloseCode::CertificateRevoked.wire(), b"your certificate was revoked");
            return;
        }
        // One second more, so that the clock has passed the last valid second.
        let nap = Duration::from_secs(left.saturating_add(1)).min(CLOCK_CHECK);
        tokio::select! {
            _ = connection.closed() => return,
            changed = revoked.changed() => if changed.is_err() { return },
            Ok(()) = place.facts.changed() => {}
            () = tokio::time::sleep(nap) => {}
        }
    }
}

/// Reads each stream's header beside the others, so that a slow one holds up nobody.
async fn take_streams(
    connection: Connection,
    sender: mpsc::Sender<TunnelStream>,
    (held, user, facts): (Arc<Held>, UserPrincipal, CertificateFacts),
) {
    let shown = Arc::new((held, user, facts));
    while let Ok((send, mut recv)) = connection.accept_bi().await {
        let (connection, sender, shown) = (connection.clone(), sender.clone(), Arc::clone(&shown));
        tokio::spawn(async move {
            let mut header = [0; HEADER_BYTES];
            let read = tokio::time::timeout(HEADER_TIMEOUT, recv.read_exact(&mut header)).await;
            if !matches!(read, Ok(Ok(()))) {
                return;
            }
            match StreamKind::read(&header) {
                // Fails only when the connection's owner is gone, which ends the stream too.
                Some(StreamKind::Postgres) => {
                    sender.send(TunnelStream::new(send, recv)).await.unwrap_or_default();
                }
                Some(StreamKind::Renewal) => {
                    let (held, user, facts) = &*shown;
                    renew::answer(held, (&connection, user, facts), (send, recv)).await;
                }
                _ => connection.close(CloseCode::Protocol.wire(), b"unknown stream header; update daam"),
            }
        });
    }
}

/// A developer's connection. Dropping it ends it.
pub struct Incoming {
    /// Who.
    pub user: UserPrincipal,
    /// How its packets came when it connected.
    pub path: PathKind,
    /// Last second the certificate it began with is valid, Unix time; the connection is closed then unless it was
    /// renewed.
    pub not_after: i64,
    /// That certificate's serial number, lower-case hexadecimal.
    pub cert_serial: String,
    connection: Connection,
    presence: watch::Receiver<bool>,
    streams: Mutex<mpsc::Receiver<TunnelStream>>,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("user", &self.user)
            .field("path", &self.path)
            .field("cert_serial", &self.cert_serial)
            .finish_non_exhaustive()
    }
}

impl Incoming {
    /// An admitted connection; starts reading its streams' headers.
    pub(crate) fn new(
        (user, facts): (UserPrincipal, &CertificateFacts),
        connection: Connection,
        presence: watch::Receiver<bool>,
        held: Arc<Held>,
    ) -> Self {
        let (sender, streams) = mpsc::channel(WAITING_STREAMS);
        tokio::spawn(take_streams(connection.clone(), sender, (held, user.clone(), facts.clone())));
        Self {
            user,
            path: kind_of(connection.remote_address()),
            not_after: facts.not_after,
            cert_serial: facts.serial_hex.clone(),
            connection,
            presence,
            streams: Mutex::new(streams),
        }
    }

    /// The next stream; `None` once the connection has ended. Safe to cancel.
    pub async fn accept_stream(&self) -> Option<TunnelStream> {
        self.streams.lock().await.recv().await
    }

    /// Whether the developer's computer is there: one that sleeps comes back, and should hold nothing up meanwhile.
    pub fn presence(&self) -> watch::Receiver<bool> {
        self.presence.clone()
    }

    /// Waits until the connection ends and says why.
    pub async fn closed(&self) -> String {
        describe(&self.connection.closed().await)
    }

    /// Ends the connection and tells the developer why.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.connection.close(code.wire(), reason_bytes(reason));
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.connection.close(CloseCode::Done.wire(), b"the agent ended the connection");
    }
}
