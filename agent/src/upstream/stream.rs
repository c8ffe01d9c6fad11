//! The transport to the database: TCP, a Unix socket, and TLS over TCP.

use super::dsn::{SslMode, UpstreamConfig};
use super::login::ConnectError;
use super::tls;
use daam_pgwire::startup::{CancelKey, encode_cancel, encode_ssl_request};
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

/// How long a cancel request may take.
const CANCEL_DEADLINE: Duration = Duration::from_secs(10);

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A host name or address.
    Tcp(String),
    /// The directory of a Unix socket.
    Unix(PathBuf),
}

/// A stream of either kind.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A transport that is up, and what SCRAM can bind to.
pub(super) struct Transport {
    pub(super) stream: Box<dyn Duplex>,
    pub(super) encrypted: bool,
    pub(super) end_point: Option<Vec<u8>>,
}

impl UpstreamConfig {
    pub(super) async fn transport(&self) -> Result<Transport, ConnectError> {
        match self.host() {
            Host::Unix(directory) => {
                let path = directory.join(format!(".s.PGSQL.{}", self.port()));
                let stream = UnixStream::connect(path).await.map_err(ConnectError::Unreachable)?;
                Ok(Transport { stream: Box::new(stream), encrypted: false, end_point: None })
            }
            Host::Tcp(host) => {
                let stream = TcpStream::connect((host.as_str(), self.port()))
                    .await
                    .map_err(ConnectError::Unreachable)?;
                stream.set_nodelay(true).map_err(ConnectError::Unreachable)?;
                self.encrypt(stream, host).await
            }
        }
    }

    async fn encrypt(&self, mut stream: TcpStream, host: &str) -> Result<Transport, ConnectError> {
        let plain = |stream| Transport { stream: Box::new(stream), encrypted: false, end_point: None };
        let Some(client) = self.tls()? else { return Ok(plain(stream)) };
        stream.write_all(&encode_ssl_request()).await.map_err(ConnectError::Lost)?;
        // Exactly one byte: anything more would be text an attacker slipped in before encryption.
        match stream.read_u8().await.map_err(ConnectError::Lost)? {
            b'S' => tls::connect(stream, host, client).await,
            b'N' if self.ssl_mode() == SslMode::Prefer => Ok(plain(stream)),
            b'N' => Err(ConnectError::NoTls),
            _ => Err(ConnectError::Protocol("the answer to the TLS request is neither `S` nor `N`")),
        }
    }

    /// Asks the server to cancel what the session with this key is running.
    pub async fn cancel(&self, key: &CancelKey) -> Result<(), ConnectError> {
        let send = async {
            let mut transport = self.transport().await?;
            transport.stream.write_all(&encode_cancel(key)).await.map_err(ConnectError::Lost)?;
            transport.stream.flush().await.map_err(ConnectError::Lost)?;
            // The server closes once it has signalled; only then is the request known to be handled.
            let mut rest = [0_u8; 16];
            while matches!(transport.stream.read(&mut rest).await, Ok(count) if count > 0) {}
            Ok(())
        };
        tokio::time::timeout(CANCEL_DEADLINE, send).await.map_err(|_| ConnectError::TimedOut)?
    }
}
