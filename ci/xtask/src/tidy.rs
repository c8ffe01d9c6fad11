//! The ratchets: each check is a function from the tree to findings, and all of them run every time.

mod crate_edges;
mod file_names;
mod file_size;
mod module_docs;
mod purity;
mod test_hygiene;

use crate::tree;
use std::fmt;
use std::path::PathBuf;

/// Something to mend.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    check: &'static str,
    place: PathBuf,
    what: String,
}

impl Finding {
    fn new(check: &'static str, place: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self { check, place: place.into(), what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place.display(), self.check, self.what)
    }
}

/// Runs every check.
pub(crate) fn run() -> anyhow::Result<Vec<Finding>> {
    let root = tree::root()?;
    let files = tree::rust_files(&root)?;
    let mut findings = Vec::new();
    findings.extend(files.iter().filter_map(module_docs::check));
    findings.extend(files.iter().filter_map(file_size::check));
    findings.extend(files.iter().filter_map(file_names::check));
    findings.extend(files.iter().flat_map(test_hygiene::check));
    findings.extend(files.iter().flat_map(purity::check));
    findings.extend(crate_edges::check(&root)?);
    Ok(findings)
}
