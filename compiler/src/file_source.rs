//! Where the project's files come from.
//!
//! The compiler never touches a disk: the CLI gives it a directory, the control plane a draft, tests a map.
//! Paths are relative to the project, with `/`, without `..`.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Whether a file is YAML, by its name.
pub fn is_yaml(path: &str) -> bool {
    let extension = path.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|word| ["yaml", "yml"].iter().any(|known| word.eq_ignore_ascii_case(known)))
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

/// Something in the project's directory that is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// Where it is, as far as that can be said in Unicode.
    pub path: String,
    /// Why it is not.
    pub why: Passed,
}

/// Why something is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// It is a symbolic link: what it leads to is not in the tree that is reviewed.
    Link,
    /// Its name begins with a dot.
    Hidden,
    /// Its name is not Unicode.
    Nameless,
    /// It is neither a file nor a directory.
    Special,
}

impl Passed {
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Link => "it is a symbolic link, and none is followed",
            Self::Hidden => "hidden files are not read",
            Self::Nameless => "its name is not UTF-8",
            Self::Special => "it is no regular file",
        }
    }

    pub(crate) fn remedy(self) -> &'static str {
        match self {
            Self::Link => "put the file itself there: a policy has to be in the tree that is reviewed",
            Self::Hidden => "take the dot from its name, or move it to where no glob covers it",
            Self::Nameless | Self::Special => "rename it, or move it to where no glob covers it",
        }
    }
}

/// The files of one project.
pub trait FileSource {
    /// All paths, in any order.
    fn paths(&self) -> Vec<String>;
    /// What is there beside them.
    fn passed_over(&self) -> Vec<PassedOver> {
        Vec::new()
    }
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
    passed_over: Vec<PassedOver>,
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

    /// Removes a file.
    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        self.files.remove(path);
        self
    }
}

impl MemoryFiles {
    /// Adds something that is there and not read.
    #[must_use]
    pub fn passing_over(mut self, path: impl Into<String>, why: Passed) -> Self {
        self.passed_over.push(PassedOver { path: path.into(), why });
        self
    }
}

impl FileSource for MemoryFiles {
    fn passed_over(&self) -> Vec<PassedOver> {
        self.passed_over.clone()
    }

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
