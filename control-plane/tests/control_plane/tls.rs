//! HTTPS.

use crate::world::World;
use daam_control_plane::{Config, Server, Transport};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::{Certificate, Client};
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

#[tokio::test]
async fn tls_is_served_and_plain_http_on_it_is_not() {
    let world = World::start(None).await;
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert_file, key_file) = (world.dir.path().join("tls.crt"), world.dir.path().join("tls.key"));
    std::fs::write(&cert_file, cert.pem()).unwrap();
    std::fs::write(&key_file, signing_key.serialize_pem()).unwrap();
    let config = Config {
        data_dir: world.dir.path().join("tls"),
        transport: Transport::Tls { cert: cert_file, key: key_file },
        ..world.config.clone()
    };
    let server = Server::start(&config).await.unwrap();
    let port = server.address().port();
    // A peer that never finishes its handshake holds nobody up.
    let mut stuck = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    stuck.write_all(&[22, 3, 1]).await.unwrap();
    let trusting = Client::builder()
        .add_root_certificate(Certificate::from_pem(cert.pem().as_bytes()).unwrap())
        .build()
        .unwrap();
    let answer = trusting.get(format!("https://localhost:{port}/healthz")).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "ok");
    assert!(
        reqwest::get(format!("https://localhost:{port}/healthz")).await.is_err(),
        "an unknown certificate"
    );
    assert!(reqwest::get(format!("http://localhost:{port}/healthz")).await.is_err());
    server.stop().await;
}

/// A certificate for `localhost` in the files; what a client believes it by.
fn renewed(cert: &Path, key: &Path) -> Client {
    let made = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    // The key first: between the two they do not fit, and the old ones stay.
    std::fs::write(key, made.signing_key.serialize_pem()).unwrap();
    std::fs::write(cert, made.cert.pem()).unwrap();
    let root = Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    Client::builder().add_root_certificate(root).build().unwrap()
}

#[tokio::test]
async fn replaced_files_are_served_without_a_restart_and_broken_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let [cert, key, ready, log] = ["tls.crt", "tls.key", "ready", "log"].map(|name| dir.path().join(name));
    let first = renewed(&cert, &key);
    let mut child = Command::new(env!("CARGO_BIN_EXE_daam-control-plane"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args([Path::new("--data-dir"), &dir.path().join("data"), Path::new("--ready-file"), &ready])
        .args([Path::new("--tls-cert"), &cert, Path::new("--tls-key"), &key])
        .stderr(std::fs::File::create(&log).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let said = eventually("it listens", async || std::fs::read(&ready).ok()).await;
    let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
    let port = said["address"].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned();
    let url = format!("https://localhost:{port}/healthz");
    let served = async |by: &Client| by.get(&url).send().await.ok();
    assert!(served(&first).await.is_some());

    let second = renewed(&cert, &key);
    eventually("the new certificate is served", async || {
        // On the connection that was there before: it believes no other certificate.
        assert!(served(&first).await.is_some(), "the open connection was dropped");
        served(&second).await
    })
    .await;
    let believed = std::fs::read(&cert).unwrap();
    std::fs::write(&cert, "rubbish").unwrap();
    eventually("the log says what is wrong", async || {
        let log = std::fs::read_to_string(&log).unwrap();
        (log.contains("the old ones still are") && log.contains("tls.crt")).then_some(())
    })
    .await;
    // On a new connection, too.
    let root = Certificate::from_pem(&believed).unwrap();
    assert!(served(&Client::builder().add_root_certificate(root).build().unwrap()).await.is_some());
    let third = renewed(&cert, &key);
    eventually("mended files are served", async || served(&third).await).await;
    child.kill().await.unwrap();
}

/// The first answer that is one.
async fn eventually<T>(what: &str, mut asked: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = asked().await {
                return found;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(60), found).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}
