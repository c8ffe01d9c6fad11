//! Real networks, made of namespaces: what a PostgreSQL session goes through while they change under it.
//!
//! Each network is a test; it drives `pgbench` and a query every few milliseconds through a real tunnel, breaks and
//! mends the network, and compares what happened with its row in the page about connecting. Where namespaces cannot
//! be made, each test says so and proves nothing. `DAAM_UPDATE=1` writes the rows.

use crate::ends::Peer;
use crate::network::{Lan, Nat, Net, Plan, allowed};
use crate::program::say;
use std::time::Duration;
use tokio::time::Instant;

/// No query waits longer, whatever happens to the network.
const LONGEST: Duration = Duration::from_millis(4500);
const SETTLE: Duration = Duration::from_secs(30);

/// What happens to the network while a session works.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    RelayKilled,
    DirectBlocked,
    DirectBack,
    AddressChange,
    RelayDrained,
    /// And wakes with another address.
    Sleep,
}

use Event::{AddressChange, DirectBack, DirectBlocked, RelayDrained, RelayKilled, Sleep};

/// Another way, if there is one, is ready by then.
const STANDBY: Duration = Duration::from_secs(5);
/// How long the client's computer sleeps.
const NAP: Duration = Duration::from_secs(7);

struct Row {
    name: &'static str,
    cells: Vec<String>,
    waits: Vec<Duration>,
}

/// Starts, then lets each event happen under a running benchmark; `expected` is the way after each.
async fn live(name: &'static str, plan: Plan, start: &str, events: &[(Event, &str)]) {
    if !allowed() {
        say("skipped: this host allows no network namespaces (or nft or ip is not installed)");
        return;
    }
    // `ci/bench-tunnel` wants to know how long each event takes, which one try does not tell.
    let rounds = std::env::var("DAAM_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
    for _ in 0..rounds {
        once(name, plan, start, events).await;
    }
}

async fn once(name: &'static str, plan: Plan, start: &str, events: &[(Event, &str)]) {
    let mut net = Net::build(plan).await;
    let client = net.client().await;
    client.reaches(start, SETTLE).await;
    say(&format!("{name}: at the start: {start} after {} ms", client.millis(start)));
    let mut row = Row { name, cells: vec![start.to_owned()], waits: Vec::new() };
    for event in [RelayKilled, RelayDrained, DirectBlocked, DirectBack, AddressChange, Sleep] {
        let Some((_, expected)) = events.iter().find(|(known, _)| *known == event) else {
            row.cells.push("–".to_owned());
            continue;
        };
        let wait = under_load(&net, &client, event, expected).await;
        if event == RelayDrained {
            net.end_drained_relay(&client).await;
        }
        if matches!(event, RelayKilled | RelayDrained) {
            net.restart_relays();
        }
        say(&format!("{name}: {event:?}: {expected}, longest wait {wait:?}"));
        row.cells.push((*expected).to_owned());
        row.waits.push(wait);
    }
    assert!(row.waits.iter().all(|wait| *wait < LONGEST), "{name}: {:?}", row.waits);
    compare(&row);
}

async fn under_load(net: &Net, client: &Peer, event: Event, expected: &str) -> Duration {
    let bench = net.pgbench();
    let (stop, asking) = net.asking().await;
    // What happens in a session's first moments is another question than what happens in its life.
    client.stands_by(if event == RelayDrained { SETTLE } else { STANDBY }).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    match event {
        RelayKilled => net.kill_relay_in_use(client),
        DirectBlocked => net.block_direct(),
        DirectBack => net.unblock_direct(),
        AddressChange => net.change_address(),
        RelayDrained => net.drain_relay_in_use(client),
        Sleep => {
            client.sleep();
            tokio::time::sleep(NAP).await;
            net.change_address();
            client.wake();
        }
    }
    let began = Instant::now();
    client.reaches(expected, SETTLE).await;
    // The benchmark goes on over the new way, and must not lose a transaction.
    tokio::time::sleep(Duration::from_secs(1).saturating_sub(began.elapsed())).await;
    let bench = bench.await.unwrap();
    stop.send_replace(true);
    let wait = asking.await.unwrap();
    assert!(bench.contains("number of failed transactions: 0"), "{event:?}: {bench}");
    // Over a fallback for a moment, perhaps.
    client.reaches(expected, SETTLE).await;
    if event == Sleep { wait.saturating_sub(NAP) } else { wait }
}

fn page() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy-examples/connecting.md")
}

fn compare(row: &Row) {
    let line = format!("| {} | {} |", row.name, row.cells.join(" | "));
    let text = std::fs::read_to_string(page()).unwrap();
    if std::env::var_os("DAAM_UPDATE").is_some() {
        let begins = format!("| {} |", row.name);
        let lines = text.lines().map(|known| if known.starts_with(&begins) { line.as_str() } else { known });
        let lines: Vec<&str> = lines.chain([""]).collect();
        std::fs::write(page(), lines.join("\n")).unwrap();
    } else {
        assert!(text.lines().any(|known| known == line), "the page about connecting does not say\n{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_network() {
    let plan = Plan { lan: Lan::Shared, ..Plan::default() };
    live(
        "same network",
        plan,
        "direct",
        &[(RelayKilled, "direct"), (DirectBlocked, "direct-tcp"), (DirectBack, "direct")],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_with_a_public_address() {
    let plan = Plan { agent: Nat::None, ..Plan::default() };
    let events = [
        (RelayKilled, "direct"),
        (DirectBlocked, "direct-tcp"),
        (DirectBack, "direct"),
        (AddressChange, "direct"),
        (Sleep, "direct"),
    ];
    live("agent on a public address", plan, "direct", &events).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_cone_nats() {
    let plan = Plan { client: Nat::FullCone, agent: Nat::FullCone, ..Plan::default() };
    live(
        "full-cone NAT, both ends",
        plan,
        "direct",
        &[(RelayKilled, "direct"), (DirectBlocked, "relay"), (DirectBack, "direct")],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn port_restricted_nats_are_punched() {
    let events = [
        (RelayKilled, "direct"),
        (DirectBlocked, "relay"),
        (DirectBack, "direct"),
        (AddressChange, "direct"),
        (Sleep, "direct"),
    ];
    live("port-restricted NAT, both ends", Plan::default(), "direct", &events).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn symmetric_nats_stay_on_the_relay() {
    let plan = Plan { client: Nat::Symmetric, agent: Nat::Symmetric, ..Plan::default() };
    let events =
        [(RelayKilled, "relay"), (RelayDrained, "relay"), (AddressChange, "relay"), (Sleep, "relay")];
    live("symmetric NAT, both ends", plan, "relay", &events).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_udp() {
    let plan = Plan { udp_blocked: true, ..Plan::default() };
    let events = [(RelayKilled, "relay-tcp"), (RelayDrained, "relay-tcp")];
    live("UDP blocked at the client", plan, "relay-tcp", &events).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_udp_towards_a_public_agent() {
    let plan = Plan { agent: Nat::None, udp_blocked: true, ..Plan::default() };
    let events = [(RelayKilled, "direct-tcp"), (AddressChange, "direct-tcp"), (Sleep, "direct-tcp")];
    live("UDP blocked at the client, agent on a public address", plan, "direct-tcp", &events).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_udp_and_no_relay() {
    let plan = Plan { agent: Nat::None, udp_blocked: true, relays: false, ..Plan::default() };
    let events = [(AddressChange, "direct-tcp"), (Sleep, "direct-tcp")];
    live("UDP blocked at the client, no relay", plan, "direct-tcp", &events).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_relay() {
    let plan = Plan { agent: Nat::None, relays: false, ..Plan::default() };
    let events =
        [(DirectBlocked, "direct-tcp"), (DirectBack, "direct"), (AddressChange, "direct"), (Sleep, "direct")];
    live("agent on a public address, no relay", plan, "direct", &events).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_proxy() {
    let plan = Plan { only_proxy: true, ..Plan::default() };
    let events = [(RelayKilled, "relay-tcp"), (RelayDrained, "relay-tcp")];
    live("only an HTTP proxy with a password", plan, "relay-tcp", &events).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_packets() {
    let plan = Plan { mtu: Some(1280), ..Plan::default() };
    live(
        "packets of 1,280 bytes at most",
        plan,
        "direct",
        &[(RelayKilled, "direct"), (DirectBlocked, "relay"), (DirectBack, "direct")],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_percent_loss() {
    let plan = Plan { loss_percent: 2, ..Plan::default() };
    live(
        "2 % loss",
        plan,
        "direct",
        &[(RelayKilled, "direct"), (DirectBlocked, "relay"), (DirectBack, "direct")],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_road() {
    let plan = Plan { client: Nat::Symmetric, agent: Nat::Symmetric, delay_ms: 150, ..Plan::default() };
    live("300 ms round trip", plan, "relay", &[(AddressChange, "relay")]).await;
}
