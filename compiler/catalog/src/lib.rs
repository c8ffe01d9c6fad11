//! What a database contains, and the patterns that name it.
//!
//! The vocabulary every other crate speaks: identifiers with PostgreSQL's folding rules, relation and
//! column patterns (the same matcher serves policies and the customer's scope), the catalogue the agent
//! introspects, and the file form of that catalogue (the *schema lock*). Nothing here does IO, and nothing
//! here decides who may see what.

pub mod catalog;
pub mod data_type;
pub mod index;
pub mod lock;
pub mod name;
mod openings;
pub mod parallel;
pub mod pattern;
pub mod snapshot;
pub mod user_type;

pub use catalog::{
    Catalog, Column, ColumnRef, ForeignKey, Function, FunctionKind, Generated, Parameters, Privilege,
    Relation, RelationKind, RowClass, SearchPath, ServerVersion, ViewOptions, Volatility,
};
pub use data_type::{DataType, TypeClass};
pub use index::NameIndex;
pub use lock::{LockError, fingerprint};
pub use name::{FunctionName, Identifier, NameError, RelationName};
pub use pattern::{ColumnPattern, PatternError, RelationPattern, Scope};
pub use snapshot::SnapshotError;
pub use user_type::{CastContext, UserCast, UserOperator, UserType, UserTypeKind};
