//! One end-to-end session between CLI and agent, whatever path carries it.
//!
//! QUIC with mutual TLS 1.3 runs between the two ends; below it lies our own socket (`socket`), which sends
//! each packet directly or through a relay that cannot read it. [`dial()`] is the CLI's side, [`listen()`] the
//! agent's. What this crate refuses: peers whose certificate is not from the organization's CA or does not
//! name the expected party, early data, session resumption, and packets from addresses it did not ask.
//!
//! Map: [`path`] the words, [`race`] which path to take (pure), [`binding`] how to be known to a relay (pure),
//! [`wire`] the packets of relays (pure), `standby` which relay carries a live session, `tls` who is believed,
//! `transport` the QUIC settings.

pub mod binding;
pub mod close;
mod dial;
mod incoming;
mod listen;
pub mod path;
pub mod race;
mod relay_link;
mod seats;
mod socket;
mod standby;
mod stream;
mod tls;
mod transport;
mod tunnel;
pub mod wire;

pub use close::CloseCode;
pub use dial::{DialError, DialPlan, PathFailure, dial};
pub use incoming::Incoming;
pub use listen::{ListenConfig, ListenError, Listener, listen};
pub use path::{PathKind, PathPreference, RelayTarget};
pub use stream::TunnelStream;
pub use tls::CredentialError;
pub use tunnel::{Tunnel, TunnelError};
