//! A session goes on while relays die, leave and come back; what is forced stays forced.

use crate::program::{answer, say, start_with, wait_for};
use crate::through_relay::{DEADLINE, RELAY, World, echoes, now, start_relay};
use daam_identity::ticket::{TicketRole, TicketVerifier};
use daam_relay::forward::Forwarder;
use daam_relay::limits::Limits;
use daam_relay::serve::{Beside, RelaySocket, Snapshot};
use daam_tunnel::{DialPlan, PathKey, PathKind, PathPreference, RelayTarget, Tunnel, dial};
use std::net::{SocketAddr, TcpListener};
use std::process::Child;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The relay as a program, with a control plane that only enrols.
fn program(signer_public: &str) -> (Child, SocketAddr, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let control_plane = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", control_plane.local_addr().unwrap());
    let child = start_with(directory.path(), &url, &["--advertise", RELAY]);
    let enrolled = format!(
        r#"{{"id":"r-1","org":"acme","certificate_pem":null,"ca_pem":"","link_token":"t","ticket_key":"{signer_public}"}}"#
    );
    answer(control_plane.accept().unwrap().0, "200 OK", &enrolled);
    answer(control_plane.accept().unwrap().0, "204 No Content", "");
    let ready = wait_for("readiness", || std::fs::read_to_string(directory.path().join("ready.json")).ok());
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    (child, ready["address"].as_str().unwrap().parse().unwrap(), directory)
}

fn targets(world: &World, relays: &[SocketAddr], role: TicketRole) -> Vec<RelayTarget> {
    let target = |addr: &SocketAddr| RelayTarget::new(*addr, "localhost:1", world.ticket(role, now() + 300));
    relays.iter().map(target).collect()
}

async fn through(world: &World, relays: &[SocketAddr]) -> Tunnel {
    world.listener.set_relays(targets(world, relays, TicketRole::Agent));
    let plan = DialPlan {
        relays: targets(world, relays, TicketRole::Client),
        prefer: PathPreference::Relay,
        ..world.plan(world.relay)
    };
    dial(plan).await.unwrap()
}

/// The relay in use, once both have proven that they work.
async fn both_ready(tunnel: &Tunnel) -> usize {
    let mut paths = tunnel.paths();
    let found = paths.wait_for(|notes| notes.iter().filter(|note| note.rtt.is_some()).count() >= 2);
    drop(tokio::time::timeout(DEADLINE, found).await.unwrap().unwrap());
    in_use(tunnel)
}

fn in_use(tunnel: &Tunnel) -> usize {
    let notes = tunnel.paths().borrow().clone();
    let key =
        notes.iter().find(|note| note.condition == daam_tunnel::path::report::Condition::InUse).unwrap().key;
    match key {
        PathKey::Relay(n) | PathKey::RelayTcp(n) => n,
        PathKey::Direct(addr) | PathKey::DirectTcp(addr) => panic!("direct to {addr}"),
    }
}

/// One question after the other on one stream, for as long as the returned task is not stopped; its longest wait.
fn asking(tunnel: &std::sync::Arc<Tunnel>) -> (watch::Sender<bool>, JoinHandle<Duration>) {
    let (stop, stopped) = watch::channel(false);
    let tunnel = std::sync::Arc::clone(tunnel);
    let task = tokio::spawn(async move {
        let mut stream = tunnel.open_stream().await.unwrap();
        let mut longest = Duration::ZERO;
        while !*stopped.borrow() {
            let sent = Instant::now();
            stream.write_all(b"ping").await.unwrap();
            let mut back = [0; 4];
            tokio::time::timeout(DEADLINE, stream.read_exact(&mut back)).await.unwrap().unwrap();
            longest = longest.max(sent.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        longest
    });
    (stop, task)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_of_the_relay_in_use_leaves_the_session_running_over_the_other() {
    let world = World::new().await;
    let key = world.signer.public_base64();
    let (mut first, first_at, _kept) = program(&key);
    let (mut second, second_at, _also) = program(&key);
    let tunnel = std::sync::Arc::new(through(&world, &[first_at, second_at]).await);
    let used = both_ready(&tunnel).await;
    let (stop, asked) = asking(&tunnel);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let victim = if used == 0 { &mut first } else { &mut second };
    victim.kill().unwrap();
    let mut paths = tunnel.paths();
    let moved = paths.wait_for(|_| in_use(&tunnel) != used);
    drop(tokio::time::timeout(DEADLINE, moved).await.unwrap().unwrap());
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.send_replace(true);
    let longest = asked.await.unwrap();
    say(&format!("longest wait: {longest:?}"));
    assert!(longest < Duration::from_millis(2500), "{longest:?}");
    for mut child in [first, second] {
        child.kill().unwrap_or_default();
        child.wait().unwrap();
    }
}

struct Leaver {
    at: SocketAddr,
    leave: watch::Sender<bool>,
    ended: JoinHandle<std::io::Result<()>>,
    _events: mpsc::Sender<daam_relay::serve::TcpEvent>,
}

fn leaver(world: &World, at: &str) -> Leaver {
    let verifier = TicketVerifier::from_base64(&world.signer.public_base64(), RELAY).unwrap();
    let socket = RelaySocket::bind(at.parse().unwrap()).unwrap();
    let at = socket.local_addr().unwrap();
    let (leave, leaving) = watch::channel(false);
    let (events, beside) = mpsc::channel(8);
    let beside =
        Beside::new(beside, watch::Sender::new(Snapshot::default()), leaving, Duration::from_secs(10));
    let forwarder = Forwarder::new("acme", verifier, [5; 32], Limits::default());
    let ended = tokio::spawn(socket.forward_with(forwarder, beside));
    Leaver { at, leave, ended, _events: events }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_all_relays_breaks_and_delays_nothing() {
    let world = World::new().await;
    let mut relays = [leaver(&world, "127.0.0.1:0"), leaver(&world, "127.0.0.1:0")];
    let places = [relays[0].at, relays[1].at];
    let tunnel = std::sync::Arc::new(through(&world, &places).await);
    both_ready(&tunnel).await;
    let (stop, asked) = asking(&tunnel);
    for n in 0..2 {
        relays[n].leave.send_replace(true);
        let ended = std::mem::replace(&mut relays[n].ended, tokio::spawn(async { Ok(()) }));
        tokio::time::timeout(DEADLINE, ended).await.unwrap().unwrap().unwrap();
        assert_ne!(in_use(&tunnel), n);
        relays[n] = leaver(&world, &places[n].to_string());
        // The next one is restarted when this one carries again.
        let mut paths = tunnel.paths();
        let back = paths.wait_for(|notes| {
            let note = notes.iter().find(|note| note.key == PathKey::Relay(n));
            note.is_some_and(|note| note.condition == daam_tunnel::path::report::Condition::Ready)
        });
        drop(tokio::time::timeout(DEADLINE, back).await.unwrap().unwrap());
    }
    stop.send_replace(true);
    let longest = asked.await.unwrap();
    say(&format!("longest wait: {longest:?}"));
    assert!(longest < Duration::from_millis(900), "{longest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_began_on_a_relay_goes_direct_by_itself_unless_told_not_to() {
    let world = World::new().await;
    world.join(world.relay);
    let free = dial(world.plan(world.relay)).await.unwrap();
    let mut paths = free.paths();
    let direct = paths.wait_for(|_| free.path() == PathKind::Direct);
    drop(tokio::time::timeout(DEADLINE, direct).await.unwrap().unwrap());
    echoes(&free, b"found by what both ends told each other").await;
    let forced = dial(DialPlan { prefer: PathPreference::Relay, ..world.plan(world.relay) }).await.unwrap();
    echoes(&forced, &vec![7; 100_000]).await;
    let notes = forced.paths().borrow().clone();
    assert!(notes.iter().all(|note| note.kind() != PathKind::Direct), "{notes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_direct_session_does_not_need_any_relay_to_live() {
    let world = World::new().await;
    world.join(world.relay);
    let plan = DialPlan { direct: vec![world.listener.local_addr()], ..world.plan(world.relay) };
    let tunnel = dial(plan).await.unwrap();
    let mut paths = tunnel.paths();
    let direct = paths.wait_for(|_| tunnel.path() == PathKind::Direct);
    drop(tokio::time::timeout(DEADLINE, direct).await.unwrap().unwrap());
    world.forwarding.abort();
    world.forwarding.await.unwrap_err();
    echoes(&tunnel, &vec![1; 1_000_000]).await;
    // And a relay that comes back does not take it away again.
    let (_, again) = start_relay(&world.signer, world.relay);
    echoes(&tunnel, b"still").await;
    assert_eq!(tunnel.path(), PathKind::Direct);
    again.abort();
}

/// The network lets UDP to the first port through to nobody, as those do that block HTTP/3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_first_udp_port_is_blocked_the_second_is_found_by_both_ends() {
    let world = World::new().await;
    let verifier = TicketVerifier::from_base64(&world.signer.public_base64(), RELAY).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let socket = RelaySocket::bind(any).unwrap().also(any).unwrap();
    let (first, second) = (socket.local_addr().unwrap(), socket.second_addr().unwrap());
    tokio::spawn(socket.forward(Forwarder::new("acme", verifier, [5; 32], Limits::default())));
    let blocked = tokio::net::UdpSocket::bind(any).await.unwrap();
    let target = |at: SocketAddr, role| {
        let ticket = world.ticket(role, now() + 300);
        RelayTarget { second: Some(second), ..RelayTarget::new(at, "localhost:1", ticket) }
    };
    let around = blocked.local_addr().unwrap();
    // The agent by the first door, the client by the second; then both by the second.
    for (agents, ours) in [(first, around), (around, around)] {
        world.listener.set_relays(vec![target(agents, TicketRole::Agent)]);
        let relays = vec![target(ours, TicketRole::Client)];
        let plan = DialPlan { relays, prefer: PathPreference::Relay, ..world.plan(first) };
        let tunnel = tokio::time::timeout(DEADLINE, dial(plan)).await.unwrap().unwrap();
        assert_eq!(tunnel.path(), PathKind::Relay);
        echoes(&tunnel, &vec![9; 500_000]).await;
        tunnel.shutdown("done").await;
    }
    let of = |announced: &str| RelayTarget::new(announced.parse().unwrap(), announced, String::new()).second;
    assert_eq!(of("192.0.2.1:443"), Some("192.0.2.1:3478".parse().unwrap()));
    assert_eq!(of("192.0.2.1:8443"), None, "a port nobody agreed on");
}
