//! How long a tightened scope takes from SIGHUP to every one of many busy sessions, through the whole program.
//!
//! Sessions read a table in a loop, with a pause that the command line gives; the table leaves the scope. Counted are the
//! last answer with rows after the signal, the moment the agent says that every session has moved, and what the agent
//! itself measured. Timings depend on the machine, so nothing is judged but that nobody reads afterwards.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measurement that cannot go on fails, and prints what it found"
)]

#[path = "../../tests/agent/author.rs"]
mod author;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/agent/plane.rs"]
mod plane;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/agent/program.rs"]
mod program;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/agent/world.rs"]
mod world;

use author::{Author, jane};
use daam_api::link::ToAgent;
use daam_model::Verb;
use plane::Plane;
use program::{Program, bundle_status, files, offer, write_config};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls};
use world::{World, eventually, grant, policies};

const BOTH: &str = "  scope: [public.users, public.orders]\n";
const ONE: &str = "  scope: [public.users]\n";
const HANDLED: &str = "the scope is in force on every session";
/// Sessions through one tunnel.
const TOGETHER: usize = 25;

#[tokio::main]
async fn main() {
    let number = |name: &str, otherwise: u64| {
        let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
        arguments.next().map_or(otherwise, |text| text.parse().expect("a number"))
    };
    let sessions = usize::try_from(number("--sessions", 100)).expect("a number of sessions");
    let pause = Duration::from_millis(number("--pause-ms", 20));
    let rounds = number("--rounds", 5);
    println!(
        "SIGHUP with a tightened scope, {sessions} busy sessions, a statement every {} ms",
        pause.as_millis()
    );
    println!(
        "| round | last row after the signal, ms | log line seen after, ms | the agent's own count, ms |"
    );
    println!("|---|---|---|---|");
    let (world, mut plane, author) = (World::start().await, Plane::start().await, Author::new());
    let program = Program::start(files(&world, &plane, &author, BOTH)).await;
    plane.say(&ToAgent::DirectoryUpdate { version: 1, users: vec![jane(false)] });
    plane.say(&offer(&author, 1, &policies(vec![grant("public.*", &[Verb::Select])], &[])));
    plane.hear("active", |message| bundle_status(message).filter(|(_, state)| state == "active")).await;
    for round in 1..=rounds {
        measure(round, sessions, pause, &plane, &program).await;
    }
    program.stop().await;
}

async fn measure(round: u64, sessions: usize, pause: Duration, plane: &Plane, program: &Program) {
    let (mut readers, mut tunnels) = (Vec::new(), Vec::new());
    while readers.len() < sessions {
        let tunnel = program.dial(plane).await.unwrap();
        for _ in 0..TOGETHER.min(sessions - readers.len()) {
            let config: tokio_postgres::Config = "dbname=shop user=jane".parse().unwrap();
            let (client, connection) =
                config.connect_raw(tunnel.open_stream().await.unwrap(), NoTls).await.unwrap();
            tokio::spawn(connection);
            readers.push(tokio::spawn(read(client, pause)));
        }
        tunnels.push(tunnel);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    write_config(program.dir.path(), plane, ONE);
    let before = program.log().matches(HANDLED).count();
    let begun = Instant::now();
    program.hang_up();
    while program.log().matches(HANDLED).count() == before {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let handled = begun.elapsed();
    let mut last = begun;
    for reader in readers {
        last = last.max(reader.await.unwrap());
    }
    let log = program.log();
    let line = log.lines().rfind(|line| line.contains(HANDLED)).unwrap_or_default();
    let own =
        line.split("milliseconds=").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap_or("?");
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!("| {round} | {:.1} | {:.1} | {own} |", ms(last - begun), ms(handled));
    // Back to where it was, for the next round.
    drop(tunnels);
    write_config(program.dir.path(), plane, BOTH);
    program.hang_up();
    eventually("the wider scope is in force", async || {
        program.detailed().await["scope"]["in_scope_object_count"] == 2
            && program.detailed().await["sessions"] == 0
    })
    .await;
}

/// Reads until it is refused; the moment of the last answer.
async fn read(client: Client, pause: Duration) -> Instant {
    let mut last = Instant::now();
    loop {
        match client.simple_query("SELECT count(*) FROM public.orders").await {
            Ok(_) => last = Instant::now(),
            Err(error) => {
                assert!(error.code().is_some(), "{error:?}");
                return last;
            }
        }
        tokio::time::sleep(pause).await;
    }
}
