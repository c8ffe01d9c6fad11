//! The socket under quinn: one UDP socket, many paths.
//!
//! quinn sees addresses that stay the same; this socket turns them into the path in use. A dialling side names
//! each peer by a virtual IPv4 address, a listening side sees each relayed client under a virtual IPv6 address
//! in the discard-only prefix. Refused: packets from unknown addresses on a dialling side, relay packets from
//! anything but a relay we chose, and packets that claim to come from the discard-only prefix.

use crate::transport::SOCKET_BUFFER_BYTES;
use crate::wire;
use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// Most packets kept when one batch mixed several sessions.
const MAX_STASH: usize = 256;
/// Port of all virtual addresses.
const VIRTUAL_PORT: u16 = 4433;

/// Where packets for a peer really go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Route {
    Direct(SocketAddr),
    Relay { relay: SocketAddr, session: u32 },
}

#[derive(Debug, Default)]
struct Routes {
    /// Virtual address of a dialled peer → how to reach it.
    peers: BTreeMap<SocketAddr, Route>,
    /// The reverse, for what arrives.
    sources: BTreeMap<Route, SocketAddr>,
    /// Relays we talk to, with the task that handles their control packets.
    relays: BTreeMap<SocketAddr, Relay>,
    next_relay: u16,
}

#[derive(Debug)]
struct Relay {
    index: u16,
    control: mpsc::Sender<Vec<u8>>,
}

#[derive(Debug)]
struct Stashed {
    from: SocketAddr,
    packet: Vec<u8>,
}

/// See the module.
pub(crate) struct PathSocket {
    io: UdpSocket,
    state: UdpSocketState,
    ipv6: bool,
    /// Listening sides take packets from addresses never seen before.
    strangers: bool,
    routes: Mutex<Routes>,
    stash: Mutex<VecDeque<Stashed>>,
}

impl PathSocket {
    /// For dialling: any local address, both families where the system can.
    pub(crate) fn dialling() -> io::Result<Arc<Self>> {
        let any6 = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);
        let any4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let socket = std::net::UdpSocket::bind(any6).or_else(|_| std::net::UdpSocket::bind(any4))?;
        Self::wrap(socket, false)
    }

    /// For listening on `bind`.
    pub(crate) fn listening(bind: SocketAddr) -> io::Result<Arc<Self>> {
        Self::wrap(std::net::UdpSocket::bind(bind)?, true)
    }

    fn wrap(socket: std::net::UdpSocket, strangers: bool) -> io::Result<Arc<Self>> {
        let state = UdpSocketState::new((&socket).into())?;
        // Best effort: the system's limit may be lower, and quinn works with what there is.
        state.set_send_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES).unwrap_or_default();
        state.set_recv_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES).unwrap_or_default();
        socket.set_nonblocking(true)?;
        let ipv6 = socket.local_addr()?.is_ipv6();
        Ok(Arc::new(Self {
            io: UdpSocket::from_std(socket)?,
            state,
            ipv6,
            strangers,
            routes: Mutex::default(),
            stash: Mutex::default(),
        }))
    }

    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stash(&self) -> MutexGuard<'_, VecDeque<Stashed>> {
        self.stash.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Points the `n`-th virtual peer at `route` and returns its address for quinn.
    pub(crate) fn point(&self, n: u8, route: Route) -> SocketAddr {
        let virtual_addr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 18, 1, n)), VIRTUAL_PORT);
        let route = match route {
            Route::Direct(addr) => Route::Direct(plain(addr)),
            Route::Relay { relay, session } => Route::Relay { relay: plain(relay), session },
        };
        let mut routes = self.routes();
        if let Some(old) = routes.peers.insert(virtual_addr, route) {
            routes.sources.remove(&old);
        }
        routes.sources.insert(route, virtual_addr);
        virtual_addr
    }

    /// Lets control packets of `relay` through to `control`.
    pub(crate) fn add_relay(&self, relay: SocketAddr, control: mpsc::Sender<Vec<u8>>) {
        let mut routes = self.routes();
        let index = routes.next_relay;
        routes.next_relay = index.wrapping_add(1);
        routes.relays.insert(plain(relay), Relay { index, control });
    }

    /// Forgets a relay; its packets are dropped from now on.
    pub(crate) fn remove_relay(&self, relay: SocketAddr) {
        self.routes().relays.remove(&plain(relay));
    }

    /// Sends a packet of ours. Lost if the socket is busy: every one of them is repeated by a timer.
    pub(crate) fn send_control(&self, relay: SocketAddr, packet: &[u8]) {
        if let Err(error) = self.io.try_send_to(packet, self.wire_addr(relay)) {
            tracing::debug!(%relay, %error, "relay packet not sent");
        }
    }

    /// Where a packet for `destination` really goes; `None` if there is no way.
    fn route(&self, destination: SocketAddr) -> Option<Route> {
        let destination = plain(destination);
        let routes = self.routes();
        if let Some(route) = routes.peers.get(&destination) {
            return Some(*route);
        }
        match relayed_client(destination) {
            None => Some(Route::Direct(destination)),
            Some((index, session)) => routes
                .relays
                .iter()
                .find(|(_, relay)| relay.index == index)
                .map(|(addr, _)| Route::Relay { relay: *addr, session }),
        }
    }

    /// The address quinn knows the sender of a direct packet by.
    fn direct_source(&self, from: SocketAddr) -> Option<SocketAddr> {
        let from_plain = plain(from);
        let known = self.routes().sources.get(&Route::Direct(from_plain)).copied();
        match known {
            Some(virtual_addr) => Some(self.wire_addr(virtual_addr)),
            None if self.strangers && relayed_client(from_plain).is_none() => Some(from),
            None => None,
        }
    }

    /// The address quinn knows the sender of a relayed packet by.
    fn relayed_source(&self, relay: SocketAddr, session: u32) -> Option<SocketAddr> {
        let relay = plain(relay);
        let routes = self.routes();
        let known = routes.relays.get(&relay)?;
        match routes.sources.get(&Route::Relay { relay, session }) {
            Some(virtual_addr) => Some(self.wire_addr(*virtual_addr)),
            None if self.strangers => Some(virtual_client(known.index, session)),
            None => None,
        }
    }

    fn control(&self, from: SocketAddr, packet: &[u8]) {
        let routes = self.routes();
        if let Some(relay) = routes.relays.get(&plain(from))
            && packet.len() <= wire::MAX_CONTROL_BYTES
            && relay.control.try_send(packet.to_vec()).is_err()
        {
            tracing::debug!(%from, "relay answer dropped");
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
        if wire::is_quic(batch) {
            match self.direct_source(meta.addr) {
                Some(known) => meta.addr = known,
                None => meta.len = 0,
            }
            return;
        }
        let (from, stride) = (meta.addr, meta.stride.max(1));
        let mut kept = Kept::default();
        let mut start = 0;
        while start < batch.len() {
            let end = start.saturating_add(stride).min(batch.len());
            let packet = batch.get(start..end).unwrap_or_default();
            if let Some(session) = wire::data_session(packet) {
                if let Some(source) = self.relayed_source(from, session) {
                    let body = start + wire::DATA_HEADER_BYTES..end;
                    if kept.takes(source, body.len()) {
                        let length = body.len();
                        batch.copy_within(body, kept.len);
                        kept.len += length;
                    } else {
                        self.keep_for_later(source, batch.get(body).unwrap_or_default());
                    }
                }
            } else {
                self.control(from, packet);
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

    fn keep_for_later(&self, from: SocketAddr, packet: &[u8]) {
        let mut stash = self.stash();
        if stash.len() < MAX_STASH {
            stash.push_back(Stashed { from, packet: packet.to_vec() });
        }
    }

    fn take_stashed(&self, bufs: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) -> usize {
        let mut stash = self.stash();
        let mut count = 0;
        for (buffer, slot) in bufs.iter_mut().zip(meta.iter_mut()) {
            let Some(Stashed { from, packet }) = stash.pop_front() else { break };
            *slot = RecvMeta { addr: from, ..RecvMeta::default() };
            if let Some(target) = buffer.get_mut(..packet.len()) {
                target.copy_from_slice(&packet);
                slot.len = packet.len();
                slot.stride = packet.len();
            }
            count += 1;
        }
        count
    }

    fn send_through(&self, relay: SocketAddr, session: u32, transmit: &Transmit<'_>) -> io::Result<()> {
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        let header = wire::data_header(session);
        let mut wrapped = Vec::with_capacity(transmit.contents.len() + 16 * header.len());
        for packet in transmit.contents.chunks(segment) {
            wrapped.extend_from_slice(&header);
            wrapped.extend_from_slice(packet);
        }
        let outer = Transmit {
            destination: self.wire_addr(relay),
            ecn: transmit.ecn,
            contents: &wrapped,
            segment_size: transmit.segment_size.map(|size| size + header.len()),
            src_ip: None,
        };
        self.send_now(&outer)
    }

    fn send_now(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.io.try_io(Interest::WRITABLE, || self.state.send((&self.io).into(), transmit))
    }
}

/// What of a batch stays in place: packets of one source, all of one size but the last.
#[derive(Default)]
struct Kept {
    source: Option<SocketAddr>,
    stride: usize,
    len: usize,
}

impl Kept {
    fn takes(&mut self, source: SocketAddr, length: usize) -> bool {
        match self.source {
            None => {
                self.source = Some(source);
                self.stride = length;
                true
            }
            Some(first) => {
                first == source && length <= self.stride && self.len.is_multiple_of(self.stride.max(1))
            }
        }
    }
}

impl AsyncUdpSocket for PathSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(WritablePoller { socket: self, waiting: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        match self.route(transmit.destination) {
            // A path that is gone loses packets, as networks do.
            None => Ok(()),
            Some(Route::Relay { relay, session }) => self.send_through(relay, session, transmit),
            Some(Route::Direct(addr)) => {
                self.send_now(&Transmit { destination: self.wire_addr(addr), ..transmit.clone() })
            }
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let stashed = self.take_stashed(bufs, meta);
        if stashed > 0 {
            return Poll::Ready(Ok(stashed));
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

impl UdpPoller for WritablePoller {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = Arc::clone(&self.socket);
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(async move { socket.io.writable().await }));
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

/// Whether an address quinn reports stands for a relayed client.
pub(crate) fn is_relayed(addr: SocketAddr) -> bool {
    relayed_client(plain(addr)).is_some()
}

fn plain(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// A relayed client as the listening side sees it: relay and session inside 100::/64.
fn virtual_client(relay: u16, session: u32) -> SocketAddr {
    let [a, b, c, d] = session.to_be_bytes();
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x100, 0, 0, 0, relay, 0, high, low)), VIRTUAL_PORT)
}

fn relayed_client(addr: SocketAddr) -> Option<(u16, u32)> {
    let IpAddr::V6(ip) = addr.ip() else { return None };
    match ip.segments() {
        [0x100, 0, 0, 0, relay, _, high, low] => Some((relay, (u32::from(high) << 16) | u32::from(low))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RELAY: &str = "192.0.2.5:443";

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn with_relay(socket: &PathSocket) -> mpsc::Receiver<Vec<u8>> {
        let (control, packets) = mpsc::channel(4);
        socket.add_relay(at(RELAY), control);
        packets
    }

    fn received(from: &str, packets: &[Vec<u8>]) -> (Vec<u8>, RecvMeta) {
        let bytes: Vec<u8> = packets.concat();
        let stride = packets.first().map_or(0, Vec::len);
        (bytes.clone(), RecvMeta { addr: at(from), len: bytes.len(), stride, ..RecvMeta::default() })
    }

    fn data(session: u32, body: &[u8]) -> Vec<u8> {
        [&wire::data_header(session)[..], body].concat()
    }

    #[tokio::test]
    async fn a_batch_of_one_session_is_unwrapped_in_place() {
        let socket = PathSocket::listening(at("127.0.0.1:0")).unwrap();
        let _packets = with_relay(&socket);
        let (mut bytes, mut meta) =
            received(RELAY, &[data(9, b"\x40aaa"), data(9, b"\x40bbb"), data(9, b"\x40c")]);
        socket.sort(&mut bytes, &mut meta);
        assert_eq!((&bytes[..meta.len], meta.stride), (&b"\x40aaa\x40bbb\x40c"[..], 4));
        assert_eq!(socket.route(meta.addr), Some(Route::Relay { relay: at(RELAY), session: 9 }));
        assert!(is_relayed(meta.addr));
    }

    #[tokio::test]
    async fn other_sessions_of_a_batch_come_later_and_control_goes_aside() {
        let socket = PathSocket::listening(at("127.0.0.1:0")).unwrap();
        let mut control = with_relay(&socket);
        let alive = wire::alive(3);
        let (mut bytes, mut meta) = received(
            RELAY,
            &[data(1, b"\x40one"), data(2, b"\x40two"), alive.to_vec(), vec![0; 4], data(1, b"\x40")],
        );
        socket.sort(&mut bytes, &mut meta);
        assert_eq!((&bytes[..meta.len], meta.stride), (&b"\x40one\x40"[..], 4));
        let mut buffer = [0; 100];
        let mut metas = [RecvMeta::default(); 2];
        let mut second = [0; 100];
        let mut bufs = [IoSliceMut::new(&mut buffer), IoSliceMut::new(&mut second)];
        assert_eq!(socket.take_stashed(&mut bufs, &mut metas), 1);
        assert_eq!(&bufs[0][..metas[0].len], b"\x40two");
        assert_eq!(socket.route(metas[0].addr), Some(Route::Relay { relay: at(RELAY), session: 2 }));
        assert_eq!(control.try_recv().unwrap()[..8], alive);
    }

    #[tokio::test]
    async fn unknown_senders_and_the_discard_prefix_are_dropped() {
        let dialling = PathSocket::dialling().unwrap();
        let known = dialling.point(1, Route::Direct(at("192.0.2.1:6432")));
        let (mut bytes, mut meta) = received("192.0.2.1:6432", &[b"\x40x".to_vec()]);
        dialling.sort(&mut bytes, &mut meta);
        assert_eq!((plain(meta.addr), meta.len), (known, 2));
        for stranger in ["192.0.2.1:6433", "198.18.1.1:4433"] {
            let (mut bytes, mut meta) = received(stranger, &[b"\x40x".to_vec()]);
            dialling.sort(&mut bytes, &mut meta);
            assert_eq!(meta.len, 0);
        }
        let listening = PathSocket::listening(at("127.0.0.1:0")).unwrap();
        let (mut bytes, mut meta) = received("[100::1:0:0:9]:4433", &[b"\x40x".to_vec()]);
        listening.sort(&mut bytes, &mut meta);
        assert_eq!(meta.len, 0);
        // Relay packets count only from a relay.
        let (mut bytes, mut meta) = received("192.0.2.66:443", &[data(9, b"\x40x")]);
        listening.sort(&mut bytes, &mut meta);
        assert_eq!(meta.len, 0);
    }

    #[tokio::test]
    async fn pointing_a_peer_elsewhere_moves_both_directions() {
        let socket = PathSocket::dialling().unwrap();
        let _packets = with_relay(&socket);
        let before = socket.point(1, Route::Direct(at("192.0.2.1:6432")));
        let after = socket.point(1, Route::Relay { relay: at(RELAY), session: 4 });
        assert_eq!(before, after);
        assert_eq!(socket.direct_source(at("192.0.2.1:6432")), None);
        assert_eq!(socket.relayed_source(at(RELAY), 4).map(plain), Some(after));
        assert_eq!(socket.relayed_source(at(RELAY), 5), None);
    }

    #[test]
    fn arbitrary_batches_never_panic_and_never_grow() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let socket = PathSocket::listening(at("127.0.0.1:0")).unwrap();
        let _packets = with_relay(&socket);
        let batches = (proptest::collection::vec(0u8..4, 0..400), 0usize..50, any::<bool>(), 0usize..500);
        let mut runner = proptest::test_runner::TestRunner::default();
        let checked = runner.run(&batches, |(mut bytes, stride, relayed, claimed)| {
            let length = bytes.len();
            let addr = at(if relayed { RELAY } else { "192.0.2.66:1" });
            let mut meta = RecvMeta { addr, len: claimed, stride, ..RecvMeta::default() };
            socket.sort(&mut bytes, &mut meta);
            prop_assert!(meta.len <= claimed.max(length));
            prop_assert!(socket.stash().len() <= MAX_STASH);
            Ok(())
        });
        assert_eq!(checked, Ok(()));
    }
}
