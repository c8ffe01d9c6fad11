//! The state directory of a sandbox: keys, tokens, configuration, logs, and who is running it.
//!
//! Readable by its owner only. While the sandbox runs, the process holds a lock on `lock`, so a left-over
//! directory is told apart from a live one without trusting process numbers. `$DAAM_HOME/sandbox` names the
//! latest one. Refused: taking over a directory that is in use, or one that is not a sandbox's.

use crate::error::{CliError, Doing as _};
use crate::home::{Home, private_dir, read_if_present, write_private};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const POINTER: &str = "sandbox";
const LOCK: &str = "lock";
const FACTS: &str = "sandbox.json";
/// The certificate of the sandbox's relay, which its people's sessions believe.
pub const RELAY_CERTIFICATE: &str = "relay-cert.pem";
/// What a sandbox may have put there; anything else in the directory is somebody's file.
const OURS: [&str; 17] = [
    LOCK,
    FACTS,
    "logs",
    "admin-token",
    "trust-key.pem",
    "trust.json",
    "identity-ca.pem",
    "dsn",
    "agent.yaml",
    "agent",
    "control-plane",
    "relay",
    RELAY_CERTIFICATE,
    "relay-key.pem",
    "ready",
    "schema",
    "enrolment",
];

/// What the other commands need to know about a running sandbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Facts {
    /// The process that runs it.
    pub pid: i32,
    /// URL of the control plane; empty until it is up.
    pub control_plane: String,
    /// Organization slug.
    pub org: String,
    /// The database.
    pub database: String,
    /// The policy project.
    pub project: PathBuf,
    /// The server's directory outside the state directory, if the sandbox made a server.
    pub cluster: Option<PathBuf>,
}

/// A state directory.
#[derive(Debug, Clone)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// The directory a command means: `--state`, or the one the pointer names.
    pub fn find(home: &Home, wanted: Option<&Path>) -> Result<Self, CliError> {
        if let Some(dir) = wanted {
            return Ok(Self(dir.to_owned()));
        }
        let pointer = read_if_present(&home.file(POINTER))?;
        pointer.map(|text| Self(PathBuf::from(text.trim()))).ok_or_else(not_running)
    }

    /// What the running sandbox says about itself.
    pub fn facts(&self) -> Result<Facts, CliError> {
        if self.is_free()? {
            return Err(not_running());
        }
        self.stored_facts()?.filter(|facts| !facts.control_plane.is_empty()).ok_or_else(|| {
            CliError::usage("the sandbox is still starting")
                .remedy("wait until `daam dev up` says it is ready")
        })
    }

    /// The facts as stored, whether or not it runs.
    pub fn stored_facts(&self) -> Result<Option<Facts>, CliError> {
        let path = self.path(FACTS);
        let Some(text) = read_if_present(&path)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).doing(format_args!("understand `{}`", path.display()))
    }

    /// Stores them.
    pub fn store_facts(&self, facts: &Facts) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(facts).doing("write the sandbox's facts")?;
        write_private(&self.path(FACTS), text)
    }

    /// Whether nobody runs a sandbox here.
    pub fn is_free(&self) -> Result<bool, CliError> {
        match File::open(self.path(LOCK)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => {
                Err(CliError::usage(format!("could not open `{}`", self.path(LOCK).display())).because(error))
            }
            Ok(file) => Ok(file.try_lock_shared().is_ok()),
        }
    }

    /// Removes what a sandbox put there, and the directory if nothing else is in it.
    pub fn remove(&self) {
        self.remove_except(&[]);
    }

    /// Removes everything but the logs.
    pub fn remove_but_logs(&self) {
        self.remove_except(&["logs"]);
    }

    fn remove_except(&self, kept: &[&str]) {
        for name in OURS.into_iter().filter(|name| !kept.contains(name)) {
            let path = self.path(name);
            let gone = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            if let Err(error) = gone
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, path = %path.display(), "could not remove");
            }
        }
        if kept.is_empty() {
            drop(fs::remove_dir(&self.0));
        }
    }
}

/// A state directory this process runs a sandbox in. Dropping it removes the directory.
#[derive(Debug)]
pub struct OwnedState {
    state: StateDir,
    home: Home,
    keep_logs: bool,
    _lock: File,
}

impl OwnedState {
    /// Takes `--state`, or makes a directory of its own.
    pub fn take(home: &Home, wanted: Option<&Path>) -> Result<Self, CliError> {
        home.prepare()?;
        let dir = match wanted {
            Some(dir) => std::path::absolute(dir).doing("find the state directory")?,
            None => home.file(&format!("sandbox-{}", std::process::id())),
        };
        let state = StateDir(dir);
        state.refuse_foreign_files()?;
        private_dir(&state.0)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(state.path(LOCK))
            .doing("make the sandbox's lock file")?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(CliError::usage(format!(
                    "a sandbox is already running in `{}`",
                    state.0.display()
                ))
                .remedy("end it with `daam dev down`, or name another directory with --state"));
            }
            Err(TryLockError::Error(error)) => return Err(error).doing("lock the state directory"),
        }
        state.remove_left_overs();
        private_dir(&state.path("logs"))?;
        private_dir(&state.path("ready"))?;
        private_dir(&state.path("enrolment"))?;
        remove_killed(home, &state);
        write_private(&home.file(POINTER), state.0.as_os_str().as_encoded_bytes())?;
        Ok(Self { state, home: home.clone(), keep_logs: false, _lock: lock })
    }

    /// The directory.
    pub fn state(&self) -> &StateDir {
        &self.state
    }

    /// Leaves the logs behind, because something failed and somebody chose the directory.
    pub fn keep_logs(&mut self) {
        self.keep_logs = true;
    }
}

impl Drop for OwnedState {
    fn drop(&mut self) {
        if self.keep_logs {
            self.state.remove_but_logs();
        } else {
            self.state.remove();
        }
        let pointer = self.home.file(POINTER);
        let named = read_if_present(&pointer).ok().flatten();
        if named.is_some_and(|named| Path::new(named.trim()) == self.state.0) {
            drop(fs::remove_file(pointer));
        }
    }
}

impl StateDir {
    /// A directory with other files in it is not one to put keys into and delete later.
    fn refuse_foreign_files(&self) -> Result<(), CliError> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.doing(format_args!("read `{}`", self.0.display()))?,
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if !OURS.iter().any(|ours| name == *ours) {
                return Err(CliError::usage(format!(
                    "`{}` contains `{}` and is not a sandbox's directory",
                    self.0.display(),
                    name.to_string_lossy()
                ))
                .remedy("name an empty or new directory with --state"));
            }
        }
        Ok(())
    }

    /// What a sandbox that was killed could not remove. The lock file stays: it is held.
    pub fn remove_left_overs(&self) {
        if let Ok(Some(facts)) = self.stored_facts()
            && let Some(cluster) = facts.cluster
            && is_cluster(&cluster)
        {
            drop(fs::remove_dir_all(cluster));
        }
        self.remove_except(&[LOCK]);
    }
}

/// The latest sandbox, if it was killed and left its directory.
fn remove_killed(home: &Home, present: &StateDir) {
    let Ok(latest) = StateDir::find(home, None) else { return };
    let is_sandbox = matches!(latest.stored_facts(), Ok(Some(_)));
    if latest.0 != present.0 && is_sandbox && latest.is_free().unwrap_or(false) {
        latest.remove_left_overs();
        latest.remove();
    }
}

/// Only what `daam_postgres` makes is removed on the word of a file.
fn is_cluster(dir: &Path) -> bool {
    let named = dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with("daam-pg-"));
    named && dir.parent().is_some_and(|parent| parent == std::env::temp_dir())
}

fn not_running() -> CliError {
    CliError::usage("no sandbox is running").remedy("start one with `daam dev up`, or name it with --state")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_directory_is_found_by_default_and_disappears_with_its_owner() {
        let scratch = tempfile::tempdir().unwrap();
        let home = Home::at(&scratch.path().join("home"));
        assert!(StateDir::find(&home, None).is_err());
        let owned = OwnedState::take(&home, None).unwrap();
        let found = StateDir::find(&home, None).unwrap();
        assert_eq!(found.dir(), owned.state().dir());
        assert!(!found.is_free().unwrap());
        drop(owned);
        assert!(!found.dir().exists());
        assert!(StateDir::find(&home, None).is_err());
    }

    #[test]
    fn a_directory_in_use_or_with_other_files_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let home = Home::at(&scratch.path().join("home"));
        let dir = scratch.path().join("state");
        let owned = OwnedState::take(&home, Some(&dir)).unwrap();
        let error = OwnedState::take(&home, Some(&dir)).unwrap_err();
        assert!(error.sentence().contains("already running"), "{error}");
        drop(owned);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("thesis.txt"), "").unwrap();
        let error = OwnedState::take(&home, Some(&dir)).unwrap_err();
        assert!(error.sentence().contains("thesis.txt"), "{error}");
        assert!(dir.join("thesis.txt").exists());
    }

    #[test]
    fn what_a_killed_sandbox_left_is_removed_by_the_next_one() {
        let scratch = tempfile::tempdir().unwrap();
        let home = Home::at(&scratch.path().join("home"));
        let killed = scratch.path().join("killed");
        let facts = Facts {
            pid: 1,
            control_plane: String::new(),
            org: String::new(),
            database: String::new(),
            project: PathBuf::new(),
            cluster: None,
        };
        home.prepare().unwrap();
        fs::create_dir(&killed).unwrap();
        StateDir(killed.clone()).store_facts(&facts).unwrap();
        fs::write(killed.join("lock"), "").unwrap();
        write_private(&home.file(POINTER), killed.as_os_str().as_encoded_bytes()).unwrap();
        let owned = OwnedState::take(&home, None).unwrap();
        assert!(!killed.exists());
        assert!(owned.state().dir().exists());
    }

    #[test]
    fn what_a_killed_sandbox_left_is_taken_over() {
        let scratch = tempfile::tempdir().unwrap();
        let home = Home::at(&scratch.path().join("home"));
        let dir = scratch.path().join("state");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("lock"), "").unwrap();
        fs::write(dir.join("admin-token"), "old").unwrap();
        let owned = OwnedState::take(&home, Some(&dir)).unwrap();
        assert!(!owned.state().path("admin-token").exists());
    }
}
