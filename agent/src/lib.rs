//! The daam agent: one per database, between developers and an unmodified PostgreSQL.
//!
//! It holds the only credentials of the database, keeps the last verified policy bundle, arranges the database
//! so that each developer's session can do what the policy says and nothing else, and goes on doing so while
//! the control plane is away. What leaves it upstream is the in-scope catalogue, counters, session events and
//! the audit (statements without literals, if at all): never rows, never anything outside the customer's scope.

pub mod access;
pub mod admin;
pub mod audit;
pub mod authorities;
pub mod bundle_store;
pub mod cause;
pub mod cli;
pub mod config;
pub mod context;
pub mod directory;
pub mod doctor;
pub mod duration;
pub mod enrolment;
pub mod health;
pub mod introspect;
pub mod keeper;
pub mod kept_file;
pub mod link;
pub mod output;
pub mod papers;
pub mod proxy;
pub mod quiesce;
pub mod relays;
pub mod reload;
pub mod renewal;
pub mod run;
pub mod scope;
pub mod secret;
pub mod session_id;
pub mod sessions;
mod shown;
pub mod state;
pub mod trust_store;
pub mod tunnel;
pub mod upkeep;
pub mod upstream;

pub use context::{ProxyContext, SessionEvent, SessionEventKind};
pub use secret::Secret;
pub use session_id::SessionId;
