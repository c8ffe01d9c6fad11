//! Where a project keeps its schema locks, without checking anything else.

use crate::file_source::FileSource;
use crate::load::Files;
use daam_diagnostic::Span;

/// The schema lock of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockPlace {
    /// The database.
    pub database: String,
    /// The directory, relative to the project.
    pub directory: String,
    /// Where the project file says so.
    pub span: Span,
}

/// The locks of a project, by database.
pub fn lock_places(source: &dyn FileSource) -> Vec<LockPlace> {
    let project = Files::default().project(source);
    let places = project.databases.iter().filter_map(|(name, written)| Some((name, written.lock.as_ref()?)));
    places
        .map(|(name, lock)| LockPlace {
            database: name.clone(),
            directory: lock.value.trim_start_matches("./").trim_end_matches('/').to_owned(),
            span: lock.at.span,
        })
        .collect()
}
