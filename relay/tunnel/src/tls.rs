//! Who is believed: mutual TLS 1.3 with the organization's CA as the only root, on both sides.
//!
//! Chains are checked by webpki; on top, nothing may stand between a certificate and the CA, whatever the CA signed for
//! other reasons, and the dialling side demands the exact agent it asked for. No TLS 1.2, no resumption, no early data,
//! and never the process-wide default crypto provider.

use crate::transport::{ALPN, MAX_STREAMS, transport};
use daam_identity::{AgentPrincipal, CertificateFacts, Principal, facts_of, principal_of};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Why certificates or keys given to this side cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// Our certificate.
    #[error("our certificate is not readable PEM")]
    Certificate,
    /// Our certificate names nobody.
    #[error("our certificate cannot be used")]
    Principal(#[from] daam_identity::PrincipalError),
    /// Our private key.
    #[error("our private key is not readable PEM")]
    Key,
    /// The CA.
    #[error("the organization's CA is not a readable PEM certificate")]
    Authority,
    /// TLS would not take them.
    #[error("our certificate, key and CA do not fit together")]
    Tls(#[source] Error),
    /// QUIC would not take the TLS configuration.
    #[error("the TLS configuration does not fit QUIC")]
    Quic,
    /// The CA cannot check anything.
    #[error("the organization's CA cannot be used to check certificates")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// The protocol of a TCP connection straight to an agent; what it carries speaks [`ALPN`].
pub(crate) const TCP_ALPN: &[u8] = b"daam-tcp/1";

/// One side's certificate, key and root.
pub(crate) struct Credentials {
    pub(crate) facts: CertificateFacts,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: Arc<RootCertStore>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl Credentials {
    pub(crate) fn read(cert_pem: &str, key_pem: &str, ca_pem: &str) -> Result<Self, CredentialError> {
        let chain = CertificateDer::pem_slice_iter(cert_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| CredentialError::Certificate)?;
        let facts = facts_of(chain.first().ok_or(CredentialError::Certificate)?)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| CredentialError::Key)?;
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
            let root = root.map_err(|_| CredentialError::Authority)?;
            roots.add(root).map_err(|_| CredentialError::Authority)?;
        }
        if roots.is_empty() {
            return Err(CredentialError::Authority);
        }
        Ok(Self { facts, chain, key, roots: Arc::new(roots) })
    }

    /// The dialling side's configuration; `verdict` receives why the agent was not believed.
    pub(crate) fn client(
        &self,
        expected: AgentPrincipal,
        verdict: Verdict,
    ) -> Result<quinn::ClientConfig, CredentialError> {
        let tls = self.client_tls(expected, verdict, ALPN)?;
        let crypto = QuicClientConfig::try_from(tls).map_err(|_| CredentialError::Quic)?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        // The agent opens exactly one stream: control.
        config.transport_config(transport(1));
        Ok(config)
    }

    /// The same for whatever carries TLS.
    pub(crate) fn client_tls(
        &self,
        expected: AgentPrincipal,
        verdict: Verdict,
        protocol: &[u8],
    ) -> Result<rustls::ClientConfig, CredentialError> {
        let provider = provider();
        let inner =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&self.roots), Arc::clone(&provider))
                .build()?;
        let verifier = AgentVerifier { inner, expected, verdict };
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(CredentialError::Tls)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .map_err(CredentialError::Tls)?;
        tls.alpn_protocols = vec![protocol.to_vec()];
        tls.resumption = rustls::client::Resumption::disabled();
        tls.enable_early_data = false;
        Ok(tls)
    }

    /// The listening side's configuration.
    pub(crate) fn server(&self) -> Result<quinn::ServerConfig, CredentialError> {
        let crypto = QuicServerConfig::try_from(self.server_tls(ALPN)?).map_err(|_| CredentialError::Quic)?;
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        config.transport_config(transport(MAX_STREAMS)).max_incoming(1024);
        Ok(config)
    }

    /// The same for whatever carries TLS.
    pub(crate) fn server_tls(&self, protocol: &[u8]) -> Result<rustls::ServerConfig, CredentialError> {
        let provider = provider();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.roots), Arc::clone(&provider))
                .build()?;
        let verifier = Arc::new(DirectVerifier(verifier));
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(CredentialError::Tls)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(CredentialError::Tls)?;
        tls.alpn_protocols = vec![protocol.to_vec()];
        tls.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        tls.send_tls13_tickets = 0;
        tls.max_early_data_size = 0;
        Ok(tls)
    }
}

/// Where a verifier leaves its reason, because TLS only carries a number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verdict(Arc<Mutex<Option<String>>>);

impl Verdict {
    fn set(&self, reason: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    pub(crate) fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

#[derive(Debug)]
struct AgentVerifier {
    inner: Arc<WebPkiServerVerifier>,
    expected: AgentPrincipal,
    verdict: Verdict,
}

impl AgentVerifier {
    /// What is wrong with a genuine certificate, if it is not the expected agent's.
    fn mismatch(&self, shown: &Principal) -> Option<String> {
        let Principal::Agent(agent) = shown else {
            return Some(format!("it showed the certificate of {shown}, which is not an agent's"));
        };
        let (what, is, asked) = if agent.org != self.expected.org {
            ("organization", &agent.org, &self.expected.org)
        } else if agent.database != self.expected.database {
            ("database", &agent.database, &self.expected.database)
        } else if agent.agent_id != self.expected.agent_id {
            ("agent", &agent.agent_id, &self.expected.agent_id)
        } else {
            return None;
        };
        Some(format!("it showed a certificate for {what} `{is}`, but `{asked}` was asked for"))
    }
}

impl ServerCertVerifier for AgentVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = direct(intermediates).and_then(|()| {
            self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        });
        let principal = principal_of(end_entity);
        match (chain, principal) {
            (Ok(verified), Ok(principal)) => match self.mismatch(&principal) {
                None => Ok(verified),
                Some(reason) => {
                    self.verdict.set(reason);
                    Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
                }
            },
            (Ok(_), Err(error)) => {
                self.verdict.set(format!("its certificate names no daam agent: {error}"));
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
            (Err(error), principal) => {
                let named = principal.ok().and_then(|principal| self.mismatch(&principal));
                self.verdict.set(chain_words(&error, named));
                Err(error)
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// The CA's successor is vouched for by a certificate of the CA ([`daam_identity::authorities`]), which is no certificate to
/// sign others by; webpki takes a root for one that limits nothing, so it is said here.
fn direct(intermediates: &[CertificateDer<'_>]) -> Result<(), Error> {
    match intermediates {
        [] => Ok(()),
        _ => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
    }
}

/// Webpki's, for certificates that the CA itself signed.
#[derive(Debug)]
struct DirectVerifier(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for DirectVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        direct(intermediates)?;
        self.0.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

fn chain_words(error: &Error, named: Option<String>) -> String {
    let Error::InvalidCertificate(error) = error else {
        return "its certificate could not be checked".to_owned();
    };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; is this computer's clock right?".to_owned()
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is not from the organization's CA".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            named.unwrap_or_else(|| "its certificate is for another name".to_owned())
        }
        _ => named.unwrap_or_else(|| "its certificate is not acceptable".to_owned()),
    }
}
