//! A policy that changes under running sessions.

use super::stage::{SOON, Stage, code, masked, message, one, open, summary};
use crate::world::{eventually, grant, policies};
use daam_model::Verb;
use daam_pgwire::frontend::query;

const EMAIL: &str = "SELECT email FROM users ORDER BY id LIMIT 1";

#[tokio::test(flavor = "multi_thread")]
async fn a_mask_tightens_under_a_session_and_opens_again() {
    let stage = Stage::new(open()).await;
    let client = stage.client().await;
    let statement = client.prepare(EMAIL).await.unwrap();
    assert_eq!(one(&client, EMAIL).await.unwrap(), "jane@example.com");
    stage.publish(masked());
    eventually("the mask is there", async || {
        one(&client, EMAIL).await.is_ok_and(|email| email.contains('*'))
    })
    .await;
    let row = client.query_one(&statement, &[]).await.unwrap();
    assert!(row.get::<_, String>(0).contains('*'), "a prepared statement is prepared again");
    stage.publish(open());
    eventually("the mask is gone", async || {
        one(&client, EMAIL).await.is_ok_and(|email| !email.contains('*'))
    })
    .await;
    let row = client.query_one(&statement, &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "jane@example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_statement_is_cancelled_when_the_policy_tightens() {
    let stage = Stage::new(open()).await;
    let client = stage.client().await;
    let running = tokio::spawn(async move {
        let cut = message(client.simple_query("BEGIN; SELECT email, pg_sleep(60) FROM users").await);
        let after = message(client.simple_query("SELECT 1").await);
        client.batch_execute("ROLLBACK").await.unwrap();
        (cut, after, one(&client, EMAIL).await.unwrap())
    });
    let asleep = "SELECT pid::text FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' \
                  AND pid <> pg_backend_pid()";
    eventually("the statement runs", async || !stage.world.strings(asleep).await.is_empty()).await;
    stage.publish(masked());
    let (cut, after, email) = tokio::time::timeout(SOON, running).await.unwrap().unwrap();
    assert!(cut.contains("57014") && cut.contains("policy"), "{cut}");
    assert!(after.contains("25P02") && after.contains("policy"), "{after}");
    assert!(email.contains('*'), "{email}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_and_its_cursors_do_not_outlive_the_policy() {
    let stage = Stage::new(open()).await;
    let client = stage.client().await;
    client.batch_execute("DECLARE held CURSOR WITH HOLD FOR SELECT email FROM users").await.unwrap();
    client.batch_execute("BEGIN; DECLARE c CURSOR FOR SELECT email FROM users").await.unwrap();
    assert_eq!(one(&client, "FETCH 1 FROM c").await.unwrap(), "jane@example.com");
    stage.publish(masked());
    eventually("the transaction has failed", async || {
        code(client.simple_query("FETCH 1 FROM c").await) == "25P02"
    })
    .await;
    let told = message(client.simple_query("FETCH 1 FROM c").await);
    assert!(told.contains("access policy"), "{told}");
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(code(client.simple_query("FETCH 1 FROM held").await), "34000");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_batch_is_told_when_the_policy_tightens() {
    let stage = Stage::new(open()).await;
    let mut raw = stage.raw().await;
    let batch = [daam_pgwire::frontend::parse_statement(b"", EMAIL, b""), daam_pgwire::frontend::flush()];
    raw.send(&batch.concat()).await;
    assert_eq!(summary(&raw.next().await.unwrap()), "1");
    stage.publish(masked());
    assert_eq!(summary(&raw.next().await.unwrap()), "E:25P02");
    raw.send(&daam_pgwire::frontend::sync()).await;
    assert_eq!(raw.summary().await, "ZI");
    raw.send(&query(EMAIL)).await;
    assert_eq!(raw.summary().await, "T D C ZI");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wider_policy_interrupts_nobody() {
    let narrow = policies(vec![grant("public.orders", &[Verb::Select])], &[]);
    let stage = Stage::new(narrow).await;
    let client = stage.client().await;
    client.batch_execute("BEGIN").await.unwrap();
    assert_eq!(one(&client, "SELECT count(*) FROM orders").await.unwrap(), "0");
    stage.publish(masked());
    assert_eq!(one(&client, "SELECT count(*) FROM orders").await.unwrap(), "0");
    client.batch_execute("COMMIT").await.unwrap();
    assert!(one(&client, EMAIL).await.unwrap().contains('*'));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_person_is_out_at_once_with_the_reason() {
    let stage = Stage::new(masked()).await;
    let mut raw = stage.raw().await;
    stage.disable_jane();
    let last = raw.next().await.unwrap();
    let report = daam_pgwire::Report::parse(last.body()).unwrap();
    assert!(
        report.is_fatal() && report.code() == "57P01" && report.text().contains("disabled"),
        "{}",
        report.text()
    );
    assert!(raw.next().await.is_none());
    assert!(raw.session.await.unwrap().reason.contains("disabled"));
    assert!(stage.world.roles().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_ends_a_session_with_a_reason() {
    let stage = Stage::new(masked()).await;
    let mut raw = stage.raw().await;
    assert_eq!(stage.ctx.sessions.terminate_user("u1", "maintenance at noon"), 1);
    let report = daam_pgwire::Report::parse(raw.next().await.unwrap().body()).unwrap();
    assert_eq!((report.code(), report.text().as_str()), ("57P01", "maintenance at noon"));
    assert!(raw.session.await.unwrap().reason.contains("noon"));
}
