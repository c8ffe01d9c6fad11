//! The peer itself over TCP, where UDP does not reach it: the same packets, one after the other, inside mutual TLS 1.3.
//!
//! The TLS outside asks for the same certificates as the one inside and checks them by the same code, so strangers get
//! no further than a handshake; who may do what is decided inside alone. Refused: other protocols, packets longer than
//! QUIC makes them.

use crate::close::alert_words;
use crate::network::{Uplinks, is_ours};
use crate::path::doors::TcpFault;
use crate::relay_tcp::{prefer_bbr, short_queue};
use crate::socket::{Frames, PathSocket, Route};
use crate::tls::{Credentials, TCP_ALPN, Verdict};
use bytes::Bytes;
use daam_identity::AgentPrincipal;
use futures_util::{SinkExt, StreamExt};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};
use tokio_util::task::AbortOnDropHandle;

/// One step of the connection may take so long.
const STEP: Duration = Duration::from_secs(5);
/// Longer packets are refused; QUIC makes none.
const MAX_PACKET: usize = 2048;
/// What QUIC may have handed over and TCP has not taken: short, so that a new path finds no old queue.
const WAITING_FRAMES: usize = 8;
/// Either end asks at least every half minute whether the other is there.
const SILENCE: Duration = Duration::from_secs(90);

/// Why there is no connection: for the table of paths, and in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoDoor {
    pub(crate) fault: TcpFault,
    pub(crate) words: String,
}

/// Our end of a TCP connection and the other one, if the system says.
pub(crate) type Ends = Option<(SocketAddr, SocketAddr)>;

pub(crate) fn ends(stream: &TcpStream) -> Ends {
    stream.local_addr().ok().zip(stream.peer_addr().ok())
}

/// Resolves once our end is not ours any more: nothing will come through such a connection.
pub(crate) async fn uprooted(socket: &PathSocket, ends: Ends) {
    let Some((local, peer)) = ends else { return std::future::pending().await };
    let mut uplink = Uplinks::towards(socket.network.changes(), peer);
    while is_ours(local.ip()) {
        uplink.changed().await;
    }
}

/// A connection that carries packets until this is dropped.
#[derive(Debug)]
pub(crate) struct Carrier {
    route: Route,
    socket: Arc<PathSocket>,
    task: AbortOnDropHandle<NoDoor>,
}

impl Carrier {
    /// Makes `stream`, which goes from the first of `ends` to the second, a way of the socket.
    pub(crate) fn start<S>(socket: &Arc<PathSocket>, stream: S, ends: Ends) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (frames, outgoing): (Frames, _) = mpsc::channel(WAITING_FRAMES);
        let route = socket.routes().add_carrier(frames);
        let carrying = Arc::clone(socket);
        let task = tokio::spawn(async move {
            let Err(error) = carry(stream, &carrying, (route, ends), outgoing).await;
            ended(&error)
        });
        Self { route, socket: Arc::clone(socket), task: AbortOnDropHandle::new(task) }
    }

    pub(crate) fn route(&self) -> Route {
        self.route
    }

    /// Why it ended, once it has. Safe to cancel.
    pub(crate) async fn ended(&mut self) -> NoDoor {
        let lost = || NoDoor { fault: TcpFault::Ended, words: "the TCP connection ended".to_owned() };
        (&mut self.task).await.unwrap_or_else(|_| lost())
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.socket.routes().remove_carrier(self.route);
    }
}

/// Connects to the agent and lets it prove that it is.
pub(crate) async fn connect(
    addr: SocketAddr,
    agent: &AgentPrincipal,
    credentials: &Credentials,
) -> Result<TlsStream<TcpStream>, NoDoor> {
    let slow = |_| no_door(TcpFault::NoAnswer, "no answer".to_owned());
    let stream = tokio::time::timeout(STEP, TcpStream::connect(addr)).await.map_err(slow)?;
    let stream = stream.map_err(|error| no_door(fault_of(&error), words_of(&error)))?;
    prepare(&stream);
    let verdict = Verdict::default();
    let broken = |error: &dyn std::error::Error| no_door(TcpFault::NotThePeer, error.to_string());
    let config = credentials.client_tls(agent.clone(), verdict.clone(), TCP_ALPN).map_err(|e| broken(&e))?;
    let name =
        agent.server_name().try_into().map_err(|_| broken(&io::Error::from(ErrorKind::InvalidInput)))?;
    let shaking = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let stream = tokio::time::timeout(STEP, shaking).await.map_err(slow)?;
    stream.map_err(|error| {
        let words = verdict.get().unwrap_or_else(|| words_of(&error));
        no_door(TcpFault::NotThePeer, words)
    })
}

/// What either end does to a new connection; all of it helps and none is needed.
pub(crate) fn prepare(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::trace!(%error, "small packets may wait");
    }
    prefer_bbr(stream);
    short_queue(stream);
}

async fn carry<S>(
    stream: S,
    socket: &PathSocket,
    (route, ends): (Route, Ends),
    mut outgoing: mpsc::Receiver<Vec<Vec<u8>>>,
) -> Result<std::convert::Infallible, io::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let codec =
        LengthDelimitedCodec::builder().length_field_type::<u16>().max_frame_length(MAX_PACKET).new_codec();
    let (reading, writing) = tokio::io::split(stream);
    let (mut stream, mut sink) = (FramedRead::new(reading, codec.clone()), FramedWrite::new(writing, codec));
    let writing = async {
        while let Some(batch) = outgoing.recv().await {
            for packet in batch {
                sink.feed(Bytes::from(packet)).await?;
            }
            SinkExt::<Bytes>::flush(&mut sink).await?;
        }
        Err(ErrorKind::BrokenPipe.into())
    };
    // Beside writing: two ends that both wait for room would wait for ever.
    let reading = async {
        loop {
            match tokio::time::timeout(SILENCE, stream.next()).await {
                Ok(Some(packet)) => socket.deliver_from(route, &packet?).await,
                Ok(None) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(_) => return Err(ErrorKind::TimedOut.into()),
            }
        }
    };
    tokio::select! {
        ended = writing => ended,
        ended = reading => ended,
        () = uprooted(socket, ends) => Err(ErrorKind::NotConnected.into()),
    }
}

fn no_door(fault: TcpFault, words: String) -> NoDoor {
    NoDoor { fault, words }
}

fn fault_of(error: &io::Error) -> TcpFault {
    match error.kind() {
        ErrorKind::ConnectionRefused => TcpFault::Refused,
        ErrorKind::TimedOut => TcpFault::NoAnswer,
        _ => TcpFault::Unreachable,
    }
}

fn ended(error: &io::Error) -> NoDoor {
    match (alert_of(error), error.kind()) {
        (Some(words), _) => no_door(TcpFault::NotTaken, words),
        (None, ErrorKind::TimedOut) => no_door(TcpFault::Silent, TcpFault::Silent.to_string()),
        (None, _) => no_door(TcpFault::Ended, TcpFault::Ended.to_string()),
    }
}

fn words_of(error: &io::Error) -> String {
    alert_of(error).unwrap_or_else(|| match error.kind() {
        ErrorKind::ConnectionRefused => TcpFault::Refused.to_string(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => {
            "what answers there speaks no TLS with us".to_owned()
        }
        _ => error.to_string(),
    })
}

/// What the peer's TLS said when it refused us.
fn alert_of(error: &io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => {
            Some(format!("the other side refused us: {}", alert_words(u8::from(*alert))))
        }
        _ => None,
    }
}
