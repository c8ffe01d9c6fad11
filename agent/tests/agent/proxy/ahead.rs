//! Clients that send ahead of the answers: what the proxy believes of the session's views must hold for what is on its
//! way, too.

use super::stage::{Raw, Stage, masked};
use crate::world::eventually;
use daam_pgwire::frontend::{bind, execute, parse_statement, query, sync};
use std::time::Duration;

const EMAIL: &str = "SELECT email FROM users ORDER BY id LIMIT 1";
const VIEWS: &str = "SELECT relname::text FROM pg_class WHERE relname = 'public.users'";

fn batch(sql: &str) -> Vec<u8> {
    [parse_statement(b"", sql, b""), bind(b"", b""), execute(b""), sync()].concat()
}

async fn answers(raw: &mut Raw, sent: &[Vec<u8>]) -> Vec<String> {
    raw.send(&sent.concat()).await;
    let mut answers = Vec::new();
    for _ in sent {
        answers.push(raw.summary().await.replace("N ", "").replace("S ", ""));
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_behind_a_rollback_that_was_sent_with_it_finds_its_view() {
    let stage = Stage::with_linger(masked(), Duration::ZERO).await;
    let mut raw = stage.raw().await;
    let q = |sql: &str| query(sql).to_vec();
    let sent = [q("BEGIN"), q(EMAIL), q("ROLLBACK"), q(EMAIL)];
    assert_eq!(answers(&mut raw, &sent).await, ["C ZT", "T D C ZT", "C ZI", "T D C ZI"]);
    let sent = [q("BEGIN; SAVEPOINT a"), q(EMAIL), q("ROLLBACK TO a"), q(EMAIL), q("COMMIT"), q(EMAIL)];
    let told = answers(&mut raw, &sent).await;
    assert_eq!(told, ["C C ZT", "T D C ZT", "C ZT", "T D C ZT", "C ZI", "T D C ZI"]);
    eventually("the view is released", async || stage.world.strings(VIEWS).await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_fails_takes_no_view_from_the_batches_behind_it() {
    let stage = Stage::with_linger(masked(), Duration::ZERO).await;
    let mut raw = stage.raw().await;
    let failing = [
        parse_statement(b"", "SELECT 1/0", b""),
        bind(b"", b""),
        parse_statement(b"b", EMAIL, b""),
        bind(b"b", b"b"),
        execute(b""),
        execute(b"b"),
        sync(),
    ]
    .concat();
    for _ in 0..3 {
        let told = answers(&mut raw, &[failing.clone(), batch(EMAIL), batch("SELECT 1"), batch(EMAIL)]).await;
        assert!(told[0].contains("E:22012"), "{told:?}");
        assert_eq!(told[1..], ["1 2 D C ZI"; 3], "{told:?}");
        eventually("the view is released", async || stage.world.strings(VIEWS).await.is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_made_behind_an_error_is_released_like_any_other() {
    let stage = Stage::with_linger(masked(), Duration::ZERO).await;
    let mut raw = stage.raw().await;
    let told = answers(&mut raw, &[batch("SELECT 1/0"), batch(EMAIL)]).await;
    assert!(told[0].contains("E:22012") && told[1] == "1 2 D C ZI", "{told:?}");
    eventually("the view is released", async || stage.world.strings(VIEWS).await.is_empty()).await;
}
