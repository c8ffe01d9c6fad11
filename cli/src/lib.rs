//! The `daam` command: sign in, connect, try policies in a sandbox.
//!
//! *A person at a database*: [`login`] stores a sign-in ([`credentials`]); [`connect`] opens a [`link`] (one tunnel
//! to the agent) behind a [`local`] endpoint that ordinary PostgreSQL clients use. No database credential ever
//! reaches this machine.
//! *A policy author*: [`dev`] runs control plane, relay, agent and PostgreSQL as children on loopback and connects
//! as anybody through the real path.
//! Deliberately absent: understanding of SQL, and decisions about access; both belong to the agent.

pub mod audit;
pub mod browser;
pub mod client;
pub mod command;
pub mod connect;
pub mod console;
pub mod control_plane;
pub mod credentials;
pub mod databases;
pub mod dev;
pub mod doctor;
pub mod error;
pub mod home;
pub mod link;
pub mod local;
pub mod login;
pub mod lsp;
pub mod output;
pub mod policy;
pub mod remedy;
pub mod renewal;
pub mod request;
pub mod status;

pub use command::main;
