//! How much a relay carries for whom: signed into tickets here, enforced by relays, which may allow less.

use clap::Args;
use daam_identity::ticket::{TicketRole, TrafficClass};

/// The classes of the two kinds of tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Of one `daam connect`, `daam psql` or `daam run`.
    pub clients: TrafficClass,
    /// Of all the developers of one agent together.
    pub agents: TrafficClass,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            clients: TrafficClass::usual(TicketRole::Client),
            agents: TrafficClass::usual(TicketRole::Agent),
        }
    }
}

/// As options.
#[derive(Debug, Clone, Copy, Args)]
pub struct TrafficArgs {
    /// Bytes per second a relay carries for one tunnel of a developer.
    #[arg(long, value_name = "BYTES", default_value_t = Traffic::default().clients.bytes_per_second,
        value_parser = clap::value_parser!(u64).range(LEAST_RATE..))]
    client_rate: u64,
    /// Bytes per second a relay carries for one agent, all its developers together.
    #[arg(long, value_name = "BYTES", default_value_t = Traffic::default().agents.bytes_per_second,
        value_parser = clap::value_parser!(u64).range(LEAST_RATE..))]
    agent_rate: u64,
    /// Sessions a relay carries at once for one agent.
    #[arg(long, value_name = "COUNT", default_value_t = Traffic::default().agents.sessions,
        value_parser = clap::value_parser!(u32).range(1..))]
    agent_sessions: u32,
}

/// Less would not carry a handshake.
const LEAST_RATE: u64 = 100_000;

impl From<TrafficArgs> for Traffic {
    fn from(args: TrafficArgs) -> Self {
        let usual = Self::default();
        Self {
            clients: TrafficClass { bytes_per_second: args.client_rate, ..usual.clients },
            agents: TrafficClass { bytes_per_second: args.agent_rate, sessions: args.agent_sessions },
        }
    }
}
