//! A relay inside TLS on TCP, for networks that let nothing else through: WebSocket frames, through an HTTP proxy if
//! there is one.
//!
//! This TLS hides nothing that matters — the relay cannot read what is inside, and neither can a proxy that opens
//! it — so certificates of the system's own authorities are accepted, corporate ones included. Refused: anything but
//! a WebSocket of ours.

use crate::direct_tcp::{Ends, ends};
use crate::path::RelayTarget;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::error::Error;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Uri};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tower_service::Service;

/// Where a relay answers the upgrade.
pub const PATH: &str = "/v1/relay";
/// What it speaks.
pub const PROTOCOL: &str = "daam-relay-v1";
/// Longest frame; a packet is never longer.
pub const MAX_FRAME_BYTES: usize = 4096;
/// Most bytes the system takes before it can send them.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 64 * 1024;
/// One step of the connection may take so long.
const STEP: Duration = Duration::from_secs(8);

/// An open connection.
pub(crate) type Stream = WebSocketStream<TlsStream<Box<dyn Io>>>;

pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// How TCP connections to relays are made.
#[derive(Debug, Clone, Default)]
pub struct TcpSettings {
    /// Certificates to accept beside the system's, PEM.
    pub roots_pem: Option<String>,
    /// Which proxy.
    pub proxy: Proxy,
}

/// Which HTTP proxy to go through.
#[derive(Clone, Default)]
pub enum Proxy {
    /// As `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    #[default]
    Environment,
    /// This one, `http://user:password@host:port`.
    Fixed(String),
    /// None.
    Never,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may carry a password.
        f.write_str(match self {
            Self::Environment => "Environment",
            Self::Fixed(_) => "Fixed",
            Self::Never => "Never",
        })
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum TcpError {
    /// TCP itself.
    #[error("no TCP connection")]
    Connect(#[source] std::io::Error),
    /// The proxy.
    #[error("the HTTP proxy `{proxy}` did not let us through")]
    Proxy {
        /// Its host and port.
        proxy: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// TLS.
    #[error("TLS with the relay failed")]
    Tls(#[source] std::io::Error),
    /// The name has no meaning in TLS.
    #[error("`{0}` is not a host name")]
    Name(String),
    /// The certificates given.
    #[error("no certificate authority is known to this system")]
    Roots,
    /// HTTP.
    #[error("what answered is no relay")]
    Upgrade(#[source] Box<tokio_tungstenite::tungstenite::Error>),
    /// Nothing came.
    #[error("{0} took too long")]
    Slow(&'static str),
}

impl TcpError {
    /// With its causes.
    pub fn in_words(&self) -> String {
        let mut words = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            words.push_str(": ");
            words.push_str(&error.to_string());
            cause = error.source();
        }
        words
    }
}

/// Connects, through the proxy if there is one. With the ends of the TCP connection below, which may be the proxy's.
pub(crate) async fn connect(
    target: &RelayTarget,
    settings: &TcpSettings,
) -> Result<(Stream, Ends), TcpError> {
    let port = target.addr.port();
    let name = target.host.trim_matches(['[', ']']);
    let shown = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
    let server = ServerName::try_from(name.to_owned()).map_err(|_| TcpError::Name(target.host.clone()))?;
    let url: Uri =
        format!("https://{shown}:{port}{PATH}").parse().map_err(|_| TcpError::Name(shown.clone()))?;
    let (plain, ends) = within("the TCP connection", plain(target, &url, settings)).await??;
    let tls = TlsConnector::from(tls(settings)?);
    let stream = within("TLS", tls.connect(server, plain)).await?.map_err(TcpError::Tls)?;
    let upgrade = |error| TcpError::Upgrade(Box::new(error));
    let mut request = format!("wss://{shown}:{port}{PATH}").into_client_request().map_err(upgrade)?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(PROTOCOL));
    let upgraded = tokio_tungstenite::client_async_with_config(request, stream, Some(frames()));
    let (stream, _) = within("the upgrade", Box::pin(upgraded)).await?.map_err(upgrade)?;
    Ok((stream, ends))
}

/// The bounds of either side's WebSocket.
pub fn frames() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MAX_FRAME_BYTES))
        .max_frame_size(Some(MAX_FRAME_BYTES))
        // Made for every connection and kept: usual is 128 KiB, which idle sessions would pay for.
        .read_buffer_size(8 * 1024)
        .write_buffer_size(16 * 1024)
        .max_write_buffer_size(256 * 1024)
}

async fn within<F: Future>(step: &'static str, work: F) -> Result<F::Output, TcpError> {
    tokio::time::timeout(STEP, work).await.map_err(|_| TcpError::Slow(step))
}

async fn plain(
    target: &RelayTarget,
    url: &Uri,
    settings: &TcpSettings,
) -> Result<(Box<dyn Io>, Ends), TcpError> {
    let matcher = match &settings.proxy {
        Proxy::Environment => Matcher::from_env(),
        Proxy::Fixed(proxy) => Matcher::builder().https(proxy.clone()).build(),
        Proxy::Never => Matcher::builder().build(),
    };
    let Some(proxy) = matcher.intercept(url) else {
        let stream = TcpStream::connect(target.addr).await.map_err(TcpError::Connect)?;
        stream.set_nodelay(true).map_err(TcpError::Connect)?;
        prefer_bbr(&stream);
        short_queue(&stream);
        let ends = ends(&stream);
        return Ok((Box::new(stream), ends));
    };
    let shown = proxy.uri().authority().map_or("", |authority| authority.as_str()).to_owned();
    let shown = shown.rsplit('@').next().unwrap_or_default().to_owned();
    let failed = |source: Box<dyn Error + Send + Sync>| TcpError::Proxy { proxy: shown.clone(), source };
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    let mut tunnel = Tunnel::new(proxy.uri().clone(), connector);
    if let Some(auth) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(auth.clone());
    }
    std::future::poll_fn(|cx| tunnel.poll_ready(cx)).await.map_err(|error| failed(error.into()))?;
    let stream: TokioIo<TcpStream> = tunnel.call(url.clone()).await.map_err(|error| failed(error.into()))?;
    let stream = stream.into_inner();
    let ends = ends(&stream);
    Ok((Box::new(stream), ends))
}

/// Loss on the way makes a loss-based controller collapse, and QUIC's inside with it. Best effort.
pub fn prefer_bbr(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::net::sockopt::set_tcp_congestion(stream, "bbr") {
        tracing::trace!(%error, "BBR is not available");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = stream;
}

/// What the system keeps unsent would have to be waited for by everything after it. Best effort.
pub fn short_queue(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES) {
        tracing::trace!(%error, "the queue of a TCP connection stays long");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = stream;
}

fn tls(settings: &TcpSettings) -> Result<Arc<ClientConfig>, TcpError> {
    // The system's certificates are read once: a bundle is hundreds of kilobytes.
    static SYSTEM: OnceLock<RootCertStore> = OnceLock::new();
    let system = SYSTEM.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    });
    let mut roots = system.clone();
    if let Some(pem) = &settings.roots_pem {
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|_| TcpError::Roots)?;
            roots.add(certificate).map_err(|_| TcpError::Roots)?;
        }
    }
    if roots.is_empty() {
        return Err(TcpError::Roots);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TcpError::Tls(std::io::Error::other(error)))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
