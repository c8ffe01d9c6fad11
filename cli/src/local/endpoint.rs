//! The listening socket and the clients behind it.
//!
//! Dropping an endpoint closes the socket, ends its clients and removes its directory; closing it lets clients that
//! are leaving finish.

use crate::error::{CliError, Doing as _};
use crate::link::Link;
use crate::local::address::{Address, Host};
use crate::local::connection::serve;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daam_pgwire::scram::{self, Verifier};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

const PAUSE: Duration = Duration::from_millis(100);
/// How long closing waits for clients.
const LEAVE: Duration = Duration::from_secs(3);
/// Clients look for `.s.PGSQL.<port>` in the directory.
const SOCKET_PORT: u16 = 5432;

/// What kind of socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// A Unix socket in a fresh private directory, without a password.
    Socket,
    /// 127.0.0.1 with a random password; port 0 takes a free one.
    Tcp(u16),
}

/// A running endpoint.
#[derive(Debug)]
pub struct Endpoint {
    address: Address,
    _directory: Option<TempDir>,
    clients: AbortOnDropHandle<()>,
    _renewing: AbortOnDropHandle<()>,
    closing: CancellationToken,
}

impl Endpoint {
    /// Listens and serves every client through the link.
    pub async fn open(listen: Listen, user: &str, link: Arc<Link>) -> Result<Self, CliError> {
        let (user, database) = (user.to_owned(), link.database().to_owned());
        let closing = CancellationToken::new();
        let renewing = AbortOnDropHandle::new(tokio::spawn(crate::renewal::keep(Arc::clone(&link))));
        match listen {
            Listen::Socket => {
                // `TempDir` makes the directory 0700; that is what stands between the socket and other users.
                let directory = tempfile::Builder::new()
                    .prefix("daam-")
                    .tempdir()
                    .doing("make a private directory for the socket")?;
                let path = directory.path().join(format!(".s.PGSQL.{SOCKET_PORT}"));
                let listener =
                    UnixListener::bind(&path).doing(format_args!("listen on `{}`", path.display()))?;
                let host = Host::Directory(directory.path().to_owned());
                let clients = tokio::spawn(accept_socket(listener, link, closing.clone()));
                Ok(Self {
                    address: Address { host, port: SOCKET_PORT, user, database },
                    _directory: Some(directory),
                    clients: AbortOnDropHandle::new(clients),
                    _renewing: renewing,
                    closing,
                })
            }
            Listen::Tcp(port) => {
                let (password, verifier) = random_password()?;
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
                    .await
                    .doing(format_args!("listen on 127.0.0.1:{port}"))
                    .map_err(|error| error.remedy("leave the port out to take a free one"))?;
                let port = listener.local_addr().doing("learn the port")?.port();
                let clients = tokio::spawn(accept_tcp(listener, link, verifier, closing.clone()));
                Ok(Self {
                    address: Address { host: Host::Loopback(password), port, user, database },
                    _directory: None,
                    clients: AbortOnDropHandle::new(clients),
                    _renewing: renewing,
                    closing,
                })
            }
        }
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Takes no more clients and waits a moment for those that are leaving.
    pub async fn close(self) {
        self.closing.cancel();
        if timeout(LEAVE, self.clients).await.is_err() {
            tracing::debug!("some clients were still connected");
        }
    }
}

/// A password for one endpoint, and what is kept to check it.
pub fn random_password() -> Result<(String, Arc<Verifier>), CliError> {
    let (mut secret, mut salt) = ([0_u8; 24], [0_u8; 16]);
    getrandom::fill(&mut secret).and_then(|()| getrandom::fill(&mut salt)).doing("get random bytes")?;
    let password = URL_SAFE_NO_PAD.encode(secret);
    let verifier = Verifier::new(password.as_bytes(), &salt, scram::ITERATIONS);
    Ok((password, Arc::new(verifier)))
}

async fn accept_socket(listener: UnixListener, link: Arc<Link>, closing: CancellationToken) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) if is_ours(&client) => {
                    clients.spawn(serve(client, Arc::clone(&link), None));
                }
                Ok(_) => {}
                Err(error) => pause(&error).await,
            },
            Some(_) = clients.join_next() => {}
            () = closing.cancelled() => break,
        }
    }
    drop(listener);
    while clients.join_next().await.is_some() {}
}

async fn accept_tcp(
    listener: TcpListener,
    link: Arc<Link>,
    verifier: Arc<Verifier>,
    closing: CancellationToken,
) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    drop(client.set_nodelay(true));
                    clients.spawn(serve(client, Arc::clone(&link), Some(Arc::clone(&verifier))));
                }
                Err(error) => pause(&error).await,
            },
            Some(_) = clients.join_next() => {}
            () = closing.cancelled() => break,
        }
    }
    drop(listener);
    while clients.join_next().await.is_some() {}
}

/// The directory keeps others out already; this holds even if its mode is changed.
fn is_ours(client: &UnixStream) -> bool {
    let me = rustix::process::geteuid().as_raw();
    client.peer_cred().is_ok_and(|peer| peer.uid() == me || peer.uid() == 0)
}

/// Out of file descriptors, mostly: clients that end will free some.
async fn pause(error: &std::io::Error) {
    tracing::warn!(%error, "could not accept a local connection");
    tokio::time::sleep(PAUSE).await;
}
