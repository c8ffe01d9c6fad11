//! A state of the policies to compare: a commit, a directory, or a bundle.
//!
//! A commit is read from Git's own objects, never checked out. A bundle has policies but no schema and no scope;
//! those come from the other side, or from the project. Refused: a side with errors, which has no effects to
//! compare.

use super::project::{DiskFiles, ProjectArgs};
use super::report::require_clean;
use crate::error::{CliError, Doing as _};
use crate::output;
use daam_bundle::UnsignedBundle;
use daam_compiler::effects::Side;
use daam_compiler::{CompiledDatabase, MemoryFiles, PROJECT_FILE, check};
use daam_model::PolicySet;
use std::collections::BTreeMap;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

/// Where a state is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A commit of the repository the project is in.
    Git(String),
    /// A project directory.
    Directory(PathBuf),
    /// A bundle file; its signatures are not looked at.
    Bundle(PathBuf),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("git", reference)) if !reference.is_empty() => Ok(Self::Git(reference.to_owned())),
            Some(("dir", path)) if !path.is_empty() => Ok(Self::Directory(path.into())),
            Some(("bundle", path)) if !path.is_empty() => Ok(Self::Bundle(path.into())),
            _ => Err(format!("`{text}` is none of `git:REF`, `dir:PATH` and `bundle:FILE`")),
        }
    }
}

/// A state that was read.
#[derive(Debug)]
pub enum State {
    /// A project that compiles.
    Project(BTreeMap<String, CompiledDatabase>),
    /// The policies of a bundle.
    Bundle(PolicySet),
}

impl Place {
    /// Reads it; a commit without a project is one without policies.
    pub fn read(&self, project: &Path) -> Result<State, CliError> {
        match self {
            Self::Directory(path) => compiled(check(&DiskFiles::open(path)?)),
            Self::Git(reference) => {
                if let Some(files) = commit(project, reference)? {
                    return compiled(check(&files));
                }
                output::progress(format!("there is no `{PROJECT_FILE}` in `{reference}`"));
                Ok(State::Project(BTreeMap::new()))
            }
            Self::Bundle(path) => {
                let shown = path.display();
                let doing = format!("read the bundle `{shown}`");
                let bytes = std::fs::read(path).doing(&doing)?;
                let bundle = UnsignedBundle::from_bytes(&bytes).doing(&doing)?;
                Ok(State::Bundle(bundle.policies().doing(&doing)?))
            }
        }
    }
}

fn compiled(checked: daam_compiler::Checked) -> Result<State, CliError> {
    require_clean(&checked)?;
    Ok(State::Project(checked.databases))
}

impl State {
    /// The databases it has policies for.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Project(databases) => databases.keys().map(String::as_str).collect(),
            Self::Bundle(set) => vec![set.database.as_str()],
        }
    }

    /// Schema and scope of a database.
    pub fn frame(&self, database: &str) -> Option<&CompiledDatabase> {
        match self {
            Self::Project(databases) => databases.get(database),
            Self::Bundle(_) => None,
        }
    }

    /// Its policies for a database, over its own schema and scope or else those of `frame`.
    pub fn side<'a>(&'a self, database: &str, frame: &'a CompiledDatabase, none: &'a PolicySet) -> Side<'a> {
        let own = self.frame(database);
        let policies = match self {
            Self::Bundle(set) => Some(set).filter(|set| set.database == database),
            Self::Project(_) => own.map(|database| &database.policies),
        };
        Side { policies: policies.unwrap_or(none), ..Side::of(own.unwrap_or(frame)) }
    }
}

/// The project of the working tree, for sides that have no schema of their own.
pub fn working_tree(project: &ProjectArgs) -> Result<State, CliError> {
    Place::Directory(project.project.clone()).read(&project.project)
}

/// The project's files as they are in a commit; nothing if it has no project there.
pub(super) fn commit(directory: &Path, reference: &str) -> Result<Option<MemoryFiles>, CliError> {
    let wanted = format!("{reference}^{{commit}}");
    let found = git(directory, &["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted], None);
    let Ok(hash) = found.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()) else {
        let message = format!("`{reference}` is not a commit of the repository of `{}`", directory.display());
        return Err(CliError::usage(message).remedy("name a commit, or another side such as `dir:PATH`"));
    };
    let listing = git(directory, &["ls-tree", "-r", "-z", &hash, "--", "."], None)?;
    let listing = String::from_utf8_lossy(&listing).into_owned();
    let files: Vec<(&str, &str)> = listing.split('\0').filter_map(entry).collect();
    if !files.iter().any(|(path, _)| *path == PROJECT_FILE) {
        return Ok(None);
    }
    let wanted: String = files.iter().flat_map(|(_, object)| [*object, "\n"]).collect();
    let objects = git(directory, &["cat-file", "--batch"], Some(&wanted))?;
    let mut rest = objects.as_slice();
    let mut memory = MemoryFiles::new();
    for (path, _) in files {
        let text = next(&mut rest).ok_or_else(|| {
            CliError::usage(format!("`{path}` of `{reference}` could not be read as UTF-8 text from Git"))
        })?;
        memory = memory.with(path, text);
    }
    Ok(Some(memory))
}

/// Path and object of a listed file; symbolic links and hidden files are passed over, as they are on disk.
fn entry(line: &str) -> Option<(&str, &str)> {
    let (head, path) = line.split_once('\t')?;
    let mut head = head.split(' ');
    let (mode, _, object) = (head.next()?, head.next()?, head.next()?);
    let wanted = [".yaml", ".yml", ".json"].iter().any(|extension| path.ends_with(extension));
    let hidden = path.split('/').any(|segment| segment.starts_with('.'));
    (mode.starts_with("100") && wanted && !hidden).then_some((path, object))
}

/// The next object of a batch: a line with its size, then the text and a line end.
fn next(rest: &mut &[u8]) -> Option<String> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let (head, body) = rest.split_at_checked(end + 1)?;
    let size: usize = std::str::from_utf8(head).ok()?.trim().rsplit(' ').next()?.parse().ok()?;
    let (text, after) = body.split_at_checked(size)?;
    *rest = after.get(1..)?;
    String::from_utf8(text.to_vec()).ok()
}

fn git(directory: &Path, arguments: &[&str], input: Option<&str>) -> Result<Vec<u8>, CliError> {
    let stdin = match input {
        None => Stdio::null(),
        Some(text) => {
            let mut file = tempfile::tempfile().doing("make a temporary file")?;
            file.write_all(text.as_bytes()).and_then(|()| file.rewind()).doing("write a temporary file")?;
            Stdio::from(file)
        }
    };
    let answer = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(arguments)
        .stdin(stdin)
        .output()
        .doing("run `git`")?;
    if !answer.status.success() {
        let said = String::from_utf8_lossy(&answer.stderr).into_owned();
        return Err(CliError::usage("`git` could not read the repository").detail(said));
    }
    Ok(answer.stdout)
}
