//! The words for ways to a peer: direct, or through a relay with a ticket.

use std::fmt;
use std::net::SocketAddr;

/// How packets reach the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PathKind {
    /// Straight to the peer's UDP socket.
    Direct,
    /// Through a relay over UDP.
    Relay,
}

/// Which paths may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PathPreference {
    /// Direct if it answers, else a relay.
    #[default]
    Auto,
    /// Only direct.
    Direct,
    /// Only relays.
    Relay,
}

/// A relay and the ticket that admits us.
#[derive(Clone, PartialEq, Eq)]
pub struct RelayTarget {
    /// The relay's UDP socket.
    pub addr: SocketAddr,
    /// The held ticket, as the control plane gave it.
    pub ticket: String,
}

impl fmt::Debug for RelayTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayTarget").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl fmt::Display for PathKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Relay => "relay",
        })
    }
}
