//! A state of the policies to compare: a commit, a directory, a bundle, or what the control plane has published.
//!
//! A commit is read from Git's own objects, never checked out. A bundle has policies but no schema and no scope;
//! those come from the other side, or from the project. Refused: a side with errors, which has no effects to
//! compare.

use super::project::{DiskFiles, ProjectArgs};
use super::publish::remote;
use super::report::require_meaning;
use crate::control_plane::ControlPlane;
use crate::credentials::Login;
use crate::error::{CliError, Doing as _, Exit};
use crate::home::{Home, text_variable};
use crate::output;
use clap::Args;
use daam_bundle::UnsignedBundle;
use daam_compiler::effects::Side;
use daam_compiler::{CompiledDatabase, MemoryFiles, PROJECT_FILE, check, is_of_project};
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
    /// The bundle the control plane has published for a database.
    Deployed(String),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("git", reference)) if !reference.is_empty() => Ok(Self::Git(reference.to_owned())),
            Some(("dir", path)) if !path.is_empty() => Ok(Self::Directory(path.into())),
            Some(("bundle", path)) if !path.is_empty() => Ok(Self::Bundle(path.into())),
            Some(("deployed", name)) if !name.is_empty() => Ok(Self::Deployed(name.to_owned())),
            _ => Err(format!(
                "`{text}` is none of `git:REF`, `dir:PATH`, `bundle:FILE` and `deployed:DATABASE`"
            )),
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
    pub async fn read(&self, project: &Path, plane: &PlaneArgs) -> Result<State, CliError> {
        match self {
            Self::Deployed(database) => {
                let bytes = plane.control_plane()?.bundle(database).await?.ok_or_else(|| {
                    CliError::new(Exit::NoInputs, format!("no bundle is published for `{database}`"))
                        .remedy("publish one with `daam policy publish`, or compare with another side")
                })?;
                let doing = format!("read the published bundle of `{database}`");
                let bundle = UnsignedBundle::from_bytes(&bytes).doing(&doing)?;
                Ok(State::Bundle(bundle.policies().doing(&doing)?))
            }
            Self::Directory(path) => directory(path),
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

fn directory(path: &Path) -> Result<State, CliError> {
    compiled(check(&DiskFiles::open(path)?))
}

/// The commit a change starts from: where the branch left the one it goes back to, as far as Git and the pipeline know.
/// On that branch itself, and outside a repository that has it, the last commit.
pub fn base(directory: &Path) -> Place {
    let target =
        ["GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME"].into_iter().find_map(text_variable);
    let named = target.map(|branch| format!("origin/{branch}"));
    let usual = ["origin/HEAD", "origin/main", "origin/master", "main", "master"].map(str::to_owned);
    let found = named.into_iter().chain(usual).find_map(|branch| {
        let bytes = git(directory, &["merge-base", "HEAD", &branch], None).ok()?;
        let hash = String::from_utf8(bytes).ok()?.trim().to_owned();
        (!hash.is_empty()).then_some(hash)
    });
    Place::Git(found.unwrap_or_else(|| "HEAD".to_owned()))
}

/// The control plane, for what is deployed.
#[derive(Debug, Args)]
pub struct PlaneArgs {
    /// The control plane of `deployed:DATABASE`; by default that of `daam login`.
    #[arg(long, value_name = "URL")]
    control_plane: Option<String>,
    /// A file with an API token for it; by default the sign-in of `daam login`.
    #[arg(long, value_name = "FILE", requires = "control_plane")]
    token_file: Option<PathBuf>,
}

impl PlaneArgs {
    /// A client of it.
    pub fn control_plane(&self) -> Result<ControlPlane, CliError> {
        if let Some(url) = &self.control_plane {
            return remote(url, self.token_file.as_deref());
        }
        let login = Login::load(&Home::find()?)?;
        ControlPlane::new(&login.control_plane, &login.token)
    }
}

fn compiled(checked: daam_compiler::Checked) -> Result<State, CliError> {
    require_meaning(&checked)?;
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
            Self::Project(_) => own.map(|database| &*database.policies),
        };
        Side { policies: policies.unwrap_or(none), ..Side::of(own.unwrap_or(frame)) }
    }
}

/// The project of the working tree, for sides that have no schema of their own.
pub fn working_tree(project: &ProjectArgs) -> Result<State, CliError> {
    directory(&project.project)
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
    let hidden = path.split('/').any(|segment| segment.starts_with('.'));
    (mode.starts_with("100") && is_of_project(path) && !hidden).then_some((path, object))
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
