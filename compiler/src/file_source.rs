//! Where the project's files come from.
//!
//! The compiler never touches a disk: the CLI gives it a directory, the control plane a draft, tests a map.
//! Paths are relative to the project, with `/`, without `..`.

use std::collections::BTreeMap;

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
}

/// Files in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles {
    files: BTreeMap<String, String>,
}

impl MemoryFiles {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a file.
    #[must_use]
    pub fn with(mut self, path: impl Into<String>, text: impl Into<String>) -> Self {
        self.files.insert(path.into(), text.into());
        self
    }
}

impl FileSource for MemoryFiles {
    fn paths(&self) -> Vec<String> {
        self.files.keys().cloned().collect()
    }

    fn read(&self, path: &str) -> Result<String, ReadError> {
        self.files
            .get(path)
            .cloned()
            .ok_or_else(|| ReadError { path: path.to_owned(), reason: "no such file".to_owned() })
    }
}
