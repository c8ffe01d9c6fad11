//! The TLS certificate of the TCP side, from files, read again when they change.
//!
//! A file that became unreadable or wrong changes nothing: the certificate in use goes on being used, and the log says
//! so. Only at the start is it an error.

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

/// How often the files are looked at.
pub const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The protocol in which an ACME server asks.
pub const ACME_ALPN: &[u8] = b"acme-tls/1";

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
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

/// See the module.
#[derive(Debug)]
pub struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<ServerConfig>>,
    /// What an ACME server is answered with, where one may ask.
    answer: Option<Answer>,
}

/// Shown to whoever asks for [`ACME_ALPN`] and nothing else.
type Answer = Arc<RwLock<Option<Arc<CertifiedKey>>>>;

impl TlsFiles {
    /// Reads both.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let current = RwLock::new(config(certificate, Some(read(certificate, key)?), None)?);
        Ok(Self { certificate: certificate.to_owned(), key: key.to_owned(), current, answer: None })
    }

    /// Chain and key in one file, which need not be there yet, and a place for answers to an ACME server.
    pub fn answering(file: &Path) -> Result<Self, TlsError> {
        let answer = Answer::default();
        let held = read(file, file).inspect_err(|error| tracing::info!(%error, "no TLS certificate yet"));
        let current = RwLock::new(config(file, held.ok(), Some(&answer))?);
        Ok(Self { certificate: file.to_owned(), key: file.to_owned(), current, answer: Some(answer) })
    }

    /// What an ACME server is shown from now on.
    pub fn answer(&self, with: Option<Arc<CertifiedKey>>) {
        if let Some(answer) = &self.answer {
            *answer.write().unwrap_or_else(PoisonError::into_inner) = with;
        }
    }

    /// For the next connection.
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again whenever they change; never returns.
    pub async fn watch(&self) {
        let mut seen = self.changed();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.changed();
            if now != seen {
                seen = now;
                self.reload();
            }
        }
    }

    /// Reads the files again.
    pub fn reload(&self) {
        let fresh = read(&self.certificate, &self.key);
        match fresh.and_then(|pair| config(&self.certificate, Some(pair), self.answer.as_ref())) {
            Ok(fresh) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
                tracing::info!(certificate = %self.certificate.display(), "new TLS certificate in use");
            }
            Err(error) => {
                tracing::error!(%error, "the TLS files changed and cannot be used; the old ones still are");
            }
        }
    }

    fn changed(&self) -> [Option<SystemTime>; 2] {
        [&self.certificate, &self.key].map(|path| std::fs::metadata(path).ok()?.modified().ok())
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, TlsError> {
    let unreadable = |error| TlsError::Certificate(certificate.to_owned(), error);
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .map_err(unreadable)?
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::Key(key.to_owned(), error))?;
    let pair = CertifiedKey::from_der(chain, secret, &default_provider());
    pair.map(Arc::new).map_err(|error| TlsError::Pair(certificate.to_owned(), error))
}

fn config(
    certificate: &Path,
    usual: Option<Arc<CertifiedKey>>,
    answer: Option<&Answer>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let shown = Shown { usual, answer: answer.map(Arc::clone) };
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Pair(certificate.to_owned(), error))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if answer.is_some() {
        config.alpn_protocols.push(ACME_ALPN.to_vec());
    }
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct Shown {
    usual: Option<Arc<CertifiedKey>>,
    answer: Option<Answer>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut protocols = hello.alpn().into_iter().flatten();
        if (protocols.next(), protocols.next()) == (Some(ACME_ALPN), None) {
            let answer = self.answer.as_ref()?.read().unwrap_or_else(PoisonError::into_inner);
            return answer.clone();
        }
        self.usual.clone()
    }
}
