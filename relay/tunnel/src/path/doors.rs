//! When the peer is tried over TCP: doors that are opened when nothing better works, a pure state machine.
//!
//! Bounded: so many addresses, one connection to each, and ever longer pauses after failures. Refused: further
//! addresses once there are enough, and another connection while one is open.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// Most addresses tried.
pub const MAX_DOORS: usize = 4;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A connection that was there for so long is worth another at once.
const LASTED: Duration = Duration::from_secs(5);

/// Why there is no TCP connection to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpFault {
    /// Nobody listens there.
    Refused,
    /// Nothing came back.
    NoAnswer,
    /// The system knows no way there.
    Unreachable,
    /// What answered is not the peer.
    NotThePeer,
    /// The peer does not take our certificate.
    NotTaken,
    /// It was there and ended.
    Ended,
    /// It was there and nothing came any more.
    Silent,
}

impl fmt::Display for TcpFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "nobody takes TCP connections there",
            Self::NoAnswer => "no answer over TCP",
            Self::Unreachable => "this computer has no way there",
            Self::NotThePeer => "what answers there is not the agent",
            Self::NotTaken => "the agent did not take our certificate",
            Self::Ended => "the TCP connection ended",
            Self::Silent => "the TCP connection went silent",
        })
    }
}

#[derive(Debug, Clone, Copy)]
enum Door {
    Shut {
        not_before: Duration,
        failures: u32,
        fault: Option<TcpFault>,
    },
    /// Why the last try failed is told until this one is decided.
    Opening {
        failures: u32,
        fault: Option<TcpFault>,
    },
    Open {
        since: Duration,
        failures: u32,
    },
}

/// See the module.
#[derive(Debug, Default)]
pub struct Doors {
    each: BTreeMap<SocketAddr, Door>,
    /// When this computer last moved: connections from before then end through no fault of the other side.
    moved: Option<Duration>,
}

impl Doors {
    /// An address to try.
    pub fn learn(&mut self, addr: SocketAddr) {
        if self.each.len() < MAX_DOORS {
            let shut = Door::Shut { not_before: Duration::ZERO, failures: 0, fault: None };
            self.each.entry(addr).or_insert(shut);
        }
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// The connection is there.
    pub fn opened(&mut self, addr: SocketAddr, now: Duration) {
        self.learn(addr);
        if let Some(door) = self.each.get_mut(&addr) {
            let failures = match door {
                Door::Shut { failures, .. }
                | Door::Opening { failures, .. }
                | Door::Open { failures, .. } => *failures,
            };
            *door = Door::Open { since: now, failures };
        }
    }

    /// It could not be made or ended soon, which makes the next try wait longer; one that lasted is made anew at once.
    pub fn shut(&mut self, addr: SocketAddr, fault: TcpFault, now: Duration) {
        let Some(door) = self.each.get_mut(&addr) else { return };
        let (not_before, failures) = match door {
            Door::Open { since, .. }
                if now.saturating_sub(*since) >= LASTED
                    || self.moved.is_some_and(|moved| *since <= moved) =>
            {
                (now, 0)
            }
            Door::Opening { failures, .. } | Door::Open { failures, .. } => {
                let pause = FIRST_PAUSE.saturating_mul(1_u32.checked_shl(*failures).unwrap_or(u32::MAX));
                (now + pause.min(LONGEST_PAUSE), failures.saturating_add(1))
            }
            Door::Shut { not_before, failures, .. } => (*not_before, *failures),
        };
        *door = Door::Shut { not_before, failures, fault: Some(fault) };
    }

    /// This computer moved: what failed before says nothing.
    pub fn moved(&mut self, now: Duration) {
        self.moved = Some(now);
        for door in self.each.values_mut() {
            if let Door::Shut { not_before, failures, .. } = door {
                (*not_before, *failures) = ((*not_before).min(now), 0);
            }
        }
    }

    /// The addresses with a connection.
    pub fn open(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.each.iter().filter(|(_, door)| matches!(door, Door::Open { .. })).map(|(addr, _)| *addr)
    }

    /// Why there is none at this address.
    pub fn fault(&self, addr: SocketAddr) -> TcpFault {
        match self.each.get(&addr) {
            Some(Door::Shut { fault: Some(fault), .. } | Door::Opening { fault: Some(fault), .. }) => *fault,
            _ => TcpFault::Ended,
        }
    }

    /// Where a connection could not be made, and why.
    pub fn faults(&self) -> impl Iterator<Item = (SocketAddr, TcpFault)> + '_ {
        self.each.iter().filter_map(|(addr, door)| match door {
            Door::Shut { fault: Some(fault), .. } | Door::Opening { fault: Some(fault), .. } => {
                Some((*addr, *fault))
            }
            _ => None,
        })
    }

    /// The addresses to connect to now, if one is wanted.
    pub fn poll(&mut self, wanted: bool, now: Duration) -> Vec<SocketAddr> {
        if !wanted || self.open().next().is_some() {
            return Vec::new();
        }
        let mut due = Vec::new();
        for (addr, door) in &mut self.each {
            if let Door::Shut { not_before, failures, fault } = *door
                && not_before <= now
            {
                *door = Door::Opening { failures, fault };
                due.push(*addr);
            }
        }
        due
    }

    /// When [`Doors::poll`] has something to do.
    pub fn due(&self, wanted: bool, now: Duration) -> Option<Duration> {
        if !wanted || self.open().next().is_some() {
            return None;
        }
        let shut = self.each.values().filter_map(|door| match door {
            Door::Shut { not_before, .. } => Some((*not_before).max(now)),
            _ => None,
        });
        shut.min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, n], 6432))
    }

    #[test]
    fn nobody_makes_us_try_many_addresses_or_one_often() {
        let mut doors = Doors::default();
        (0..200).for_each(|n| doors.learn(at(n)));
        let mut tries = 0;
        for second in 0..3600 {
            let now = Duration::from_secs(second);
            for addr in doors.poll(true, now) {
                tries += 1;
                doors.shut(addr, TcpFault::Refused, now);
            }
        }
        assert!(tries <= MAX_DOORS * (7 + 60), "{tries} in an hour");
        assert_eq!(doors.faults().count(), MAX_DOORS);
    }

    #[test]
    fn a_connection_that_ended_with_the_address_it_came_from_is_made_anew_at_once() {
        let mut doors = Doors::default();
        let now = Duration::from_secs(1);
        doors.learn(at(1));
        doors.opened(at(1), now);
        let then = now * 2;
        doors.moved(then);
        doors.shut(at(1), TcpFault::Ended, then);
        assert_eq!(doors.poll(true, then), [at(1)]);
        // On the new network nobody answers: patience as ever.
        doors.shut(at(1), TcpFault::NoAnswer, then);
        assert_eq!(doors.poll(true, then), []);
    }

    #[test]
    fn a_connection_that_ended_is_made_anew_at_once_and_none_beside_an_open_one() {
        let mut doors = Doors::default();
        let now = Duration::from_secs(5);
        doors.learn(at(1));
        doors.learn(at(2));
        assert_eq!(doors.poll(false, now), []);
        assert_eq!(doors.due(false, now), None);
        assert_eq!(doors.poll(true, now), [at(1), at(2)]);
        doors.opened(at(1), now);
        doors.shut(at(2), TcpFault::NoAnswer, now);
        assert_eq!(doors.poll(true, now * 100), []);
        let later = now + LASTED;
        doors.shut(at(1), TcpFault::Ended, later);
        assert_eq!(doors.due(true, later), Some(later));
        assert!(doors.poll(true, later).contains(&at(1)));
        // One that ends as soon as it is there is as good as none.
        doors.opened(at(1), later);
        doors.shut(at(1), TcpFault::Ended, later);
        assert_eq!(doors.poll(true, later), []);
    }
}
