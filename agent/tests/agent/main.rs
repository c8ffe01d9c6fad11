//! The agent against a real PostgreSQL. One binary; a module per subject.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails, and its fixtures are outside the test functions"
)]

mod bundles;
mod command_line;
mod introspection;
mod plane;
mod proxy;
mod roles;
mod scope;
mod whole;
mod world;
