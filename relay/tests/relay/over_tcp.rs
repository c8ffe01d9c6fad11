//! Where UDP does not pass: the relay inside TLS on TCP, through real HTTP proxies, for both ends.

use crate::program::say;
use crate::through_relay::{DEADLINE, RELAY, SECRET, World, contains, echoes, now};
use daam_identity::ticket::{TicketRole, TicketVerifier};
use daam_relay::forward::Forwarder;
use daam_relay::limits::Limits;
use daam_relay::serve::{Beside, RelaySocket, Snapshot};
use daam_relay::tls_files::TlsFiles;
use daam_tunnel::{DialError, DialPlan, PathKind, PathPreference, Proxy, RelayTarget, TcpSettings, dial};
use futures_util::{SinkExt, StreamExt};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

struct Relay {
    /// TCP works here; UDP is a socket that never answers.
    tcp_only: SocketAddr,
    /// UDP works here.
    udp: SocketAddr,
    files: Arc<TlsFiles>,
    directory: tempfile::TempDir,
    roots_pem: String,
    _silent: UdpSocket,
    _leave: watch::Sender<bool>,
}

fn certificate(directory: &std::path::Path) -> String {
    let made =
        rcgen::generate_simple_self_signed(vec!["relay.test".to_owned(), "localhost".to_owned()]).unwrap();
    std::fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(directory.join("cert.pem"), made.cert.pem()).unwrap();
    made.cert.pem()
}

async fn relay(world: &World) -> Relay {
    relay_with(world, Limits::default()).await
}

async fn relay_with(world: &World, limits: Limits) -> Relay {
    let directory = tempfile::tempdir().unwrap();
    let roots_pem = certificate(directory.path());
    let files = Arc::new(
        TlsFiles::open(&directory.path().join("cert.pem"), &directory.path().join("key.pem")).unwrap(),
    );
    let verifier = TicketVerifier::from_base64(&world.signer.public_base64(), RELAY).unwrap();
    let socket = RelaySocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let udp = socket.local_addr().unwrap();
    let (events, beside) = mpsc::channel(256);
    let (leave, leaving) = watch::channel(false);
    let beside = Beside::new(beside, watch::Sender::new(Snapshot::default()), leaving, Duration::ZERO);
    let forwarder = Forwarder::new("acme", verifier, [5; 32], Limits::default());
    tokio::spawn(socket.forward_with(forwarder, beside));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp_only = listener.local_addr().unwrap();
    let silent = UdpSocket::bind(tcp_only).await.unwrap();
    let used = Arc::clone(&files);
    tokio::spawn(async move { daam_relay::tcp::accept(listener, used, &limits, events).await });
    Relay { tcp_only, udp, files, directory, roots_pem, _silent: silent, _leave: leave }
}

fn settings(relay: &Relay, proxy: Proxy) -> TcpSettings {
    TcpSettings { roots_pem: Some(relay.roots_pem.clone()), proxy }
}

fn target(world: &World, at: SocketAddr, role: TicketRole) -> Vec<RelayTarget> {
    vec![RelayTarget::new(at, "localhost:443", world.ticket(role, now() + 300))]
}

fn plan(world: &World, at: SocketAddr, prefer: PathPreference, tcp: TcpSettings) -> DialPlan {
    DialPlan { relays: target(world, at, TicketRole::Client), prefer, tcp, ..world.plan(at) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_udp_both_ends_meet_at_the_relay_over_tcp_by_themselves() {
    // The listener's settings are needed before the relay has a certificate: one authority for both.
    let mut world = World::new().await;
    let relay = relay(&world).await;
    world.relisten(settings(&relay, Proxy::Never)).await;
    world.listener.set_relays(target(&world, relay.tcp_only, TicketRole::Agent));
    let way = plan(&world, relay.tcp_only, PathPreference::Relay, settings(&relay, Proxy::Never));
    let tunnel = dial(way).await.unwrap();
    assert_eq!(tunnel.path(), PathKind::RelayTcp);
    let large: Vec<u8> = (0..4_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    tokio::join!(echoes(&tunnel, &large), echoes(&tunnel, b"small"));
    tunnel.shutdown("done").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_end_over_tcp_and_the_other_over_udp_is_fine() {
    let world = World::new().await;
    let relay = relay(&world).await;
    world.listener.set_relays(target(&world, relay.udp, TicketRole::Agent));
    let way = plan(&world, relay.tcp_only, PathPreference::RelayTcp, settings(&relay, Proxy::Never));
    let tunnel = dial(way).await.unwrap();
    assert_eq!(tunnel.path(), PathKind::RelayTcp);
    echoes(&tunnel, &vec![3; 2_000_000]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_whose_certificate_nobody_vouches_for_is_refused_in_words_and_a_renewed_one_taken() {
    let world = World::new().await;
    let relay = relay(&world).await;
    world.listener.set_relays(target(&world, relay.udp, TicketRole::Agent));
    let fresh = certificate(relay.directory.path());
    relay.files.reload();
    let stale = settings(&relay, Proxy::Never);
    let refused = dial(plan(&world, relay.tcp_only, PathPreference::RelayTcp, stale)).await.unwrap_err();
    assert!(refused.to_string().contains("TLS with the relay failed"), "{refused}");
    let tcp = TcpSettings { roots_pem: Some(fresh), proxy: Proxy::Never };
    let tunnel = dial(plan(&world, relay.tcp_only, PathPreference::RelayTcp, tcp)).await.unwrap();
    echoes(&tunnel, b"hello").await;
    // A broken file changes nothing.
    std::fs::write(relay.directory.path().join("cert.pem"), "rubbish").unwrap();
    relay.files.reload();
    echoes(&tunnel, b"still here").await;
}

/// Keeps what passes between a client and `to`.
async fn wiretap(to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let capture: Arc<Mutex<Vec<u8>>> = Arc::default();
    let kept = Arc::clone(&capture);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let (mut near_read, mut near_write) = near.into_split();
            let (mut far_read, mut far_write) = TcpStream::connect(to).await.unwrap().into_split();
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let mut buffer = vec![0; 65_536];
                while let Ok(count @ 1..) = near_read.read(&mut buffer).await {
                    kept.lock().unwrap().extend_from_slice(&buffer[..count]);
                    far_write.write_all(&buffer[..count]).await.unwrap_or_default();
                }
            });
            tokio::spawn(
                async move { tokio::io::copy(&mut far_read, &mut near_write).await.unwrap_or_default() },
            );
        }
    });
    (at, capture)
}

struct Tinyproxy {
    child: Child,
    at: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Drop for Tinyproxy {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().unwrap();
    }
}

/// A real proxy that asks for a password; `None` where it is not installed, which is said.
async fn tinyproxy() -> Option<Tinyproxy> {
    let directory = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let config = directory.path().join("tinyproxy.conf");
    let text = format!(
        "Port {port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 20\nAllow 127.0.0.1\nBasicAuth ada secret\n"
    );
    std::fs::write(&config, text).unwrap();
    let started = Command::new("tinyproxy").arg("-d").arg("-c").arg(&config).stdout(Stdio::null()).spawn();
    let Ok(child) = started else {
        say("skipped: tinyproxy is not installed (ci/setup installs it)");
        return None;
    };
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while TcpStream::connect(at).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Some(Tinyproxy { child, at, _directory: directory })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_proxy_with_a_password_is_gone_through_by_both_ends_and_reads_nothing() {
    let Some(proxy) = tinyproxy().await else { return };
    let mut world = World::new().await;
    let relay = relay(&world).await;
    let (tap, wire) = wiretap(proxy.at).await;
    let through = |password: &str| Proxy::Fixed(format!("http://ada:{password}@{tap}"));
    world.relisten(settings(&relay, through("secret"))).await;
    world.listener.set_relays(target(&world, relay.tcp_only, TicketRole::Agent));
    let good = plan(&world, relay.tcp_only, PathPreference::RelayTcp, settings(&relay, through("secret")));
    let tunnel = dial(good).await.unwrap();
    echoes(&tunnel, &SECRET.repeat(1000)).await;
    let seen = wire.lock().unwrap().clone();
    assert!(contains(&seen, b"CONNECT localhost:"), "the proxy was not asked");
    assert!(seen.len() > 1000 * SECRET.len());
    for hidden in [SECRET, b"card_number", b"ada@acme.example", b"u-ada", b"shop-1"] {
        assert!(!contains(&seen, hidden), "{} is readable", String::from_utf8_lossy(hidden));
    }
    let wrong = plan(&world, relay.tcp_only, PathPreference::RelayTcp, settings(&relay, through("wrong")));
    let Err(DialError::AllFailed(failures)) = dial(wrong).await else { panic!("must not connect") };
    let said = failures.iter().map(ToString::to_string).collect::<String>();
    assert!(said.contains("the HTTP proxy `127.0.0.1") && !said.contains("wrong"), "{said}");
}

/// Somebody without a ticket, as far as the WebSocket.
async fn stranger(relay: &Relay) -> tokio_tungstenite::WebSocketStream<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(relay.roots_pem.as_bytes()).unwrap()).unwrap();
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let stream = TcpStream::connect(relay.tcp_only).await.unwrap();
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let mut request = "wss://localhost/v1/relay".into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "daam-relay-v1".parse().unwrap());
    tokio_tungstenite::client_async(request, stream).await.unwrap().0
}

/// However lively: its place is for somebody with a ticket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tcp_connection_that_is_bound_to_nothing_is_closed_and_one_that_is_stays() {
    let world = World::new().await;
    let limits = Limits { unbound: Duration::from_secs(2), unbound_packets: 5, ..Limits::default() };
    let relay = relay_with(&world, limits).await;
    world.listener.set_relays(target(&world, relay.udp, TicketRole::Agent));
    let way = plan(&world, relay.tcp_only, PathPreference::RelayTcp, settings(&relay, Proxy::Never));
    let member = dial(way).await.unwrap();
    let began = tokio::time::Instant::now();
    let mut lively = stranger(&relay).await;
    let pinging = async {
        while lively.send(Message::Ping(vec![1].into())).await.is_ok() {
            // Read, too: the answer to a ping, or that there will be none.
            let next = tokio::time::timeout(Duration::from_millis(100), lively.next()).await;
            if matches!(next, Ok(None | Some(Err(_) | Ok(Message::Close(_))))) {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, pinging).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(1900), "{:?}", began.elapsed());
    let mut chatty = stranger(&relay).await;
    for _ in 0..5 {
        chatty.send(Message::Binary(vec![9; 40].into())).await.unwrap();
    }
    let closing = async { while let Some(Ok(_)) = chatty.next().await {} };
    tokio::time::timeout(Duration::from_millis(1500), closing).await.expect("closed before its time is up");
    // The member's connection is older than both.
    echoes(&member, &vec![4; 100_000]).await;
    member.shutdown("done").await;
}
