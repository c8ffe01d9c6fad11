//! The file form of a catalogue.
//!
//! The promised form: versioned, strict, and separate from the types the rest of the project works with.
//! Refused: another version, unknown fields, system schemas, the same object twice, names PostgreSQL cannot
//! hold.

mod read;
pub(crate) mod wire;
mod write;

use crate::catalog::Catalog;
use crate::name::NameError;
use crate::pattern::is_system_schema;
use serde_json::Value;

/// The version this module writes, and the only one it reads. A catalogue of version 1 says nothing about types,
/// operators and casts: read as if there were none, it would refuse filters that are right.
pub const VERSION: u32 = 2;

/// Why a text or value is not a catalogue.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Not JSON, or not of the expected shape.
    #[error("the catalogue is not readable; version {VERSION} as written by `daam schema pull` is accepted")]
    Shape(#[source] serde_json::Error),
    /// Written by another version of the tool.
    #[error("the catalogue has version {0}; only version {VERSION} is accepted")]
    Version(u32),
    /// A name PostgreSQL cannot hold.
    #[error("the catalogue contains an unusable name at `{place}`")]
    Name {
        /// The object it belongs to.
        place: String,
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// An object of PostgreSQL's own.
    #[error("the catalogue lists `{0}`, which belongs to a system schema; only user objects are accepted")]
    SystemSchema(String),
    /// The same object twice.
    #[error("the catalogue lists `{0}` twice")]
    Duplicate(String),
    /// A key or index over a column the relation does not have.
    #[error("`{relation}` refers to its column `{column}`, which is not listed")]
    NoSuchColumn {
        /// The relation.
        relation: String,
        /// The column.
        column: String,
    },
}

/// The catalogue as JSON.
pub fn to_json(catalog: &Catalog) -> Value {
    // Serialising plain structs of strings, numbers and lists cannot fail; null is refused when read.
    serde_json::to_value(wire::Snapshot::from(catalog)).unwrap_or(Value::Null)
}

/// Reads what [`to_json`] wrote.
pub fn from_json(value: &Value) -> Result<Catalog, SnapshotError> {
    let snapshot: wire::Snapshot = serde::Deserialize::deserialize(value).map_err(SnapshotError::Shape)?;
    Catalog::try_from(snapshot)
}

pub(crate) fn refuse_system(schema: &str, shown: &str) -> Result<(), SnapshotError> {
    if is_system_schema(schema) { Err(SnapshotError::SystemSchema(shown.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
pub(crate) mod tests;
