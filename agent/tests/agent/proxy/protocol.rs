//! What drivers notice: the order of messages, batches, cancelling, start-up.

use super::stage::{Stage, code, masked, message, one, open, summary};
use crate::world::{eventually, grant, policies};
use daam_model::{SessionLimits, Verb};
use daam_pgwire::frontend::{Target, bind, close, execute, flush, parse_statement, query, sync};
use std::time::Duration;

fn batch(parts: &[bytes::Bytes]) -> Vec<u8> {
    parts.concat()
}

fn run(sql: &str) -> Vec<u8> {
    batch(&[parse_statement(b"", sql, b""), bind(b"", b""), execute(b"")])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_batch_gets_its_own_answers_whatever_is_refused_in_between() {
    let stage = Stage::new(masked()).await;
    let mut raw = stage.raw().await;
    let select = run("SELECT email FROM users ORDER BY id LIMIT 1");
    let refused = run("SELECT * FROM hr.staff");
    let mut sent = select.clone();
    sent.extend_from_slice(&sync());
    sent.extend_from_slice(&select);
    sent.extend_from_slice(&refused);
    sent.extend_from_slice(&select);
    sent.extend_from_slice(&sync());
    sent.extend_from_slice(&refused);
    sent.extend_from_slice(&sync());
    sent.extend_from_slice(&query("SELECT * FROM hr.staff"));
    sent.extend_from_slice(&query("SELECT 1; SELECT 2"));
    raw.send(&sent).await;
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(raw.summary().await);
    }
    assert_eq!(answers, ["1 2 D C ZI", "1 2 D C E:42501 ZI", "E:42501 ZI", "E:42501 ZI", "T D C T D C ZI"],);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_in_a_batch_takes_the_rest_of_the_batch_with_it() {
    let stage = Stage::new(masked()).await;
    let mut raw = stage.raw().await;
    let mut sent = run("INSERT INTO users (email, name) VALUES ('gone@example.com', 'Gone')");
    sent.extend_from_slice(&run("SELECT * FROM hr.staff"));
    sent.extend_from_slice(&sync());
    raw.send(&sent).await;
    assert_eq!(raw.summary().await, "1 2 C E:42501 ZI");
    let gone = stage.world.strings("SELECT name::text FROM users WHERE name = 'Gone'").await;
    assert!(gone.is_empty(), "the batch is one transaction, and it failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_without_sync_is_answered_and_a_path_change_in_a_batch_is_seen() {
    let stage = Stage::new(masked()).await;
    let mut raw = stage.raw().await;
    let mut sent = run("SET search_path = hr");
    sent.extend_from_slice(&run("SELECT email FROM public.users ORDER BY id LIMIT 1"));
    sent.extend_from_slice(&flush());
    raw.send(&sent).await;
    let mut seen = Vec::new();
    while seen.iter().filter(|tag| *tag == "C").count() < 2 {
        seen.push(summary(&raw.next().await.unwrap()));
    }
    seen.retain(|tag| tag != "S" && tag != "N");
    assert_eq!(seen.join(" "), "1 2 C 1 2 D C");
    raw.send(&sync()).await;
    assert_eq!(raw.summary().await.trim_start_matches("S "), "ZI");
    raw.send(&batch(&[close(Target::Statement(b"")), sync()])).await;
    assert_eq!(raw.summary().await, "3 ZI");
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_in_through_the_extended_protocol_stays_in_step() {
    let stage = Stage::new(open()).await;
    let mut raw = stage.raw().await;
    // As libpq does it: everything including Sync in one go, then the data, then Sync again.
    let copy = batch(&[
        parse_statement(b"", "COPY users (email, name) FROM STDIN", b""),
        bind(b"", b""),
        execute(b""),
        sync(),
    ]);
    raw.send(&copy).await;
    let mut seen = String::new();
    while !seen.ends_with('G') {
        seen.push_str(&summary(&raw.next().await.unwrap()));
    }
    assert_eq!(seen, "12G");
    let data = b"d\0\0\0\x10zoe@x.net\tZ\nc\0\0\0\x04";
    assert_eq!(data.len(), 22);
    raw.send(data).await;
    raw.send(&sync()).await;
    assert_eq!(raw.summary().await, "C ZI");
    raw.send(&query("SELECT 1")).await;
    assert_eq!(raw.summary().await, "T D C ZI");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_request_reaches_the_statement_and_only_of_its_owner() {
    let stage = Stage::new(masked()).await;
    let client = stage.client().await;
    let token = client.cancel_token();
    let running = tokio::spawn(async move { code(client.simple_query("SELECT pg_sleep(60)").await) });
    let asleep = "SELECT pid::text FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' \
                  AND pid <> pg_backend_pid()";
    eventually("the statement runs", async || !stage.world.strings(asleep).await.is_empty()).await;
    let (stream, end) = stage.stream();
    token.cancel_query_raw(stream, tokio_postgres::NoTls).await.unwrap();
    assert!(end.await.unwrap().reason.contains("Delivered"));
    assert_eq!(running.await.unwrap(), "57014");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_keeps_the_statement_timeout_and_the_idle_timeout() {
    let mut set = policies(vec![grant("public.users", &[Verb::Select])], &[]);
    set.policies[0].session =
        SessionLimits { statement_timeout: Some(Duration::from_millis(300)), ..SessionLimits::default() };
    let stage = Stage::new(set.clone()).await;
    let client = stage.client().await;
    let error = message(client.simple_query("SET statement_timeout = 0; SELECT pg_sleep(60)").await);
    assert!(error.contains("57014") && error.contains("policy's statement timeout"), "{error}");
    assert_eq!(one(&client, "SELECT 1").await.unwrap(), "1");
    set.policies[0].session =
        SessionLimits { idle_timeout: Some(Duration::from_millis(300)), ..SessionLimits::default() };
    stage.publish(set);
    eventually("the idle session is ended", async || client.is_closed()).await;
    eventually("the roles are gone", async || stage.world.roles().await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn start_up_refuses_what_the_policy_does_not_let_in() {
    let stage = Stage::new(masked()).await;
    let refused = async |settings: &str| message(stage.try_client(settings).await.map(drop));
    assert!(refused("dbname=other user=x").await.contains("3D000"));
    let role = refused("dbname=shop user=x options='-c role=postgres'").await;
    assert!(role.contains("42501") && role.contains("`role`"), "{role}");
    assert!(refused("dbname=shop user=x options='-c client_encoding=SJIS'").await.contains("SJIS"));
    // A certificate that names databases is good for these, whatever its holder may do here otherwise.
    let elsewhere = message(stage.limited_client(&["archive", "hr"]).await.map(drop));
    assert!(elsewhere.contains("28000") && elsewhere.contains("only for `archive`, `hr`"), "{elsewhere}");
    let here = stage.limited_client(&["archive", "shop"]).await.unwrap();
    assert_eq!(one(&here, "SELECT 1").await.unwrap(), "1");
    drop(here);
    eventually("its roles are gone", async || stage.world.roles().await.is_empty()).await;
    stage.disable_jane();
    let disabled = refused("dbname=shop user=x").await;
    assert!(disabled.contains("28000") && disabled.contains("disabled"), "{disabled}");
    assert!(stage.world.roles().await.is_empty());
}
