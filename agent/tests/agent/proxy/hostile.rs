//! What must not hurt: broken messages, vanished peers, a database that dies.

use super::stage::{Stage, masked, summary};
use crate::world::eventually;
use daam_pgwire::frontend::query;
use tokio::io::AsyncWriteExt as _;

async fn ends_with(stage: &Stage, bytes: &[u8], expected: &str) {
    let mut raw = stage.raw().await;
    raw.send(bytes).await;
    let mut seen = Vec::new();
    while let Some(frame) = raw.next().await {
        seen.push(summary(&frame));
    }
    assert_eq!(seen, [expected], "after {bytes:?}");
    assert!(!raw.session.await.unwrap().reason.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_messages_end_the_session_and_smuggle_nothing() {
    let stage = Stage::new(masked()).await;
    // No NUL, so the text would run into the next message.
    ends_with(&stage, b"Q\0\0\0\x0cSELECT 1Q\0\0\0\x09DROP\0", "E:08P01").await;
    // A second text behind the NUL.
    ends_with(&stage, b"Q\0\0\0\x10SELECT 1\0abc", "E:08P01").await;
    ends_with(&stage, b"Q\0\0\0\x02", "E:08P01").await;
    ends_with(&stage, b"Q\xff\xff\xff\xff", "E:08P01").await;
    ends_with(&stage, b"Q\x7f\xff\xff\xff", "E:54000").await;
    ends_with(&stage, b"B\0\0\0\x08\0\0\0\x05", "E:08P01").await;
    ends_with(&stage, b"!\0\0\0\x04", "E:08P01").await;
    ends_with(&stage, b"p\0\0\0\x05\0", "E:08P01").await;
    eventually("the roles are gone", async || stage.world.roles().await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_up_that_is_none_is_refused_before_anything_is_made() {
    let stage = Stage::new(masked()).await;
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0\0\0\x04", b"\0\0\x30\x00", b"\0\0\0\x08\0\x02\0\0"] {
        let (mut stream, session) = stage.stream();
        stream.write_all(bytes).await.unwrap();
        assert!(!session.await.unwrap().reason.is_empty());
    }
    assert!(stage.world.roles().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_not_utf8_is_refused_and_the_session_goes_on() {
    let stage = Stage::new(masked()).await;
    let mut raw = stage.raw().await;
    raw.send(b"Q\0\0\0\x0fSELECT '\xe9'\0").await;
    assert_eq!(raw.summary().await, "E:22021 ZI");
    raw.send(&query("SET client_encoding = 'SJIS'")).await;
    assert_eq!(raw.summary().await, "E:0A000 ZI");
    raw.send(&query("SET standard_conforming_strings = off")).await;
    assert_eq!(raw.summary().await, "E:0A000 ZI");
    raw.send(&query("SELECT 1")).await;
    assert_eq!(raw.summary().await, "T D C ZI");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_call_by_number_is_refused() {
    let stage = Stage::new(masked()).await;
    let mut raw = stage.raw().await;
    raw.send(b"F\0\0\0\x0e\0\0\0\x2a\0\0\0\0\0\0").await;
    assert_eq!(raw.summary().await, "E:42501 ZI");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_leaves_no_statement_and_no_roles() {
    let stage = Stage::new(masked()).await;
    let mut raw = stage.raw().await;
    raw.send(&query("SELECT pg_sleep(60)")).await;
    let asleep = "SELECT pid::text FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' \
                  AND pid <> pg_backend_pid()";
    eventually("the statement runs", async || !stage.world.strings(asleep).await.is_empty()).await;
    drop(raw.stream);
    eventually("the statement is gone", async || stage.world.strings(asleep).await.is_empty()).await;
    eventually("the roles are gone", async || stage.world.roles().await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_dies_in_a_statement_is_reported() {
    let stage = Stage::new(masked()).await;
    let mut raw = stage.raw().await;
    raw.send(&query("SELECT pg_sleep(60)")).await;
    let asleep = "FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' \
                  AND pid <> pg_backend_pid()";
    eventually("the statement is killed", async || {
        !stage.world.strings(&format!("SELECT pg_terminate_backend(pid)::text {asleep}")).await.is_empty()
    })
    .await;
    let mut seen = Vec::new();
    while let Some(frame) = raw.next().await {
        seen.push(summary(&frame));
    }
    assert_eq!(seen, ["T", "E:57P01"]);
    assert!(raw.session.await.unwrap().reason.contains("database"));
    eventually("the roles are gone", async || stage.world.roles().await.is_empty()).await;
}
