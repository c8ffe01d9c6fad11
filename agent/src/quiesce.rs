//! Holding sessions off some tables while a migration runs: `daam-agent quiesce`.
//!
//! A session's view of a table would make `ALTER TABLE … DROP COLUMN` fail for as long as it stands. An idle session
//! releases its views after a moment; a busy one does not. While a hold lasts, no session gets a view of the held
//! tables, and what has one gives it back with its transaction. The command asks the running agent for a hold over a
//! socket in the agent's state directory (`service`); the hold lasts as long as that connection does, so a command
//! that dies holds nobody off.
//!
//! What it refuses: anybody but the agent's own user and root, and to say that a table is free while a session's view
//! or lock of it is left.

mod client;
mod hold;
mod look;
mod service;
mod wire;

pub use client::{Ended, QuiesceError, Quiesced, quiesce};
pub use hold::{Held, Hold, Holds, Seat};
pub use service::Service;
pub use wire::Ask;

/// The socket's name in the state directory.
const SOCKET: &str = "control.sock";
