//! What people are told about paths: which one is used, how fast it is, and why a better one is not.

use super::doors::TcpFault;
use super::{PathKey, PathKind};
use std::fmt;
use std::time::Duration;

/// How it stands with one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It carries the session.
    InUse,
    /// It works and would be taken if the one in use failed.
    Ready,
    /// It works, and was dead a short while ago.
    Resting {
        /// Until it may be chosen again.
        left: Duration,
    },
    /// It never answered.
    NeverAnswered {
        /// Since it was first tried.
        tried: Duration,
    },
    /// It answered once, not any more.
    Silent {
        /// Since its last answer or its death.
        quiet: Duration,
    },
    /// Its relay is being shut down.
    Leaving,
    /// Its relay does not carry us.
    Gone,
    /// There is no TCP connection to the peer.
    NoTcp(TcpFault),
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("in use"),
            Self::Ready => f.write_str("ready"),
            Self::Resting { left } => {
                write!(f, "works again; trusted in {} s if it stays up", left.as_secs().saturating_add(1))
            }
            Self::NeverAnswered { tried } => write!(f, "no answer in {} s", tried.as_secs()),
            Self::Silent { quiet } => write!(f, "silent for {} s", quiet.as_secs()),
            Self::Leaving => f.write_str("the relay is being shut down"),
            Self::Gone => f.write_str("the relay does not carry us"),
            Self::NoTcp(fault) => fault.fmt(f),
        }
    }
}

/// One path, as told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathNote {
    /// Which.
    pub key: PathKey,
    /// Its round trip, if it ever answered.
    pub rtt: Option<Duration>,
    /// How it stands.
    pub condition: Condition,
}

impl PathNote {
    /// Its kind.
    pub fn kind(&self) -> PathKind {
        self.key.kind()
    }
}
