//! Where a project keeps its schema locks, without checking anything else.

use crate::file_source::FileSource;
use crate::load::Files;

/// The databases of a project that have one, with the directories of their locks.
pub fn lock_places(source: &dyn FileSource) -> Vec<(String, String)> {
    let project = Files::default().project(source);
    let places = project.databases.iter();
    places
        .filter_map(|(name, written)| Some((name, &written.lock.as_ref()?.value)))
        .map(|(name, place)| (name.clone(), place.trim_start_matches("./").trim_end_matches('/').to_owned()))
        .collect()
}
