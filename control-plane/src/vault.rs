//! Private keys at rest: AES-256-GCM under a key that lives in a file beside the database, never in it. The
//! organization and the key's kind are bound in, so a sealed key cannot be moved to another row.
//! Refused: a key file others can read, and sealed text that is not exactly what was sealed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const KEY_LEN: usize = 32;
/// What the key for decoys is derived for.
const DECOYS: &[u8] = b"daam decoys";

/// Seals and opens private keys.
pub(crate) struct Vault {
    key: LessSafeKey,
    decoys: Zeroizing<Vec<u8>>,
}

/// Why there is no vault, or it did not open something.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The key file cannot be used.
    #[error("could not {doing} the key file `{path}`")]
    File {
        /// What we were doing.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The key file is readable by others.
    #[error("the key file `{0}` can be read by others; allowed is mode 0600")]
    Open(PathBuf),
    /// The key file is not one.
    #[error("the key file `{0}` does not hold 32 bytes in base64")]
    Malformed(PathBuf),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
    /// Sealed text did not open.
    #[error(
        "a sealed key does not open with this key file; is this the key file the database was made with?"
    )]
    Sealed,
}

impl Vault {
    /// Reads the key file, making it first if `create`.
    pub(crate) fn load(path: &Path, create: bool) -> Result<Self, VaultError> {
        let failed = |doing| move |source| VaultError::File { doing, path: path.to_owned(), source };
        if create && !path.try_exists().map_err(failed("look for"))? {
            let mut random = Zeroizing::new([0_u8; KEY_LEN]);
            getrandom::fill(random.as_mut_slice()).map_err(|_| VaultError::Random)?;
            let text = Zeroizing::new(STANDARD.encode(random.as_slice()));
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .map_err(failed("create"))?;
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed("write"))?;
        }
        let mode = fs::metadata(path).map_err(failed("look at"))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(VaultError::Open(path.to_owned()));
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(failed("read"))?);
        let malformed = || VaultError::Malformed(path.to_owned());
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| malformed())?);
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| malformed())?;
        let decoys = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &bytes), DECOYS);
        Ok(Self { key: LessSafeKey::new(key), decoys: Zeroizing::new(decoys.as_ref().to_vec()) })
    }

    /// A key for what strangers must not tell from the truth, the same at every server with this key file.
    pub(crate) fn decoys(&self) -> &[u8] {
        &self.decoys
    }

    /// Encrypts `secret` for the place `context`.
    pub(crate) fn seal(&self, context: &str, secret: &str) -> Result<String, VaultError> {
        let mut nonce = [0_u8; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| VaultError::Random)?;
        let mut sealed = secret.as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| VaultError::Sealed)?;
        Ok(STANDARD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Decrypts what was sealed for the same place.
    pub(crate) fn open(&self, context: &str, sealed: &str) -> Result<Zeroizing<String>, VaultError> {
        let bytes = STANDARD.decode(sealed).map_err(|_| VaultError::Sealed)?;
        let (nonce, body) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(VaultError::Sealed)?;
        let mut body = Zeroizing::new(body.to_vec());
        let plain = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(context.as_bytes()), &mut body)
            .map_err(|_| VaultError::Sealed)?;
        let text = std::str::from_utf8(plain).map_err(|_| VaultError::Sealed)?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_key_opens_only_in_its_place_and_with_its_key_file() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::load(&dir.path().join("key"), true).unwrap();
        let sealed = vault.seal("brave-otter/ca", "secret").unwrap();
        assert!(!sealed.contains("secret"));
        assert_eq!(vault.open("brave-otter/ca", &sealed).unwrap().as_str(), "secret");
        assert!(vault.open("brave-otter/ticket", &sealed).is_err());
        let again = Vault::load(&dir.path().join("key"), false).unwrap();
        assert_eq!(again.open("brave-otter/ca", &sealed).unwrap().as_str(), "secret");
        let other = Vault::load(&dir.path().join("other"), true).unwrap();
        assert!(other.open("brave-otter/ca", &sealed).is_err());
        let mut flipped = STANDARD.decode(&sealed).unwrap();
        flipped[20] ^= 1;
        assert!(vault.open("brave-otter/ca", &STANDARD.encode(flipped)).is_err());
    }

    #[test]
    fn a_key_file_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        Vault::load(&path, true).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Vault::load(&path, false), Err(VaultError::Open(_))));
    }
}
