//! When the listening side sends probes to the addresses a client told it: each opens the agent's own NAT.
//!
//! Bounded: so many addresses, so many packets each, and a new list at most once in a while — an agent is nobody's
//! port scanner. Addresses that cannot be a peer's are left out.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Most addresses taken from a peer.
pub const MAX_CANDIDATES: usize = 16;
/// When each address is probed, counted from when it was learnt.
pub const PUNCHES: [Duration; 7] = [
    Duration::ZERO,
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
];
/// Between two volleys at one address.
const REST: Duration = Duration::from_secs(4);

/// Whether a peer may be at this address at all.
pub fn plausible(addr: SocketAddr) -> bool {
    let fine = match addr.ip().to_canonical() {
        IpAddr::V4(ip) => {
            !ip.is_multicast() && !ip.is_broadcast() && !ip.is_unspecified() && ip.octets() != [0; 4]
        }
        // The discard-only prefix is how relayed clients are named inside.
        IpAddr::V6(ip) => {
            !ip.is_multicast() && !ip.is_unspecified() && !matches!(ip.segments(), [0x100, 0, 0, 0, ..])
        }
    };
    fine && addr.port() != 0
}

/// Packets still to be sent.
#[derive(Debug, Default)]
pub struct Puncher {
    planned: VecDeque<(Duration, SocketAddr)>,
    started: BTreeMap<SocketAddr, Duration>,
}

impl Puncher {
    /// The client is, or may be, at these addresses.
    pub fn learn(&mut self, candidates: &[SocketAddr], now: Duration) {
        self.started.retain(|_, started| now.saturating_sub(*started) < REST);
        for addr in candidates.iter().copied().filter(|addr| plausible(*addr)) {
            if self.started.len() >= MAX_CANDIDATES || self.started.contains_key(&addr) {
                continue;
            }
            self.started.insert(addr, now);
            self.planned.extend(PUNCHES.map(|after| (now + after, addr)));
        }
        self.planned.make_contiguous().sort();
    }

    /// When [`Puncher::poll`] has something to do.
    pub fn due(&self) -> Option<Duration> {
        self.planned.front().map(|(at, _)| *at)
    }

    /// The addresses to probe now.
    pub fn poll(&mut self, now: Duration) -> Vec<SocketAddr> {
        let mut out = Vec::new();
        while let Some((_, addr)) = self.planned.pop_front_if(|(at, _)| *at <= now) {
            out.push(addr);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_cannot_make_an_agent_scan_ports() {
        let mut puncher = Puncher::default();
        let mut sent = 0;
        // A minute of a thousand new addresses every tenth of a second.
        for round in 0..600_u64 {
            let now = Duration::from_millis(round * 100);
            let list: Vec<SocketAddr> =
                (1..1000).map(|port| SocketAddr::new([192, 0, 2, 1].into(), 1000 + port)).collect();
            puncher.learn(&list, now);
            sent += puncher.poll(now).len();
        }
        assert!(sent <= 16 * MAX_CANDIDATES * PUNCHES.len(), "{sent}");
    }

    #[test]
    fn addresses_that_are_nobodys_are_left_out() {
        let mut puncher = Puncher::default();
        let odd =
            ["0.0.0.0:5", "255.255.255.255:5", "224.0.0.1:5", "[ff02::1]:5", "[100::1]:5", "192.0.2.1:0"];
        puncher.learn(&odd.map(|addr| addr.parse().unwrap()), Duration::ZERO);
        assert_eq!(puncher.due(), None);
        puncher.learn(&["192.0.2.1:9".parse().unwrap()], Duration::ZERO);
        assert_eq!(puncher.poll(Duration::from_secs(2)).len(), PUNCHES.len());
    }
}
