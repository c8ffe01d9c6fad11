//! The TLS certificate of the TCP side, from files ([`CertificateFiles`]), and what an ACME server is answered with in its
//! place.

use daam_tls_files::{CertificateFiles, CertificateFilesError};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

/// The protocol in which an ACME server asks.
pub const ACME_ALPN: &[u8] = b"acme-tls/1";

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The files.
    #[error(transparent)]
    Files(#[from] CertificateFilesError),
    /// TLS itself.
    #[error("TLS cannot be set up")]
    Config(#[source] rustls::Error),
}

/// See the module.
#[derive(Debug)]
pub struct TlsFiles {
    shown: Arc<Shown>,
    config: Arc<ServerConfig>,
}

/// Shown to whoever asks for [`ACME_ALPN`] and nothing else.
type Answer = RwLock<Option<Arc<CertifiedKey>>>;

impl TlsFiles {
    /// Reads both.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        Self::showing(Shown { usual: CertificateFiles::open(certificate, key)?, answer: None })
    }

    /// Chain and key in one file, which need not be there yet, and a place for answers to an ACME server.
    pub fn answering(file: &Path) -> Result<Self, TlsError> {
        let (usual, missing) = CertificateFiles::open_later(file, file);
        if let Some(error) = missing {
            tracing::info!(%error, "no TLS certificate yet");
        }
        Self::showing(Shown { usual, answer: Some(Answer::default()) })
    }

    fn showing(shown: Shown) -> Result<Self, TlsError> {
        let shown = Arc::new(shown);
        let resolver = Arc::clone(&shown);
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Config)?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if shown.answer.is_some() {
            config.alpn_protocols.push(ACME_ALPN.to_vec());
        }
        Ok(Self { shown, config: Arc::new(config) })
    }

    /// What an ACME server is shown from now on.
    pub fn answer(&self, with: Option<Arc<CertifiedKey>>) {
        if let Some(answer) = &self.shown.answer {
            *answer.write().unwrap_or_else(PoisonError::into_inner) = with;
        }
    }

    /// For the next connection.
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Reads the files again whenever they change; never returns.
    pub async fn watch(&self) {
        self.shown.usual.watch().await;
    }

    /// Reads the files again.
    pub fn reload(&self) {
        self.shown.usual.reload();
    }
}

#[derive(Debug)]
struct Shown {
    usual: CertificateFiles,
    answer: Option<Answer>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut protocols = hello.alpn().into_iter().flatten();
        if (protocols.next(), protocols.next()) == (Some(ACME_ALPN), None) {
            return self.answer.as_ref()?.read().unwrap_or_else(PoisonError::into_inner).clone();
        }
        self.usual.current()
    }
}
