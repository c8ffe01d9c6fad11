//! What the programs of the tests log, kept in one place so that one look finds a secret in it.
//!
//! A test process calls [`keep`] and everything it logs, down to what nobody would turn on in production, goes to a file
//! beside the build; what a child process wrote is added with [`add`], an answer or a refusal with [`note`]. After the
//! suite `cargo xtask logs` reads it all with [`secrets::Search::found`].
//!
//! Tests plant their secrets so that they are recognized: see [`secrets`].

pub mod secrets;

use daam_diagnostic::log::Lines;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once};
use std::time::{SystemTime, UNIX_EPOCH};
use tracing_subscriber::EnvFilter;

/// Everything of ours, and of the libraries what an operator can turn on without reading their source.
pub const LEVELS: &str = "debug,daam=trace";

static KEPT: Once = Once::new();
static NOTES: Mutex<Option<File>> = Mutex::new(None);
static NAMES: AtomicU64 = AtomicU64::new(0);

/// Where the logs are: beside the profile this program was built in. None for a program that cargo did not build.
pub fn directory() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let built = program.ancestors().find(|place| place.join("deps").is_dir())?;
    Some(built.parent()?.join("suite-logs"))
}

/// A file that nobody else writes, for what a program of this test logs.
///
/// # Errors
///
/// It cannot be made.
pub fn file(kind: &str) -> io::Result<File> {
    let directory = directory().ok_or_else(|| io::Error::other("not built by cargo"))?;
    fs::create_dir_all(&directory)?;
    let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let which = NAMES.fetch_add(1, Ordering::Relaxed);
    File::create_new(directory.join(format!("{kind}.{}.{began}.{which}.log", std::process::id())))
}

/// Keeps what this process logs from here on, for all tests in it.
///
/// # Panics
///
/// If the file cannot be made, or somebody else already took the log: a log that nobody looks at proves nothing.
#[expect(clippy::panic, reason = "a test's own helpers fail loudly")]
pub fn keep(kind: &str) {
    KEPT.call_once(|| {
        let file = file(kind).unwrap_or_else(|error| panic!("the log of this test cannot be kept: {error}"));
        let log = tracing_subscriber::fmt()
            .with_writer(Mutex::new(Lines(file)))
            .with_ansi(false)
            .with_env_filter(EnvFilter::new(LEVELS))
            .finish();
        if let Err(error) = tracing::subscriber::set_global_default(log) {
            panic!("the log of this test goes elsewhere: {error}");
        }
        tracing::trace!("the log of a test is kept");
    });
}

/// Keeps what another program wrote; nothing if it wrote nothing.
pub fn add(kind: &str, log: &Path) {
    let kept = File::open(log).and_then(|mut log| io::copy(&mut log, &mut file(kind)?));
    if let Err(error) = kept {
        tracing::debug!(%error, "a log is not there to be kept");
    }
}

/// Adds a log when it goes away.
#[derive(Debug)]
pub struct AddedAtTheEnd {
    /// Of which program.
    pub kind: &'static str,
    /// Where it writes.
    pub log: PathBuf,
}

impl Drop for AddedAtTheEnd {
    fn drop(&mut self) {
        add(self.kind, &self.log);
    }
}

/// Keeps what somebody was told.
pub fn note(said: &str) {
    let Ok(mut notes) = NOTES.lock() else { return };
    if notes.is_none() {
        *notes = file("said").ok();
    }
    if let Some(notes) = notes.as_mut() {
        let written = writeln!(notes, "{said}");
        drop(written);
    }
}
