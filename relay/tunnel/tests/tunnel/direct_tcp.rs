//! The agent reached straight over TCP: the same streams, the same refusals, and sessions that survive the connection.

use crate::world::{DEADLINE, ada, authority, echo, echoes, listener, listener_at, now, papers, plan};
use daam_identity::{CertificateAuthority, Principal};
use daam_tunnel::{CloseCode, DialPlan, Listener, PathKind, PathPreference, Tunnel, dial};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::time::Instant;

/// An address that passes TCP on to the agent and swallows UDP. Each change of `cuts` ends every connection.
struct Road {
    at: SocketAddr,
    cuts: watch::Sender<u32>,
    _swallows: UdpSocket,
}

async fn road(to: SocketAddr) -> Road {
    let (listener, swallows) = loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(udp) = UdpSocket::bind(listener.local_addr().unwrap()).await {
            break (listener, udp);
        }
    };
    let at = listener.local_addr().unwrap();
    let cuts = watch::Sender::new(0);
    let cutting = cuts.clone();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut cut = cutting.subscribe();
            tokio::spawn(async move {
                let Ok(mut far) = TcpStream::connect(to).await else { return };
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    _ = cut.changed() => {}
                }
            });
        }
    });
    Road { at, cuts, _swallows: swallows }
}

async fn over_tcp(ca: &CertificateAuthority, listener: &Listener, seconds: i64) -> Tunnel {
    let own = papers(ca, &Principal::User(ada()), seconds);
    let plan = DialPlan { prefer: PathPreference::DirectTcp, ..plan(ca, &own, listener) };
    dial(plan).await.unwrap()
}

#[tokio::test]
async fn many_streams_carry_their_own_bytes_and_the_agent_knows_the_way() {
    let ca = authority();
    for bind in ["127.0.0.1:0", "[::1]:0"] {
        let own = papers(&ca, &Principal::Agent(crate::world::agent()), 3600);
        let listener = Arc::new(listener_at(bind, own, ca.cert_pem()).await);
        assert!(listener.takes_tcp());
        echo(Arc::clone(&listener));
        let tunnel = over_tcp(&ca, &listener, 3600).await;
        assert_eq!(tunnel.path(), PathKind::DirectTcp);
        let large = vec![7_u8; 3_000_000];
        tokio::join!(echoes(&tunnel, b"one"), echoes(&tunnel, &large), echoes(&tunnel, b"three"));
        tunnel.shutdown("done").await;
    }
    let listener = listener(&ca).await;
    let (tunnel, incoming) = tokio::join!(over_tcp(&ca, &listener, 3600), listener.accept());
    let incoming = incoming.unwrap();
    assert_eq!((incoming.user.clone(), incoming.path), (ada(), PathKind::DirectTcp));
    incoming.close(CloseCode::NotAllowed, "your access to `shop` was removed");
    assert_eq!(tunnel.closed().await, "your access to `shop` was removed");
}

#[tokio::test]
async fn where_only_tcp_passes_the_session_is_up_within_a_second_without_being_told() {
    let ca = authority();
    let listener = Arc::new(listener(&ca).await);
    echo(Arc::clone(&listener));
    let road = road(listener.local_addr()).await;
    let own = papers(&ca, &Principal::User(ada()), 3600);
    for prefer in [PathPreference::Auto, PathPreference::Direct] {
        let began = Instant::now();
        let plan = DialPlan { direct: vec![road.at], prefer, ..plan(&ca, &own, &listener) };
        let tunnel = dial(plan).await.unwrap();
        assert_eq!(tunnel.path(), PathKind::DirectTcp);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        echoes(&tunnel, b"hello").await;
    }
}

#[tokio::test]
async fn a_session_whose_tcp_connection_is_cut_goes_on_over_the_next_one() {
    let ca = authority();
    let listener = Arc::new(listener(&ca).await);
    echo(Arc::clone(&listener));
    let road = road(listener.local_addr()).await;
    let own = papers(&ca, &Principal::User(ada()), 3600);
    let prefer = PathPreference::DirectTcp;
    let plan = DialPlan { direct: vec![road.at], prefer, ..plan(&ca, &own, &listener) };
    let tunnel = dial(plan).await.unwrap();
    let (mut answers, mut questions) = tokio::io::split(tunnel.open_stream().await.unwrap());
    for cut in 1..=3_u32 {
        road.cuts.send_replace(cut);
        for _ in 0..20 {
            questions.write_all(b"ping").await.unwrap();
            let mut back = [0; 4];
            tokio::time::timeout(DEADLINE, answers.read_exact(&mut back)).await.unwrap().unwrap();
        }
        echoes(&tunnel, &vec![9; 200_000]).await;
    }
}

#[tokio::test]
async fn a_session_over_tcp_outlives_its_certificate_and_reconnects_with_the_newer_one() {
    let ca = authority();
    let listener = Arc::new(listener(&ca).await);
    echo(Arc::clone(&listener));
    let road = road(listener.local_addr()).await;
    let own = papers(&ca, &Principal::User(ada()), 6);
    let until = own.issued.not_after;
    let prefer = PathPreference::DirectTcp;
    let plan = DialPlan { direct: vec![road.at], prefer, ..plan(&ca, &own, &listener) };
    let tunnel = dial(plan).await.unwrap();
    let newer = papers(&ca, &Principal::User(ada()), 3600);
    tunnel.renew(&newer.cert_pem, &newer.key_pem, ca.cert_pem()).await.unwrap();
    while now() <= until + 1 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    road.cuts.send_replace(1);
    echoes(&tunnel, b"after both").await;
    assert_eq!(tunnel.path(), PathKind::DirectTcp);
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_over_tcp_and_its_live_connections_closed() {
    let ca = authority();
    let listener = Arc::new(listener(&ca).await);
    echo(Arc::clone(&listener));
    let own = papers(&ca, &Principal::User(ada()), 3600);
    let way = || DialPlan { prefer: PathPreference::DirectTcp, ..plan(&ca, &own, &listener) };
    let tunnel = dial(way()).await.unwrap();
    listener.set_revoked(BTreeSet::from([own.issued.serial_hex.clone()]));
    let reason = tokio::time::timeout(DEADLINE, tunnel.closed()).await.unwrap();
    assert_eq!(reason, "your certificate was revoked");
    let refused = dial(way()).await.unwrap_err().to_string();
    assert!(refused.contains("your certificate was revoked"), "{refused}");
}

/// The handshake for the newer certificate begins on the path that the session is just leaving.
#[tokio::test]
async fn a_certificate_is_renewed_although_the_path_changes_meanwhile() {
    let ca = authority();
    let listener = Arc::new(listener(&ca).await);
    echo(Arc::clone(&listener));
    let road = road(listener.local_addr()).await;
    let own = papers(&ca, &Principal::User(ada()), 3600);
    // The agent tells where it is, and UDP passes there.
    let plan = DialPlan { direct: vec![road.at], ..plan(&ca, &own, &listener) };
    let tunnel = dial(plan).await.unwrap();
    let newer = papers(&ca, &Principal::User(ada()), 7200);
    tunnel.renew(&newer.cert_pem, &newer.key_pem, ca.cert_pem()).await.unwrap();
    let mut paths = tunnel.paths();
    let direct = paths.wait_for(|_| tunnel.path() == PathKind::Direct);
    drop(tokio::time::timeout(DEADLINE, direct).await.unwrap().unwrap());
    echoes(&tunnel, b"and moved").await;
}

/// A TLS connection to the agent's TCP port, as whom and speaking what.
async fn tls(
    ca: &CertificateAuthority,
    listener: &Listener,
    (user, alpn): (bool, &[u8]),
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.cert_pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = if user {
        let own = papers(ca, &Principal::User(ada()), 3600);
        let chain = vec![CertificateDer::from_pem_slice(own.cert_pem.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(own.key_pem.as_bytes()).unwrap();
        builder.with_client_auth_cert(chain, key).unwrap()
    } else {
        builder.with_no_client_auth()
    };
    config.alpn_protocols = if alpn.is_empty() { Vec::new() } else { vec![alpn.to_vec()] };
    let stream = TcpStream::connect(listener.local_addr()).await.unwrap();
    let name = ServerName::try_from(crate::world::agent().server_name()).unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// The agent hangs up by itself, whatever is sent.
async fn is_hung_up(mut stream: tokio_rustls::client::TlsStream<TcpStream>, sent: &[u8]) {
    stream.write_all(sent).await.unwrap_or_default();
    stream.flush().await.unwrap_or_default();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "still open");
}

#[tokio::test]
async fn strangers_and_whoever_speaks_something_else_get_no_further_than_the_handshake() {
    let ca = authority();
    let listener = Arc::new(listener(&ca).await);
    echo(Arc::clone(&listener));
    for shown in [(false, &b"daam-tcp/1"[..]), (true, b"daam/1"), (true, b"http/1.1"), (true, b"")] {
        if let Ok(stream) = tls(&ca, &listener, shown).await {
            is_hung_up(stream, &[0, 1, 0x40]).await;
        }
    }
    // A frame longer than any packet.
    let member = tls(&ca, &listener, (true, b"daam-tcp/1")).await.unwrap();
    is_hung_up(member, &vec![0xff; 70_000]).await;
    // Packets of any content disturb nobody.
    let mut member = tls(&ca, &listener, (true, b"daam-tcp/1")).await.unwrap();
    for length in [0_u16, 1, 7, 36, 1200, 2048] {
        for first in [0x00, 0x01, 0x02, 0x0d, 0x40, 0xc0, 0xff] {
            let packet = vec![first; usize::from(length)];
            member.write_all(&[&length.to_be_bytes()[..], &packet].concat()).await.unwrap();
        }
    }
    member.flush().await.unwrap();
    echoes(&over_tcp(&ca, &listener, 3600).await, &vec![5; 100_000]).await;
}

/// Everyone here comes from one address, the worst case.
#[tokio::test]
async fn silent_connections_hold_their_places_for_seconds_and_udp_is_not_touched() {
    let ca = authority();
    let listener = Arc::new(listener(&ca).await);
    echo(Arc::clone(&listener));
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(listener.local_addr()).await.unwrap());
    }
    let own = papers(&ca, &Principal::User(ada()), 3600);
    let udp =
        dial(DialPlan { prefer: PathPreference::DirectUdp, ..plan(&ca, &own, &listener) }).await.unwrap();
    echoes(&udp, b"hello").await;
    let deadline = Instant::now() + DEADLINE;
    while dial(DialPlan { prefer: PathPreference::DirectTcp, ..plan(&ca, &own, &listener) }).await.is_err() {
        assert!(Instant::now() < deadline, "the places are not given back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
