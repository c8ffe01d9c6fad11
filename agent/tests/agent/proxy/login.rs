//! The agent's own way in: who it believes, and what it says when it does not get in.

use crate::world::World;
use daam_agent::Secret;
use daam_agent::upstream::{ConnectError, Login, Upstream, UpstreamConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

async fn log_in(dsn: &str, role: &str, password: &str) -> Result<Upstream, ConnectError> {
    let password = Secret::new(password.to_owned());
    let parameters = [("application_name".to_owned(), "x y".to_owned())];
    let login = Login { role, password: &password, parameters: &parameters };
    UpstreamConfig::parse(dsn).unwrap().connect_as(&login).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_gives_a_stream_the_settings_and_a_cancel_key() {
    let world = World::start().await;
    let upstream = log_in(&world.agent_dsn(), "agent", "planted-secret").await.unwrap();
    assert_eq!(upstream.parameters.get("application_name").map(String::as_str), Some("x y"));
    assert!(upstream.key.pid > 0 && upstream.buffer.is_empty());
    let socket = format!(
        "host={} port={} user=agent dbname=shop",
        world.cluster.directory().display(),
        world.cluster.port()
    );
    assert!(log_in(&socket, "agent", "planted-secret").await.is_ok());
    let wrong = log_in(&world.agent_dsn(), "agent", "wrong").await.unwrap_err();
    assert!(matches!(&wrong, ConnectError::Refused(report) if report.code() == "28P01"), "{wrong}");
    let demanding =
        log_in(&format!("{}?sslmode=require", world.agent_dsn()), "agent", "planted-secret").await;
    assert!(matches!(demanding, Err(ConnectError::NoTls)));
}

/// A server that answers the start-up packet with these bytes.
async fn impostor(answer: &'static [u8]) -> ConnectError {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = [0; 1024];
        assert!(stream.read(&mut seen).await.unwrap() > 0);
        stream.write_all(answer).await.unwrap();
        // Until the agent gives up.
        while stream.read(&mut seen).await.is_ok_and(|count| count > 0) {}
    });
    let dsn = format!("postgresql://agent:x@127.0.0.1:{port}/shop?sslmode=disable");
    let error = log_in(&dsn, "agent", "secret").await.unwrap_err();
    server.await.unwrap();
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_prove_itself_gets_neither_password_nor_session() {
    let trust = impostor(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await;
    assert!(trust.to_string().contains("trust"), "{trust}");
    assert!(impostor(b"R\0\0\0\x08\0\0\0\x03").await.to_string().contains("clear-text"));
    assert!(impostor(b"R\0\0\0\x0c\0\0\0\x05salt").await.to_string().contains("MD5"));
    // The exchange begins and is called done at once.
    let short = impostor(b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0R\0\0\0\x08\0\0\0\0").await;
    assert!(short.to_string().contains("cut short"), "{short}");
    assert!(matches!(impostor(b"\xff\xff\xff\xff\xff").await, ConnectError::Frame(_)));
}
