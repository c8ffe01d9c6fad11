//! Moves packets between the UDP socket and [`Forwarder`]: batches in, batches out, nothing kept.
//!
//! A received batch (GRO) is decided packet by packet; neighbours of one size for one destination leave as one
//! batch again (GSO). When the socket is full, packets are dropped: a relay never queues and never waits.

use crate::forward::{Action, Forwarder, Now};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::Instant;

const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
const BATCH_BYTES: usize = 65_536;
const BATCHES: usize = quinn_udp::BATCH_SIZE;
const EXPIRE_EVERY: Duration = Duration::from_secs(1);
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// The relay's socket.
pub struct RelaySocket {
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
        let socket = std::net::UdpSocket::bind(addr)?;
        let state = UdpSocketState::new((&socket).into())?;
        // Best effort: the system's limit may be lower.
        state.set_send_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES).unwrap_or_default();
        state.set_recv_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES).unwrap_or_default();
        socket.set_nonblocking(true)?;
        let ipv6 = socket.local_addr()?.is_ipv6();
        Ok(Self { io: UdpSocket::from_std(socket)?, state, ipv6 })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    /// Forwards until dropped. Returns only if the socket itself fails.
    pub async fn forward(self, mut forwarder: Forwarder) -> io::Result<()> {
        let started = Instant::now();
        let mut storage = vec![0_u8; BATCH_BYTES * BATCHES];
        let mut expire = tokio::time::interval(EXPIRE_EVERY);
        let mut report = tokio::time::interval_at(started + REPORT_EVERY, REPORT_EVERY);
        loop {
            tokio::select! {
                ready = self.io.readable() => {
                    ready?;
                    self.receive(&mut storage, &mut forwarder, now(started));
                }
                _ = expire.tick() => forwarder.expire(now(started)),
                _ = report.tick() => {
                    let (agents, sessions) = forwarder.size();
                    let counters = forwarder.counters();
                    tracing::info!(agents, sessions, ?counters, "forwarding");
                }
            }
        }
    }

    fn receive(&self, storage: &mut [u8], forwarder: &mut Forwarder, now: Now) {
        let mut metas = [RecvMeta::default(); BATCHES];
        let mut chunks = storage.chunks_mut(BATCH_BYTES);
        let mut buffers: [IoSliceMut<'_>; BATCHES] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let received = self
            .io
            .try_io(Interest::READABLE, || self.state.recv((&self.io).into(), &mut buffers, &mut metas));
        // "Would block" is the usual end; other errors concern one packet (such as an ICMP answer).
        let Ok(count) = received else { return };
        for (buffer, meta) in buffers.iter().zip(&metas).take(count) {
            let batch = buffer.get(..meta.len).unwrap_or_default();
            self.pass_on(batch, meta, forwarder, now);
        }
    }

    fn pass_on(&self, batch: &[u8], meta: &RecvMeta, forwarder: &mut Forwarder, now: Now) {
        let stride = meta.stride.max(1);
        let from = SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port());
        let mut run = Run { to: None, start: 0, end: 0 };
        let mut start = 0;
        while start < batch.len() {
            let end = start.saturating_add(stride).min(batch.len());
            let packet = batch.get(start..end).unwrap_or_default();
            match forwarder.handle(packet, from, now) {
                Action::Forward(to) => {
                    if run.to != Some(to) {
                        self.send_run(batch, &run, meta);
                        run = Run { to: Some(to), start, end };
                    }
                    run.end = end;
                }
                other => {
                    self.send_run(batch, &run, meta);
                    run.to = None;
                    if let Action::Reply(bytes) = other {
                        self.send(from, &bytes, None, None);
                    }
                }
            }
            start = end;
        }
        self.send_run(batch, &run, meta);
    }

    fn send_run(&self, batch: &[u8], run: &Run, meta: &RecvMeta) {
        let (Some(to), Some(bytes)) = (run.to, batch.get(run.start..run.end)) else { return };
        let segments = self.state.max_gso_segments().max(1);
        for part in bytes.chunks(meta.stride.max(1).saturating_mul(segments)) {
            let segment = (part.len() > meta.stride).then_some(meta.stride);
            self.send(to, part, segment, meta.ecn);
        }
    }

    fn send(
        &self,
        to: SocketAddr,
        bytes: &[u8],
        segment: Option<usize>,
        ecn: Option<quinn_udp::EcnCodepoint>,
    ) {
        let destination = match to.ip() {
            std::net::IpAddr::V4(ip) if self.ipv6 => SocketAddr::new(ip.to_ipv6_mapped().into(), to.port()),
            _ => to,
        };
        let transmit = Transmit { destination, ecn, contents: bytes, segment_size: segment, src_ip: None };
        let sent = self.io.try_io(Interest::WRITABLE, || self.state.try_send((&self.io).into(), &transmit));
        if let Err(error) = sent {
            tracing::trace!(%to, %error, "packet dropped");
        }
    }
}

/// Neighbouring packets of a batch that go to one place.
struct Run {
    to: Option<SocketAddr>,
    start: usize,
    end: usize,
}

fn now(started: Instant) -> Now {
    Now { monotonic: started.elapsed(), unix: OffsetDateTime::now_utc().unix_timestamp() }
}
