//! One end-to-end session between CLI and agent, whatever path carries it.
//!
//! QUIC with mutual TLS 1.3 runs between the two ends; below it lies our own socket (`socket`), which sends
//! each packet directly or through a relay that cannot read it. [`dial()`] is the CLI's side, [`listen()`] the
//! agent's. What this crate refuses: peers whose certificate is not from the organization's CA or does not
//! name the expected party, early data, session resumption, and packets from addresses it did not ask.
//!
//! Map: [`path`] which path carries a session (pure), [`race`] how to begin (pure), [`binding`] how to be known to a
//! relay (pure), [`wire`] the packets of relays (pure), `roam` and `follow` the drivers at either end, `relay_link`,
//! `relay_access` and [`relay_tcp`] those towards relays, `direct_tcp`, `doorway` and `listen_tcp` for TCP between the ends, `tls` who is believed, `renew` how a session
//! outlives its certificate, `network` when this computer moves or wakes, [`presence`] how long one that is away is waited for, `transport` the QUIC settings.

mod attempt;
pub mod binding;
pub mod close;
mod dial;
mod direct_tcp;
mod doorway;
mod follow;
mod incoming;
mod listen;
mod listen_tcp;
mod network;
mod notice;
mod own_addresses;
pub mod path;
pub mod presence;
pub mod race;
mod relay_access;
mod relay_link;
pub mod relay_tcp;
mod renew;
mod roam;
mod seats;
mod socket;
mod stream;
mod tls;
mod transport;
mod tunnel;
pub mod wire;

pub use close::CloseCode;
pub use dial::{DialError, DialPlan, PathFailure, dial};
pub use incoming::Incoming;
pub use listen::{ListenConfig, ListenError, Listener, listen};
pub use path::{PathKey, PathKind, PathPreference, RelayTarget};
pub use relay_tcp::{Proxy, TcpSettings};
pub use renew::RenewError;
pub use stream::TunnelStream;
pub use tls::CredentialError;
pub use tunnel::{Tunnel, TunnelError};
