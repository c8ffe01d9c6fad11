//! Where the project's files come from.
//!
//! The compiler never touches a disk: the CLI gives it a directory, the control plane a draft, tests a map.
//! Paths are relative to the project, with `/`, without `..`.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Whether a file is YAML, by its name.
pub fn is_yaml(path: &str) -> bool {
    [".yaml", ".yml"].iter().any(|extension| path.ends_with(extension))
}

/// Whether a project may have a use for a file, by its name: YAML, and the JSON of schema locks.
pub fn is_of_project(path: &str) -> bool {
    is_yaml(path) || path.strip_suffix(".json").is_some()
}

/// Why a listed file could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` cannot be read: {reason}")]
pub struct ReadError {
    /// The path.
    pub path: String,
    /// Why not.
    pub reason: String,
}

/// The files of one project.
pub trait FileSource {
    /// All paths, in any order.
    fn paths(&self) -> Vec<String>;
    /// The text of one of them.
    fn read(&self, path: &str) -> Result<String, ReadError>;
    /// The texts of several of them, in their order. A source that keeps a text gives the same one out again: a
    /// [`crate::Workspace`] then sees at once that nothing changed.
    fn read_all(&self, paths: &[&str]) -> Vec<Result<Arc<str>, ReadError>> {
        paths.iter().map(|path| self.read(path).map(Arc::from)).collect()
    }
    /// All texts by their paths, if the source has them at hand: then nothing has to be asked for one by one, and a
    /// text that did not change is seen to be the one it was.
    fn kept(&self) -> Option<&BTreeMap<String, Arc<str>>> {
        None
    }
}

/// Files in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles {
    files: BTreeMap<String, Arc<str>>,
}

impl MemoryFiles {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a file.
    #[must_use]
    pub fn with(mut self, path: impl Into<String>, text: impl Into<String>) -> Self {
        self.files.insert(path.into(), Arc::from(text.into()));
        self
    }
}

impl FileSource for MemoryFiles {
    fn paths(&self) -> Vec<String> {
        self.files.keys().cloned().collect()
    }

    fn read(&self, path: &str) -> Result<String, ReadError> {
        self.get(path).map(|text| text.to_string())
    }

    fn read_all(&self, paths: &[&str]) -> Vec<Result<Arc<str>, ReadError>> {
        paths.iter().map(|path| self.get(path)).collect()
    }

    fn kept(&self) -> Option<&BTreeMap<String, Arc<str>>> {
        Some(&self.files)
    }
}

impl MemoryFiles {
    fn get(&self, path: &str) -> Result<Arc<str>, ReadError> {
        let none = || ReadError { path: path.to_owned(), reason: "no such file".to_owned() };
        self.files.get(path).cloned().ok_or_else(none)
    }
}
