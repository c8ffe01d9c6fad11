//! The socket under quinn: one UDP socket and the TCP connections beside it, many paths.
//!
//! quinn sees addresses that stay the same; this socket turns them into the path in use and decides nothing itself.
//! Refused: packets from unknown addresses on a dialling side, relay packets from anything but a relay we chose, and
//! packets that claim to come from the discard-only prefix. Probes go aside to whoever holds the key.

mod batch;
mod routes;

use crate::network::Network;
use crate::path::probe::probe_tag;
use crate::transport::SOCKET_BUFFER_BYTES;
use crate::wire;
use batch::{Kept, Packet, Stash};
use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};
use routes::Routes;
pub(crate) use routes::{Frames, Route, Via, kind_of, plain, virtual_peer};
use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// Packets from TCP connections waiting for quinn.
const INBOUND: usize = 128;
/// 1,280 bytes, which every IPv6 network carries, without the headers and a little.
const LARGEST_OVER_TCP: usize = 1252;
/// Probes waiting for their task; more are dropped and asked again.
const WAITING_PROBES: usize = 256;
/// Longest wait for room on a TCP connection before the path is looked at again: it may have changed.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Without a packet for so long, the next one is news.
const QUIET: Duration = Duration::from_secs(1);

/// A probe and the way it came.
pub(crate) type Probes = mpsc::Receiver<(Route, Vec<u8>)>;

/// See the module.
pub(crate) struct PathSocket {
    io: UdpSocket,
    state: UdpSocketState,
    ipv6: bool,
    /// Listening sides take packets from addresses never seen before.
    strangers: bool,
    routes: Mutex<Routes>,
    stash: Mutex<Stash>,
    probes: mpsc::Sender<(Route, Vec<u8>)>,
    /// Connections whose probes are looked at: others could crowd them out.
    tags: Mutex<BTreeSet<u64>>,
    arriving: mpsc::Sender<Packet>,
    arrived: Mutex<mpsc::Receiver<Packet>>,
    /// The TCP connection that had no room when quinn last wanted to send.
    blocked: Mutex<Option<Frames>>,
    /// Whether QUIC has sent large packets over UDP. Listening sides begin anew on each way.
    large: AtomicBool,
    traffic: Mutex<Instant>,
    news: Notify,
    pub(crate) network: Network,
}

impl PathSocket {
    /// For dialling: any local address, both families where the system can.
    pub(crate) fn dialling() -> io::Result<(Arc<Self>, Probes)> {
        let any6 = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);
        let any4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let socket = std::net::UdpSocket::bind(any6).or_else(|_| std::net::UdpSocket::bind(any4))?;
        Self::wrap(socket, false)
    }

    /// For listening.
    pub(crate) fn listening(socket: std::net::UdpSocket) -> io::Result<(Arc<Self>, Probes)> {
        Self::wrap(socket, true)
    }

    fn wrap(socket: std::net::UdpSocket, strangers: bool) -> io::Result<(Arc<Self>, Probes)> {
        let state = UdpSocketState::new((&socket).into())?;
        // Best effort: the system's limit may be lower, and quinn works with what there is.
        state.set_send_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES).unwrap_or_default();
        state.set_recv_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES).unwrap_or_default();
        socket.set_nonblocking(true)?;
        let ipv6 = socket.local_addr()?.is_ipv6();
        let (probes, asked) = mpsc::channel(WAITING_PROBES);
        let (arriving, arrived) = mpsc::channel(INBOUND);
        let socket = Self {
            io: UdpSocket::from_std(socket)?,
            state,
            ipv6,
            strangers,
            routes: Mutex::default(),
            stash: Mutex::default(),
            probes,
            tags: Mutex::default(),
            arriving,
            arrived: Mutex::new(arrived),
            blocked: Mutex::default(),
            large: AtomicBool::new(false),
            traffic: Mutex::new(Instant::now()),
            news: Notify::new(),
            network: Network::watch(),
        };
        Ok((Arc::new(socket), asked))
    }

    pub(crate) fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stash(&self) -> MutexGuard<'_, Stash> {
        self.stash.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tags(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.tags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Probes that name this connection are handed over from now on.
    pub(crate) fn listen_for(&self, tag: u64) {
        self.tags().insert(tag);
    }

    /// Not any more.
    pub(crate) fn stop_listening_for(&self, tag: u64) {
        self.tags().remove(&tag);
    }

    /// The port every path shares.
    pub(crate) fn port(&self) -> u16 {
        self.io.local_addr().map_or(0, |addr| addr.port())
    }

    /// When the session last carried something.
    pub(crate) fn traffic(&self) -> Instant {
        *self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves when a quiet session carries something again, or sending fails.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    /// Sends a packet of ours to a relay. Lost if the socket is busy: every one of them is repeated by a timer.
    pub(crate) fn send_control(&self, via: Via, packet: &[u8]) {
        match via {
            Via::Udp(relay) => {
                if let Err(error) = self.io.try_send_to(packet, self.wire_addr(relay)) {
                    tracing::debug!(%relay, %error, "relay packet not sent");
                }
            }
            Via::Tcp(_) => {
                if let Some(frames) = self.routes().frames(via) {
                    frames.try_send(vec![packet.to_vec()]).unwrap_or_default();
                }
            }
        }
    }

    /// Sends a probe; lost like any other packet.
    pub(crate) fn send_probe(&self, route: Route, packet: &[u8]) {
        match route {
            Route::Direct(addr) => {
                if let Err(error) = self.io.try_send_to(packet, self.wire_addr(addr)) {
                    self.note(route, error.kind());
                }
            }
            Route::Carrier(number) => {
                if let Some(frames) = self.routes().carrier(number) {
                    frames.try_send(vec![packet.to_vec()]).unwrap_or_default();
                }
            }
            Route::Relay { via, session } => {
                self.send_control(via, &[&wire::data_header(session)[..], packet].concat());
            }
        }
    }

    /// Takes one packet that came from a relay over TCP, waiting while quinn is behind.
    pub(crate) async fn deliver(&self, via: Via, packet: &[u8]) {
        let Some(session) = wire::data_session(packet) else {
            self.control(via, packet);
            return;
        };
        let body = packet.get(wire::DATA_HEADER_BYTES..).unwrap_or_default();
        self.deliver_from(Route::Relay { via, session }, body).await;
    }

    /// Takes what came on a way that is not UDP, waiting while quinn is behind.
    pub(crate) async fn deliver_from(&self, route: Route, body: &[u8]) {
        if let Some(from) = self.sorted(route, body) {
            let packet = Packet { from, bytes: body.to_vec() };
            // Fails only when the socket is gone.
            self.arriving.send(packet).await.unwrap_or_default();
        }
    }

    /// The sender of a QUIC packet; probes go aside.
    fn sorted(&self, route: Route, body: &[u8]) -> Option<SocketAddr> {
        if wire::is_quic(body) {
            let source = self.routes().source(route, self.strangers)?;
            return Some(self.wire_addr(source));
        }
        let ours = probe_tag(body).is_some_and(|tag| self.tags().contains(&tag));
        if ours && self.probes.try_send((route, body.to_vec())).is_err() {
            tracing::debug!("probe dropped");
        }
        None
    }

    fn control(&self, via: Via, packet: &[u8]) {
        if packet.len() <= wire::MAX_CONTROL_BYTES && !self.routes().control(via, packet) {
            tracing::debug!(?via, "relay answer dropped");
        }
    }

    fn wire_addr(&self, addr: SocketAddr) -> SocketAddr {
        match addr.ip() {
            IpAddr::V4(ip) if self.ipv6 => SocketAddr::new(IpAddr::V6(ip.to_ipv6_mapped()), addr.port()),
            _ => addr,
        }
    }

    /// Rewrites one received batch in place so that quinn sees only QUIC, under the address it knows.
    fn sort(&self, buffer: &mut [u8], meta: &mut RecvMeta) {
        let Some(batch) = buffer.get_mut(..meta.len) else { return };
        let (from, stride) = (plain(meta.addr), meta.stride.max(1));
        if wire::is_quic(batch) {
            match self.sorted(Route::Direct(from), batch) {
                Some(known) => meta.addr = known,
                None => meta.len = 0,
            }
            return;
        }
        let via = Via::Udp(from);
        let mut kept = Kept::default();
        let mut start = 0;
        while start < batch.len() {
            let end = start.saturating_add(stride).min(batch.len());
            let packet = batch.get(start..end).unwrap_or_default();
            if let Some(session) = wire::data_session(packet) {
                let body = start + wire::DATA_HEADER_BYTES..end;
                let route = Route::Relay { via, session };
                let inner = batch.get(body.clone()).unwrap_or_default();
                // Only a relay we chose may speak for a session, probes included.
                let known = self.routes().is_relay(via);
                if let Some(source) = known.then(|| self.sorted(route, inner)).flatten() {
                    if kept.takes(source, body.len()) {
                        let length = body.len();
                        batch.copy_within(body, kept.len);
                        kept.len += length;
                    } else {
                        self.stash().keep(source, inner);
                    }
                }
            } else if probe_tag(packet).is_some() {
                self.sorted(Route::Direct(from), packet);
            } else {
                self.control(via, packet);
            }
            start = end;
        }
        meta.len = kept.len;
        meta.stride = kept.stride;
        meta.dst_ip = None;
        if let Some(source) = kept.source {
            meta.addr = source;
        }
    }

    /// Packets kept from earlier, and those from TCP connections.
    fn take_waiting(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> usize {
        let mut count = 0;
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        for (buffer, slot) in bufs.iter_mut().zip(meta.iter_mut()) {
            let stashed = self.stash().take();
            let next = stashed.or_else(|| match arrived.poll_recv(cx) {
                Poll::Ready(packet) => packet,
                Poll::Pending => None,
            });
            let Some(Packet { from, bytes }) = next else { break };
            *slot = RecvMeta { addr: from, ..RecvMeta::default() };
            if let Some(target) = buffer.get_mut(..bytes.len()) {
                target.copy_from_slice(&bytes);
                slot.len = bytes.len();
                slot.stride = bytes.len();
            }
            count += 1;
        }
        count
    }

    fn send_through(&self, via: Via, session: u32, transmit: &Transmit<'_>) -> io::Result<()> {
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        let header = wire::data_header(session);
        let packets = transmit.contents.chunks(segment).map(|packet| [&header[..], packet].concat());
        let relay = match via {
            Via::Udp(relay) => relay,
            Via::Tcp(_) => {
                let frames = self.routes().frames(via).cloned();
                return self.send_frames(frames, self.fit_for_tcp(packets));
            }
        };
        let wrapped = packets.collect::<Vec<_>>().concat();
        let outer = Transmit {
            destination: self.wire_addr(relay),
            ecn: transmit.ecn,
            contents: &wrapped,
            segment_size: transmit.segment_size.map(|size| size + header.len()),
            src_ip: None,
        };
        self.send_now(&outer, Route::Relay { via, session })
    }

    fn send_carried(&self, number: u32, transmit: &Transmit<'_>) -> io::Result<()> {
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        let packets = transmit.contents.chunks(segment).map(<[u8]>::to_vec);
        let frames = self.routes().carrier(number).cloned();
        self.send_frames(frames, self.fit_for_tcp(packets))
    }

    /// TCP carries packets of any size, so QUIC would believe that every network does, and learn better only by losing
    /// what it sends once a session goes over UDP. Large ones pass when UDP was used before: those are no questions.
    fn fit_for_tcp(&self, packets: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
        let large = self.large.load(Ordering::Relaxed);
        packets.filter(|packet| large || packet.len() <= LARGEST_OVER_TCP).collect()
    }

    fn send_frames(&self, frames: Option<Frames>, batch: Vec<Vec<u8>>) -> io::Result<()> {
        match frames.map(|frames| (frames.try_send(batch), frames)) {
            Some((Err(mpsc::error::TrySendError::Full(_)), frames)) => {
                *self.blocked.lock().unwrap_or_else(PoisonError::into_inner) = Some(frames);
                Err(ErrorKind::WouldBlock.into())
            }
            // A connection that is gone loses packets, as networks do.
            _ => Ok(()),
        }
    }

    fn send_now(&self, transmit: &Transmit<'_>, route: Route) -> io::Result<()> {
        if !self.strangers && transmit.segment_size.unwrap_or(transmit.contents.len()) > LARGEST_OVER_TCP {
            self.large.store(true, Ordering::Relaxed);
        }
        let sent = self.io.try_io(Interest::WRITABLE, || self.state.try_send((&self.io).into(), transmit));
        match sent {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(error),
            // Lost, as networks lose packets: QUIC repeats it, and the path is looked at.
            Err(error) => {
                self.note(route, error.kind());
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn note(&self, route: Route, error: ErrorKind) {
        let telling = [
            ErrorKind::NetworkUnreachable,
            ErrorKind::HostUnreachable,
            ErrorKind::NetworkDown,
            ErrorKind::AddrNotAvailable,
            ErrorKind::PermissionDenied,
        ];
        if telling.contains(&error) && self.routes().failed(route) {
            self.news.notify_one();
        }
    }

    fn carried(&self) {
        let now = Instant::now();
        let mut traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = now.duration_since(*traffic) > QUIET;
        *traffic = now;
        drop(traffic);
        if quiet {
            self.news.notify_one();
        }
    }
}

impl AsyncUdpSocket for PathSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(WritablePoller { socket: self, waiting: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let (route, peer) = {
            let routes = self.routes();
            (routes.route(transmit.destination), routes.is_peer(transmit.destination))
        };
        if peer {
            self.carried();
        }
        match route {
            // A path that is gone loses packets, as networks do.
            None => Ok(()),
            Some(Route::Relay { via, session }) => self.send_through(via, session, transmit),
            Some(Route::Carrier(number)) => self.send_carried(number, transmit),
            Some(route @ Route::Direct(addr)) => {
                self.send_now(&Transmit { destination: self.wire_addr(addr), ..transmit.clone() }, route)
            }
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let waiting = self.take_waiting(cx, bufs, meta);
        if waiting > 0 {
            return Poll::Ready(Ok(waiting));
        }
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            let received =
                self.io.try_io(Interest::READABLE, || self.state.recv((&self.io).into(), bufs, meta));
            if let Ok(count) = received {
                for (buffer, slot) in bufs.iter_mut().zip(meta.iter_mut()).take(count) {
                    self.sort(buffer, slot);
                }
                return Poll::Ready(Ok(count));
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

impl fmt::Debug for PathSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PathSocket").field("strangers", &self.strangers).finish_non_exhaustive()
    }
}

type Writable = Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>;

/// Each connection waits for itself: the socket's own poll functions remember only one waiter.
struct WritablePoller {
    socket: Arc<PathSocket>,
    waiting: Option<Writable>,
}

/// Waits for whatever refused the last packet.
async fn writable(socket: Arc<PathSocket>) -> io::Result<()> {
    let blocked = socket.blocked.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(frames) = blocked {
        // Whether there is room or the wait is over: the next try tells.
        tokio::time::timeout(LOOK_AGAIN, frames.reserve()).await.map(drop).unwrap_or_default();
    }
    socket.io.writable().await
}

impl UdpPoller for WritablePoller {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = Arc::clone(&self.socket);
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(writable(socket)));
        let result = ready!(waiting.as_mut().poll(cx));
        self.waiting = None;
        Poll::Ready(result)
    }
}

impl fmt::Debug for WritablePoller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WritablePoller").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
