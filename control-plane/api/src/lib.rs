//! The words agents, the CLI and the control plane exchange.
//!
//! Types only: no IO, no decisions. Every request type refuses unknown fields. Compatibility: fields may be
//! added to answers, never repurposed; messages carry a version so that an older peer can refuse.

pub mod directory;
mod hidden;
pub mod link;
mod once;
pub mod v1;
