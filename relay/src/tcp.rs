//! Peers that come over TCP: TLS, a WebSocket upgrade, then the same packets as over UDP, one per frame.
//!
//! Bounded: connections in all and per network, the time each step takes, the queue towards each peer (packets are
//! dropped, nothing waits). Refused: other paths, other protocols, text, frames longer than a packet. What a packet
//! may do is decided by the forwarder, as for every peer.

use crate::forward::{Peer, network_of};
use crate::limits::Limits;
use crate::serve::TcpEvent;
use crate::tls_files::TlsFiles;
use daam_tunnel::relay_tcp::{PATH, PROTOCOL, frames, prefer_bbr};
use futures_util::{SinkExt, StreamExt};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
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
        taken: Mutex::default(),
    });
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
                let (outlet, outgoing) = mpsc::channel(OUTLET);
                if events.send(TcpEvent::Opened(connection, outlet)).await.is_ok() {
                    serve(socket, peer, outgoing, &events).await;
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
    let stream = tokio::time::timeout(STEP, acceptor.accept(stream)).await.ok()?.ok()?;
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
    mut outgoing: mpsc::Receiver<Vec<u8>>,
    events: &mpsc::Sender<TcpEvent>,
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
        loop {
            match tokio::time::timeout(SILENCE, stream.next()).await {
                Ok(Some(Ok(Message::Binary(packet)))) => {
                    if events.send(TcpEvent::Packet(peer, packet.to_vec())).await.is_err() {
                        return;
                    }
                }
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                _ => return,
            }
        }
    };
    tokio::select! {
        () = writing => {}
        () = reading => {}
    }
}

/// How many connections each network holds.
struct Places {
    all: usize,
    each: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

struct Place {
    places: Arc<Places>,
    network: IpAddr,
}

impl Places {
    fn take(places: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        let network = network_of(ip);
        let mut taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.values().sum::<usize>() >= places.all {
            return None;
        }
        let held = taken.entry(network).or_default();
        if *held >= places.each {
            return None;
        }
        *held += 1;
        Some(Place { places: Arc::clone(places), network })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let left = taken.get_mut(&self.network).map_or(0, |held| {
            *held = held.saturating_sub(1);
            *held
        });
        if left == 0 {
            taken.remove(&self.network);
        }
    }
}
