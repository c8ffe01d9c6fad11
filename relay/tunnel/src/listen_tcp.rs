//! The agent's side of direct TCP: mutual TLS on the port its UDP socket has, then the packets a developer's QUIC makes.
//!
//! Bounded: handshakes under way, in all and from one address, the time each may take, connections of one person. What
//! a certificate may do is decided inside, by the code that always does; one it would refuse is carried only for as long
//! as it takes to be told so.

use crate::direct_tcp::{Carrier, ends, prepare};
use crate::incoming::Revoked;
use crate::seats::Seats;
use crate::socket::PathSocket;
use crate::tls::TCP_ALPN;
use rustls_pki_types::CertificateDer;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Handshakes under way at once, and of those from one address.
const MAX_HANDSHAKES: usize = 256;
const MAX_PER_ADDRESS: usize = 16;
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Connections of one person; each carries very many streams.
const MAX_PER_PERSON: usize = 64;
/// For telling somebody that the certificate will not do.
const TO_BE_TOLD: Duration = Duration::from_secs(10);
/// Of somebody who was refused so much is read, for so long.
const MOST_HEARD: u64 = 65_536;
const HEARING: Duration = Duration::from_secs(1);
/// After an accept failed for want of resources.
const PAUSE: Duration = Duration::from_millis(100);

/// Who a certificate is for, and its serial number, if it would be let in.
pub(crate) type Known = Option<(String, String)>;

/// Says whom a certificate is for.
type Judge = dyn Fn(Option<&CertificateDer<'static>>) -> Known + Send + Sync;

/// What accepting needs.
pub(crate) struct Doorkeeper {
    pub(crate) socket: Arc<PathSocket>,
    /// The configuration for the next connection.
    pub(crate) tls: watch::Receiver<Arc<rustls::ServerConfig>>,
    pub(crate) revoked: watch::Receiver<Revoked>,
    /// The one judgement of certificates.
    pub(crate) judge: Box<Judge>,
}

/// A TCP listener on the port of `addr`, if the system gives one.
pub(crate) fn beside(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(addr)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Accepts until dropped, and everything accepted ends with it.
pub(crate) async fn accept(listener: TcpListener, keeper: Doorkeeper) {
    let keeper = Arc::new(keeper);
    let seats = Seats::new(MAX_PER_PERSON);
    let waiting: Arc<Waiting> = Arc::default();
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = tasks.join_next() => continue,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no TCP connection accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Some(place) = Waiting::take(&waiting, from.ip().to_canonical()) else {
            tracing::debug!(%from, "too many handshakes over TCP");
            continue;
        };
        let (keeper, seats) = (Arc::clone(&keeper), Arc::clone(&seats));
        tasks.spawn(async move {
            let stream = handshake(stream, &keeper).await;
            drop(place);
            if let Some(stream) = stream {
                serve(stream, &keeper, &seats).await;
            } else {
                tracing::debug!(%from, "no handshake over TCP");
            }
        });
    }
}

async fn handshake(stream: TcpStream, keeper: &Doorkeeper) -> Option<TlsStream<TcpStream>> {
    prepare(&stream);
    let acceptor = TlsAcceptor::from(Arc::clone(&keeper.tls.borrow()));
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream).into_fallible()).await.ok()? {
        Ok(stream) => stream,
        Err((error, stream)) => {
            tracing::info!(%error, "connection over TCP refused");
            hear_out(stream).await;
            return None;
        }
    };
    // Who names no protocol is let in by TLS.
    (stream.get_ref().1.alpn_protocol() == Some(TCP_ALPN)).then_some(stream)
}

/// What was sent and not read would make the system throw away the reason for the refusal.
async fn hear_out(mut stream: TcpStream) {
    stream.shutdown().await.unwrap_or_default();
    let mut rest = stream.take(MOST_HEARD);
    let mut nowhere = tokio::io::sink();
    drop(tokio::time::timeout(HEARING, tokio::io::copy(&mut rest, &mut nowhere)).await);
}

async fn serve(stream: TlsStream<TcpStream>, keeper: &Doorkeeper, seats: &Arc<Seats>) {
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
    let ends = ends(stream.get_ref().0);
    let mut revoked = keeper.revoked.clone();
    let Some((person, serial)) = (keeper.judge)(shown.as_ref()) else {
        let mut carrier = Carrier::start(&keeper.socket, stream, ends);
        drop(tokio::time::timeout(TO_BE_TOLD, carrier.ended()).await);
        return;
    };
    let Some(_seat) = seats.take(&person) else {
        tracing::info!(person, "too many TCP connections of one person");
        return;
    };
    let mut carrier = Carrier::start(&keeper.socket, stream, ends);
    let gone = async {
        if revoked.wait_for(|serials| serials.contains(&serial)).await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(TO_BE_TOLD).await;
    };
    tokio::select! {
        ended = carrier.ended() => tracing::debug!(person, words = ended.words, "a TCP connection ended"),
        () = gone => {}
    }
}

/// Handshakes under way, by where they come from.
#[derive(Debug, Default)]
struct Waiting(Mutex<BTreeMap<IpAddr, usize>>);

struct Place {
    waiting: Arc<Waiting>,
    from: IpAddr,
}

impl Waiting {
    fn take(waiting: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let mut each = waiting.0.lock().unwrap_or_else(PoisonError::into_inner);
        if each.values().sum::<usize>() >= MAX_HANDSHAKES {
            return None;
        }
        let held = each.entry(from).or_default();
        if *held >= MAX_PER_ADDRESS {
            return None;
        }
        *held += 1;
        Some(Place { waiting: Arc::clone(waiting), from })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut each = self.waiting.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = each.get_mut(&self.from).map_or(0, |held| {
            *held = held.saturating_sub(1);
            *held
        });
        if left == 0 {
            each.remove(&self.from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_takes_only_its_own_share_of_the_handshakes_and_gives_it_back() {
        let waiting: Arc<Waiting> = Arc::default();
        let at = |n: usize| IpAddr::from([192, 0, 2, u8::try_from(n).unwrap()]);
        let held: Vec<_> = (0..100).map_while(|_| Waiting::take(&waiting, at(1))).collect();
        assert_eq!(held.len(), MAX_PER_ADDRESS);
        let others: Vec<_> = (2..200)
            .flat_map(|n| [n; MAX_PER_ADDRESS])
            .map_while(|n| Waiting::take(&waiting, at(n)))
            .collect();
        assert_eq!(held.len() + others.len(), MAX_HANDSHAKES);
        drop((held, others));
        assert!(waiting.0.lock().unwrap().is_empty());
        assert!(Waiting::take(&waiting, at(1)).is_some());
    }
}
