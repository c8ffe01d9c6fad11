//! How long a policy change takes to reach busy sessions, beside what PostgreSQL itself does for direct connections.
//!
//! Sessions read a column in a loop, with a pause that the command line gives. Then a mask comes. For every session two
//! moments count: the last answer under the old policy, and the first under the new one. The same number of direct
//! connections read the same column, and a plain `REVOKE` takes it away from them. Timings depend on the machine, so
//! nothing is judged.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement that cannot go on fails, and prints what it found"
)]

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/agent/proxy/stage.rs"]
mod stage;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/agent/world.rs"]
mod world;

use stage::{Stage, masked, one, open};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

const READ: &str = "SELECT email FROM public.users WHERE id = 1";
const RAW: &str = "jane@example.com";

/// When a session last read what it may not any more, and when it first got another answer.
struct Seen {
    last_old: Instant,
    first_new: Instant,
}

#[tokio::main]
async fn main() {
    let number = |name: &str, otherwise: u64| {
        let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
        arguments.next().map_or(otherwise, |text| text.parse().expect("a number"))
    };
    let sessions = number("--sessions", 100);
    let pause = Duration::from_millis(number("--pause-ms", 20));
    let rounds = number("--rounds", 5);
    println!(
        "{sessions} busy sessions, a statement every {} ms, {rounds} rounds, milliseconds",
        pause.as_millis()
    );
    println!("an answer under the old policy at 0.0: none came after the change");
    println!("| what | last old answer p50 | p99 | first new answer p50 | p99 |");
    println!("|---|---|---|---|---|");
    let stage = Stage::new(open()).await;
    let mut measured = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        let mut clients = Vec::new();
        for _ in 0..sessions {
            clients.push(stage.client().await);
        }
        let change = async || stage.publish(masked());
        measured[0].extend(round(clients, pause, change).await);
        stage.publish(open());
        world::eventually("the sessions are over", async || stage.ctx.sessions.count() == 0).await;

        let mut clients = Vec::new();
        let all = "CREATE ROLE reader LOGIN PASSWORD 'reader'; GRANT SELECT ON public.users TO reader";
        stage.world.superuser.batch_execute(all).await.unwrap();
        for _ in 0..sessions {
            clients.push(direct(&stage).await);
        }
        let change = async || {
            stage.world.superuser.batch_execute("REVOKE SELECT ON public.users FROM reader").await.unwrap();
        };
        measured[1].extend(round(clients, pause, change).await);
        stage.world.superuser.batch_execute("DROP ROLE reader").await.unwrap();
    }
    let names = ["daam: a mask is published", "PostgreSQL alone: REVOKE on direct connections"];
    for (name, all) in names.iter().zip(&mut measured) {
        let old = percentiles(all.iter().map(|(old, _)| *old).collect());
        let new = percentiles(all.iter().map(|(_, new)| *new).collect());
        println!("| {name} | {:.1} | {:.1} | {:.1} | {:.1} |", old.0, old.1, new.0, new.1);
    }
}

async fn direct(stage: &Stage) -> Client {
    let dsn = stage.world.cluster.dsn("reader", "reader", "shop");
    let (client, connection) = tokio_postgres::connect(&dsn, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Lets them read, changes the policy, and waits until every one has seen it: milliseconds from the change on.
async fn round(clients: Vec<Client>, pause: Duration, change: impl AsyncFnOnce()) -> Vec<(f64, f64)> {
    let go = Arc::new(AtomicBool::new(false));
    let readers: Vec<JoinHandle<Seen>> =
        clients.into_iter().map(|client| tokio::spawn(read(client, pause, Arc::clone(&go)))).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let started = Instant::now();
    change().await;
    go.store(true, Ordering::Relaxed);
    let mut seen = Vec::new();
    for reader in readers {
        let reader = reader.await.unwrap();
        let since = |moment: Instant| moment.saturating_duration_since(started).as_secs_f64() * 1000.0;
        seen.push((since(reader.last_old), since(reader.first_new)));
    }
    seen
}

async fn read(client: Client, pause: Duration, changed: Arc<AtomicBool>) -> Seen {
    let mut last_old = Instant::now();
    loop {
        let answer = one(&client, READ).await;
        let now = Instant::now();
        if answer.is_ok_and(|email| email == RAW) {
            last_old = now;
        } else if changed.load(Ordering::Relaxed) || last_old < now {
            // It stays so: an answer under the old policy after this one would be a hole.
            let again = one(&client, READ).await;
            assert!(!again.is_ok_and(|email| email == RAW), "the old policy came back");
            return Seen { last_old, first_new: now };
        }
        tokio::time::sleep(pause).await;
    }
}

/// The middle and the 99th of a hundred.
fn percentiles(mut all: Vec<f64>) -> (f64, f64) {
    all.sort_by(f64::total_cmp);
    let at = |hundredths: usize| all[(all.len() - 1) * hundredths / 100];
    (at(50), at(99))
}
