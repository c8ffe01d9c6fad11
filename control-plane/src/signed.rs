//! The latest checkpoint of each organization's audit that this server signed or saw, kept beside the key file and so
//! outside the database: whoever has the database alone, and writes a log anew in it, gets no signature for that one.
//!
//! One file per organization. Each server has its own; one that never saw an organization's audit knows nothing of it.
//! What is refused: a file that cannot be read, because without it anything would be signed.

use daam_ledger::Signed;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Below the data directory.
const DIR: &str = "audit-signed";

/// Where they are.
#[derive(Debug, Default)]
pub(crate) struct SignedBefore {
    dir: Option<PathBuf>,
    writing: Mutex<()>,
}

impl SignedBefore {
    /// Below a data directory.
    pub(crate) fn below(data_dir: &Path) -> Self {
        Self { dir: Some(data_dir.join(DIR)), writing: Mutex::default() }
    }

    /// Moves away what is remembered below a data directory, so that an older database may be signed again; where it is
    /// now, if there was anything.
    pub(crate) fn set_aside(data_dir: &Path, now: i64) -> io::Result<Option<PathBuf>> {
        let aside = data_dir.join(format!("{DIR}.before-restore-{now}"));
        match fs::rename(data_dir.join(DIR), &aside) {
            Ok(()) => Ok(Some(aside)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes back what was moved away.
    pub(crate) fn put_back(data_dir: &Path, aside: &Path) -> io::Result<()> {
        fs::rename(aside, data_dir.join(DIR))
    }

    /// The file of an organization, below the data directory.
    pub(crate) fn file(org: &str) -> String {
        format!("{DIR}/{}", file_name(org))
    }

    /// The latest of an organization; none if none was ever seen here.
    pub(crate) fn latest(&self, org: &str) -> io::Result<Option<Signed>> {
        let Some(dir) = &self.dir else { return Ok(None) };
        match fs::read(dir.join(file_name(org))) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Remembers one, if it is later.
    pub(crate) fn remember(&self, org: &str, signed: &Signed) -> io::Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let size = signed.unverified().size;
        if self.latest(org)?.is_some_and(|latest| latest.unverified().size >= size) {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        // A new name each time, which only the owner reads: another process may write at the same time.
        let mut new = tempfile::NamedTempFile::new_in(dir)?;
        new.write_all(&serde_json::to_vec(signed)?)?;
        new.as_file().sync_all()?;
        new.persist(dir.join(file_name(org))).map_err(|error| error.error)?;
        File::open(dir)?.sync_all()
    }
}

/// An organization's name is letters, digits and hyphens.
fn file_name(org: &str) -> String {
    format!("{org}.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use daam_bundle::SigningKey;
    use daam_ledger::{Frontier, Tip};

    #[test]
    fn the_latest_is_known_after_a_restart_and_a_damaged_one_is_not_taken_for_none() {
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::generate().unwrap();
        let mut checkpoint = Tip::of_nothing("o").checkpoint("calm-otter", 1);
        let mut of = |size: u64| {
            let mut frontier = Frontier::default();
            (0..size).for_each(|leaf| frontier.push(&leaf.to_be_bytes()));
            (checkpoint.size, checkpoint.root) = (size, frontier.root());
            checkpoint.clone().sign(&key)
        };
        let open = || SignedBefore::below(dir.path());
        assert_eq!(open().latest("calm-otter").unwrap(), None);
        for size in [3, 7, 5] {
            open().remember("calm-otter", &of(size)).unwrap();
        }
        assert_eq!(open().latest("calm-otter").unwrap(), Some(of(7)));
        assert_eq!(open().latest("sly-fox").unwrap(), None);
        let files: Vec<_> =
            fs::read_dir(dir.path().join(DIR)).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(files, ["calm-otter.json"], "nothing is left over");
        fs::write(dir.path().join("audit-signed/calm-otter.json"), "{").unwrap();
        assert!(open().latest("calm-otter").is_err());
        assert!(open().remember("calm-otter", &of(9)).is_err());
    }
}
