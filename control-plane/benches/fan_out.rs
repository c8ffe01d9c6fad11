//! How long a change of the directory takes to reach every connected agent, and what an agent costs the control plane:
//! a real server process over its embedded database or a PostgreSQL (`DAAM_DATABASE_URL`), real links over WebSockets.
//! Run by `ci/bench-control-plane`; prints a table, and nothing is judged.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark fails loudly"
)]

use daam_api::link::{FromAgent, ToAgent, VERSION};
use daam_api::v1::{Bootstrapped, Enrolled, TokenCreated};
use futures_util::{SinkExt as _, StreamExt as _, stream};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

const PROGRAM: &str = env!("CARGO_BIN_EXE_daam-control-plane");
const PATIENCE: Duration = Duration::from_secs(300);

struct Server {
    child: Child,
    address: String,
    org: Bootstrapped,
    http: reqwest::Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    async fn start(dir: &Path) -> Self {
        let (data, ready) = (dir.join("data"), dir.join("ready"));
        let made = Command::new(PROGRAM)
            .args(["create-organization", "--name", "Shop", "--admin-email", "ana@example.com", "--data-dir"])
            .arg(&data)
            .output()
            .unwrap();
        let org = serde_json::from_slice(&made.stdout).unwrap();
        let child = Command::new(PROGRAM)
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--rate",
                "1000000",
                "--stranger-rate",
                "1000000",
                "--data-dir",
            ])
            .arg(&data)
            .arg("--ready-file")
            .arg(&ready)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while !ready.exists() {
            sleep(Duration::from_millis(20)).await;
        }
        let said: Value = serde_json::from_slice(&std::fs::read(&ready).unwrap()).unwrap();
        let address = said["address"].as_str().unwrap().to_owned();
        Self { child, address, org, http: reqwest::Client::new() }
    }

    async fn post<T: serde::de::DeserializeOwned>(&self, path: &str, token: &str, body: &Value) -> T {
        let sent = self.http.post(format!("http://{}{path}", self.address)).bearer_auth(token).json(body);
        sent.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }

    /// The directory's version after it.
    async fn put_user(&self, number: usize, group: &str) -> u64 {
        let url = format!("http://{}/v1/users/u{number}@example.com", self.address);
        let user =
            json!({ "groups": [group, "everyone"], "attributes": { "region": "eu", "level": number } });
        let sent = self.http.put(url).bearer_auth(&self.org.token).json(&user).send().await.unwrap();
        let stored: Value = sent.error_for_status().unwrap().json().await.unwrap();
        stored["directory_version"].as_u64().unwrap()
    }

    async fn enrol(&self) -> Enrolled {
        let wanted = json!({ "kind": "agent", "database": "shop" });
        let token: TokenCreated = self.post("/v1/enrolment-tokens", &self.org.token, &wanted).await;
        let (_, csr) = daam_identity::make_csr().unwrap();
        self.post("/v1/enrol", &token.token, &json!({ "name": "agent", "csr_pem": csr })).await
    }

    /// KiB.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

/// A link that says of each version when it came, and how large the message was; and to the control plane, as agents do,
/// that it is enforced.
async fn follow(address: String, token: String, heard: mpsc::UnboundedSender<(u64, Instant, usize)>) {
    let mut request = format!("ws://{address}/v1/agent/link").into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let hello = FromAgent::Hello {
        version: VERSION,
        agent_version: "0.0.0".to_owned(),
        addresses: Vec::new(),
        bundle_serial: 0,
        directory_version: 0,
        directory_digest: None,
    };
    socket.send(Message::Text(serde_json::to_string(&hello).unwrap().into())).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        if !text.starts_with("{\"type\":\"directory_") {
            continue;
        }
        let at = Instant::now();
        let (ToAgent::DirectoryUpdate { version, .. } | ToAgent::DirectoryDelta { version, .. }) =
            serde_json::from_str(&text).unwrap()
        else {
            continue;
        };
        if heard.send((version, at, text.len())).is_err() {
            return;
        }
        let enforced = serde_json::to_string(&FromAgent::DirectoryStatus { version }).unwrap();
        socket.send(Message::Text(enforced.into())).await.unwrap();
    }
}

fn asked(name: &str, default: usize) -> usize {
    let arguments: Vec<String> = std::env::args().collect();
    let place = arguments.iter().position(|argument| argument == name);
    place.map_or(default, |place| arguments[place + 1].parse().unwrap())
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

#[tokio::main]
async fn main() {
    let (agents, users, rounds) = (asked("--agents", 1000), asked("--users", 10_000), asked("--rounds", 20));
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let of = &server;
    let all = |count: usize| stream::iter(0..count);
    all(users)
        .for_each_concurrent(8, |number| async move {
            of.put_user(number, "first").await;
        })
        .await;
    let enrolled: Vec<Enrolled> = all(agents).map(|_| of.enrol()).buffer_unordered(8).collect().await;
    let before = server.memory();
    let (heard, mut arrivals) = mpsc::unbounded_channel();
    let connecting = Instant::now();
    for agent in enrolled {
        tokio::spawn(follow(server.address.clone(), agent.link_token, heard.clone()));
    }
    let mut whole = 0;
    for _ in 0..agents {
        whole = timeout(PATIENCE, arrivals.recv()).await.unwrap().unwrap().2;
    }
    println!(
        "{agents} agents, {users} users: all connected and told the whole ({whole} bytes each) in {:.1?}",
        connecting.elapsed()
    );
    let (mut took, mut change) = (Vec::new(), 0);
    for round in 0..rounds {
        let began = Instant::now();
        let wanted = server.put_user(round % users, &format!("round{round}")).await;
        let mut missing = agents;
        while missing > 0 {
            let (version, at, size) = timeout(PATIENCE, arrivals.recv()).await.unwrap().unwrap();
            if version >= wanted {
                took.push(at - began);
                change = size;
                missing -= 1;
            }
        }
    }
    took.sort_unstable();
    println!("one change of one user ({change} bytes), {rounds} rounds, from the request to each agent:");
    println!("| p50 | p90 | p99 | slowest |\n|---|---|---|---|");
    let [p50, p90, p99] = [50, 90, 99].map(|percent| percentile(&took, percent));
    println!("| {p50:.0?} | {p90:.0?} | {p99:.0?} | {:.0?} |", took.last().unwrap());
    let after = server.memory();
    println!(
        "memory: {} MiB without links, {} MiB with; {} KiB per agent",
        before / 1024,
        after / 1024,
        after.saturating_sub(before) / u64::try_from(agents).unwrap()
    );
}
