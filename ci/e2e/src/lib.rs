//! The whole fabric, driven as its users drive it: real binaries, a real PostgreSQL, real sockets.
//!
//! [`Fabric`] is a running `daam dev`; [`Person`] is a developer with a local endpoint opened by `daam dev run`;
//! [`wire::Connection`] speaks the protocol byte by byte so that a test sees everything a client would see,
//! notices and error fields included. [`corpus`] reads the published attempts to get around a policy.

pub mod corpus;
mod fabric;
mod person;
pub mod wire;

pub use fabric::{Fabric, FabricOptions, Ready, wait_for};
pub use person::{Person, PersonOptions};
