//! Two processes over one PostgreSQL, each killed once while everybody writes.

use crate::held::HeldDirectory;
use crate::link::hello;
use crate::world::Postgres;
use daam_api::link::ToAgent;
use daam_api::v1::{Bootstrapped, Enrolled, TokenCreated};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

const PROGRAM: &str = env!("CARGO_BIN_EXE_daam-control-plane");
const SOON: Duration = Duration::from_secs(60);

/// A replica that runs, or did.
struct Replica {
    child: Child,
    data_dir: PathBuf,
}

impl Replica {
    async fn start(data_dir: &Path, dsn: &str) -> (Self, String) {
        let ready = data_dir.join("ready");
        drop(std::fs::remove_file(&ready));
        let child = Command::new(PROGRAM)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("DAAM_DATABASE_URL", dsn)
            .arg("--data-dir")
            .arg(data_dir)
            .arg("--ready-file")
            .arg(&ready)
            .env("DAAM_LOG", daam_suite_log::LEVELS)
            .stderr(daam_suite_log::file("control_plane").unwrap())
            .spawn()
            .unwrap();
        let announced = async {
            loop {
                if let Ok(said) = std::fs::read(&ready) {
                    let said: Value = serde_json::from_slice(&said).unwrap();
                    return said["address"].as_str().unwrap().to_owned();
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        let address = timeout(SOON, announced).await.unwrap();
        (Self { child, data_dir: data_dir.to_owned() }, address)
    }

    /// No warning, no last word.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What clients know: where replicas are, and what was acknowledged by them.
#[derive(Default)]
struct Known {
    addresses: Mutex<Vec<String>>,
    /// Members by the directory version of their making.
    acknowledged: Mutex<BTreeMap<String, u64>>,
    turn: AtomicUsize,
    enough: AtomicBool,
}

impl Known {
    fn some_replica(&self) -> String {
        let addresses = self.addresses.lock().unwrap();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        addresses[turn % addresses.len()].clone()
    }

    async fn acknowledged(&self, count: usize) {
        let waited = async {
            while self.acknowledged.lock().unwrap().len() < count {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(SOON, waited).await.unwrap();
    }
}

async fn write(known: Arc<Known>, token: String, writer: usize) {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
    for number in 0.. {
        let email = format!("w{writer}-{number}@example.com");
        loop {
            if known.enough.load(Ordering::Relaxed) {
                return;
            }
            let url = format!("http://{}/v1/users/{email}", known.some_replica());
            let user = json!({ "groups": [], "attributes": {} });
            let Ok(answer) = http.put(url).bearer_auth(&token).json(&user).send().await else { continue };
            let Ok(stored) = answer.error_for_status() else { continue };
            // An answer that was cut off says nothing.
            let Ok(stored) = stored.json::<Value>().await else { continue };
            let version = stored["directory_version"].as_u64().unwrap();
            known.acknowledged.lock().unwrap().insert(email, version);
            break;
        }
    }
}

/// The members an agent was told of, with the version of that. It connects again wherever it can.
async fn follow(known: Arc<Known>, agent: Enrolled, told: watch::Sender<(u64, BTreeSet<String>)>) {
    loop {
        let url = format!("ws://{}/v1/agent/link", known.some_replica());
        let mut request = url.into_client_request().unwrap();
        request
            .headers_mut()
            .insert("authorization", format!("Bearer {}", agent.link_token).parse().unwrap());
        let Ok((mut socket, _)) = tokio_tungstenite::connect_async(request).await else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let first = serde_json::to_string(&hello()).unwrap();
        if socket.send(Message::Text(first.into())).await.is_err() {
            continue;
        }
        let mut held = HeldDirectory::default();
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else { continue };
            let message = held.take(serde_json::from_str(&text).unwrap());
            if let ToAgent::DirectoryUpdate { version, users } = message {
                told.send_replace((version, users.into_iter().map(|user| user.email).collect()));
            }
        }
    }
}

/// An agent of the organization.
async fn enrolled(replica: &str, org: &Bootstrapped) -> Enrolled {
    let http = reqwest::Client::new();
    let post = async |path: &str, token: &str, body: Value| {
        let sent = http.post(format!("http://{replica}{path}")).bearer_auth(token).json(&body).send().await;
        sent.unwrap().error_for_status().unwrap()
    };
    let wanted = json!({ "kind": "agent", "database": "shop" });
    let enrolment: TokenCreated =
        post("/v1/enrolment-tokens", &org.token, wanted).await.json().await.unwrap();
    let (_, csr) = daam_identity::make_csr().unwrap();
    let named = json!({ "name": "one", "csr_pem": csr });
    post("/v1/enrol", &enrolment.token, named).await.json().await.unwrap()
}

/// Everybody a replica knows, however many parts that comes in.
async fn members_of(replica: &str, org: &Bootstrapped) -> BTreeSet<String> {
    let http = reqwest::Client::new();
    let mut stored = BTreeSet::new();
    let mut path = Some("/v1/users".to_owned());
    while let Some(next) = path {
        let answer =
            http.get(format!("http://{replica}{next}")).bearer_auth(&org.token).send().await.unwrap();
        let link = answer.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        path = link.map(|link| link.split(['<', '>']).nth(1).unwrap().to_owned());
        let users: Vec<Value> = answer.json().await.unwrap();
        stored.extend(users.iter().map(|user| user["email"].as_str().unwrap().to_owned()));
    }
    stored
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replica_loses_no_acknowledged_write_and_no_push() {
    let server = Postgres::start();
    let dsn = server.database("replicas").await;
    let dir = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| dir.path().join(name));
    let made = Command::new(PROGRAM)
        .args(["create-organization", "--name", "Shop", "--admin-email", "ana@example.com", "--data-dir"])
        .arg(&one)
        .env("DAAM_DATABASE_URL", &dsn)
        .output()
        .unwrap();
    let org: Bootstrapped = serde_json::from_slice(&made.stdout).unwrap();
    std::fs::create_dir(&two).unwrap();
    std::fs::copy(one.join("keys.key"), two.join("keys.key")).unwrap();
    let ((mut one, first), (mut two, second)) =
        (Replica::start(&one, &dsn).await, Replica::start(&two, &dsn).await);
    let known = Arc::new(Known::default());
    *known.addresses.lock().unwrap() = vec![first.clone(), second.clone()];
    let agent = enrolled(&second, &org).await;
    let (told, mut hears) = watch::channel((0, BTreeSet::new()));
    let agent = tokio::spawn(follow(Arc::clone(&known), agent, told));
    let writers: Vec<_> =
        (0..6).map(|writer| tokio::spawn(write(Arc::clone(&known), org.token.clone(), writer))).collect();
    known.acknowledged(40).await;
    one.kill();
    known.acknowledged(90).await;
    let (one, first) = Replica::start(&one.data_dir.clone(), &dsn).await;
    *known.addresses.lock().unwrap() = vec![first.clone(), second];
    known.acknowledged(130).await;
    two.kill();
    known.acknowledged(180).await;
    known.enough.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }

    let acknowledged = known.acknowledged.lock().unwrap().clone();
    let newest = acknowledged.values().max().copied().unwrap();
    let (_, members) =
        timeout(SOON, hears.wait_for(|(version, _)| *version >= newest)).await.unwrap().unwrap().clone();
    let lost: Vec<_> = acknowledged.keys().filter(|email| !members.contains(*email)).collect();
    assert!(lost.is_empty(), "the agent never heard of {lost:?}");
    agent.abort();
    let stored = members_of(&first, &org).await;
    let lost: Vec<_> = acknowledged.keys().filter(|email| !stored.contains(*email)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let versions: BTreeSet<u64> = acknowledged.values().copied().collect();
    assert_eq!(versions.len(), acknowledged.len(), "each change has a version of its own");
    // Signed only if it is whole.
    let sign = reqwest::Client::new()
        .post(format!("http://{first}/v1/audit/checkpoints"))
        .bearer_auth(&org.token)
        .send()
        .await;
    assert_eq!(sign.unwrap().status(), 200);
    drop(one);
}
