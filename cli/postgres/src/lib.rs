//! A private PostgreSQL server: find the binaries, make a cluster, run it on loopback, leave nothing behind.
//!
//! Used by `daam dev` and by every test that needs a real server. The server never outlives its owner: it runs
//! under a shell that waits on a pipe held by this process, so even `kill -9` of the owner stops it.
//! PostgreSQL refuses to run as root; as root the server is started as another user.
//! What this crate refuses: listening anywhere but loopback, and trusting a connection without a password.

mod account;
mod binaries;
mod cluster;

pub use account::Account;
pub use binaries::{Binaries, find_binaries};
pub use cluster::{Cluster, PostgresError, Standby};
