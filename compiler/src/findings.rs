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
    fn has_errors(&self) -> bool {
        self.found.iter().any(|found| found.severity == Severity::Error)
    }
}

/// Findings in stable order: by path, place, code and message. Reads as a slice of all of them.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    files: Vec<Arc<FileFindings>>,
    /// All in one list, made when it is asked for.
    all: OnceLock<Vec<Diagnostic>>,
    errors: usize,
}

impl Findings {
    /// Those of files in the order of their paths, with the number of files that have an error.
    pub(crate) fn of(files: Vec<Arc<FileFindings>>, errors: usize) -> Self {
        Self { files, all: OnceLock::new(), errors }
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
        let wrong = self.files.iter().filter(|_| self.has_errors()).filter(|file| file.has_errors());
        wrong.flat_map(|file| &file.found).any(rule::leaves_open)
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
        Self::of(files.into_iter().map(Arc::new).collect(), errors)
    }
}
