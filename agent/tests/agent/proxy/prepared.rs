//! What was prepared under one policy or search path and runs under another: also where PostgreSQL would let everybody
//! read, and only the agent does not.

use super::stage::{Raw, Stage, masked};
use crate::world::{eventually, grant, policies};
use daam_model::{PolicySet, Verb};
use daam_pgwire::frontend::{bind, execute, parse_statement, query, sync};
use daam_pgwire::{Frame, Report};

/// Reads what everybody may read, and may lose that.
fn with_notice() -> PolicySet {
    let grants = vec![grant("public.users", &[Verb::Select]), grant("public.notice", &[Verb::Select])];
    policies(grants, &[])
}

fn without_notice() -> PolicySet {
    policies(vec![grant("public.users", &[Verb::Select])], &[])
}

/// The values and errors of an answer.
async fn told(raw: &mut Raw, sent: &[u8]) -> Vec<String> {
    raw.send(sent).await;
    let frames = raw.until_ready().await;
    frames.iter().filter_map(words).collect()
}

fn words(frame: &Frame) -> Option<String> {
    match frame.tag() {
        b'D' => Some(String::from_utf8_lossy(&frame.body()[6..]).into_owned()),
        b'E' => Some(Report::parse(frame.body()).unwrap().code().to_owned()),
        _ => None,
    }
}

async fn sql(raw: &mut Raw, sql: &str) -> Vec<String> {
    told(raw, &query(sql)).await
}

async fn stage() -> Stage {
    let stage = Stage::new(with_notice()).await;
    stage
        .world
        .superuser
        .batch_execute(
            "INSERT INTO notice VALUES ('for all'); CREATE SCHEMA other; GRANT USAGE ON SCHEMA other TO PUBLIC; \
             CREATE TABLE other.notice (text text); GRANT SELECT ON other.notice TO PUBLIC; \
             INSERT INTO other.notice VALUES ('not for all')",
        )
        .await
        .unwrap();
    stage.look_again().await;
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_grant_on_what_everybody_may_read_reaches_whatever_was_prepared() {
    let stage = stage().await;
    let mut raw = stage.raw().await;
    sql(&mut raw, "PREPARE alone AS SELECT text FROM notice").await;
    sql(&mut raw, "PREPARE other AS SELECT 1; PREPARE together AS SELECT text FROM notice").await;
    told(&mut raw, &[parse_statement(b"named", "SELECT text FROM notice", b""), sync()].concat()).await;
    sql(&mut raw, "DECLARE held CURSOR WITH HOLD FOR SELECT text FROM notice").await;
    let bound = |name: &[u8]| [bind(b"", name), execute(b""), sync()].concat();
    for run in [
        query("EXECUTE alone").to_vec(),
        query("EXECUTE together").to_vec(),
        bound(b"named"),
        bound(b"alone"),
    ] {
        assert_eq!(told(&mut raw, &run).await, ["for all"]);
    }
    stage.publish(without_notice());
    eventually("the policy is in force", async || {
        told(&mut raw, &query("SELECT text FROM notice")).await == ["42501"]
    })
    .await;
    assert_eq!(sql(&mut raw, "EXECUTE alone").await, ["42501"]);
    assert_eq!(sql(&mut raw, "EXPLAIN EXECUTE alone").await, ["42501"]);
    assert_eq!(sql(&mut raw, "CREATE TEMP TABLE t AS EXECUTE alone").await, ["42501"]);
    // They are judged as they were written: together.
    assert_eq!(sql(&mut raw, "EXECUTE together").await, ["42501"]);
    assert_eq!(sql(&mut raw, "EXECUTE other").await, ["42501"]);
    assert_eq!(told(&mut raw, &bound(b"named")).await, ["42501"]);
    assert_eq!(told(&mut raw, &bound(b"alone")).await, ["42501"]);
    assert_eq!(sql(&mut raw, "FETCH 1 FROM held").await, ["34000"]);
    // Prepared again, it is what it is now.
    assert_eq!(sql(&mut raw, "PREPARE alone AS SELECT 'mine'").await, [""; 0]);
    assert_eq!(sql(&mut raw, "EXECUTE alone").await, ["mine"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_refusal_of_what_was_prepared_says_what_to_do() {
    let stage = stage().await;
    let mut raw = stage.raw().await;
    sql(&mut raw, "PREPARE p AS SELECT text FROM notice").await;
    stage.publish(without_notice());
    eventually("the policy is in force", async || {
        told(&mut raw, &query("SELECT text FROM notice")).await == ["42501"]
    })
    .await;
    raw.send(&query("EXECUTE p")).await;
    let frames = raw.until_ready().await;
    let report = Report::parse(frames.iter().find(|frame| frame.tag() == b'E').unwrap().body()).unwrap();
    let hint = String::from_utf8_lossy(report.get(b'H').unwrap()).into_owned();
    assert!(report.text().contains("`p`") && report.text().contains("public.notice"), "{}", report.text());
    assert!(hint.contains("prepare it again"), "{hint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_search_path_does_not_lead_what_was_prepared_to_another_table() {
    let stage = stage().await;
    let mut raw = stage.raw().await;
    for whole in [true, false] {
        sql(&mut raw, "SET search_path = public; DEALLOCATE ALL").await;
        let prepare = "PREPARE p AS SELECT text FROM notice";
        let text = if whole { prepare.to_owned() } else { format!("SELECT 1; {prepare}") };
        sql(&mut raw, &text).await;
        assert_eq!(sql(&mut raw, "EXECUTE p").await, ["for all"]);
        sql(&mut raw, "SET search_path = other, public").await;
        assert_eq!(sql(&mut raw, "EXECUTE p").await, ["42501"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sql_prepared_goes_on_under_a_policy_that_still_grants_it() {
    let stage = Stage::new(super::stage::open()).await;
    let mut raw = stage.raw().await;
    sql(&mut raw, "PREPARE p (bigint) AS SELECT email FROM users WHERE id = $1").await;
    assert_eq!(sql(&mut raw, "EXECUTE p(1)").await, ["jane@example.com"]);
    for set in [masked(), super::stage::open(), masked()] {
        let is_masked = set == masked();
        stage.publish(set);
        let look = "SELECT email FROM users WHERE id = 1";
        eventually("the policy is in force", async || {
            sql(&mut raw, look).await.concat().contains('*') == is_masked
        })
        .await;
        let told = sql(&mut raw, "EXECUTE p(1)").await.concat();
        assert_eq!(told.contains('*'), is_masked, "{told}");
        assert_eq!(told.contains("jane@"), !is_masked, "{told}");
    }
    // What cannot be prepared again without doing again what stood beside it says so.
    sql(&mut raw, "SELECT 1; PREPARE q AS SELECT email FROM users").await;
    stage.publish(super::stage::open());
    eventually("the policy is in force", async || {
        !sql(&mut raw, "SELECT email FROM users").await.concat().contains('*')
    })
    .await;
    assert_eq!(sql(&mut raw, "EXECUTE q").await, ["26000"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_prepares_by_sql_no_more_than_by_the_protocol() {
    let stage = Stage::new(masked()).await;
    let mut raw = stage.raw().await;
    let mut refused = None;
    for block in 0..25 {
        let many: Vec<String> = (0..500).map(|n| format!("PREPARE p{block}_{n} AS SELECT 1")).collect();
        if let [code] = sql(&mut raw, &many.join(";")).await.as_slice() {
            refused.get_or_insert((block, code.clone()));
        }
    }
    assert_eq!(refused, Some((20, "54000".to_owned())));
    assert_eq!(sql(&mut raw, "DEALLOCATE ALL; SELECT 'goes on'").await, ["goes on"]);
}
