//! All findings of a check, kept file by file: files whose findings did not change are shared with the check before.

use crate::rule;
use daam_diagnostic::{Diagnostic, Severity, SourceId};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// The findings of one file, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFindings {
    /// The file.
    pub source: SourceId,
    /// Its findings.
    pub found: Vec<Diagnostic>,
}

impl FileFindings {
    pub(crate) fn has_errors(&self) -> bool {
        self.found.iter().any(|found| found.severity == Severity::Error)
    }

    pub(crate) fn leave_open(&self) -> bool {
        self.has_errors() && self.found.iter().any(rule::leaves_open)
    }
}

/// Findings in stable order: by path, place, code and message. Reads as a slice of all of them.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    files: Vec<Arc<FileFindings>>,
    /// All in one list, made when it is asked for.
    all: OnceLock<Vec<Diagnostic>>,
    /// Files with errors, and those with errors that leave open what the policies mean.
    errors: usize,
    open: usize,
}

impl Findings {
    /// Those of files in the order of their paths, with how many have errors, and errors that leave open what the
    /// policies mean.
    pub(crate) fn of(files: Vec<Arc<FileFindings>>, errors: usize, open: usize) -> Self {
        Self { files, all: OnceLock::new(), errors, open }
    }

    /// The files that have findings, in the order of their paths. A file whose findings are what they were at the
    /// last check of a [`crate::Workspace`] is the same `Arc`.
    pub fn files(&self) -> &[Arc<FileFindings>] {
        &self.files
    }

    /// Whether any is an error.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether any leaves open what the policies mean.
    pub(crate) fn leave_open(&self) -> bool {
        self.open > 0
    }
}

impl Deref for Findings {
    type Target = [Diagnostic];

    fn deref(&self) -> &[Diagnostic] {
        self.all.get_or_init(|| self.files.iter().flat_map(|file| &file.found).cloned().collect())
    }
}

impl<'a> IntoIterator for &'a Findings {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Findings one after another; those of a file stand together.
impl FromIterator<Diagnostic> for Findings {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(found: I) -> Self {
        let mut files: Vec<FileFindings> = Vec::new();
        for one in found {
            match files.last_mut().filter(|file| file.source == one.at.source) {
                Some(file) => file.found.push(one),
                None => files.push(FileFindings { source: one.at.source, found: vec![one] }),
            }
        }
        let errors = files.iter().filter(|file| file.has_errors()).count();
        let open = files.iter().filter(|file| file.leave_open()).count();
        Self::of(files.into_iter().map(Arc::new).collect(), errors, open)
    }
}
