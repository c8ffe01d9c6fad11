//! When the listening side sends probes to the addresses a client told it: each opens the agent's own NAT.
//!
//! Bounded: so many addresses, so many packets each, a new list at most once in a while, and so many addresses of one
//! person however many connections are held — an agent is nobody's port scanner. Addresses that cannot be a peer's
//! are left out: NATs keep ports above 1023 above 1023, so no client is at the port of a service, and none is on this
//! computer unless this side is only reachable from it.

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
            let [first, ..] = ip.octets();
            first != 0 && !ip.is_multicast() && !ip.is_broadcast() && !ip.is_link_local()
        }
        // The discard-only prefix is how relayed clients are named inside.
        IpAddr::V6(ip) => {
            !ip.is_multicast()
                && !ip.is_unspecified()
                && !ip.is_unicast_link_local()
                && !matches!(ip.segments(), [0x100, 0, 0, 0, ..])
        }
    };
    fine && addr.port() != 0
}

/// Whether a client may be at this address. `near` if this side itself is only on this computer.
pub fn clients(addr: SocketAddr, near: bool) -> bool {
    plausible(addr) && addr.port() >= 1024 && (near || !is_here(addr))
}

/// Whether it is this computer.
pub fn is_here(addr: SocketAddr) -> bool {
    addr.ip().to_canonical().is_loopback()
}

/// What a relay may say it sees us at: nothing on this computer, unless it is there itself.
pub fn believable(observed: SocketAddr, relay: SocketAddr) -> bool {
    plausible(observed) && (is_here(relay) || !is_here(observed))
}

/// New addresses of one person that are probed at once, and how long until one more is.
const ALLOWED: u32 = 64;
const ONE_MORE: Duration = Duration::from_secs(4);

/// How many more addresses may be probed for whom, over all of a person's connections.
#[derive(Debug, Default)]
pub struct Allowances(BTreeMap<String, (u32, Duration)>);

impl Allowances {
    /// Whether one more address may be probed for this person now.
    pub fn take(&mut self, person: &str, now: Duration) -> bool {
        // Who has not been asked for since is as good as new.
        self.0.retain(|_, (_, since)| now.saturating_sub(*since) < ONE_MORE * ALLOWED);
        let (used, since) = self.0.entry(person.to_owned()).or_insert((0, now));
        let earned = now.saturating_sub(*since).as_millis() / ONE_MORE.as_millis();
        if earned > 0 {
            *used = used.saturating_sub(u32::try_from(earned).unwrap_or(u32::MAX));
            *since = now;
        }
        let may = *used < ALLOWED;
        *used = used.saturating_add(u32::from(may));
        may
    }
}

/// Packets still to be sent.
#[derive(Debug, Default)]
pub struct Puncher {
    planned: VecDeque<(Duration, SocketAddr)>,
    started: BTreeMap<SocketAddr, Duration>,
}

impl Puncher {
    /// The client is, or may be, at these addresses; `allowed` is asked for each that is new.
    pub fn learn(&mut self, candidates: &[SocketAddr], now: Duration, mut allowed: impl FnMut() -> bool) {
        self.started.retain(|_, started| now.saturating_sub(*started) < REST);
        for addr in candidates.iter().copied().filter(|addr| plausible(*addr)) {
            if self.started.len() >= MAX_CANDIDATES || self.started.contains_key(&addr) || !allowed() {
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
            puncher.learn(&list, now, || true);
            sent += puncher.poll(now).len();
        }
        assert!(sent <= 16 * MAX_CANDIDATES * PUNCHES.len(), "{sent}");
    }

    #[test]
    fn addresses_that_are_nobodys_are_left_out() {
        let mut puncher = Puncher::default();
        let odd =
            ["0.0.0.0:5", "255.255.255.255:5", "224.0.0.1:5", "[ff02::1]:5", "[100::1]:5", "192.0.2.1:0"];
        puncher.learn(&odd.map(|addr| addr.parse().unwrap()), Duration::ZERO, || true);
        assert_eq!(puncher.due(), None);
        puncher.learn(&["192.0.2.1:9".parse().unwrap()], Duration::ZERO, || true);
        assert_eq!(puncher.poll(Duration::from_secs(2)).len(), PUNCHES.len());
    }

    #[test]
    fn a_client_is_never_at_a_services_port_nor_inside_the_agents_computer() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        for service in ["10.0.0.2:53", "10.0.0.2:123", "127.0.0.1:5353", "[::1]:8125", "169.254.169.254:4000"]
        {
            assert!(!clients(at(service), false), "{service}");
        }
        for client in ["10.0.0.2:50000", "192.0.2.9:1024", "[2001:db8::9]:4433"] {
            assert!(clients(at(client), false), "{client}");
        }
        assert!(clients(at("127.0.0.1:5353"), true), "an agent that listens on this computer only");
        assert!(!believable(at("127.0.0.1:53000"), at("192.0.2.1:443")), "a relay that lies");
        assert!(!believable(at("[::ffff:127.0.0.1]:53000"), at("192.0.2.1:443")));
        assert!(believable(at("198.51.100.1:53000"), at("192.0.2.1:443")));
    }

    /// Sixty-four connections of one person, each with new addresses all the time.
    #[test]
    fn many_connections_give_nobody_more_addresses_to_probe_and_take_none_from_others() {
        let mut allowances = Allowances::default();
        let mut probed = 0;
        for second in 0..600_u64 {
            probed += (0..1000).filter(|_| allowances.take("mallory", Duration::from_secs(second))).count();
            assert!(second % 60 != 0 || allowances.take("ada", Duration::from_secs(second)));
        }
        assert!(probed <= 64 + 600 / 4, "{probed}");
        let later = Duration::from_secs(900);
        assert_eq!((0..100).filter(|_| allowances.take("mallory", later)).count(), 64);
    }
}
