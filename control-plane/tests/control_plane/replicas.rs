//! Two processes over one PostgreSQL, each killed once while everybody writes.

use crate::audit::{batch, refused};
use crate::bundles::{signed, trust};
use crate::held::HeldDirectory;
use crate::link::hello;
use crate::requests::{policies, shop_snapshot, tables};
use crate::world::Postgres;
use daam_api::link::{FromAgent, ToAgent};
use daam_api::v1::{Bootstrapped, Enrolled, TokenCreated};
use daam_audit::Chain;
use daam_bundle::SigningKey;
use daam_control_plane::Clock;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

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

/// Publishes one bundle after the other; each serial that was acknowledged.
async fn publish(
    known: Arc<Known>,
    (org, token): (String, String),
    key: SigningKey,
    published: Arc<AtomicU64>,
) {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
    let mut serial = 2;
    while !known.enough.load(Ordering::Relaxed) {
        let bytes = signed(&org, (serial, Clock::system().now()), Some(&key), &policies());
        let before = serial - 1;
        let url = format!("http://{}/v1/databases/shop/bundle?expect_head={before}", known.some_replica());
        let Ok(answer) = http.put(url).bearer_auth(&token).body(bytes).send().await else { continue };
        match answer.status().as_u16() {
            200 => {
                published.store(serial, Ordering::Relaxed);
                serial += 1;
            }
            // The last one was taken, and its answer lost.
            409 => serial += 1,
            _ => {}
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Asks for access and has it approved by somebody else, again and again; the requests whose approval was acknowledged.
async fn approve(known: Arc<Known>, tokens: [String; 2], approved: Arc<Mutex<BTreeSet<String>>>) {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
    // The answer, if there is one.
    let post = async |token: &String, path: &str, body: Value| -> Option<(u16, Value)> {
        let url = format!("http://{}{path}", known.some_replica());
        let answer = http.post(url).bearer_auth(token).json(&body).send().await.ok()?;
        Some((answer.status().as_u16(), answer.json().await.ok()?))
    };
    let [asks, decides] = &tokens;
    while !known.enough.load(Ordering::Relaxed) {
        let Some((201, asked)) = post(asks, "/v1/requests", tables(&["select"])).await else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let id = asked["id"].as_str().unwrap().to_owned();
        while !known.enough.load(Ordering::Relaxed) {
            match post(decides, &format!("/v1/requests/{id}/approve"), json!({})).await {
                Some((200, _)) => drop(approved.lock().unwrap().insert(id.clone())),
                // It was taken before, and the answer to that was lost.
                Some((409, _)) => {}
                None | Some((500.., _)) => continue,
                Some(refused) => panic!("{refused:?}"),
            }
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Sends what an agent recorded, a record at a time; how far that was confirmed.
async fn record(known: Arc<Known>, agent: Enrolled, key: String, confirmed: Arc<AtomicU64>) {
    let mut chain = Chain::new();
    let mut records = vec![refused(&mut chain)];
    while !known.enough.load(Ordering::Relaxed) {
        let Some(mut socket) = linked(&known, &agent).await else { continue };
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else { continue };
            let ToAgent::AuditHeld { through, .. } = serde_json::from_str(&text).unwrap() else { continue };
            // What was confirmed once is never taken back.
            assert!(through >= confirmed.load(Ordering::Relaxed), "{through}");
            confirmed.store(through, Ordering::Relaxed);
            if known.enough.load(Ordering::Relaxed) {
                return;
            }
            while u64::try_from(records.len()).unwrap() <= through {
                records.push(refused(&mut chain));
            }
            let sent = batch((&agent, &key), &records[usize::try_from(through).unwrap()..]);
            let text = serde_json::to_string(&sent).unwrap();
            if socket.send(Message::Text(text.into())).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A link that was greeted, if some replica takes it.
async fn linked(known: &Known, agent: &Enrolled) -> Option<Socket> {
    let url = format!("ws://{}/v1/agent/link", known.some_replica());
    let mut request = url.into_client_request().unwrap();
    let bearer = format!("Bearer {}", agent.link_token).parse().unwrap();
    request.headers_mut().insert("authorization", bearer);
    let Ok((mut socket, _)) = tokio_tungstenite::connect_async(request).await else {
        sleep(Duration::from_millis(20)).await;
        return None;
    };
    let first = serde_json::to_string(&hello()).unwrap();
    socket.send(Message::Text(first.into())).await.ok()?;
    Some(socket)
}

/// The members an agent was told of, with the version of that. It connects again wherever it can.
async fn follow(known: Arc<Known>, agent: Enrolled, told: watch::Sender<(u64, BTreeSet<String>)>) {
    loop {
        let Some(mut socket) = linked(&known, &agent).await else { continue };
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

/// Somebody of the organization, and their token.
async fn person(replica: &str, org: &Bootstrapped, email: &str, group: &str) -> String {
    let http = reqwest::Client::new();
    let user = json!({ "role": "member", "groups": [group], "attributes": {} });
    let url = format!("http://{replica}/v1/users/{email}");
    let stored = http.put(url).bearer_auth(&org.token).json(&user).send().await.unwrap();
    stored.error_for_status().unwrap();
    let url = format!("http://{replica}/v1/tokens");
    let wanted = json!({ "name": "laptop", "email": email });
    let made = http.post(url).bearer_auth(&org.token).json(&wanted).send().await.unwrap();
    made.error_for_status().unwrap().json::<TokenCreated>().await.unwrap().token
}

/// The key bundles are signed by, after the first one.
async fn published_first(replica: &str, org: &Bootstrapped) -> SigningKey {
    let key = SigningKey::generate().unwrap();
    let http = reqwest::Client::new();
    let put = async |path: &str, body: Vec<u8>| {
        let sent =
            http.put(format!("http://{replica}{path}")).bearer_auth(&org.token).body(body).send().await;
        sent.unwrap().error_for_status().unwrap();
    };
    put("/v1/trust", trust(&org.org, &key).to_json().into_bytes()).await;
    let first = signed(&org.org, (1, Clock::system().now()), Some(&key), &policies());
    put("/v1/databases/shop/bundle?expect_head=0", first).await;
    key
}

/// The agent has said what there is to ask for.
async fn knows_schema(replica: &str, org: &Bootstrapped, agent: &Enrolled) {
    let known = Known { addresses: Mutex::new(vec![replica.to_owned()]), ..Known::default() };
    let mut socket = linked(&known, agent).await.unwrap();
    let report = FromAgent::SchemaReport { snapshot: shop_snapshot() };
    socket.send(Message::Text(serde_json::to_string(&report).unwrap().into())).await.unwrap();
    let url = format!("http://{replica}/v1/databases/shop/schema");
    let stored = async {
        loop {
            let asked = reqwest::Client::new().get(&url).bearer_auth(&org.token).send().await.unwrap();
            if asked.status().is_success() {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, stored).await.unwrap();
}

/// What is written besides members: bundles, approvals, and an agent's audit.
#[derive(Default)]
struct Others {
    tasks: Vec<JoinHandle<()>>,
    agent: String,
    published: Arc<AtomicU64>,
    approved: Arc<Mutex<BTreeSet<String>>>,
    confirmed: Arc<AtomicU64>,
}

impl Others {
    async fn begin(known: &Arc<Known>, (first, second): (&str, &str), org: &Bootstrapped) -> Self {
        let (agent, agent_key) = enrolled(second, org).await;
        let eli = person(first, org, "eli@example.com", "engineering").await;
        let bo = person(second, org, "bo@example.com", "dba").await;
        let key = published_first(first, org).await;
        knows_schema(second, org, &agent).await;
        let mut others = Self { agent: agent.id.clone(), ..Self::default() };
        let by = (org.org.clone(), org.token.clone());
        others.tasks = vec![
            tokio::spawn(publish(Arc::clone(known), by, key, Arc::clone(&others.published))),
            tokio::spawn(approve(Arc::clone(known), [eli, bo], Arc::clone(&others.approved))),
            tokio::spawn(record(Arc::clone(known), agent, agent_key, Arc::clone(&others.confirmed))),
        ];
        others
    }

    /// Once there is enough.
    async fn end(mut self) -> Self {
        for task in std::mem::take(&mut self.tasks) {
            timeout(SOON, task).await.unwrap().unwrap();
        }
        self
    }

    /// What is there is at least what was acknowledged, and each once.
    async fn have_everything(&self, replica: &str, org: &Bootstrapped) {
        let http = reqwest::Client::new();
        let get = async |path: String| {
            let sent = http.get(format!("http://{replica}{path}")).bearer_auth(&org.token).send().await;
            sent.unwrap().error_for_status().unwrap()
        };
        let published = self.published.load(Ordering::Relaxed);
        let databases = get("/v1/databases".to_owned()).await.json::<Vec<Value>>().await.unwrap();
        let serial = databases[0]["bundle_serial"].as_u64().unwrap();
        assert!(serial >= published && published > 1, "published {published}, and there is {serial}");
        let approved = self.approved.lock().unwrap().clone();
        assert!(!approved.is_empty());
        for id in approved {
            let request: Value = get(format!("/v1/requests/{id}")).await.json().await.unwrap();
            assert_ne!(request["state"], "pending", "{request}");
            let acts = request["history"].as_array().unwrap().iter().filter(|act| act["act"] == "approve");
            assert_eq!(acts.count(), 1, "{request}");
        }
        let (mut after, mut seen) = (0, Vec::new());
        loop {
            let part = get(format!("/v1/agents/{}/audit?after={after}", self.agent)).await;
            let part: Vec<Value> = part.json().await.unwrap();
            let Some(last) = part.last() else { break };
            after = last["seq"].as_u64().unwrap();
            seen.extend(part.iter().map(|record| record["seq"].as_u64().unwrap()));
        }
        let confirmed = self.confirmed.load(Ordering::Relaxed);
        assert!(confirmed > 1 && after >= confirmed, "confirmed {confirmed}, and there is {after}");
        assert_eq!(seen, (1..=after).collect::<Vec<_>>(), "each record once");
    }
}

/// An agent of the organization, and the key it enrolled with.
async fn enrolled(replica: &str, org: &Bootstrapped) -> (Enrolled, String) {
    let http = reqwest::Client::new();
    let post = async |path: &str, token: &str, body: Value| {
        let sent = http.post(format!("http://{replica}{path}")).bearer_auth(token).json(&body).send().await;
        sent.unwrap().error_for_status().unwrap()
    };
    let wanted = json!({ "kind": "agent", "database": "shop" });
    let enrolment: TokenCreated =
        post("/v1/enrolment-tokens", &org.token, wanted).await.json().await.unwrap();
    let (key, csr) = daam_identity::make_csr().unwrap();
    let named = json!({ "name": "one", "csr_pem": csr });
    (post("/v1/enrol", &enrolment.token, named).await.json().await.unwrap(), (*key).clone())
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
    let (agent, _) = enrolled(&second, &org).await;
    let others = Others::begin(&known, (&first, &second), &org).await;
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
    let others = others.end().await;

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
    others.have_everything(&first, &org).await;
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
