//! HTTPS.

use crate::world::World;
use daam_control_plane::{Config, Server, Transport};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::AsyncWriteExt as _;

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
    let trusting = reqwest::Client::builder()
        .add_root_certificate(reqwest::Certificate::from_pem(cert.pem().as_bytes()).unwrap())
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
