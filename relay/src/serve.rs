//! Moves packets between the UDP socket and [`Forwarder`]: batches in, batches out, nothing kept.
//!
//! A received batch (GRO) is decided packet by packet; neighbours of one size for one destination leave as one
//! batch again (GSO). When the socket is full, packets are dropped: a relay never queues and never waits.

use crate::forward::{Action, Counters, Forwarder, Now, Peer};
use crate::tcp::Outlet;
use daam_tunnel::wire::{Answer, FromRelay};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
const BATCH_BYTES: usize = 65_536;
const BATCHES: usize = quinn_udp::BATCH_SIZE;
const EXPIRE_EVERY: Duration = Duration::from_secs(1);
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// Between two words of farewell, which get lost like other packets.
const FAREWELL_EVERY: Duration = Duration::from_millis(400);
/// Peers hear the farewell, ask the other relay, and move.
const LEAST_LEAVE: Duration = Duration::from_millis(1500);

/// The relay's UDP sockets: one, or two where a network may block the first one's port.
pub struct RelaySocket {
    first: Door,
    second: Option<Door>,
}

struct Door {
    number: u8,
    io: UdpSocket,
    state: UdpSocketState,
    ipv6: bool,
}

impl std::fmt::Debug for RelaySocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RelaySocket").finish_non_exhaustive()
    }
}

impl RelaySocket {
    /// Binds. Must be called inside a tokio runtime.
    pub fn bind(addr: SocketAddr) -> io::Result<Self> {
        Ok(Self { first: Door::bind(addr, 0)?, second: None })
    }

    /// Binds a second socket for the same peers and sessions.
    pub fn also(self, addr: SocketAddr) -> io::Result<Self> {
        Ok(Self { second: Some(Door::bind(addr, 1)?), ..self })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.first.io.local_addr()
    }

    /// Where it listens, too.
    pub fn second_addr(&self) -> Option<SocketAddr> {
        self.second.as_ref()?.io.local_addr().ok()
    }

    /// Forwards until dropped. Returns only if the socket itself fails.
    pub async fn forward(self, forwarder: Forwarder) -> io::Result<()> {
        self.forward_with(forwarder, Beside::none()).await
    }

    /// Forwards between UDP and TCP peers until told to leave and empty, or the socket fails.
    pub async fn forward_with(self, mut forwarder: Forwarder, mut beside: Beside) -> io::Result<()> {
        let started = Instant::now();
        let mut storage = vec![0_u8; BATCH_BYTES * BATCHES];
        let mut expire = tokio::time::interval(EXPIRE_EVERY);
        let mut report = tokio::time::interval_at(started + REPORT_EVERY, REPORT_EVERY);
        let mut leaving = Leaving::default();
        loop {
            tokio::select! {
                ready = self.first.io.readable() => {
                    ready?;
                    self.receive(&self.first, &mut storage, &mut forwarder, (now(started), &beside.outlets));
                }
                Some(door) = readable(self.second.as_ref()) => {
                    self.receive(door?, &mut storage, &mut forwarder, (now(started), &beside.outlets));
                }
                Some(event) = beside.events.recv() => {
                    self.tcp_event(event, &mut forwarder, (now(started), &mut beside.outlets));
                }
                _ = expire.tick() => {
                    forwarder.expire(now(started));
                    let (agents, sessions) = forwarder.size();
                    let snapshot = Snapshot {
                        agents,
                        sessions,
                        connections: beside.outlets.len(),
                        counters: forwarder.counters(),
                        leaving: leaving.since.is_some(),
                        at: Some(Instant::now()),
                    };
                    beside.snapshots.send_replace(snapshot);
                }
                () = leave(&mut beside.leave, leaving.since.is_some()) => {
                    tracing::info!("telling every peer to move");
                    forwarder.leave();
                    leaving.since = Some(Instant::now());
                }
                () = tokio::time::sleep_until(leaving.next), if leaving.since.is_some() => {
                    for (peer, packet) in forwarder.farewells() {
                        self.send_to(peer, &packet, &beside.outlets);
                    }
                    if leaving.is_over(forwarder.counters().forwarded, beside.patience) {
                        return Ok(());
                    }
                }
                _ = report.tick() => {
                    let (agents, sessions) = forwarder.size();
                    let counters = forwarder.counters();
                    tracing::info!(agents, sessions, ?counters, "forwarding");
                }
            }
        }
    }

    fn tcp_event(&self, event: TcpEvent, forwarder: &mut Forwarder, (now, outlets): (Now, &mut Outlets)) {
        match event {
            TcpEvent::Opened(connection, outlet) => {
                outlets.insert(connection, outlet);
            }
            TcpEvent::Closed(connection) => {
                outlets.remove(&connection);
            }
            TcpEvent::Packet(peer @ Peer::Tcp { connection, .. }, packet) => {
                let action = forwarder.handle(&packet, peer, now);
                if serves(&action)
                    && let Some(outlet) = outlets.get(&connection)
                {
                    outlet.served();
                }
                match action {
                    Action::Forward(to) => self.send_to(to, &packet, outlets),
                    Action::Reply(bytes) => self.send_to(peer, &bytes, outlets),
                    Action::Drop => {}
                }
            }
            TcpEvent::Packet(Peer::Udp { .. }, _) => {}
        }
    }

    fn send_to(&self, peer: Peer, packet: &[u8], outlets: &Outlets) {
        match peer {
            Peer::Udp { addr, door } => self.send((door, addr), packet, None, None),
            Peer::Tcp { connection, .. } => {
                // Full means that the peer is slower than the session: a relay drops, and QUIC slows down.
                if let Some(outlet) = outlets.get(&connection)
                    && !outlet.send(packet)
                {
                    tracing::trace!(connection, "packet dropped");
                }
            }
        }
    }

    fn receive(&self, door: &Door, storage: &mut [u8], forwarder: &mut Forwarder, context: (Now, &Outlets)) {
        let mut metas = [RecvMeta::default(); BATCHES];
        let mut chunks = storage.chunks_mut(BATCH_BYTES);
        let mut buffers: [IoSliceMut<'_>; BATCHES] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let received = door
            .io
            .try_io(Interest::READABLE, || door.state.recv((&door.io).into(), &mut buffers, &mut metas));
        // "Would block" is the usual end; other errors concern one packet (such as an ICMP answer).
        let Ok(count) = received else { return };
        for (buffer, meta) in buffers.iter().zip(&metas).take(count) {
            let batch = buffer.get(..meta.len).unwrap_or_default();
            self.pass_on((door.number, batch), meta, forwarder, context);
        }
    }

    fn pass_on(
        &self,
        (door, batch): (u8, &[u8]),
        meta: &RecvMeta,
        forwarder: &mut Forwarder,
        (now, outlets): (Now, &Outlets),
    ) {
        let stride = meta.stride.max(1);
        let from = SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port());
        let peer = Peer::Udp { addr: from, door };
        let mut run = Run { to: None, start: 0, end: 0 };
        let mut start = 0;
        while start < batch.len() {
            let end = start.saturating_add(stride).min(batch.len());
            let packet = batch.get(start..end).unwrap_or_default();
            match forwarder.handle(packet, peer, now) {
                Action::Forward(to @ Peer::Tcp { .. }) => {
                    self.send_run(batch, &run, meta);
                    run.to = None;
                    self.send_to(to, packet, outlets);
                }
                Action::Forward(Peer::Udp { addr, door }) => {
                    if run.to != Some((door, addr)) {
                        self.send_run(batch, &run, meta);
                        run = Run { to: Some((door, addr)), start, end };
                    }
                    run.end = end;
                }
                other => {
                    self.send_run(batch, &run, meta);
                    run.to = None;
                    if let Action::Reply(bytes) = other {
                        self.send((door, from), &bytes, None, None);
                    }
                }
            }
            start = end;
        }
        self.send_run(batch, &run, meta);
    }

    fn send_run(&self, batch: &[u8], run: &Run, meta: &RecvMeta) {
        let (Some(to), Some(bytes)) = (run.to, batch.get(run.start..run.end)) else { return };
        let segments = self.door(to.0).state.max_gso_segments().max(1);
        for part in bytes.chunks(meta.stride.max(1).saturating_mul(segments)) {
            let segment = (part.len() > meta.stride).then_some(meta.stride);
            self.send(to, part, segment, meta.ecn);
        }
    }

    fn door(&self, number: u8) -> &Door {
        self.second.as_ref().filter(|second| second.number == number).unwrap_or(&self.first)
    }

    fn send(
        &self,
        (number, to): (u8, SocketAddr),
        bytes: &[u8],
        segment: Option<usize>,
        ecn: Option<quinn_udp::EcnCodepoint>,
    ) {
        let door = self.door(number);
        let destination = match to.ip() {
            std::net::IpAddr::V4(ip) if door.ipv6 => SocketAddr::new(ip.to_ipv6_mapped().into(), to.port()),
            _ => to,
        };
        let transmit = Transmit { destination, ecn, contents: bytes, segment_size: segment, src_ip: None };
        let sent = door.io.try_io(Interest::WRITABLE, || door.state.try_send((&door.io).into(), &transmit));
        if let Err(error) = sent {
            tracing::trace!(%to, %error, "packet dropped");
        }
    }
}

impl Door {
    fn bind(addr: SocketAddr, number: u8) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(addr)?;
        let state = UdpSocketState::new((&socket).into())?;
        // Best effort: the system's limit may be lower.
        state.set_send_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES).unwrap_or_default();
        state.set_recv_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES).unwrap_or_default();
        socket.set_nonblocking(true)?;
        let ipv6 = socket.local_addr()?.is_ipv6();
        Ok(Self { number, io: UdpSocket::from_std(socket)?, state, ipv6 })
    }
}

/// `None` for ever if there is no such door.
async fn readable(door: Option<&Door>) -> Option<io::Result<&Door>> {
    match door {
        Some(door) => Some(door.io.readable().await.map(|()| door)),
        None => std::future::pending().await,
    }
}

/// What the TCP side hands over, and what the outside wants to know.
#[derive(Debug)]
pub struct Beside {
    /// From TCP connections.
    pub events: mpsc::Receiver<TcpEvent>,
    /// Where the state is published.
    pub snapshots: watch::Sender<Snapshot>,
    /// Becomes true when the relay is to leave.
    pub leave: watch::Receiver<bool>,
    /// Longest time to leave in.
    pub patience: Duration,
    outlets: Outlets,
}

impl Beside {
    /// With these ends.
    pub fn new(
        events: mpsc::Receiver<TcpEvent>,
        snapshots: watch::Sender<Snapshot>,
        leave: watch::Receiver<bool>,
        patience: Duration,
    ) -> Self {
        Self { events, snapshots, leave, patience, outlets: Outlets::new() }
    }

    fn none() -> Self {
        Self::new(mpsc::channel(1).1, watch::Sender::default(), watch::channel(false).1, Duration::ZERO)
    }
}

/// By connection, where its packets go.
type Outlets = HashMap<u64, Outlet>;

/// From a TCP connection.
#[derive(Debug)]
pub enum TcpEvent {
    /// A connection of this number takes packets here.
    Opened(u64, Outlet),
    /// It sent a packet.
    Packet(Peer, Vec<u8>),
    /// It ended.
    Closed(u64),
}

/// The state of the relay, once a second.
#[derive(Debug, Clone, Copy, Default)]
pub struct Snapshot {
    /// Agents bound.
    pub agents: usize,
    /// Sessions open.
    pub sessions: usize,
    /// TCP connections.
    pub connections: usize,
    /// Counts since the start.
    pub counters: Counters,
    /// Whether everybody was told to move.
    pub leaving: bool,
    /// When this was true.
    pub at: Option<Instant>,
}

/// Whether a peer is bound, by what the forwarder did with its packet.
fn serves(action: &Action) -> bool {
    match action {
        Action::Forward(_) => true,
        Action::Reply(bytes) => matches!(
            FromRelay::read(bytes),
            Some(FromRelay::Alive { .. } | FromRelay::Answer(Answer::Bound { .. }))
        ),
        Action::Drop => false,
    }
}

/// How far the leave-taking is.
struct Leaving {
    since: Option<Instant>,
    next: Instant,
    forwarded: u64,
}

impl Default for Leaving {
    fn default() -> Self {
        Self { since: None, next: Instant::now(), forwarded: 0 }
    }
}

impl Leaving {
    /// Over when nothing was forwarded since the last time, or patience ends.
    fn is_over(&mut self, forwarded: u64, patience: Duration) -> bool {
        let started = self.since.unwrap_or_else(Instant::now);
        let still = forwarded == std::mem::replace(&mut self.forwarded, forwarded);
        self.next = Instant::now() + FAREWELL_EVERY;
        (still && started.elapsed() > LEAST_LEAVE) || started.elapsed() > patience
    }
}

async fn leave(wanted: &mut watch::Receiver<bool>, already: bool) {
    if already || wanted.wait_for(|leave| *leave).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Neighbouring packets of a batch that go to one place.
struct Run {
    to: Option<(u8, SocketAddr)>,
    start: usize,
    end: usize,
}

fn now(started: Instant) -> Now {
    Now { monotonic: started.elapsed(), unix: OffsetDateTime::now_utc().unix_timestamp() }
}
