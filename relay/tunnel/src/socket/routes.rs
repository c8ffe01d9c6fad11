//! Which way packets really go, and under which address QUIC knows who sent them: tables without sockets.
//!
//! A dialling side names each peer by a virtual IPv4 address and takes packets for it from every path it admitted; a
//! listening side sees each relayed client under a virtual IPv6 address in the discard-only prefix.

use crate::path::PathKind;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Port of all virtual addresses.
const VIRTUAL_PORT: u16 = 4433;

/// How a relay is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Via {
    /// At this UDP address.
    Udp(SocketAddr),
    /// Over the TCP connection of this number.
    Tcp(u16),
}

/// Where packets for a peer really go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Route {
    Direct(SocketAddr),
    /// Over the TCP connection to the peer of this number.
    Carrier(u32),
    Relay {
        via: Via,
        session: u32,
    },
}

/// Packets for a TCP connection; one entry is what QUIC sent at once.
pub(crate) type Frames = mpsc::Sender<Vec<Vec<u8>>>;

#[derive(Debug)]
struct Relay {
    index: u16,
    control: mpsc::Sender<Vec<u8>>,
    frames: Option<Frames>,
}

#[derive(Debug)]
struct Source {
    peer: SocketAddr,
    heard: Option<Instant>,
    failing: bool,
}

/// What happened on a path since it was asked last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    /// When something last arrived.
    pub(crate) heard: Option<Instant>,
    /// Whether the system refused to send.
    pub(crate) failing: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// Virtual address of a dialled peer → how to reach it.
    peers: BTreeMap<SocketAddr, Route>,
    /// The reverse, for what arrives: every path of a peer.
    sources: BTreeMap<Route, Source>,
    /// Relays we talk to, with the task that handles their control packets.
    relays: BTreeMap<Via, Relay>,
    next_relay: u16,
    /// TCP connections straight to the peer, or of one.
    carriers: BTreeMap<u32, Frames>,
    next_carrier: u32,
}

impl Routes {
    pub(crate) fn point(&mut self, peer: SocketAddr, route: Route) {
        self.peers.insert(peer, route);
        self.admit(peer, route);
    }

    /// Packets that come this way are the peer's, as far as anybody can tell before QUIC decrypts them.
    pub(crate) fn admit(&mut self, peer: SocketAddr, route: Route) {
        let known = self.sources.entry(route).or_insert(Source { peer, heard: None, failing: false });
        known.peer = peer;
    }

    pub(crate) fn forget(&mut self, route: Route) {
        self.sources.remove(&route);
    }

    pub(crate) fn take_seen(&mut self, route: Route) -> Seen {
        self.sources.get_mut(&route).map_or_else(Seen::default, |source| Seen {
            heard: source.heard,
            failing: std::mem::take(&mut source.failing),
        })
    }

    /// Whether it is news that sending this way fails.
    pub(crate) fn failed(&mut self, route: Route) -> bool {
        self.sources.get_mut(&route).is_some_and(|source| !std::mem::replace(&mut source.failing, true))
    }

    pub(crate) fn add_udp(&mut self, relay: SocketAddr, control: mpsc::Sender<Vec<u8>>) -> Via {
        let via = Via::Udp(plain(relay));
        let index = self.next();
        self.relays.insert(via, Relay { index, control, frames: None });
        via
    }

    pub(crate) fn add_tcp(&mut self, control: mpsc::Sender<Vec<u8>>, frames: Frames) -> Via {
        let index = self.next();
        self.relays.insert(Via::Tcp(index), Relay { index, control, frames: Some(frames) });
        Via::Tcp(index)
    }

    pub(crate) fn add_carrier(&mut self, frames: Frames) -> Route {
        let number = self.next_carrier;
        self.next_carrier = number.wrapping_add(1);
        self.carriers.insert(number, frames);
        Route::Carrier(number)
    }

    pub(crate) fn remove_carrier(&mut self, route: Route) {
        if let Route::Carrier(number) = route {
            self.carriers.remove(&number);
        }
        self.sources.remove(&route);
    }

    /// Where packets of a TCP connection straight to the peer go.
    pub(crate) fn carrier(&self, number: u32) -> Option<&Frames> {
        self.carriers.get(&number)
    }

    fn next(&mut self) -> u16 {
        let index = self.next_relay;
        self.next_relay = index.wrapping_add(1);
        index
    }

    pub(crate) fn remove(&mut self, via: Via) {
        self.relays.remove(&via);
        self.sources.retain(|route, _| !matches!(route, Route::Relay { via: of, .. } if *of == via));
    }

    pub(crate) fn frames(&self, via: Via) -> Option<&Frames> {
        self.relays.get(&via)?.frames.as_ref()
    }

    /// Hands a relay's own packet to its task; `false` if there is none or it is busy.
    pub(crate) fn control(&self, via: Via, packet: &[u8]) -> bool {
        self.relays.get(&via).is_some_and(|relay| relay.control.try_send(packet.to_vec()).is_ok())
    }

    /// Where a packet for `destination` really goes; `None` if there is no way.
    pub(crate) fn route(&self, destination: SocketAddr) -> Option<Route> {
        let destination = plain(destination);
        if let Some(route) = self.peers.get(&destination) {
            return Some(*route);
        }
        match virtual_of(destination) {
            None => Some(Route::Direct(destination)),
            Some(Virtual::Carrier(number)) => Some(Route::Carrier(number)),
            Some(Virtual::Relay { index, session }) => {
                let found = self.relays.iter().find(|(_, relay)| relay.index == index);
                found.map(|(via, _)| Route::Relay { via: *via, session })
            }
        }
    }

    pub(crate) fn is_peer(&self, destination: SocketAddr) -> bool {
        self.peers.contains_key(&plain(destination))
    }

    /// The address QUIC knows the sender of a packet by; `strangers` are let in by listening sides.
    pub(crate) fn source(&mut self, route: Route, strangers: bool) -> Option<SocketAddr> {
        if let Route::Relay { via, .. } = route
            && !self.relays.contains_key(&via)
        {
            return None;
        }
        if let Route::Carrier(number) = route
            && !self.carriers.contains_key(&number)
        {
            return None;
        }
        if let Some(source) = self.sources.get_mut(&route) {
            source.heard = Some(Instant::now());
            return Some(source.peer);
        }
        match route {
            _ if !strangers => None,
            Route::Direct(from) => virtual_of(from).is_none().then_some(from),
            Route::Carrier(number) => Some(virtual_carrier(number)),
            Route::Relay { via, session } => {
                self.relays.get(&via).map(|relay| virtual_client(relay.index, session))
            }
        }
    }

    pub(crate) fn is_relay(&self, via: Via) -> bool {
        self.relays.contains_key(&via)
    }
}

/// The `n`-th virtual peer of a dialling side.
pub(crate) fn virtual_peer(n: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 18, 1, n)), VIRTUAL_PORT)
}

/// The kind of way an address stands for that QUIC reports.
pub(crate) fn kind_of(addr: SocketAddr) -> PathKind {
    match virtual_of(plain(addr)) {
        None => PathKind::Direct,
        Some(Virtual::Carrier(_)) => PathKind::DirectTcp,
        Some(Virtual::Relay { .. }) => PathKind::Relay,
    }
}

pub(crate) fn plain(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// What an address inside 100::/64 stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Virtual {
    Relay { index: u16, session: u32 },
    Carrier(u32),
}

const RELAYED: u16 = 0;
const CARRIED: u16 = 1;

/// A relayed client as the listening side sees it: relay and session.
fn virtual_client(relay: u16, session: u32) -> SocketAddr {
    virtual_addr(relay, RELAYED, session)
}

/// A client that came over TCP as the listening side sees it.
fn virtual_carrier(number: u32) -> SocketAddr {
    virtual_addr(0, CARRIED, number)
}

fn virtual_addr(relay: u16, what: u16, number: u32) -> SocketAddr {
    let [a, b, c, d] = number.to_be_bytes();
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x100, 0, 0, 0, relay, what, high, low)), VIRTUAL_PORT)
}

fn virtual_of(addr: SocketAddr) -> Option<Virtual> {
    let IpAddr::V6(ip) = addr.ip() else { return None };
    match ip.segments() {
        [0x100, 0, 0, 0, index, what, high, low] => {
            let number = (u32::from(high) << 16) | u32::from(low);
            Some(if what == CARRIED {
                Virtual::Carrier(number)
            } else {
                Virtual::Relay { index, session: number }
            })
        }
        _ => None,
    }
}
