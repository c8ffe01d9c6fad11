//! The latest checkpoint of each organization's audit that this server signed or saw, kept beside the key file and so
//! outside the database: whoever has the database alone, and writes a log anew in it, gets no signature for that one.
//!
//! One file per organization. Each server has its own; one that never saw an organization's audit knows nothing of it.
//! What is refused: a file that cannot be read, because without it anything would be signed.

use daam_ledger::Signed;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Where they are.
#[derive(Debug, Default)]
pub(crate) struct SignedBefore {
    dir: Option<PathBuf>,
    writing: Mutex<()>,
}

impl SignedBefore {
    /// Below a data directory.
    pub(crate) fn below(data_dir: &Path) -> Self {
        Self { dir: Some(data_dir.join("audit-signed")), writing: Mutex::default() }
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
        let (name, new) = (file_name(org), format!(".{org}.new"));
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(dir.join(&new))?;
        file.write_all(&serde_json::to_vec(signed)?)?;
        file.sync_all()?;
        fs::rename(dir.join(new), dir.join(name))?;
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
        fs::write(dir.path().join("audit-signed/calm-otter.json"), "{").unwrap();
        assert!(open().latest("calm-otter").is_err());
        assert!(open().remember("calm-otter", &of(9)).is_err());
    }
}
