//! A project in which some files read differently: an editor's unsaved text, a repair that is not written yet.

use crate::file_source::{FileSource, PassedOver, ReadError};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The files of another source, some of them replaced.
#[derive(Clone, Copy)]
pub struct Overlay<'a> {
    base: &'a dyn FileSource,
    texts: &'a BTreeMap<String, String>,
}

impl<'a> Overlay<'a> {
    /// The files of `base`, where `texts` has none of its own.
    pub fn new(base: &'a dyn FileSource, texts: &'a BTreeMap<String, String>) -> Self {
        Self { base, texts }
    }
}

impl fmt::Debug for Overlay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay").field("texts", &self.texts.keys()).finish_non_exhaustive()
    }
}

impl FileSource for Overlay<'_> {
    fn paths(&self) -> Vec<String> {
        let mut paths = self.base.paths();
        let known: std::collections::BTreeSet<&String> = paths.iter().collect();
        let new: Vec<String> = self.texts.keys().filter(|path| !known.contains(path)).cloned().collect();
        paths.extend(new);
        paths
    }

    fn passed_over(&self) -> Vec<PassedOver> {
        self.base.passed_over()
    }

    fn read(&self, path: &str) -> Result<String, ReadError> {
        match self.texts.get(path) {
            Some(text) => Ok(text.clone()),
            None => self.base.read(path),
        }
    }

    fn read_all(&self, paths: &[&str]) -> Vec<Result<Arc<str>, ReadError>> {
        let below: Vec<&str> = paths.iter().copied().filter(|path| !self.texts.contains_key(*path)).collect();
        let mut below = self.base.read_all(&below).into_iter();
        let gone = |path: &str| ReadError { path: path.to_owned(), reason: "no such file".to_owned() };
        let text = |path: &&str| match self.texts.get(*path) {
            Some(text) => Ok(Arc::from(text.as_str())),
            None => below.next().unwrap_or_else(|| Err(gone(path))),
        };
        paths.iter().map(text).collect()
    }
}
