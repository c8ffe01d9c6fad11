//! The agent against a real PostgreSQL. One binary; a module per subject.

mod bundles;
mod command_line;
mod introspection;
mod plane;
mod roles;
mod scope;
mod whole;
mod world;
