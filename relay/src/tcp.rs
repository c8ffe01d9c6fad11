//! Peers that come over TCP: TLS, a WebSocket upgrade, then the same packets as over UDP, one per frame.
//!
//! Bounded: connections in all, per network and per provider, the time each step takes, the time and packets until a
//! connection is bound, the queue towards each peer (packets are dropped, nothing waits). Refused: other paths, other
//! protocols, text, frames longer than a packet. What a packet may do is decided by the forwarder, as for every peer;
//! a connection it does not serve is closed, however lively it is.

use crate::forward::Peer;
use crate::limits::Limits;
use crate::networks::{network_of, provider_of};
use crate::serve::TcpEvent;
use crate::tls_files::{ACME_ALPN, TlsFiles};
use daam_tunnel::relay_tcp::{PATH, PROTOCOL, frames, prefer_bbr, short_queue};
use futures_util::{SinkExt, StreamExt};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};

const STEP: Duration = Duration::from_secs(5);
/// About 64 KiB of packets.
const OUTLET: usize = 48;
/// Peers ask every few seconds whether they are still known.
const SILENCE: Duration = Duration::from_secs(60);
/// After an accept failed for want of resources.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts until dropped.
pub async fn accept(
    listener: TcpListener,
    files: Arc<TlsFiles>,
    limits: &Limits,
    events: mpsc::Sender<TcpEvent>,
) {
    let places = Arc::new(Places {
        all: limits.connections,
        each: limits.connections_per_network,
        provider: limits.connections_per_provider,
        taken: Mutex::default(),
    });
    let trial = Trial { time: limits.unbound, packets: limits.unbound_packets };
    let mut connection = 0_u64;
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no connection accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let addr = SocketAddr::new(from.ip().to_canonical(), from.port());
        let Some(place) = Places::take(&places, addr.ip()) else {
            tracing::debug!(%addr, "too many connections");
            continue;
        };
        connection = connection.wrapping_add(1);
        let peer = Peer::Tcp { connection, addr };
        let (acceptor, events) = (TlsAcceptor::from(files.current()), events.clone());
        tokio::spawn(async move {
            if let Some(socket) = upgraded(stream, acceptor).await {
                let (packets, outgoing) = mpsc::channel(OUTLET);
                let outlet = Outlet { packets, service: Arc::new(Service::new()) };
                let service = Arc::clone(&outlet.service);
                if events.send(TcpEvent::Opened(connection, outlet)).await.is_ok() {
                    serve(socket, peer, (outgoing, &events), (&service, trial)).await;
                    events.send(TcpEvent::Closed(connection)).await.unwrap_or_default();
                }
            }
            drop(place);
        });
    }
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_rustls::server::TlsStream<TcpStream>>;

async fn upgraded(stream: TcpStream, acceptor: TlsAcceptor) -> Option<Socket> {
    stream.set_nodelay(true).ok()?;
    prefer_bbr(&stream);
    short_queue(&stream);
    let stream = tokio::time::timeout(STEP, acceptor.accept(stream)).await.ok()?.ok()?;
    // Its question is answered by the handshake.
    if stream.get_ref().1.alpn_protocol() == Some(ACME_ALPN) {
        return None;
    }
    let upgrade = tokio_tungstenite::accept_hdr_async_with_config(stream, answer, Some(frames()));
    tokio::time::timeout(STEP, upgrade).await.ok()?.ok()
}

#[expect(clippy::result_large_err, reason = "the WebSocket library asks for this type")]
fn answer(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let asked = request.headers().get("sec-websocket-protocol").and_then(|value| value.to_str().ok());
    if request.uri().path() != PATH || asked != Some(PROTOCOL) {
        let mut refusal = ErrorResponse::new(Some("this is a daam relay\n".to_owned()));
        *refusal.status_mut() = StatusCode::NOT_FOUND;
        return Err(refusal);
    }
    response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(PROTOCOL));
    Ok(response)
}

async fn serve(
    socket: Socket,
    peer: Peer,
    (mut outgoing, events): (mpsc::Receiver<Vec<u8>>, &mpsc::Sender<TcpEvent>),
    (service, trial): (&Service, Trial),
) {
    let (mut sink, mut stream) = socket.split();
    let writing = async {
        while let Some(packet) = outgoing.recv().await {
            let mut sent = sink.feed(Message::Binary(packet.into())).await;
            while let (Ok(()), Ok(more)) = (&sent, outgoing.try_recv()) {
                sent = sink.feed(Message::Binary(more.into())).await;
            }
            if sent.is_err() || sink.flush().await.is_err() {
                return;
            }
        }
    };
    let reading = async {
        let mut before = 0_u32;
        loop {
            let until = match service.last() {
                Some(served) => served + SILENCE,
                None if before >= trial.packets => return,
                None => service.opened + trial.time,
            };
            match tokio::time::timeout_at(until, stream.next()).await {
                Ok(Some(Ok(Message::Binary(packet)))) => {
                    before = before.saturating_add(1);
                    if events.send(TcpEvent::Packet(peer, packet.to_vec())).await.is_err() {
                        return;
                    }
                }
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                // It may have been served while we waited.
                Err(_) if service.last().is_some_and(|served| served + SILENCE > Instant::now()) => {}
                _ => return,
            }
        }
    };
    tokio::select! {
        () = writing => {}
        () = reading => {}
    }
}

/// What a connection may do before it is bound.
#[derive(Debug, Clone, Copy)]
struct Trial {
    time: Duration,
    packets: u32,
}

/// Where packets for a connection go.
#[derive(Debug)]
pub struct Outlet {
    packets: mpsc::Sender<Vec<u8>>,
    service: Arc<Service>,
}

impl Outlet {
    /// `false` if the peer is slower than what is sent to it.
    pub(crate) fn send(&self, packet: &[u8]) -> bool {
        self.packets.try_send(packet.to_vec()).is_ok()
    }

    /// The forwarder did something for this peer.
    pub(crate) fn served(&self) {
        let millis = u64::try_from(self.service.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.service.served.store(millis.saturating_add(1), Ordering::Relaxed);
    }
}

/// When a connection was last served; zero is never.
#[derive(Debug)]
struct Service {
    opened: Instant,
    served: AtomicU64,
}

impl Service {
    fn new() -> Self {
        Self { opened: Instant::now(), served: AtomicU64::new(0) }
    }

    fn last(&self) -> Option<Instant> {
        let millis = self.served.load(Ordering::Relaxed);
        (millis > 0).then(|| self.opened + Duration::from_millis(millis))
    }
}

/// How many connections each network and each provider holds.
struct Places {
    all: usize,
    each: usize,
    provider: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    networks: HashMap<IpAddr, usize>,
    providers: HashMap<IpAddr, usize>,
}

struct Place {
    places: Arc<Places>,
    network: IpAddr,
    provider: IpAddr,
}

impl Places {
    fn take(places: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        let (network, provider) = (network_of(ip), provider_of(ip));
        let mut taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let held = |table: &HashMap<IpAddr, usize>, who| table.get(&who).copied().unwrap_or_default();
        if taken.all >= places.all
            || held(&taken.networks, network) >= places.each
            || held(&taken.providers, provider) >= places.provider
        {
            return None;
        }
        taken.all += 1;
        *taken.networks.entry(network).or_default() += 1;
        *taken.providers.entry(provider).or_default() += 1;
        Some(Place { places: Arc::clone(places), network, provider })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        give_back(&mut taken.networks, self.network);
        give_back(&mut taken.providers, self.provider);
    }
}

fn give_back(table: &mut HashMap<IpAddr, usize>, who: IpAddr) {
    let left = table.get_mut(&who).map_or(0, |held| {
        *held = held.saturating_sub(1);
        *held
    });
    if left == 0 {
        table.remove(&who);
    }
}
