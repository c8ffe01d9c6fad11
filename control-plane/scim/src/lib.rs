//! SCIM 2.0 (RFC 7643, 7644) as decisions: what a request's JSON means, which resources a filter finds, what a PATCH
//! makes of a resource, and how answers look. No IO.
//!
//! Resources are JSON objects in one canonical form: names as the [`schema`] writes them, unknown and read-only
//! attributes gone, values of the right type. Everything else works on that form. The parser is our own, because
//! what identity providers send goes past the grammar of the RFC (a sub-attribute after a filter, `"False"`, members
//! to remove in `value`), and each such habit is written down where it is understood.
//!
//! What this crate refuses: filters longer, deeper or wider than [`filter`]'s bounds, attributes a filter or a path names
//! that no schema has, changes to what only the server writes, and values of the wrong type.

mod canonical;
pub mod discovery;
mod error;
mod eval;
pub mod filter;
mod lexer;
pub mod list;
mod patch;
pub mod resource;
pub mod schema;

pub use canonical::canonical;
pub use error::{Kind, ScimError, body};
pub use eval::matches;
pub use filter::{Filter, Lookup};
pub use list::{Page, Part, Projection, Query, Window};
pub use patch::patch;

/// A resource.
pub type Object = serde_json::Map<String, serde_json::Value>;
