//! What a peer does costs the peer: memory stays bounded when nobody reads and when nobody stops sending.

use super::stage::{Raw, Stage, masked};
use crate::world::eventually;
use daam_pgwire::frontend::{bind, execute, parse_statement, query, sync};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

const MIB: u64 = 1 << 20;
/// More than everything that may wait on either side, and the allocator's slack.
const BOUND: u64 = 48 * MIB;

/// This process's memory, in bytes. Each test has a process of its own.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

async fn blocked(stage: &Stage, what: &str) {
    let waiting = "SELECT wait_event::text FROM pg_stat_activity WHERE usename LIKE 'daam\\_s\\_%' \
                   AND wait_event = 'ClientWrite'";
    eventually(what, async || !stage.world.strings(waiting).await.is_empty()).await;
}

/// Sends until the other side takes nothing for a while; how much it took.
async fn flood(raw: &mut Raw, message: &[u8]) -> u64 {
    let mut taken = 0;
    loop {
        let rest = &message[taken % message.len()..];
        match tokio::time::timeout(Duration::from_secs(2), raw.stream.write(rest)).await {
            Ok(written) => taken += written.unwrap(),
            Err(_) => return u64::try_from(taken).unwrap(),
        }
        assert!(taken < 512 << 20, "nothing ever stops the sender");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_a_huge_result_makes_the_database_wait() {
    let stage = Stage::new(masked()).await;
    let (mut rows, mut row, mut copy) = (stage.raw().await, stage.raw().await, stage.raw().await);
    let before = resident();
    rows.send(&query("SELECT repeat('x', 100000) FROM generate_series(1, 5000)")).await;
    row.send(&query("SELECT repeat('x', 200000000)")).await;
    copy.send(&query("COPY (SELECT repeat('x', 100000) FROM generate_series(1, 5000)) TO STDOUT")).await;
    blocked(&stage, "the database waits").await;
    // Whatever could still move has moved when a new session is served.
    drop(stage.client().await);
    let grown = resident().saturating_sub(before);
    assert!(grown < BOUND, "{} MiB", grown / MIB);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_without_reading_is_not_read_any_more() {
    let stage = Stage::new(masked()).await;
    let before = resident();
    let answered = query(&format!("SELECT '{}'", "x".repeat(10_000)));
    let batch =
        [parse_statement(b"", "SELECT repeat('x', 10000)", b""), bind(b"", b""), execute(b""), sync()]
            .concat();
    let refused = query("SELECT * FROM hr.staff");
    // Without Sync there would be one answer and nothing to wait for: what follows is dropped, as the server does.
    let broken = [parse_statement(b"", "SELECT * FROM hr.staff", b""), sync()].concat();
    for message in [answered.to_vec(), batch, refused.to_vec(), broken] {
        let mut raw = stage.raw().await;
        let taken = flood(&mut raw, &message.repeat(50)).await;
        let grown = resident().saturating_sub(before);
        assert!(taken < 64 * MIB && grown < BOUND, "took {} MiB, grew {} MiB", taken / MIB, grown / MIB);
        drop(raw);
    }
    // Everybody else is served meanwhile and after.
    drop(stage.client().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_texts_and_portals_have_bounds_and_the_session_goes_on() {
    let stage = Stage::new(masked()).await;
    let mut raw = stage.raw().await;
    let text = format!("SELECT '{}'", "x".repeat(8 << 20));
    let mut answers = Vec::new();
    for n in 0..12 {
        let name = format!("s{n}");
        raw.send(&[parse_statement(name.as_bytes(), &text, b""), sync()].concat()).await;
        answers.push(raw.summary().await);
    }
    assert_eq!(answers.first().map(String::as_str), Some("1 ZI"));
    assert_eq!(answers.last().map(String::as_str), Some("E:54000 ZI"), "{answers:?}");
    raw.send(&query("DEALLOCATE ALL")).await;
    assert_eq!(raw.summary().await, "C ZI");
    raw.send(&query("SELECT 1")).await;
    assert_eq!(raw.summary().await, "T D C ZI");
}
