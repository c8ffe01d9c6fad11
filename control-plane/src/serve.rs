//! HTTP/1.1 over accepted connections, with an end to patience: only so many at a time, and each must send the head of
//! its next request in time. A connection that became an agent's link no longer counts.

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const LARGEST_HEAD: usize = 64 * 1024;

/// What strangers may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections at once; more wait in the system's queue.
    pub(crate) connections: usize,
    /// For the head of a request, and between requests.
    pub(crate) head: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 4096, head: Duration::from_secs(15) }
    }
}

/// Serves until told to stop, then until the requests under way are answered.
pub(crate) async fn serve<L: Listener>(
    mut listener: L,
    router: Router,
    stop: CancellationToken,
    limits: Limits,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&room).acquire_owned().await.ok()?;
            Some((place, listener.accept().await.0))
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accepted => accepted,
        };
        let Some((place, io)) = accepted else { break };
        while connections.try_join_next().is_some() {}
        let (router, stop) = (router.clone(), stop.clone());
        connections.spawn(async move {
            connection(io, router, stop, limits.head).await;
            drop(place);
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    stop: CancellationToken,
    head: Duration,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head).max_buf_size(LARGEST_HEAD);
    let served = http.serve_connection(TokioIo::new(io), TowerToHyperService::new(router)).with_upgrades();
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_secs(20);

    async fn start(limits: Limits) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let router = Router::new().route("/", get(async || "ok"));
        let task = tokio::spawn(serve(listener, router, stop.clone(), limits));
        (address, stop, task)
    }

    /// Sends a text and reads to the end.
    async fn told(stream: &mut TcpStream, text: &str) -> String {
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A reset is an end, too.
        timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap().unwrap_or_default();
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn a_head_that_never_ends_ends_the_connection() {
        let limits = Limits { connections: 8, head: Duration::from_millis(100) };
        let (address, stop, task) = start(limits).await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        assert!(!told(&mut slow, "GET / HTTP/1.1\r\nhost: x\r\nx-slow: ").await.contains("200"));
        let mut silent = TcpStream::connect(address).await.unwrap();
        assert!(!told(&mut silent, "").await.contains("200"));
        let mut idle = TcpStream::connect(address).await.unwrap();
        let answer = told(&mut idle, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(answer.ends_with("ok"), "{answer}");
        stop.cancel();
        timeout(SOON, task).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn more_connections_than_allowed_wait_their_turn() {
        let limits = Limits { connections: 1, head: SOON };
        let (address, _stop, task) = start(limits).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut byte = [0];
        timeout(SOON, first.read_exact(&mut byte)).await.unwrap().unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        let request = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let answer = told(&mut second, request);
        let mut answer = pin!(answer);
        assert!(timeout(Duration::from_millis(200), answer.as_mut()).await.is_err(), "no place yet");
        drop(first);
        assert!(answer.await.ends_with("ok"));
        task.abort();
    }
}
