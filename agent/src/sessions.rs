//! Who is connected.
//!
//! Each session registers when its login succeeds and leaves when its [`Registration`] is dropped; whoever holds the
//! [`Registry`] can list sessions, end them with a reason the client sees, and find the one a cancel request means.
//! What it refuses: a cancel request of another person, even with the right key.

mod registry;

pub use registry::{CancelOutcome, Registration, Registry, SessionCommand, SessionInfo};
