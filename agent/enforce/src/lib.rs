//! From a policy decision to PostgreSQL: roles, grants, session views, and the rewriting of statements.
//!
//! Two halves. [`plan()`] says what the database must look like so that PostgreSQL itself refuses everything the
//! policy does not permit. [`rewrite()`] makes the permitted part convenient: it points statements at the session's
//! views. A fault in the second half is an error message, never a leak, because the first half does not need it.
//! Pure: SQL text in, SQL text out; no connection, clock or environment.
//!
//! What remains visible, because PostgreSQL shows it to everyone or must act on it: names, comments, defaults and
//! constraint texts in the catalogues; whether a unique or referenced value exists; and which plan the planner
//! chose. A statement nested deeper than 6,000 parse-tree levels (2,900
//! chained `||`) is refused (SQLSTATE 54001).

pub mod edit;
mod mask;
pub mod plan;
pub mod rewrite;
pub mod told;
pub mod touched;

pub use edit::EditMap;
pub use plan::{
    Access, DirectTable, HashKey, Objects, PlanError, ProtectedTable, RelationObject, SessionPlan, ViewKind,
    activate_call, copy_call, plan, release_call,
};
pub use rewrite::{
    Effect, Refusal, RewriteContext, Rewritten, StatementClass, numbered_types, rewrite, runs_text,
};
pub use told::{ServerError, renamed, told};
pub use touched::masked_columns;
