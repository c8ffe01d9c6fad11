//! The control plane: who belongs to an organization, which bundles are published, which agents are connected, and
//! how to reach them.
//!
//! It never holds a database's DSN, sees no row and no SQL, and cannot author a bundle: it verifies signatures by the
//! organization's trust file and carries the bytes. Flow: [`routes`] is the whole HTTP surface as a value; [`guard`]
//! admits a caller; handlers ask the store with the caller's own tenant scope; `link` tells agents.
//! What it refuses: plain HTTP on anything but loopback, unless told that a proxy does TLS.

pub mod args;
pub mod backup;
pub mod guard;
pub mod hub;
pub mod limit;
mod link;
pub mod openapi;
pub mod problem;
pub mod routes;
pub mod server;
mod signed;

mod app;
mod authorities;
pub mod base;
mod body;
mod bootstrap_token;
mod briefing;
mod clock;
mod console;
mod delivery;
mod directory;
mod evidence;
mod keys;
mod list;
pub mod mail;
pub mod metrics;
mod name;
mod oidc;
mod once;
mod otlp;
mod passkeys;
pub mod rates;
mod readiness;
pub mod reference;
mod requests;
mod saml;
mod scim;
mod serve;
mod slug;
mod tls;
pub mod traffic;
mod vault;
mod workload;

pub use app::App;
pub use clock::Clock;
pub use server::{Config, Server, StartError, Transport};
