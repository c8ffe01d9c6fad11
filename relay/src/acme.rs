//! The TLS certificate of the TCP side from an ACME server (RFC 8555), kept new without anybody's help.
//!
//! The server's question is answered on the relay's own TCP port (TLS-ALPN-01, RFC 8737), so nothing else need be open.
//! Account, key and certificate stay in the state directory. A failure changes nothing: the certificate in use goes on
//! being used, the log says why, and the next try waits longer. Refused: addresses that are no names, answers of any
//! size.

use crate::control::write_private;
use crate::tls_files::{TlsError, TlsFiles};
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, Response};
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, BodyWrapper, BytesResponse, ChallengeType,
    Error as Acme, HttpClient, Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Where certificates come from that every system believes.
pub const USUAL_DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";
const ACCOUNT_FILE: &str = "acme-account.json";
const CERTIFICATE_FILE: &str = "acme-certificate.pem";
const FIRST_WAIT: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// However long a certificate lives, look at the clock so often: it may have been set.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const LARGEST_ANSWER: usize = 1 << 20;
/// How long a server may take to ask its question and to make the certificate.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(120));

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// The name.
    #[error("`{0}` is no name; a certificate from an ACME server needs `--advertise name:port`")]
    Name(String),
    /// The authority given.
    #[error("`{0}` holds no PEM certificate")]
    Authority(PathBuf),
    /// The HTTP client.
    #[error("no HTTP client could be made")]
    Client(#[source] reqwest::Error),
    /// TLS itself.
    #[error("TLS cannot be served")]
    Serving(#[from] TlsError),
    /// A file.
    #[error("cannot use `{0}`")]
    File(PathBuf, #[source] std::io::Error),
    /// The server.
    #[error("the ACME server was asked for {0}")]
    Server(&'static str, #[source] Acme),
    /// It does not ask the question we can answer.
    #[error("the ACME server does not offer TLS-ALPN-01 for `{0}`")]
    Challenge(String),
    /// It was not convinced.
    #[error("the ACME server did not find this relay as `{0}` on TCP port 443: {1}")]
    NotFound(String, String),
    /// Keys and certificates of our own.
    #[error("no certificate could be made to answer with")]
    Own(#[source] rcgen::Error),
    /// The same, in TLS.
    #[error("the certificate made to answer with cannot be used")]
    Tls(#[source] rustls::Error),
}

/// Whom to ask, for what.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server's directory.
    pub directory: String,
    /// An address it may write to.
    pub contact: Option<String>,
    /// A PEM file with the authority of the server's own certificate, where the system does not know it.
    pub authority: Option<PathBuf>,
    /// The name to be vouched for.
    pub name: String,
    /// Where to keep things.
    pub state: PathBuf,
}

/// The account, and who made it.
#[derive(Serialize, Deserialize)]
struct Kept {
    directory: String,
    credentials: AccountCredentials,
}

/// See the module.
#[derive(Debug)]
pub struct Keeper {
    settings: Settings,
    http: reqwest::Client,
    files: Arc<TlsFiles>,
}

impl Keeper {
    /// With the certificate that is there, if one is.
    pub fn new(settings: Settings) -> Result<Self, AcmeError> {
        if settings.name.parse::<IpAddr>().is_ok()
            || !settings.name.contains(|c: char| c.is_ascii_alphabetic())
        {
            return Err(AcmeError::Name(settings.name));
        }
        let mut http = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .https_only(true);
        if let Some(path) = &settings.authority {
            let pem = std::fs::read(path).map_err(|error| AcmeError::File(path.clone(), error))?;
            let unreadable = |_| AcmeError::Authority(path.clone());
            for authority in reqwest::Certificate::from_pem_bundle(&pem).map_err(unreadable)? {
                http = http.add_root_certificate(authority);
            }
        }
        let http = http.build().map_err(AcmeError::Client)?;
        std::fs::create_dir_all(&settings.state)
            .map_err(|error| AcmeError::File(settings.state.clone(), error))?;
        let files = Arc::new(TlsFiles::answering(&settings.state.join(CERTIFICATE_FILE))?);
        Ok(Self { settings, http, files })
    }

    /// What to serve.
    pub fn files(&self) -> Arc<TlsFiles> {
        Arc::clone(&self.files)
    }

    /// Gets a certificate when there is none and well before it ends; never returns.
    pub async fn keep(&self) {
        let mut wait = FIRST_WAIT;
        loop {
            let left = self.due();
            if !left.is_zero() {
                tokio::time::sleep(left.min(LOOK_EVERY)).await;
                continue;
            }
            match self.renew().await {
                Ok(()) => wait = FIRST_WAIT,
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(%error, cause, retry_in = ?wait, "no new TLS certificate; the old one, if any, is used");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// How long the certificate in the file will do.
    fn due(&self) -> Duration {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        std::fs::read(self.certificate_file())
            .ok()
            .and_then(|pem| CertificateDer::from_pem_slice(&pem).ok())
            .and_then(|leaf| renew_at(&leaf, &self.settings.name))
            .map_or(Duration::ZERO, |at| Duration::from_secs(u64::try_from(at - now).unwrap_or_default()))
    }

    fn certificate_file(&self) -> PathBuf {
        self.settings.state.join(CERTIFICATE_FILE)
    }

    async fn renew(&self) -> Result<(), AcmeError> {
        let asked = |what| move |error| AcmeError::Server(what, error);
        let name = &self.settings.name;
        let account = self.account().await?;
        let identifiers = [Identifier::Dns(name.clone())];
        let mut order =
            account.new_order(&NewOrder::new(&identifiers)).await.map_err(asked("a certificate"))?;
        let answered = self.answer(&mut order).await;
        self.files.answer(None);
        answered?;
        let key = order.finalize().await.map_err(asked("a signature"))?;
        let chain = order.poll_certificate(&PATIENCE).await.map_err(asked("the certificate"))?;
        // One file, so that no certificate is ever beside another one's key.
        let file = self.certificate_file();
        write_private(&file, &format!("{chain}\n{key}")).map_err(|error| AcmeError::File(file, error))?;
        self.files.reload();
        Ok(())
    }

    /// The account of an earlier run, if it was made at the same server.
    async fn account(&self) -> Result<Account, AcmeError> {
        let asked = |error| AcmeError::Server("an account", error);
        let file = self.settings.state.join(ACCOUNT_FILE);
        let builder = || Account::builder_with_http(Box::new(Http(self.http.clone())));
        if let Some(kept) = known(&file).filter(|kept| kept.directory == self.settings.directory) {
            return builder().from_credentials(kept.credentials).await.map_err(asked);
        }
        let contact = self.settings.contact.as_ref().map(|address| format!("mailto:{address}"));
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let wanted =
            NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let directory = self.settings.directory.clone();
        let (account, credentials) =
            builder().create(&wanted, directory.clone(), None).await.map_err(asked)?;
        let failed = |error| AcmeError::File(file.clone(), error);
        let text =
            serde_json::to_string(&Kept { directory, credentials }).map_err(|error| failed(error.into()))?;
        write_private(&file, &text).map_err(failed)?;
        Ok(account)
    }

    /// Proves that the name leads here.
    async fn answer(&self, order: &mut Order) -> Result<(), AcmeError> {
        let asked = |what| move |error| AcmeError::Server(what, error);
        let name = &self.settings.name;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(asked("its question"))?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let mut challenge = authorization
                .challenge(ChallengeType::TlsAlpn01)
                .ok_or_else(|| AcmeError::Challenge(name.clone()))?;
            self.files.answer(Some(answering(name, challenge.key_authorization().digest().as_ref())?));
            challenge.set_ready().await.map_err(asked("its check"))?;
        }
        match order.poll_ready(&PATIENCE).await {
            Ok(OrderStatus::Ready | OrderStatus::Valid) => Ok(()),
            Ok(status) => Err(AcmeError::NotFound(name.clone(), self.verdict(order, status).await)),
            Err(Acme::Api(problem)) => {
                Err(AcmeError::NotFound(name.clone(), printable(&problem.to_string())))
            }
            Err(error) => Err(AcmeError::Server("its verdict", error)),
        }
    }

    /// What the server says was wrong.
    async fn verdict(&self, order: &mut Order, status: OrderStatus) -> String {
        let mut authorizations = order.authorizations();
        while let Some(Ok(authorization)) = authorizations.next().await {
            let said = authorization.challenges.iter().find_map(|challenge| challenge.error.as_ref());
            if let Some(said) = said {
                return printable(&said.to_string());
            }
        }
        format!("{status:?}").to_lowercase()
    }
}

/// What a server wrote, fit for a log.
fn printable(said: &str) -> String {
    said.chars().filter(|c| !c.is_control()).take(300).collect()
}

fn known(file: &Path) -> Option<Kept> {
    serde_json::from_str(&std::fs::read_to_string(file).ok()?).ok()
}

/// When two thirds of its life are over, Unix time; `None` for one that will not do at all.
fn renew_at(leaf: &CertificateDer<'_>, name: &str) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let is_ours = |general: &GeneralName<'_>| matches!(general, GeneralName::DNSName(is) if is.eq_ignore_ascii_case(name));
    names.value.general_names.iter().find(|general| is_ours(general))?;
    let (from, until) =
        (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    Some(until - (until.checked_sub(from)? / 3))
}

/// The certificate that answers a server's question: its content is the answer.
fn answering(name: &str, digest: &[u8]) -> Result<Arc<CertifiedKey>, AcmeError> {
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(AcmeError::Own)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate().map_err(AcmeError::Own)?;
    let made = params.self_signed(&key).map_err(AcmeError::Own)?;
    let secret = PrivateKeyDer::try_from(key.serialize_der())
        .map_err(|_| AcmeError::Tls(rustls::Error::General("no key".to_owned())))?;
    // Not looked into: it has a critical extension that no certificate for anything else has.
    let secret = default_provider().key_provider.load_private_key(secret).map_err(AcmeError::Tls)?;
    Ok(Arc::new(CertifiedKey::new(vec![made.der().clone()], secret)))
}

/// Requests through the client everything else here uses.
struct Http(reqwest::Client);

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Acme>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = to_bytes(Body::new(body), LARGEST_ANSWER).await;
            let body = body.map_err(|error| Acme::Other(Box::new(error)))?;
            let call = client.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
            let mut answer = call.send().await.map_err(other)?;
            let mut bytes = Vec::new();
            while let Some(chunk) = answer.chunk().await.map_err(other)? {
                if bytes.len() + chunk.len() > LARGEST_ANSWER {
                    return Err(Acme::Str("an answer of reasonable size"));
                }
                bytes.extend_from_slice(&chunk);
            }
            let (mut parts, ()) = Response::builder().status(answer.status()).body(())?.into_parts();
            parts.headers = answer.headers().clone();
            Ok(BytesResponse { parts, body: Box::new(Bytes::from(bytes)) })
        })
    }
}

fn other(error: reqwest::Error) -> Acme {
    Acme::Other(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(name: &str, days: (i64, i64)) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let at = |days| OffsetDateTime::UNIX_EPOCH + time::Duration::days(days);
        (params.not_before, params.not_after) = (at(days.0), at(days.1));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn a_certificate_is_renewed_after_two_thirds_of_its_life_and_one_for_another_name_at_once() {
        let day = 24 * 3600;
        let leaf = certificate("relay.test", (10, 100));
        assert_eq!(renew_at(&leaf, "Relay.test"), Some(70 * day));
        assert_eq!(renew_at(&leaf, "other.test"), None);
        assert_eq!(renew_at(&CertificateDer::from(vec![1, 2, 3]), "relay.test"), None);
    }

    #[test]
    fn an_address_is_no_name() {
        let state = tempfile::tempdir().unwrap();
        for (name, fine) in [("192.0.2.1", false), ("2001:db8::1", false), ("", false), ("relay.test", true)]
        {
            let settings = Settings {
                directory: USUAL_DIRECTORY.to_owned(),
                contact: None,
                authority: None,
                name: name.to_owned(),
                state: state.path().to_owned(),
            };
            assert_eq!(Keeper::new(settings).is_ok(), fine, "{name}");
        }
    }
}
