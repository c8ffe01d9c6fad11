//! The secret that creates the first organization: in a file only the operator can read, until it is used.

use daam_store::{Secret, SecretKind, StoreError, digest};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
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
    /// Permissions.
    #[error("the bootstrap token `{0}` can be read by others; remove the file to get a new token")]
    Open(PathBuf),
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
        if let Some(text) = &present {
            let mode = fs::metadata(&path).map_err(failed("look at"))?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(BootstrapTokenError::Open(path));
            }
            if is_whole(text.trim()) {
                return Ok(Self { path, sha256: digest(text.trim()) });
            }
            // What an interrupted start left behind could be guessed.
            fs::remove_file(&path).map_err(failed("replace"))?;
        }
        let secret = Secret::generate(SecretKind::Bootstrap).map_err(BootstrapTokenError::Make)?;
        let sha256 = secret.sha256();
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
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

/// Prefix and 256 random bits in base64.
fn is_whole(text: &str) -> bool {
    SecretKind::of(text) == Some(SecretKind::Bootstrap) && text.len() == "daam_boot_".len() + 43
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_token_nobody_else_could_read_is_used_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let first = BootstrapToken::load_or_create(dir.path()).unwrap();
        let again = BootstrapToken::load_or_create(dir.path()).unwrap();
        assert_eq!(first.sha256, again.sha256);
        for cut in ["daam_boot_", "daam_boot_AAAA", ""] {
            fs::write(&path, cut).unwrap();
            assert!(!BootstrapToken::load_or_create(dir.path()).unwrap().matches(cut), "{cut}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(BootstrapToken::load_or_create(dir.path()), Err(BootstrapTokenError::Open(_))));
    }
}
