//! The local endpoint: where PostgreSQL clients on this machine connect.
//!
//! Either a Unix socket in a directory only this user can enter, without a password, or a TCP port on loopback
//! with a random password checked by SCRAM. Nothing here listens on another address, and nothing here
//! understands SQL: after the start-up packet, bytes are copied between the client and the agent.

pub mod address;
pub mod boundary;
pub mod connection;
pub mod endpoint;
pub mod greeting;
pub mod strings;

pub use address::Address;
pub use endpoint::{Endpoint, Listen};
pub use strings::Tool;
