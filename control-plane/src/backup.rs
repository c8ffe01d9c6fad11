//! Backups, taken while the database is in use, and putting one back: of the embedded database by ourselves, of PostgreSQL by
//! its own tools.
//!
//! A backup is a directory: the database and the key file its sealed keys open with. It is as secret as the data
//! directory. What this refuses: writing over anything, and putting back what is not a whole database with its key.

use crate::server::{Config, StartError, open};
use crate::signed::SignedBefore;
use daam_store::Db;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

mod postgres;

const DATABASE: &str = "daam.db";
/// Of PostgreSQL.
const DUMP: &str = "daam.dump";
const KEYS: &str = "keys.key";

/// Why there is no backup, or it is not put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The URL of PostgreSQL.
    #[error(
        "the database URL cannot be given to PostgreSQL's tools; allowed is `postgres://user:password@host/database`"
    )]
    Url,
    /// A tool of PostgreSQL.
    #[error(
        "could not run `{program}`; PostgreSQL is backed up by its own tools, which have to be here and of its version or newer"
    )]
    Tool {
        /// Which.
        program: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It ran and failed.
    #[error("`{program}` failed: {said}")]
    Failed {
        /// Which.
        program: &'static str,
        /// What it said.
        said: String,
    },
    /// Something is there.
    #[error("`{0}` is there already; allowed is a place where nothing is")]
    Taken(PathBuf),
    /// A file.
    #[error("could not {doing} `{path}`")]
    File {
        /// What we were doing.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The database.
    #[error("could not copy the database")]
    Copy(#[source] daam_store::StoreError),
    /// What was put back does not open.
    #[error(
        "the backup does not open; the files that were put back were removed again, a PostgreSQL database has to be made anew"
    )]
    Open(#[source] StartError),
}

/// Copies the database and its key file into a new directory, while a server may be running.
pub async fn backup(config: &Config, out: &Path) -> Result<(), BackupError> {
    if out.exists() {
        return Err(BackupError::Taken(out.to_owned()));
    }
    private_dir(out)?;
    copy(&config.data_dir.join(KEYS), &out.join(KEYS))?;
    if let Some(url) = &config.database_url {
        return postgres::dump(url, &out.join(DUMP)).await;
    }
    let from = config.data_dir.join(DATABASE);
    Db::copy_sqlite(&from, &out.join(DATABASE)).await.map_err(BackupError::Copy)
}

/// Puts a backup into a data directory, and where that is not embedded a database, that have nothing yet, and opens it once.
/// What the server there remembers of audits it signed later would keep it from signing the older ones: it is moved aside,
/// and the answer is where to.
pub async fn restore(config: &Config, from: &Path) -> Result<Option<PathBuf>, BackupError> {
    private_dir(&config.data_dir)?;
    let files: &[&str] = if config.database_url.is_some() { &[KEYS] } else { &[KEYS, DATABASE] };
    let places: Vec<_> = files.iter().map(|name| (from.join(name), config.data_dir.join(name))).collect();
    for (_, to) in &places {
        if to.exists() {
            return Err(BackupError::Taken(to.clone()));
        }
    }
    let data_dir = &config.data_dir;
    let memory =
        |source| BackupError::File { doing: "move aside `audit-signed` in", path: data_dir.clone(), source };
    let aside = SignedBefore::set_aside(data_dir, config.clock.now()).map_err(memory)?;
    let opened = async {
        for (from, to) in &places {
            copy(from, to)?;
        }
        if let Some(url) = &config.database_url {
            postgres::put_back(url, &from.join(DUMP)).await?;
        }
        let app = open(config, false).await.map_err(BackupError::Open)?;
        app.db().close().await;
        Ok(())
    };
    let done = opened.await;
    if done.is_err() {
        // Half a backup must not look like a database.
        for (_, to) in &places {
            drop(fs::remove_file(to));
        }
        if let Some(aside) = &aside {
            SignedBefore::put_back(data_dir, aside).map_err(memory)?;
        }
    }
    done.map(|()| aside)
}

fn private_dir(path: &Path) -> Result<(), BackupError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| BackupError::File { doing: "make the directory", path: path.to_owned(), source })
}

fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    let failed = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| BackupError::File { doing, path, source }
    };
    let mut read = fs::File::open(from).map_err(failed("read", from))?;
    let mut written =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(failed("make", to))?;
    io::copy(&mut read, &mut written).map_err(failed("write", to))?;
    written.sync_all().map_err(failed("write", to))
}
