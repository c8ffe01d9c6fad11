//! HTTP/1.1 over accepted connections, with an end to patience: only so many at a time, and each must send the head of
//! its next request in time. Where all places are taken, the connection that has waited longest without a request under
//! way gives up its own: whoever opens thousands and says nothing holds nobody up. A connection that became an agent's
//! link no longer counts; links have limits of their own.

use crate::rates::Peer;
use axum::Router;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use place::{Idle, Metered, Place};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

mod place;

pub(crate) use place::Meter;

const LARGEST_HEAD: usize = 64 * 1024;

/// What strangers may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections at once; for more, idle ones give way, and where none is idle they wait in the system's queue.
    pub(crate) connections: usize,
    /// Of these, from one address; more are closed at once. Everything comes from one address where a proxy is in front.
    pub(crate) share: usize,
    /// For the head of a request, and between requests.
    pub(crate) head: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 4096, share: 4096, head: Duration::from_secs(15) }
    }
}

/// Serves until told to stop, then until the requests under way are answered.
pub(crate) async fn serve<L: Listener<Addr = SocketAddr>>(
    mut listener: L,
    router: Router,
    stop: CancellationToken,
    limits: Limits,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let seats = Seats::default();
    let mut connections = JoinSet::new();
    let idle = Idle::default();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (io, peer) = accepted;
        while connections.try_join_next().is_some() {}
        let Some(seat) = Seat::take(&seats, peer.ip(), limits.share) else { continue };
        let place = tokio::select! {
            () = stop.cancelled() => break,
            place = room_for_one(&room, &idle) => place,
        };
        let Some(place) = place else { break };
        let waiting = Arc::new(idle.enter());
        let (router, stop) = (router.clone(), stop.clone());
        connections.spawn(async move {
            connection((io, peer), router, stop, (limits.head, waiting)).await;
            drop((place, seat));
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

type Seats = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// One connection of an address, as long as it lasts.
struct Seat(Seats, IpAddr);

impl Seat {
    fn take(seats: &Seats, address: IpAddr, most: usize) -> Option<Self> {
        let mut taken = seats.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count = count.saturating_add(1);
        drop(taken);
        Some(Self(Arc::clone(seats), address))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = taken.get(&self.1).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            taken.remove(&self.1);
        } else {
            taken.insert(self.1, left);
        }
    }
}

/// A place, if need be that of somebody who does nothing with it.
async fn room_for_one(room: &Arc<Semaphore>, idle: &Idle) -> Option<OwnedSemaphorePermit> {
    if let Ok(place) = Arc::clone(room).try_acquire_owned() {
        return Some(place);
    }
    idle.oldest_gives_way();
    Arc::clone(room).acquire_owned().await.ok()
}

async fn connection(
    (io, peer): (impl AsyncRead + AsyncWrite + Unpin + Send + 'static, SocketAddr),
    router: Router,
    stop: CancellationToken,
    (head, place): (Duration, Arc<Place>),
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head).max_buf_size(LARGEST_HEAD);
    let meter = Meter::default();
    let io = TokioIo::new(Metered { io, meter: meter.clone() });
    let give_way = place.give_way().clone();
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer.ip()));
        request.extensions_mut().insert(meter.clone());
        let (mut router, working) = (router.clone(), place.works());
        async move {
            let answer = router.call(request).await;
            drop(working);
            answer
        }
    });
    let served = http.serve_connection(io, service).with_upgrades();
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = give_way.cancelled() => return,
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::Notify;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_secs(20);
    /// Of the one request that takes its time.
    static BEGUN: Notify = Notify::const_new();
    static RELEASED: Notify = Notify::const_new();

    async fn start(limits: Limits) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let slow = get(async || {
            BEGUN.notify_one();
            RELEASED.notified().await;
            "slow"
        });
        let router = Router::new().route("/", get(async || "ok")).route("/slow", slow);
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
        let limits = Limits { connections: 8, share: 8, head: Duration::from_millis(100) };
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
    async fn one_address_takes_no_more_than_its_share() {
        let limits = Limits { connections: 8, share: 2, head: SOON };
        let (address, _stop, task) = start(limits).await;
        let silent = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        let mut third = TcpStream::connect(address).await.unwrap();
        assert_eq!(told(&mut third, "").await, "", "closed at once");
        drop(silent);
        let request = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let again = async {
            loop {
                let mut stream = TcpStream::connect(address).await.unwrap();
                if stream.write_all(request.as_bytes()).await.is_err() {
                    continue;
                }
                let mut answer = Vec::new();
                if stream.read_to_end(&mut answer).await.is_ok() && answer.ends_with(b"ok") {
                    break;
                }
            }
        };
        timeout(SOON, again).await.unwrap();
        task.abort();
    }

    const REQUEST: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

    #[tokio::test]
    async fn more_connections_than_allowed_wait_for_a_request_that_is_under_way() {
        let limits = Limits { connections: 1, share: 2, head: SOON };
        let (address, _stop, task) = start(limits).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        timeout(SOON, BEGUN.notified()).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        let answer = told(&mut second, REQUEST);
        let mut answer = pin!(answer);
        assert!(timeout(Duration::from_millis(200), answer.as_mut()).await.is_err(), "no place yet");
        RELEASED.notify_one();
        assert!(told(&mut first, "").await.ends_with("slow"), "what was under way goes on");
        assert!(answer.await.ends_with("ok"));
        task.abort();
    }

    #[tokio::test]
    async fn whoever_says_nothing_gives_way_to_whoever_asks() {
        let limits = Limits { connections: 3, share: 100, head: Duration::from_secs(3600) };
        let (address, _stop, task) = start(limits).await;
        let mut silent = Vec::new();
        for _ in 0..20 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx-half: ").await.unwrap();
            silent.push(stream);
        }
        for _ in 0..5 {
            let mut honest = TcpStream::connect(address).await.unwrap();
            assert!(told(&mut honest, REQUEST).await.ends_with("ok"));
        }
        task.abort();
    }
}
