//! The words for ways to a peer, and which of them to take.
//!
//! `select` decides (pure: time and packets in, actions out), `better` which of two ways is worth a change, `state` is what is known of one path, `probe` how a
//! path is proven, `doors` when the peer is tried over TCP, `punch` when a listening side opens its NAT. Refused: a path whose far end did not prove, with a
//! key only the two ends of the connection have, that it is the peer.

use std::fmt;
use std::net::SocketAddr;

mod better;
pub mod doors;
pub mod probe;
pub mod punch;
pub mod report;
pub mod select;
pub mod state;

/// How packets reach the peer, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathKind {
    /// Straight to the peer's UDP socket.
    Direct,
    /// Straight to the peer, inside TLS on TCP.
    DirectTcp,
    /// Through a relay over UDP.
    Relay,
    /// Through a relay inside TLS on TCP, where UDP does not pass.
    RelayTcp,
}

/// One way to the peer. Relays are named by their place in the list they came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathKey {
    /// The peer's own address.
    Direct(SocketAddr),
    /// The same over TCP.
    DirectTcp(SocketAddr),
    /// A relay over UDP.
    Relay(usize),
    /// A relay over TCP.
    RelayTcp(usize),
}

impl PathKey {
    /// What kind of path it is.
    pub fn kind(self) -> PathKind {
        match self {
            Self::Direct(_) => PathKind::Direct,
            Self::DirectTcp(_) => PathKind::DirectTcp,
            Self::Relay(_) => PathKind::Relay,
            Self::RelayTcp(_) => PathKind::RelayTcp,
        }
    }
}

/// Which paths may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PathPreference {
    /// The best that works, changed while the session runs.
    #[default]
    Auto,
    /// Only straight to the agent, over UDP if it passes, else over TCP.
    Direct,
    /// Only straight to the agent over UDP.
    DirectUdp,
    /// Only straight to the agent over TCP.
    DirectTcp,
    /// Only relays, over UDP if it passes, else over TCP.
    Relay,
    /// Only relays over UDP.
    RelayUdp,
    /// Only relays over TCP.
    RelayTcp,
}

impl PathPreference {
    /// Whether a path of this kind may be used.
    pub fn allows(self, kind: PathKind) -> bool {
        match self {
            Self::Auto => true,
            Self::Direct => matches!(kind, PathKind::Direct | PathKind::DirectTcp),
            Self::DirectUdp => kind == PathKind::Direct,
            Self::DirectTcp => kind == PathKind::DirectTcp,
            Self::Relay => matches!(kind, PathKind::Relay | PathKind::RelayTcp),
            Self::RelayUdp => kind == PathKind::Relay,
            Self::RelayTcp => kind == PathKind::RelayTcp,
        }
    }
}

/// A relay and the ticket that admits us.
#[derive(Clone, PartialEq, Eq)]
pub struct RelayTarget {
    /// The relay's UDP socket; its TCP one has the same number.
    pub addr: SocketAddr,
    /// Where it may also take UDP.
    pub second: Option<SocketAddr>,
    /// The name its TLS certificate is for; a proxy is given this name, too.
    pub host: String,
    /// The held ticket, as the control plane gave it.
    pub ticket: String,
}

impl RelayTarget {
    /// A relay announced as `host:port` that resolved to `addr`. One on port 443 is also looked for on 3478: networks
    /// that block the one because of HTTP/3 often leave the other to calls.
    pub fn new(addr: SocketAddr, announced: &str, ticket: String) -> Self {
        let host = announced.rsplit_once(':').map_or(announced, |(host, _)| host);
        let second = (addr.port() == 443).then(|| SocketAddr::new(addr.ip(), 3478));
        Self { addr, second, host: host.trim_matches(['[', ']']).to_owned(), ticket }
    }
}

impl fmt::Debug for RelayTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayTarget")
            .field("addr", &self.addr)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for PathKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::DirectTcp => "direct-tcp",
            Self::Relay => "relay",
            Self::RelayTcp => "relay-tcp",
        })
    }
}
