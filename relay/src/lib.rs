//! Forwards packets it cannot read, between two peers that hold tickets.
//!
//! The relay sees addresses, sizes and times, the organization and the agent's id; never a user's name, a
//! database name or a byte of SQL. [`forward`] decides (pure), [`serve`] moves packets, [`tcp`] takes
//! those of peers that UDP does not reach, [`control`] talks to the control plane now and then. A packet goes to the other end of its own session or nowhere.

pub mod acme;
pub mod control;
pub mod cookie;
pub mod forward;
pub mod limits;
pub mod metrics;
mod networks;
pub mod serve;
pub mod tcp;
pub mod tls_files;
