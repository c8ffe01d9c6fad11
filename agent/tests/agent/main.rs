//! The agent against a real PostgreSQL. One binary; a module per subject.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails, and its fixtures are outside the test functions"
)]

mod audit;
mod author;
mod authorities;
mod blind;
mod bundles;
mod command_line;
mod configuration;
mod drift;
mod fuzz;
mod guide;
mod health;
mod introspection;
mod lifecycle;
mod migrations;
mod outages;
mod plane;
mod program;
mod proxy;
mod quiesce;
mod reloading;
mod requests;
mod roles;
mod rotation;
mod scope;
mod scope_live;
mod traced_views;
mod upstream;
mod whole;
mod world;
