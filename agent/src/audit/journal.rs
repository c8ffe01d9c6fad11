//! The files: `audit-<first record>.jsonl` in a directory of their own, readable by the agent alone, only appended to.
//!
//! A batch is on disk whole or not at all as far as this process can see to it: what a failed write left is cut off
//! before the next one. A record that a crash of the machine cut short is removed at the next start and counted in the
//! record that says so; it was never acknowledged to anybody. Refused: a directory another agent writes to, and a last
//! record that does not verify, because nothing may be added to a history that somebody changed.

use super::settings::AuditSettings;
use super::{AuditTag, Entry, read};
use crate::kept_file;
use daam_audit::{BadRecord, Chain, Event, Hash, Record};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const LOCK: &str = "lock";
const CHAIN: &str = "chain";

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Reading or writing failed.
    #[error("could not use the audit in `{dir}`")]
    Io {
        /// The directory.
        dir: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Another agent has them.
    #[error("another agent writes its audit to `{0}`; give each a directory of its own")]
    Busy(PathBuf),
    /// The last record does not verify.
    #[error(
        "the last record in `{file}` does not verify; keep the files for whoever looks into it, and move them away to \
         begin a new chain"
    )]
    Broken {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        #[source]
        source: BadRecord,
    },
}

/// The open end of the chain.
#[derive(Debug)]
pub(super) struct Journal {
    dir: PathBuf,
    file: File,
    /// Bytes of the file that are whole records.
    size: u64,
    chain: Chain,
    name: String,
    max_size: u64,
    keep: usize,
    /// A failed write may have left something behind the last whole record.
    ragged: bool,
    _lock: File,
}

impl Journal {
    /// Opens or begins a chain; also gives the record to write first.
    pub(super) fn open(
        dir: PathBuf,
        settings: &AuditSettings,
        tag: &AuditTag,
    ) -> Result<(Self, Event), JournalError> {
        let failed = |source| JournalError::Io { dir: dir.clone(), source };
        kept_file::open_directory(&dir).map_err(failed)?;
        let lock = lock(&dir)?;
        let (chain, torn) = last_record(&dir)?;
        let name = chain_name(&dir, chain.last() == 0).map_err(failed)?;
        let path = match read::files(&dir).map_err(failed)?.pop() {
            Some(path) => path,
            None => fresh(&dir, 1).map_err(failed)?,
        };
        let file = OpenOptions::new().append(true).open(&path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let opening = if chain.last() == 0 {
            let AuditTag { agent, database } = tag.clone();
            Event::ChainStarted { chain: name.clone(), agent, database, version }
        } else {
            Event::AgentStarted { version, torn }
        };
        let (max_size, keep) = (settings.max_size, settings.keep.max(1));
        let journal = Self { dir, file, size, chain, name, max_size, keep, ragged: false, _lock: lock };
        Ok((journal, opening))
    }

    pub(super) fn last(&self) -> u64 {
        self.chain.last()
    }

    pub(super) fn describe(&self) -> String {
        format!("{} of chain {} in `{}`", self.chain.last(), self.name, self.dir.display())
    }

    /// Appends records, all or none, beginning another file where this one is full.
    pub(super) fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        self.smooth()?;
        let mut chain = self.chain.clone();
        let mut text = String::new();
        for entry in entries {
            let record = chain.append(entry.at.clone(), entry.event.clone(), entry.detail.clone());
            text.push_str(&record.line());
            text.push('\n');
        }
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        if self.size > 0 && self.size.saturating_add(length) > self.max_size {
            self.rotate()?;
        }
        self.ragged = true;
        self.file.write_all(text.as_bytes())?;
        self.ragged = false;
        self.size = self.size.saturating_add(length);
        self.chain = chain;
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Cuts off what a failed write left.
    fn smooth(&mut self) -> io::Result<()> {
        if self.ragged {
            self.file.set_len(self.size)?;
            self.ragged = false;
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file.sync_all()?;
        let path = fresh(&self.dir, self.chain.last().saturating_add(1))?;
        self.file = OpenOptions::new().append(true).open(path)?;
        self.size = 0;
        let files = read::files(&self.dir)?;
        let old = files.len().saturating_sub(self.keep);
        for path in files.iter().take(old) {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// A new file that begins with this record.
fn fresh(dir: &Path, first: u64) -> io::Result<PathBuf> {
    let path = dir.join(read::file_name(first));
    // An attempt that failed later may have left it; it holds nothing then.
    OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
    File::open(dir)?.sync_all()?;
    Ok(path)
}

fn lock(dir: &Path) -> Result<File, JournalError> {
    let failed = |source| JournalError::Io { dir: dir.to_owned(), source };
    let file =
        OpenOptions::new().create(true).append(true).mode(0o600).open(dir.join(LOCK)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Busy(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// The chain's end, and how much of a torn record was cut off behind it.
fn last_record(dir: &Path) -> Result<(Chain, u64), JournalError> {
    let failed = |source| JournalError::Io { dir: dir.to_owned(), source };
    let mut torn = 0;
    for path in read::files(dir).map_err(failed)?.iter().rev() {
        let tail = read::tail(path).map_err(failed)?;
        if tail.torn > 0 {
            let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
            file.set_len(tail.whole).map_err(failed)?;
            file.sync_all().map_err(failed)?;
            torn += tail.torn;
        }
        if let Some(line) = tail.last {
            let broken = |source| JournalError::Broken { file: path.clone(), source };
            let record = Record::parse(&line).map_err(broken)?;
            return Ok((Chain::after(&record), torn));
        }
    }
    Ok((Chain::new(), torn))
}

/// The random name of the chain, kept beside its files.
fn chain_name(dir: &Path, begins: bool) -> io::Result<String> {
    if !begins && let Some(name) = read_name(dir)? {
        return Ok(name);
    }
    let name = uuid::Uuid::new_v4().simple().to_string();
    kept_file::replace(dir, CHAIN, name.as_bytes())?;
    Ok(name)
}

/// The name of the chain in a directory.
pub(super) fn read_name(dir: &Path) -> io::Result<Option<String>> {
    let bytes = kept_file::read(dir, CHAIN)?;
    Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
}

const ACKNOWLEDGED: &str = "acknowledged";

/// Remembers what the control plane has confirmed to hold.
pub(super) fn keep_head(dir: &Path, seq: u64, hash: Hash) -> io::Result<()> {
    kept_file::replace(dir, ACKNOWLEDGED, format!("{seq}:{hash}\n").as_bytes())
}

/// What the control plane has confirmed to hold of the chain in a directory.
pub fn read_head(dir: &Path) -> io::Result<Option<(u64, Hash)>> {
    let text = kept_file::read(dir, ACKNOWLEDGED)?.and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(text.as_deref().and_then(read::head))
}
