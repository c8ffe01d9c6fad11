//! The way to the database: TLS against a server that speaks it, and servers that stop, come back and are succeeded.

use crate::quiesce::{EMAIL, Scene};
use crate::world::{World, eventually};
use daam_agent::upkeep;
use daam_agent::upstream::{Login, UpstreamConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use std::error::Error;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::error::SqlState;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A certificate and its key, as PEM.
struct Pair {
    cert: String,
    key: String,
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn certificate(of: &CertifiedIssuer<'static, KeyPair>, name: &str, last_year: i32) -> Pair {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(last_year, 1, 1);
    let cert = params.signed_by(&key, of).unwrap().pem();
    Pair { cert, key: key.serialize_pem() }
}

/// Has the server show this certificate from now on.
async fn serve(world: &World, pair: &Pair) {
    let file = |name: &str, text: &str| {
        let lines: Vec<String> = text.lines().map(|line| format!("('{line}')")).collect();
        let program = format!("umask 077; cat > {name}");
        format!("COPY (SELECT * FROM (VALUES {}) x) TO PROGRAM '{program}'", lines.join(","))
    };
    for sql in [
        file("server.crt", &pair.cert),
        file("server.key", &pair.key),
        "ALTER SYSTEM SET ssl = on".to_owned(),
        "SELECT pg_reload_conf()".to_owned(),
    ] {
        world.superuser.batch_execute(&sql).await.unwrap();
    }
    // What new connections are shown is what was just written.
    let der = rustls_pki_types::CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap();
    eventually("the server shows its certificate", async || {
        shown(world.cluster.port()).await.is_some_and(|shown| shown == der.as_ref())
    })
    .await;
}

/// The certificate the server shows.
async fn shown(port: u16) -> Option<Vec<u8>> {
    let stream = asked_for_tls(port).await?;
    let config =
        UpstreamConfig::parse("postgresql://a:b@127.0.0.1/c?sslmode=require").unwrap().tls().unwrap()?;
    let name = "localhost".try_into().unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    Some(stream.get_ref().1.peer_certificates()?.first()?.to_vec())
}

async fn asked_for_tls(port: u16) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await.ok()?;
    (stream.read_u8().await.ok()? == b'S').then_some(stream)
}

fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

/// How both of the agent's ways to connect fare: as a session does, and as its own role does. Whether the connections
/// are encrypted, or why there are none.
async fn fare(dsn: &str) -> Result<bool, String> {
    let upstream = UpstreamConfig::parse(dsn).unwrap();
    let login = Login { role: "agent", password: upstream.password().unwrap(), parameters: &[] };
    let session = upstream.connect_as(&login).await.map(drop).map_err(|error| chain(&error));
    let own = match upkeep::connect(&upstream).await {
        Ok(connected) => {
            let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
            Ok(connected.client.query_one(sql, &[]).await.unwrap().get(0))
        }
        Err(error) => Err(chain(&error)),
    };
    assert_eq!(session.is_ok(), own.is_ok(), "{session:?} {own:?}");
    own
}

#[tokio::test(flavor = "multi_thread")]
async fn who_the_server_is_is_checked_as_far_as_the_dsn_says() {
    let world = World::start().await;
    let files = TempDir::new().unwrap();
    let (ours, theirs) = (authority(), authority());
    let root = files.path().join("root.pem");
    std::fs::write(&root, ours.pem()).unwrap();
    let with = |settings: &str| {
        format!("{}?{}", world.agent_dsn(), settings.replace("ROOT", root.to_str().unwrap()))
    };
    assert_eq!(fare(&with("sslmode=prefer")).await, Ok(false));
    let refused = fare(&with("sslmode=require")).await.unwrap_err();
    assert!(refused.contains("TLS"), "{refused}");

    let good = certificate(&ours, "127.0.0.1", 2100);
    let other_name = certificate(&ours, "db.example.com", 2100);
    let expired = certificate(&ours, "127.0.0.1", 2001);
    let stranger = certificate(&theirs, "127.0.0.1", 2100);
    // What each mode makes of: the right one, another name, one that has expired, one of another authority.
    let modes = [
        ("sslmode=disable", [Some(false); 4]),
        ("sslmode=prefer", [Some(true); 4]),
        ("sslmode=require", [Some(true); 4]),
        ("sslmode=require&sslrootcert=ROOT", [Some(true), Some(true), None, None]),
        ("sslmode=verify-ca&sslrootcert=ROOT", [Some(true), Some(true), None, None]),
        ("sslmode=verify-full&sslrootcert=ROOT", [Some(true), None, None, None]),
        // Public authorities know none of them.
        ("sslmode=verify-full", [None; 4]),
    ];
    let mut wrong = Vec::new();
    for (at, pair) in [good, other_name, expired, stranger].iter().enumerate() {
        serve(&world, pair).await;
        for (mode, expected) in modes {
            let fared = fare(&with(mode)).await;
            if fared.clone().ok() != expected[at] {
                wrong.push(format!("{mode}, certificate {at}: {fared:?}, expected {:?}", expected[at]));
            }
            // Why is said: a certificate, not a connection.
            if let Err(why) = fared {
                assert!(why.contains("certificate"), "{mode}, certificate {at}: {why}");
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Somebody in the middle who shows a certificate of their own and passes everything on.
async fn in_the_middle(server: u16) -> u16 {
    let own = certificate(&authority(), "127.0.0.1", 2100);
    let cert = rustls_pki_types::CertificateDer::from_pem_slice(own.cert.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                client.read_exact(&mut [0; 8]).await.ok()?;
                client.write_all(b"S").await.ok()?;
                let mut client = acceptor.accept(client).await.ok()?;
                let upstream = asked_for_tls(server).await?;
                let blind = UpstreamConfig::parse("postgresql://a:b@127.0.0.1/c?sslmode=require").unwrap();
                let blind = TlsConnector::from(Arc::new(blind.tls().unwrap()?));
                let mut upstream = blind.connect("localhost".try_into().unwrap(), upstream).await.ok()?;
                tokio::io::copy_bidirectional(&mut client, &mut upstream).await.ok()
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_bound_to_the_channel_it_is_proved_over() {
    let world = World::start().await;
    serve(&world, &certificate(&authority(), "127.0.0.1", 2100)).await;
    let direct = format!("{}?sslmode=require", world.agent_dsn());
    assert_eq!(fare(&direct).await, Ok(true));
    // Whose certificate it is, nobody asks here; that it is not the server's comes out all the same.
    let middle = in_the_middle(world.cluster.port()).await;
    let through = direct.replace(&format!(":{}/", world.cluster.port()), &format!(":{middle}/"));
    let refused = fare(&through).await.unwrap_err();
    assert!(refused.contains("channel binding"), "{refused}");
}

#[test]
fn a_dsn_names_one_server_and_says_so() {
    let error = UpstreamConfig::parse("postgresql://a:b@one,two/shop").unwrap_err().to_string();
    assert!(error.contains("exactly one host") && error.contains("one address"), "{error}");
}

const ROLES: &str = "SELECT rolname::text FROM pg_roles WHERE starts_with(rolname::text, 'daam_')";

/// A session ends when its server does, and the agent serves again by itself once there is one.
async fn outlived(mut scene: Scene, change: impl FnOnce(&mut World)) {
    let idle = scene.session().await;
    let busy = scene.session().await;
    let running =
        tokio::spawn(
            async move { busy.client.batch_execute("SELECT email, pg_sleep(600) FROM users").await },
        );
    let asleep = "SELECT pid::text FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND usename LIKE 'daam_s_%'";
    eventually("the statement runs", async || !scene.world.strings(asleep).await.is_empty()).await;
    tokio::task::block_in_place(|| change(&mut scene.world));
    let told = running.await.unwrap().unwrap_err();
    assert_eq!(told.code(), Some(&SqlState::ADMIN_SHUTDOWN), "{told}");
    eventually("the idle session is over", async || idle.client.is_closed()).await;
    eventually("sessions are served, masked", async || {
        let Ok(session) = scene.try_session().await else { return false };
        let row = session.client.query_one(EMAIL, &[]).await;
        row.is_ok_and(|row| row.get::<_, String>(0).contains('*'))
    })
    .await;
    let superuser = crate::world::connect(&scene.world.cluster.superuser_dsn("shop")).await;
    eventually("nothing of anybody is left", async || {
        superuser.query(ROLES, &[]).await.is_ok_and(|rows| rows.is_empty())
    })
    .await;
    scene.program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_stopped_and_started_is_served_again() {
    outlived(Scene::open().await, |world| {
        world.cluster.stop().unwrap();
        world.cluster.resume().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_at_the_same_address_is_served_and_swept() {
    let scene = Scene::open().await;
    // The roles of this session are in the copy, and nobody is there who could still give them back.
    let session = scene.session().await;
    let standby = tokio::task::block_in_place(|| scene.world.cluster.standby()).unwrap();
    drop(session);
    outlived(scene, |world| world.cluster.fail_over(&standby).unwrap()).await;
}
