//! A server's TLS certificate from PEM files, read again when they change.
//!
//! Files that became unreadable or wrong change nothing: the certificate in use goes on being used. Only at the start
//! are they an error. It is the TLS configuration's own resolver, so that another certificate counts from the next
//! handshake on and no connection that is there notices.

use daam_identity::certificate::last_second_of;
use rustls::crypto::ring::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::error::Error;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateFilesError {
    /// Not a certificate.
    #[error("`{0}` holds no PEM certificate chain")]
    Certificate(PathBuf, #[source] rustls_pki_types::pem::Error),
    /// Not a key.
    #[error("`{0}` holds no PEM private key")]
    Key(PathBuf, #[source] rustls_pki_types::pem::Error),
    /// They do not belong together.
    #[error("the certificate `{0}` and its key do not fit together")]
    Pair(PathBuf, #[source] rustls::Error),
}

/// What looking at the files found.
#[derive(Debug)]
enum Look {
    /// Nothing that was not known.
    Same,
    /// Another certificate, in use from now on.
    Renewed,
    /// They cannot be used; what was in use still is. Said once for each reason.
    Broken(CertificateFilesError),
}

/// See the module.
#[derive(Debug)]
pub struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Option<Arc<CertifiedKey>>>,
    seen: Mutex<Seen>,
}

/// Of both files: when they were written, how long they are, and which ones they are.
type Stamp = [Option<(SystemTime, u64, u64)>; 2];

#[derive(Debug, Default)]
struct Seen {
    stamp: Stamp,
    /// Why they could not be used when last read.
    broken: Option<String>,
}

impl CertificateFiles {
    /// Reads both.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, CertificateFilesError> {
        let stamp = stamp(certificate, key);
        let current = read(certificate, key)?;
        Ok(Self::with(certificate, key, Some(current), Seen { stamp, broken: None }))
    }

    /// Whatever there is yet, and why there is nothing.
    pub fn open_later(certificate: &Path, key: &Path) -> (Self, Option<CertificateFilesError>) {
        let stamp = stamp(certificate, key);
        let (current, error) = match read(certificate, key) {
            Ok(current) => (Some(current), None),
            Err(error) => (None, Some(error)),
        };
        let broken = error.as_ref().map(reason);
        (Self::with(certificate, key, current, Seen { stamp, broken }), error)
    }

    fn with(certificate: &Path, key: &Path, current: Option<Arc<CertifiedKey>>, seen: Seen) -> Self {
        Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current: RwLock::new(current),
            seen: Mutex::new(seen),
        }
    }

    /// Looks at the files every now and then, and says in the log what came of it; never returns.
    pub async fn watch(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.tell(&self.look());
        }
    }

    /// Reads the files now, and says in the log what came of it.
    pub fn reload(&self) {
        self.tell(&self.read_now());
    }

    fn tell(&self, found: &Look) {
        let certificate = self.certificate.display();
        match found {
            Look::Same => {}
            Look::Renewed => {
                tracing::info!(%certificate, ends = self.not_after(), "new TLS certificate in use");
            }
            Look::Broken(error) => {
                let cause = error.source().map(ToString::to_string);
                tracing::error!(%error, cause, "the TLS files changed and cannot be used; the old ones still are");
            }
        }
    }

    /// Reads the files again if they changed, or could not be used the last time.
    fn look(&self) -> Look {
        let now = stamp(&self.certificate, &self.key);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if now == seen.stamp && seen.broken.is_none() {
            return Look::Same;
        }
        seen.stamp = now;
        self.read_again(&mut seen)
    }

    fn read_now(&self) -> Look {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.stamp = stamp(&self.certificate, &self.key);
        self.read_again(&mut seen)
    }

    fn read_again(&self, seen: &mut Seen) -> Look {
        match read(&self.certificate, &self.key) {
            Ok(fresh) => {
                seen.broken = None;
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                if current.as_ref().is_some_and(|current| current.cert == fresh.cert) {
                    return Look::Same;
                }
                *current = Some(fresh);
                Look::Renewed
            }
            Err(error) => {
                let why = reason(&error);
                if seen.broken.as_ref() == Some(&why) {
                    return Look::Same;
                }
                seen.broken = Some(why);
                Look::Broken(error)
            }
        }
    }

    /// Whether the files, when last looked at, could not be used.
    pub fn is_broken(&self) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).broken.is_some()
    }

    /// The certificate in use and its key.
    pub fn current(&self) -> Option<Arc<CertifiedKey>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last second of the chain in use, Unix time: that of its first certificate to end.
    pub fn not_after(&self) -> Option<i64> {
        let current = self.current()?;
        current.cert.iter().filter_map(|der| last_second_of(der)).min()
    }
}

impl ResolvesServerCert for CertificateFiles {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current()
    }
}

/// With its causes: two kinds of damage are two reasons.
fn reason(error: &CertificateFilesError) -> String {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    format!("{error}: {cause}")
}

fn stamp(certificate: &Path, key: &Path) -> Stamp {
    [certificate, key].map(|path| {
        let found = fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len(), found.ino()))
    })
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, CertificateFilesError> {
    let unreadable = |error| CertificateFilesError::Certificate(certificate.to_owned(), error);
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .map_err(unreadable)?
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    if chain.is_empty() {
        return Err(unreadable(rustls_pki_types::pem::Error::NoItemsFound));
    }
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| CertificateFilesError::Key(key.to_owned(), error))?;
    let pair = CertifiedKey::from_der(chain, secret, &default_provider());
    pair.map(Arc::new).map_err(|error| CertificateFilesError::Pair(certificate.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};
    use tempfile::tempdir;
    use time::{Duration as Days, OffsetDateTime};

    /// A chain and key that end on a day.
    fn pair(day: i64) -> (String, String) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = OffsetDateTime::UNIX_EPOCH;
        params.not_after = OffsetDateTime::UNIX_EPOCH + Days::days(day);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn another_pair_is_used_and_a_broken_one_is_not_until_it_is_mended() {
        let dir = tempdir().unwrap();
        let (cert, key) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
        let (first, second) = (pair(10), pair(20));
        let write = |pair: &(String, String)| {
            fs::write(&cert, &pair.0).unwrap();
            fs::write(&key, &pair.1).unwrap();
        };
        write(&first);
        let files = CertificateFiles::open(&cert, &key).unwrap();
        assert_eq!(files.not_after(), Some(10 * 86_400));
        assert!(matches!(files.look(), Look::Same));

        // Half a change: the certificate is there, its key is not yet.
        fs::write(&cert, &second.0).unwrap();
        assert!(matches!(files.look(), Look::Broken(CertificateFilesError::Pair(..))));
        assert!(matches!(files.look(), Look::Same), "said once");
        assert_eq!((files.not_after(), files.is_broken()), (Some(10 * 86_400), true));
        write(&second);
        assert!(matches!(files.look(), Look::Renewed));
        assert_eq!((files.not_after(), files.is_broken()), (Some(20 * 86_400), false));

        fs::write(&cert, "").unwrap();
        assert!(matches!(files.look(), Look::Broken(CertificateFilesError::Certificate(..))));
        fs::remove_file(&key).unwrap();
        fs::write(&cert, &second.0).unwrap();
        assert!(matches!(files.look(), Look::Broken(CertificateFilesError::Key(..))));
        assert_eq!(files.not_after(), Some(20 * 86_400), "still served with what there was");
        fs::write(&key, &second.1).unwrap();
        assert!(matches!(files.look(), Look::Same), "mended as it was");
        assert!(!files.is_broken());
    }
}
