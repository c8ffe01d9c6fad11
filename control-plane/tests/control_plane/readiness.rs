//! What a load balancer asks: whether requests can be answered here now.

use crate::world::{Answer, Postgres, World};
use daam_control_plane::{Config, Server};
use reqwest::{Method, StatusCode};
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

const SOON: Duration = Duration::from_secs(60);

async fn asked(world: &World, path: &str) -> Answer {
    Answer::of(world.request(Method::GET, path)).await
}

/// Asks until it is refused with this code, or not at all.
async fn becomes(world: &World, code: Option<&str>) {
    let so = async {
        loop {
            let answer = asked(world, "/readyz").await;
            match code {
                None if answer.status == StatusCode::OK => return,
                Some(code) if answer.status == StatusCode::SERVICE_UNAVAILABLE => {
                    answer.refused(503, code);
                    return;
                }
                _ => sleep(Duration::from_millis(100)).await,
            }
        }
    };
    timeout(SOON, so).await.unwrap();
}

#[tokio::test]
async fn a_server_whose_database_is_away_is_alive_and_not_ready_until_it_is_back() {
    let mut postgres = Postgres::start();
    let world = World::start(Some(postgres.database("ready").await)).await;
    assert_eq!(asked(&world, "/readyz").await.ok(200).text(), "ready");
    postgres.stop();
    becomes(&world, Some("store.unreachable")).await;
    assert_eq!(asked(&world, "/healthz").await.ok(200).text(), "ok", "no reason to kill it");
    postgres.resume();
    becomes(&world, None).await;
    let org = world.bootstrap().await;
    world.put_user(&org, "bo@example.com", false).await;
}

#[tokio::test]
async fn a_server_that_drains_says_so_and_serves_on() {
    let world = World::start(None).await;
    let org = world.bootstrap().await;
    world.server.drain();
    let told = asked(&world, "/readyz").await.refused(503, "server.draining");
    assert!(told.contains("another server"), "{told}");
    asked(&world, "/healthz").await.ok(200);
    world.put_user(&org, "bo@example.com", false).await;
}

/// However many strangers ask from one address.
#[tokio::test]
async fn whoever_looks_after_servers_is_not_refused_for_asking_often() {
    let rates = daam_control_plane::rates::RateConfig { rate: 1, stranger_rate: 1 };
    let world = World::at_rates(rates).await;
    let mut refused = false;
    for _ in 0..50 {
        refused |= asked(&world, "/v1/whoami").await.status == StatusCode::TOO_MANY_REQUESTS;
    }
    assert!(refused);
    for path in ["/healthz", "/readyz"] {
        asked(&world, path).await.ok(200);
    }
}

#[tokio::test]
async fn while_migrations_run_a_server_lives_and_is_not_ready() {
    let postgres = Postgres::start();
    let url = postgres.database("migrating").await;
    let world = World::start(Some(url.clone())).await;
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    let _connection = tokio::spawn(connection);
    // Somebody else migrates, for long.
    client.batch_execute("BEGIN; LOCK TABLE _sqlx_migrations IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let second = Config { listen: free, ..world.config.clone() };
    let ask = async |path: &str| Answer::of(reqwest::Client::new().get(format!("http://{free}{path}"))).await;
    let meanwhile = async {
        while tokio::net::TcpStream::connect(free).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
        ask("/healthz").await.ok(200);
        let told = ask("/readyz").await.refused(503, "server.starting");
        assert!(told.contains("migrations"), "{told}");
        ask("/v1/whoami").await.refused(503, "server.starting");
        client.batch_execute("ROLLBACK").await.unwrap();
    };
    let (server, ()) =
        timeout(SOON, async { tokio::join!(Server::start(&second), meanwhile) }).await.unwrap();
    let server = server.unwrap();
    ask("/readyz").await.ok(200);
    server.stop().await;
}

#[tokio::test]
async fn two_servers_that_start_at_once_on_an_empty_postgresql_are_both_ready() {
    let postgres = Postgres::start();
    let template = World::start(None).await;
    let url = postgres.database("empty").await;
    let [one, two] = ["one", "two"].map(|name| Config {
        data_dir: template.dir.path().join(name),
        database_url: Some(url.clone()),
        ..template.config.clone()
    });
    let (one, two) = tokio::join!(Server::start(&one), Server::start(&two));
    for server in [one.unwrap(), two.unwrap()] {
        let ask = template.elsewhere(&format!("http://{}/readyz", server.address()));
        Answer::of(ask).await.ok(200);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_program_asked_to_end_is_not_ready_for_the_time_it_was_given_and_ends_at_once_when_asked_again() {
    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("ready");
    let mut child = Command::new(env!("CARGO_BIN_EXE_daam-control-plane"))
        .args(["serve", "--listen", "127.0.0.1:0", "--drain", "3600"])
        .args([Path::new("--data-dir"), &dir.path().join("data"), Path::new("--ready-file"), &ready])
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let listens = async {
        while !ready.exists() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, listens).await.unwrap();
    let said: serde_json::Value = serde_json::from_slice(&std::fs::read(&ready).unwrap()).unwrap();
    let url = format!("http://{}/readyz", said["address"].as_str().unwrap());
    let ask = async || Answer::of(reqwest::Client::new().get(&url)).await;
    ask().await.ok(200);
    let terminate = || {
        let pid = child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    };
    terminate();
    let drains = async {
        while ask().await.status == StatusCode::OK {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, drains).await.unwrap();
    ask().await.refused(503, "server.draining");
    terminate();
    assert!(timeout(SOON, child.wait()).await.unwrap().unwrap().success());
}
