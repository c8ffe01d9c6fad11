//! What of a received batch stays in place, and what comes later.

use std::collections::VecDeque;
use std::net::SocketAddr;

/// Most packets kept when one batch mixed several sessions.
pub(super) const MAX_STASH: usize = 256;

/// A packet for QUIC that did not fit its batch, or came over TCP.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) from: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

/// Packets for the next time.
#[derive(Debug, Default)]
pub(super) struct Stash(VecDeque<Packet>);

impl Stash {
    pub(super) fn keep(&mut self, from: SocketAddr, packet: &[u8]) {
        if self.0.len() < MAX_STASH {
            self.0.push_back(Packet { from, bytes: packet.to_vec() });
        }
    }

    pub(super) fn take(&mut self) -> Option<Packet> {
        self.0.pop_front()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// What of a batch stays in place: packets of one source, all of one size but the last.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) source: Option<SocketAddr>,
    pub(super) stride: usize,
    pub(super) len: usize,
}

impl Kept {
    pub(super) fn takes(&mut self, source: SocketAddr, length: usize) -> bool {
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
