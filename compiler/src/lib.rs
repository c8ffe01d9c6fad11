//! Policies as people write them → diagnostics and checked policies.
//!
//! ```text
//! FileSource ─► load (YAML, typed readers) ─► resolve (names against the schema lock and the scope)
//!            ─► check (each clause, then clauses against each other) ─► Checked
//! ```
//!
//! [`check()`] reports everything it finds in all files at once and compiles nothing as long as one finding is an
//! error. It reads files through [`FileSource`] only, knows no clock, and gives equal results for equal files in
//! whatever order they come.

mod check;
mod compile;
mod compiled;
mod day;
pub mod diff;
pub mod editor;
pub mod effects;
mod file_source;
mod findings;
pub mod format;
mod found;
mod glob;
mod lint;
mod load;
mod lock_place;
mod overlay;
pub mod preset;
mod remember;
pub mod repair;
mod resolve;
pub mod rule;
pub mod scenario;
pub mod schema;
pub mod schema_diff;
pub mod sensitive;
pub mod stored;
mod subject;
mod syntax;
mod tables;
mod unread;

pub(crate) use daam_catalog::parallel;

pub use compile::{Checked, CompiledDatabase, Inputs, Options, Work, Workspace, check};
pub use compiled::CompiledPolicies;
pub use day::Day;
pub use file_source::{FileSource, MemoryFiles, Passed, PassedOver, ReadError, is_of_project, is_yaml};
pub use findings::{FileFindings, Findings};
pub use lint::{Waived, WaivedBy};
pub use load::PROJECT_FILE;
pub use lock_place::{LockPlace, lock_places};
pub use overlay::Overlay;
pub use subject::name_subjects;
