//! Where a project keeps its schema locks, without checking anything else.

use crate::file_source::FileSource;
use crate::load::load;
use daam_diagnostic::{Sink, SourceMap};

/// The databases of a project that have one, with the directories of their locks.
pub fn lock_places(source: &dyn FileSource) -> Vec<(String, String)> {
    let documents = load(source, &mut SourceMap::new(), &mut Sink::new());
    let databases = documents.project.databases.into_iter();
    databases
        .filter_map(|(name, written)| written.lock.map(|lock| (name, lock.value)))
        .map(|(name, directory)| (name, directory.trim_start_matches("./").trim_end_matches('/').to_owned()))
        .collect()
}
