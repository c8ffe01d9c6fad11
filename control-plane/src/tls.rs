//! HTTPS without a proxy: handshakes run beside the accept loop, so a slow one holds nobody up. Whoever opens connections
//! and says nothing gets no further than a share of the places, and where all are taken the oldest handshake gives way:
//! an honest one takes a moment.

use axum::serve::Listener;
use daam_tls_files::{CertificateFiles, CertificateFilesError};
use rustls::ServerConfig;
use std::collections::VecDeque;
use std::fmt;
use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::AbortOnDropHandle;

const HANDSHAKE: Duration = Duration::from_secs(10);
const HANDSHAKES: usize = 512;
/// Of one address.
const SHARE: usize = 64;

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

/// TLS by the certificate that is in the files when somebody connects.
pub(crate) fn server_config(files: &Arc<CertificateFiles>) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let resolver = Arc::clone(files);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_no_client_auth().with_cert_resolver(resolver))
        .map_err(TlsError::Config)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// A listener whose connections have finished their handshake.
pub(crate) struct TlsListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    _accepting: AbortOnDropHandle<()>,
}

impl TlsListener {
    pub(crate) fn new(listener: TcpListener, address: SocketAddr, config: ServerConfig) -> Self {
        let (send, ready) = mpsc::channel(16);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let accepting = AbortOnDropHandle::new(tokio::spawn(accept(listener, acceptor, send)));
        Self { address, ready, _accepting: accepting }
    }
}

impl fmt::Debug for TlsListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsListener({})", self.address)
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(ready) => ready,
            None => pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

async fn accept(
    mut listener: TcpListener,
    acceptor: TlsAcceptor,
    send: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let mut handshakes = tokio::task::JoinSet::new();
    // Oldest first; those that have ended are swept out when there are many.
    let mut running: VecDeque<(IpAddr, AbortHandle)> = VecDeque::new();
    loop {
        // The listener of axum waits out the errors of accept.
        let (stream, peer) = Listener::accept(&mut listener).await;
        while handshakes.try_join_next().is_some() {}
        running.retain(|(_, handshake)| !handshake.is_finished());
        let of_peer = running.iter().filter(|(from, _)| *from == peer.ip()).count();
        let oldest = match of_peer {
            SHARE.. => running.iter().position(|(from, _)| *from == peer.ip()),
            _ if running.len() >= HANDSHAKES => Some(0),
            _ => None,
        };
        if let Some((_, handshake)) = oldest.and_then(|oldest| running.remove(oldest)) {
            handshake.abort();
        }
        let (acceptor, send) = (acceptor.clone(), send.clone());
        let handshake = handshakes.spawn(async move {
            if let Ok(Ok(stream)) = timeout(HANDSHAKE, acceptor.accept(stream)).await {
                drop(send.send((stream, peer)).await);
            }
        });
        running.push_back((peer.ip(), handshake));
    }
}
