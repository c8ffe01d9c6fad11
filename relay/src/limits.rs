//! Every bound of the relay in one place, and the token bucket that keeps the rates.

use std::time::Duration;

/// The bounds. All memory the relay uses is a multiple of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Agents bound at once.
    pub agents: usize,
    /// Sessions at once.
    pub sessions: usize,
    /// Sessions of one agent, whatever its ticket says.
    pub sessions_per_agent: usize,
    /// Sessions of one client's ticket, whatever it says.
    pub sessions_per_ticket: usize,
    /// Client sessions from one network, so that one member cannot take all of an agent's.
    pub sessions_per_network: usize,
    /// Source networks whose BIND rate is remembered.
    pub networks: usize,
    /// TCP connections at once.
    pub connections: usize,
    /// TCP connections from one network.
    pub connections_per_network: usize,
    /// TCP connections from one provider, which may own very many networks.
    pub connections_per_provider: usize,
    /// How long a TCP connection may be bound to nothing.
    pub unbound: Duration,
    /// Packets taken from a TCP connection before it is bound.
    pub unbound_packets: u32,
    /// BINDs per second from one network, after it proved its address.
    pub binds_per_second: u64,
    /// The same from one provider, so that one that owns many networks cannot fill what is remembered of them.
    pub provider_binds_per_second: u64,
    /// Answers about unknown sessions per second, to everyone together.
    pub answers_per_second: u64,
    /// Challenges per second, to everyone together: each costs two hashes and is smaller than the question.
    pub challenges_per_second: u64,
    /// Bytes per second of one client's ticket, both directions and all its sessions, whatever it says.
    pub ticket_bytes_per_second: u64,
    /// Bytes per second of all sessions of one agent, whatever its ticket says.
    pub agent_bytes_per_second: u64,
    /// Silence after which a binding or session is forgotten.
    pub idle: Duration,
    /// Longest life of a session: a certificate's and a little.
    pub session_life: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            agents: 1_024,
            sessions: 16_384,
            sessions_per_agent: 2_048,
            sessions_per_ticket: 16,
            sessions_per_network: 512,
            networks: 8_192,
            connections: 8_192,
            connections_per_network: 512,
            connections_per_provider: 2_048,
            unbound: Duration::from_secs(10),
            unbound_packets: 64,
            binds_per_second: 20,
            provider_binds_per_second: 320,
            answers_per_second: 5_000,
            challenges_per_second: 50_000,
            ticket_bytes_per_second: 1_000_000_000,
            agent_bytes_per_second: 10_000_000_000,
            idle: Duration::from_secs(60),
            session_life: Duration::from_secs(13 * 3600),
        }
    }
}

/// Allows `rate` units per second, and one second's worth at once.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    tokens: u64,
    refilled: Duration,
}

impl Bucket {
    /// Full.
    pub fn new(rate: u64, now: Duration) -> Self {
        Self { tokens: rate, refilled: now }
    }

    /// Takes `units`, or says that there are not enough.
    pub fn take(&mut self, units: u64, rate: u64, now: Duration) -> bool {
        self.refill(rate, now);
        match self.tokens.checked_sub(units) {
            Some(left) => {
                self.tokens = left;
                true
            }
            None => false,
        }
    }

    /// Whether forgetting this bucket would change nothing.
    pub fn is_full(&mut self, rate: u64, now: Duration) -> bool {
        self.refill(rate, now);
        self.tokens >= rate
    }

    fn refill(&mut self, rate: u64, now: Duration) {
        let elapsed = now.saturating_sub(self.refilled).as_micros();
        let earned = elapsed.saturating_mul(u128::from(rate)) / 1_000_000;
        // Less than one unit earned: leave the time standing, or a slow trickle would never earn anything.
        if earned > 0 {
            self.tokens = self.tokens.saturating_add(u64::try_from(earned).unwrap_or(u64::MAX)).min(rate);
            self.refilled = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_rate_and_no_more() {
        let mut bucket = Bucket::new(10, Duration::ZERO);
        assert!(bucket.take(10, 10, Duration::ZERO));
        assert!(!bucket.take(1, 10, Duration::from_millis(99)));
        assert!(bucket.take(1, 10, Duration::from_millis(100)));
        assert!(!bucket.take(1, 10, Duration::from_millis(150)));
        assert!(bucket.is_full(10, Duration::from_secs(100)));
        assert!(!bucket.take(11, 10, Duration::from_secs(200)));
    }
}
