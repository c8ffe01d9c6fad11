//! Stories a user could tell about the whole fabric. One binary; a module per chapter.
//!
//! Every test starts its own sandbox (control plane, relay, agent, PostgreSQL) and owns it to the end.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's own helpers fail loudly")]

mod authorities;
mod bypass;
mod bypass_live;
mod connecting;
mod documents;
mod evidence;
mod live_policy;
mod masking;
mod misfortune;
mod provisioning;
mod requests;
mod roaming;
mod shop;
mod signing_in;
