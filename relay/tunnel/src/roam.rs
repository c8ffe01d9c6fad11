//! The dialling side's driver of [`Paths`]: moves probes, notices and time; what to do is decided there.

use crate::close::CloseCode;
use crate::direct_tcp::Carrier;
use crate::doorway::{DoorNews, Doorway};
use crate::network::Uplinks;
use crate::notice::{NoNotice, Notice};
use crate::own_addresses::own_addresses;
use crate::path::probe::{ProbeKey, ProbeKind};
use crate::path::punch::is_here;
use crate::path::report::PathNote;
use crate::path::select::{Action, Paths};
use crate::path::{PathKey, PathPreference, RelayTarget};
use crate::presence::{PATIENCE, Waiting};
use crate::relay_access::{AccessState, RelayAccess};
use crate::relay_link::LinkState;
use crate::socket::{PathSocket, Probes, Route, Via};
use crate::tls::Credentials;
use daam_identity::AgentPrincipal;
use futures_util::future::select_all;
use quinn::{Connection, RecvStream, SendStream};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

const WAITING_NOTICES: usize = 8;

/// What to begin with.
pub(crate) struct Start {
    pub(crate) socket: Arc<PathSocket>,
    pub(crate) connection: Connection,
    pub(crate) control: (SendStream, RecvStream),
    pub(crate) key: ProbeKey,
    pub(crate) probes: Probes,
    pub(crate) relays: Vec<RelayAccess>,
    pub(crate) direct: Vec<SocketAddr>,
    pub(crate) prefer: PathPreference,
    /// Newer tickets for the relays.
    pub(crate) tickets: watch::Receiver<Vec<RelayTarget>>,
    /// The virtual address QUIC knows the peer by, and the way its handshake took.
    pub(crate) peer: SocketAddr,
    pub(crate) active: (PathKey, Route),
    /// Whom to connect to over TCP, as whom, and the connection the handshake took if it did.
    pub(crate) agent: AgentPrincipal,
    pub(crate) credentials: watch::Receiver<Arc<Credentials>>,
    pub(crate) carrier: Option<(SocketAddr, Carrier)>,
    /// Why this side ended the connection, if it does.
    pub(crate) ended: Arc<OnceLock<String>>,
}

struct Roaming {
    socket: Arc<PathSocket>,
    connection: Connection,
    outgoing: mpsc::Sender<Vec<u8>>,
    key: ProbeKey,
    peer: SocketAddr,
    started: Instant,
    paths: Paths,
    routes: BTreeMap<PathKey, Route>,
    relays: Vec<watch::Receiver<AccessState>>,
    tickets: watch::Receiver<Vec<RelayTarget>>,
    report: watch::Sender<Vec<PathNote>>,
    /// Whether the agent may be on this computer: a relay or an address we were given is.
    near: bool,
    doorway: Doorway,
    uplinks: Uplinks,
    waiting: Waiting,
    ended: Arc<OnceLock<String>>,
}

enum Event {
    Probe(Route, Vec<u8>),
    Notice(Notice),
    Relays,
    Tickets,
    Door(DoorNews),
    Network,
    Tick,
    Ended,
}

/// Keeps the session on the best path that works, until the connection ends.
pub(crate) async fn roam(start: Start, report: watch::Sender<Vec<PathNote>>) {
    let Start {
        socket,
        connection,
        control,
        key,
        mut probes,
        relays,
        direct,
        prefer,
        tickets,
        peer,
        active,
        ..
    } = start;
    let (doorway, mut doors) = Doorway::new(start.agent, start.credentials, &socket, start.carrier);
    let (control, incoming) = control;
    let (notices, mut told) = mpsc::channel(WAITING_NOTICES);
    let reading = AbortOnDropHandle::new(tokio::spawn(read_notices(connection.clone(), incoming, notices)));
    let (outgoing, written) = mpsc::channel(WAITING_NOTICES);
    let writing = AbortOnDropHandle::new(tokio::spawn(write_notices(control, written)));
    let started = Instant::now();
    socket.listen_for(key.tag());
    let near = direct.iter().copied().chain(relays.iter().map(RelayAccess::addr)).any(is_here);
    let mut roaming = Roaming {
        uplinks: Uplinks::new(socket.network.changes()),
        waiting: Waiting::default(),
        ended: start.ended,
        paths: Paths::new(prefer, active.0, Duration::ZERO),
        routes: BTreeMap::from([active]),
        relays: relays.iter().map(RelayAccess::state).collect(),
        tickets,
        near,
        doorway,
        socket,
        connection,
        outgoing,
        key,
        peer,
        started,
        report,
    };
    roaming.socket.routes().point(peer, active.1);
    roaming.begin(active.0, direct, &relays);
    loop {
        roaming.act();
        match roaming.next((&mut probes, &mut told, &mut doors)).await {
            Event::Probe(route, packet) => roaming.probed(route, &packet),
            Event::Notice(Notice::Candidates(addresses)) => roaming.offer_all(addresses),
            Event::Relays => roaming.relays_changed(),
            Event::Tickets => roaming.renew(&relays),
            Event::Door(news) => roaming.door(news),
            Event::Network => roaming.network_changed(),
            Event::Notice(Notice::Moved) | Event::Tick => {}
            Event::Ended => break,
        }
    }
    drop((reading, writing, relays));
}

/// Notices read at once, and how long until one more is: more wait in the stream, whose window is bounded.
const NOTICES: u32 = 32;
const ONE_MORE: Duration = Duration::from_millis(250);

/// Reads until the stream ends, no faster than an honest peer writes; what is no notice ends the connection.
pub(crate) async fn read_notices(
    connection: Connection,
    mut stream: RecvStream,
    notices: mpsc::Sender<Notice>,
) {
    let (mut left, mut since) = (NOTICES, Instant::now());
    loop {
        let earned = u32::try_from(since.elapsed().as_millis() / ONE_MORE.as_millis()).unwrap_or(NOTICES);
        if earned > 0 {
            (left, since) = (left.saturating_add(earned).min(NOTICES), Instant::now());
        }
        if left == 0 {
            tokio::time::sleep(ONE_MORE).await;
            continue;
        }
        left -= 1;
        match Notice::read(&mut stream).await {
            Ok(notice) => {
                if notices.send(notice).await.is_err() {
                    return;
                }
            }
            Err(NoNotice::Ended) => return,
            Err(NoNotice::Unknown) => {
                connection.close(CloseCode::Protocol.wire(), b"unknown notice; update daam");
                return;
            }
        }
    }
}

impl Roaming {
    /// What is known when the session begins.
    fn begin(&mut self, active: PathKey, direct: Vec<SocketAddr>, relays: &[RelayAccess]) {
        for relay in relays {
            self.uplinks.note(relay.addr());
        }
        if let PathKey::DirectTcp(addr) = active {
            self.uplinks.note(addr);
            self.paths.opened(addr, Duration::ZERO);
        }
        self.offer_all(direct);
        self.relays_changed();
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    async fn next(
        &mut self,
        (probes, told, doors): (&mut Probes, &mut mpsc::Receiver<Notice>, &mut mpsc::Receiver<DoorNews>),
    ) -> Event {
        let due = self.started + self.paths.due(self.now());
        let relays = async {
            if self.relays.is_empty() {
                return std::future::pending::<()>().await;
            }
            let waiting = self.relays.iter_mut().map(|state| Box::pin(state.changed()));
            let (changed, _, rest) = select_all(waiting).await;
            drop(rest);
            if changed.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            _ = self.connection.closed() => Event::Ended,
            Some((route, packet)) = probes.recv() => Event::Probe(route, packet),
            Some(notice) = told.recv() => Event::Notice(notice),
            Some(news) = doors.recv() => Event::Door(news),
            () = relays => Event::Relays,
            Ok(()) = self.tickets.changed() => Event::Tickets,
            _ = self.uplinks.changed() => Event::Network,
            () = self.socket.news() => Event::Tick,
            () = tokio::time::sleep_until(due) => Event::Tick,
        }
    }

    fn offer_all(&mut self, addresses: Vec<SocketAddr>) {
        for addr in addresses {
            self.offer_direct(addr);
        }
    }

    fn offer_direct(&mut self, addr: SocketAddr) {
        let key = PathKey::Direct(addr);
        if !self.near && is_here(addr) {
            return;
        }
        self.paths.door(addr);
        if self.paths.offer(key, self.now()) {
            self.uplinks.note(addr);
            self.routes.insert(key, Route::Direct(addr));
            self.socket.routes().admit(self.peer, Route::Direct(addr));
        }
    }

    fn door(&mut self, news: DoorNews) {
        let now = self.now();
        match news {
            DoorNews::Opened(addr, route) => {
                let key = PathKey::DirectTcp(addr);
                self.routes.insert(key, route);
                self.uplinks.note(addr);
                self.paths.opened(addr, now);
                if self.paths.active() == key {
                    self.socket.routes().point(self.peer, route);
                    self.tell(&Notice::Moved);
                } else {
                    self.socket.routes().admit(self.peer, route);
                }
            }
            DoorNews::Shut(addr, route, fault) => {
                let key = PathKey::DirectTcp(addr);
                // One that was given up and made anew is not the one that ended.
                if route.is_none() || self.routes.get(&key).copied() == route {
                    self.forget(key);
                    self.paths.shut(addr, fault, now);
                }
            }
        }
    }

    fn forget(&mut self, key: PathKey) {
        if let Some(route) = self.routes.remove(&key) {
            self.socket.routes().forget(route);
        }
    }

    fn renew(&mut self, relays: &[RelayAccess]) {
        for target in self.tickets.borrow_and_update().iter() {
            for relay in relays.iter().filter(|relay| relay.addr() == target.addr) {
                if let Err(error) = relay.renew(&target.ticket) {
                    tracing::warn!(relay = %target.addr, %error, "the new relay ticket cannot be used");
                }
            }
        }
    }

    fn probed(&mut self, route: Route, packet: &[u8]) {
        let Some(probe) = self.key.open(packet) else { return };
        let now = self.now();
        let known = self.routes.iter().find(|(_, known)| **known == route).map(|(key, _)| *key);
        match (probe.kind(), known, route) {
            (ProbeKind::Pong, Some(key), _) => {
                self.waiting.heard(now);
                let back = key == self.paths.active() && self.paths.is_doubtful(now);
                self.paths.answered(key, probe, now);
                if back {
                    // What was lost meanwhile is sent again when this is acknowledged.
                    self.tell(&Notice::Moved);
                }
            }
            (ProbeKind::Pong, None, _) => {}
            (ProbeKind::Ping, _, _) => {
                self.socket.send_probe(route, &self.key.seal(ProbeKind::Pong, probe.transaction()));
                // The peer is behind an address nobody told us.
                if let (None, Route::Direct(addr)) = (known, route) {
                    self.offer_direct(addr);
                }
            }
        }
    }

    fn relays_changed(&mut self) {
        let states: Vec<AccessState> =
            self.relays.iter_mut().map(|state| state.borrow_and_update().clone()).collect();
        for (n, state) in states.iter().enumerate() {
            self.relay(PathKey::Relay(n), state.udp.as_ref());
            self.relay(PathKey::RelayTcp(n), state.tcp.as_ref());
        }
        let towards = self.routes.values().filter_map(|route| match route {
            Route::Direct(addr) | Route::Relay { via: Via::Udp(addr), .. } => Some(*addr),
            Route::Relay { .. } | Route::Carrier(_) => None,
        });
        let bound = SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), self.socket.port());
        let ours = own_addresses(bound, states.iter().filter_map(AccessState::observed), towards);
        self.paths.ours(ours);
    }

    /// Addresses came or went, or this computer woke up: every way that packets leave by may be another one now.
    fn network_changed(&mut self) {
        tracing::info!("this computer is elsewhere now; every way is tried again");
        self.paths.moved(self.now());
        self.relays_changed();
        self.tell(&Notice::Moved);
    }

    fn relay(&mut self, key: PathKey, state: Option<&(Via, LinkState)>) {
        let now = self.now();
        let Some((via, session)) = state.and_then(|(via, state)| Some((*via, state.session()?))) else {
            if self.routes.contains_key(&key) {
                self.paths.withdraw(key, now);
            }
            return;
        };
        let route = Route::Relay { via, session };
        let old = self.routes.insert(key, route).filter(|old| *old != route);
        if let Some(old) = old {
            self.socket.routes().forget(old);
        }
        if self.paths.active() == key {
            self.socket.routes().point(self.peer, route);
            if old.is_some() {
                self.tell(&Notice::Moved);
            }
        } else {
            self.socket.routes().admit(self.peer, route);
        }
        if state.is_some_and(|(_, state)| state.is_bound()) {
            self.paths.offer(key, now);
        } else {
            self.paths.leaving(key, now);
        }
    }

    /// Tells the machine what happened and does what it says.
    fn act(&mut self) {
        let since = |at: Instant| at.saturating_duration_since(self.started);
        for (key, route) in &self.routes {
            let seen = self.socket.routes().take_seen(*route);
            if let Some(heard) = seen.heard {
                self.paths.heard(*key, since(heard));
            }
            if seen.failing {
                self.paths.failing(*key, self.started.elapsed());
            }
        }
        self.paths.traffic(since(self.socket.traffic()));
        let now = self.now();
        if self.waiting.is_over(self.uplinks.any(), now) {
            let words = format!("the agent has not answered for {} minutes", PATIENCE.as_secs() / 60);
            let words = self.ended.get_or_init(|| words);
            self.connection.close(CloseCode::Done.wire(), words.as_bytes());
        }
        for action in self.paths.poll(now) {
            match action {
                Action::Probe { to, transaction } => {
                    if let Some(route) = self.routes.get(&to) {
                        self.socket.send_probe(*route, &self.key.seal(ProbeKind::Ping, transaction));
                    }
                }
                Action::Switch { to, why } => {
                    if let Some(route) = self.routes.get(&to) {
                        tracing::info!(?to, ?why, "the path changed");
                        self.socket.routes().point(self.peer, *route);
                        self.tell(&Notice::Moved);
                    }
                }
                Action::Announce(addresses) => self.tell(&Notice::Candidates(addresses)),
                Action::Close(key) => self.forget(key),
                Action::Open(addr) => self.doorway.open(addr),
                Action::Shut(addr) => {
                    self.doorway.shut(addr);
                    self.forget(PathKey::DirectTcp(addr));
                }
            }
        }
        let report = self.paths.report(now);
        self.report.send_if_modified(|known| std::mem::replace(known, report.clone()) != report);
    }

    /// Notices are small; a peer that takes none has a full window, and the next one will do.
    fn tell(&self, notice: &Notice) {
        if self.outgoing.try_send(notice.encode()).is_err() {
            tracing::debug!("a notice could not be sent");
        }
    }
}

async fn write_notices(mut stream: SendStream, mut notices: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = notices.recv().await {
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
