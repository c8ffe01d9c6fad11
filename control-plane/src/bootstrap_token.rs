//! The secret that creates the first organization: in a file only the operator can read, until it is used.

use daam_store::{Secret, SecretKind, StoreError, digest};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use subtle::ConstantTimeEq as _;

/// The file beside the embedded database.
pub(crate) const FILE: &str = "bootstrap-token";

/// The token while it can be used.
#[derive(Debug)]
pub(crate) struct BootstrapToken {
    path: PathBuf,
    sha256: String,
}

/// Why the token file is not there.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapTokenError {
    /// The file.
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
    /// The secret.
    #[error("could not make the bootstrap token")]
    Make(#[source] StoreError),
}

impl BootstrapToken {
    /// Reads the token of an earlier start, or makes one.
    pub(crate) fn load_or_create(data_dir: &Path) -> Result<Self, BootstrapTokenError> {
        let path = data_dir.join(FILE);
        let failed = |doing| {
            let path = path.clone();
            move |source| BootstrapTokenError::File { doing, path, source }
        };
        let present = match fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(failed("read")(error)),
        };
        if let Some(text) = present.filter(|text| SecretKind::of(text.trim()) == Some(SecretKind::Bootstrap))
        {
            return Ok(Self { path, sha256: digest(text.trim()) });
        }
        let secret = Secret::generate(SecretKind::Bootstrap).map_err(BootstrapTokenError::Make)?;
        let sha256 = secret.sha256();
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed("create"))?;
        writeln!(file, "{}", secret.reveal()).map_err(failed("write"))?;
        Ok(Self { path, sha256 })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn matches(&self, presented: &str) -> bool {
        digest(presented).as_bytes().ct_eq(self.sha256.as_bytes()).into()
    }

    /// The token has been used.
    pub(crate) fn forget(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "could not remove the used bootstrap token");
        }
    }
}
