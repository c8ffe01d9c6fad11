//! Why the store did not answer. Nothing here carries a row's content or a secret.

use crate::Lasting;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// Of this process, since it began.
static FAILED: AtomicU64 = AtomicU64::new(0);

/// A failure of the store, as opposed to an answer of "no".
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL names neither engine.
    #[error(
        "`--database-url` must begin with `postgres://` or `postgresql://`; leave it out to use the embedded file"
    )]
    Url,
    /// Someone else has the embedded file.
    #[error(
        "another control plane is using `{0}`; stop it, or give this one another --data-dir or a PostgreSQL --database-url"
    )]
    Busy(PathBuf),
    /// Another version's server has the embedded file.
    #[error("the running control plane is of another version; use the program it runs from, or stop it")]
    OtherVersion,
    /// The embedded file is readable by others.
    #[error("the database `{0}` can be read by others; allowed is mode 0600")]
    Exposed(PathBuf),
    /// The embedded file or its lock could not be opened.
    #[error("could not open or lock `{path}`")]
    Lock {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The database cannot be opened.
    #[error("could not open the database")]
    Open(#[source] sqlx::Error),
    /// The database user is above row-level security.
    #[error(
        "the user of `--database-url` bypasses row-level security; give one without BYPASSRLS, which owns the tables, or a superuser"
    )]
    AboveRows,
    /// The schema could not be brought up to date.
    #[error("could not migrate the database")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// A newer version's server was here.
    #[error(
        "the database is of a newer version of this program (its schema is {found}, this one knows {known}); start that version, or restore a backup that was taken before it"
    )]
    Newer {
        /// The latest migration that was run.
        found: i64,
        /// The latest one there is here.
        known: i64,
    },
    /// A query failed.
    #[error("a database query failed")]
    Query(#[source] sqlx::Error),
    /// A stored value is not what this version writes.
    #[error("a stored {0} is not in the form this version writes")]
    Decode(&'static str),
    /// A value does not fit the column.
    #[error("the {0} is too large to store")]
    TooLarge(&'static str),
    /// It would outlive the token it was asked with.
    #[error("a token, or a session that one began, cannot {}", .0.what())]
    NeedsPerson(Lasting),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
}

impl StoreError {
    /// Counts it.
    pub(crate) fn query(error: sqlx::Error) -> Self {
        FAILED.fetch_add(1, Ordering::Relaxed);
        Self::Query(error)
    }

    /// How many queries of this process failed since it began.
    pub fn failed_queries() -> u64 {
        FAILED.load(Ordering::Relaxed)
    }
}

pub(crate) fn stored_number(value: u64, what: &'static str) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::TooLarge(what))
}

pub(crate) fn read_number(value: i64, what: &'static str) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::Decode(what))
}

pub(crate) fn read_json<T: serde::de::DeserializeOwned>(
    text: &str,
    what: &'static str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Decode(what))
}

pub(crate) fn write_json<T: serde::Serialize>(value: &T, what: &'static str) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Decode(what))
}
