//! The project's files on disk, as the compiler reads them.
//!
//! Hidden directories and symbolic links are passed over: a policy must be in the tree that is reviewed. The compiler
//! says so where a glob of the project covers one.

use crate::error::{CliError, Doing as _};
use clap::Args;
use daam_catalog::{Catalog, lock};
use daam_compiler::{Checked, FileSource, PROJECT_FILE, Passed, PassedOver, ReadError, Workspace};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAX_FILES: usize = 100_000;
/// From this many files on, threads are worth starting.
const AT_ONCE: usize = 64;

/// Which project.
#[derive(Debug, Args)]
pub struct ProjectArgs {
    /// The directory with `daam.yaml`.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub project: PathBuf,
}

impl ProjectArgs {
    /// Checks the project as of today: a waiver that has ended waives nothing, whatever is done with the result.
    pub fn check(&self) -> Result<Checked, CliError> {
        Ok(Workspace::new(super::check::options()).check(&DiskFiles::open(&self.project)?))
    }
}

/// The files below a directory.
#[derive(Debug)]
pub struct DiskFiles {
    root: PathBuf,
    /// Sorted.
    paths: Vec<String>,
    passed_over: Vec<PassedOver>,
    instead: BTreeMap<String, String>,
}

impl DiskFiles {
    /// Lists a project; there has to be a `daam.yaml`.
    pub fn open(root: &Path) -> Result<Self, CliError> {
        if !root.join(PROJECT_FILE).is_file() {
            let message = format!("there is no `{PROJECT_FILE}` in `{}`", root.display());
            return Err(
                CliError::usage(message).remedy("go to a policy project, or name one with `--project DIR`")
            );
        }
        let mut found = Found::default();
        list(root, "", &mut found).doing(format_args!("list `{}`", root.display()))?;
        let Found { mut paths, mut passed_over } = found;
        paths.sort_unstable();
        passed_over.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { root: root.to_owned(), paths, passed_over, instead: BTreeMap::new() })
    }

    /// The text of one file of a project, if it belongs to it; without a look at the others.
    pub fn one(root: &Path, path: &str) -> Option<String> {
        let mut place = root.to_owned();
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            if part.is_empty() || part.starts_with('.') {
                return None;
            }
            place.push(part);
            let kind = place.symlink_metadata().ok()?.file_type();
            if !(if parts.peek().is_some() { kind.is_dir() } else { kind.is_file() }) {
                return None;
            }
        }
        std::fs::read_to_string(place).ok()
    }

    /// The paths of all files, sorted.
    pub fn listed(&self) -> &[String] {
        &self.paths
    }

    /// Whether a schema lock lies in that directory.
    pub fn has_lock(&self, directory: &str) -> bool {
        self.paths.iter().any(|path| path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/')))
    }

    /// The same project with this catalogue as the lock in that directory, whatever is on disk.
    #[must_use]
    pub fn with_lock(mut self, directory: &str, catalog: &Catalog) -> Self {
        let prefix = format!("{}/", directory.trim_start_matches("./").trim_end_matches('/'));
        self.paths.retain(|path| !path.starts_with(&prefix));
        for (name, text) in lock::to_files(catalog) {
            let path = format!("{prefix}{name}");
            self.paths.push(path.clone());
            self.instead.insert(path, text);
        }
        self.paths.sort_unstable();
        self
    }
}

impl FileSource for DiskFiles {
    fn paths(&self) -> Vec<String> {
        self.paths.clone()
    }

    fn passed_over(&self) -> Vec<PassedOver> {
        self.passed_over.clone()
    }

    fn read(&self, path: &str) -> Result<String, ReadError> {
        if let Some(text) = self.instead.get(path) {
            return Ok(text.clone());
        }
        let failed = |reason: String| ReadError { path: path.to_owned(), reason };
        if self.paths.binary_search_by(|known| known.as_str().cmp(path)).is_err() {
            return Err(failed("no such file".to_owned()));
        }
        std::fs::read_to_string(self.root.join(path)).map_err(|error| failed(error.to_string()))
    }

    /// Reading thousands of small files is mostly waiting for the system: several threads wait at once.
    fn read_all(&self, paths: &[&str]) -> Vec<Result<Arc<str>, ReadError>> {
        let read = |part: &[&str]| -> Vec<_> {
            part.iter().map(|path| FileSource::read(self, path).map(Arc::from)).collect()
        };
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(8);
        if threads == 1 || paths.len() < AT_ONCE {
            return read(paths);
        }
        std::thread::scope(|scope| {
            let parts = paths.chunks(paths.len().div_ceil(threads));
            let started: Vec<_> = parts
                .map(|part| (part, std::thread::Builder::new().spawn_scoped(scope, move || read(part))))
                .collect();
            let done = started.into_iter().map(|(part, thread)| {
                thread.ok().and_then(|thread| thread.join().ok()).unwrap_or_else(|| read(part))
            });
            done.flatten().collect()
        })
    }
}

/// What lies below a directory.
#[derive(Default)]
struct Found {
    paths: Vec<String>,
    passed_over: Vec<PassedOver>,
}

impl Found {
    fn pass(&mut self, path: String, why: Passed) {
        self.passed_over.push(PassedOver { path, why });
    }
}

fn list(directory: &Path, prefix: &str, out: &mut Found) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let Ok(name) = entry.file_name().into_string() else {
            out.pass(format!("{prefix}{}", entry.file_name().to_string_lossy()), Passed::Nameless);
            continue;
        };
        let path = format!("{prefix}{name}");
        if name.starts_with('.') {
            if kind.is_file() && is_document(&entry.path()) {
                out.pass(path, Passed::Hidden);
            }
            continue;
        }
        if kind.is_dir() {
            list(&entry.path(), &format!("{path}/"), out)?;
        } else if kind.is_file() {
            out.paths.push(path);
        } else if kind.is_symlink() {
            linked(&entry.path(), path, out);
        } else {
            out.pass(path, Passed::Special);
        }
        if out.paths.len() > MAX_FILES {
            return Err(std::io::Error::other("more than 100000 files; is this a policy project?"));
        }
    }
    Ok(())
}

/// A link, and where it leads to a directory, the files directly in it.
fn linked(link: &Path, path: String, out: &mut Found) {
    let inside = std::fs::read_dir(link).into_iter().flatten().flatten();
    let names = inside.filter_map(|entry| entry.file_name().into_string().ok());
    let inside: Vec<String> =
        names.filter(|name| !name.starts_with('.')).map(|name| format!("{path}/{name}")).collect();
    for path in inside.into_iter().chain([path]) {
        out.pass(path, Passed::Link);
    }
}

/// Whether a hidden file looks like one of ours: most belong to other tools.
fn is_document(path: &Path) -> bool {
    let yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    yaml && std::fs::read_to_string(path).is_ok_and(|text| text.lines().any(|line| line.starts_with("kind:")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_is_read_only_if_it_would_be_listed() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            std::fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
            std::fs::write(dir.path().join(path), path).unwrap();
        };
        ["daam.yaml", "policies/a.yaml", ".git/a.yaml"].into_iter().for_each(write);
        std::os::unix::fs::symlink(dir.path().join("policies"), dir.path().join("other")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("daam.yaml"), dir.path().join("policies/b.yaml")).unwrap();
        let listed = DiskFiles::open(dir.path()).unwrap().paths();
        for path in [
            "daam.yaml",
            "policies/a.yaml",
            "policies/b.yaml",
            "other/a.yaml",
            ".git/a.yaml",
            "policies",
            "../x",
            "policies//a.yaml",
        ] {
            let read = DiskFiles::one(dir.path(), path).is_some();
            assert_eq!(read, listed.iter().any(|one| one == path), "{path}");
        }
    }

    #[test]
    fn a_lock_from_elsewhere_looks_as_if_it_were_in_the_project() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(PROJECT_FILE), "kind: project\n").unwrap();
        let files = DiskFiles::open(dir.path()).unwrap();
        assert!(!files.has_lock("schema/shop"));
        let files = files.with_lock("schema/shop", &Catalog::default());
        assert!(files.has_lock("schema/shop"));
        assert!(FileSource::read(&files, "schema/shop/lock.json").unwrap().contains("version"));
        assert!(FileSource::read(&files, PROJECT_FILE).unwrap().contains("kind: project"));
    }
}
