//! Approved access under running sessions: it begins without interrupting anybody, and ends at once.

use super::stage::{Stage, code, masked, one, open};
use crate::world::{eventually, grant, policies};
use daam_api::link::{AccessAsked, AccessGrant, AskedRelation, AskedRows};
use daam_catalog::ColumnPattern;
use daam_model::{Ceiling, Grant, Mask, MaskRule, Origin, Policy, PolicySet, RequestTerms, Subjects, Verb};
use daam_pgwire::frontend::query;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

fn terms() -> RequestTerms {
    RequestTerms {
        approvers: BTreeSet::from(["dba".to_owned()]),
        count: 1,
        max_duration: Duration::from_secs(3600),
        reason_required: true,
    }
}

/// The one policy of a set, under another name.
fn named(name: &str, mut set: PolicySet, request: Option<RequestTerms>) -> Policy {
    Policy { name: name.to_owned(), request, ..set.policies.remove(0) }
}

/// Orders for everyone; the users, masked, for whoever asks (`incident`), and anything of hr and the users ad hoc.
pub(crate) fn askable() -> PolicySet {
    let mut set = policies(vec![grant("public.orders", &[Verb::Select])], &[]);
    set.policies.push(named("incident", masked(), Some(terms())));
    let salary = MaskRule {
        on: vec![ColumnPattern::parse("*.*.email").unwrap(), ColumnPattern::parse("hr.*.salary").unwrap()],
        with: Mask::Redact,
        origin: Origin::default(),
    };
    set.ceilings.push(Ceiling {
        name: "ad-hoc".to_owned(),
        description: String::new(),
        who: Subjects { everyone: true, ..Subjects::default() },
        grants: vec![
            grant("hr.*", &[Verb::Select]),
            Grant {
                rows: Some("id < 100".to_owned()),
                ..grant("public.users", &[Verb::Select, Verb::Update])
            },
        ],
        masks: vec![salary],
        terms: terms(),
        origin: Origin::default(),
    });
    set
}

/// Jane's, approved by the other.
pub(crate) fn approved(id: &str, what: AccessAsked) -> AccessGrant {
    let starts_at = crate::plane::now() - 10;
    AccessGrant {
        id: id.to_owned(),
        user_id: "u1".to_owned(),
        what,
        starts_at,
        ends_at: starts_at + 3000,
        approved_by: BTreeSet::from(["u2".to_owned()]),
        reason: "incident 4711".to_owned(),
    }
}

pub(crate) fn incident() -> AccessGrant {
    approved("r1", AccessAsked::Policy { policy_id: "incident".to_owned() })
}

pub(crate) fn asked(schema: &str, name: &str, verbs: &[&str]) -> AskedRelation {
    AskedRelation {
        schema: schema.to_owned(),
        name: name.to_owned(),
        verbs: verbs.iter().map(ToString::to_string).collect(),
        columns: BTreeMap::new(),
        masks: BTreeMap::new(),
        rows: Vec::new(),
    }
}

pub(crate) fn ad_hoc(id: &str, relations: Vec<AskedRelation>) -> AccessGrant {
    approved(id, AccessAsked::AdHoc { ceiling_id: "ad-hoc".to_owned(), relations })
}

const EMAIL: &str = "SELECT email FROM public.users ORDER BY id LIMIT 1";

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_begins_counts_from_the_next_statement_and_its_end_from_this_moment() {
    let stage = Stage::new(askable()).await;
    let client = stage.client().await;
    assert_eq!(code(one(&client, EMAIL).await), "42501");
    stage.set_access(&[incident()]);
    eventually("it is in force", async || one(&client, EMAIL).await.is_ok_and(|email| email.contains('*')))
        .await;
    stage.set_access(&[]);
    eventually("it is over", async || one(&client, EMAIL).await.is_err()).await;
    assert_eq!(code(one(&client, EMAIL).await), "42501");
    assert_eq!(code(one(&client, "SELECT count(*) FROM orders").await), "no error");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_is_told_when_access_begins_and_when_it_is_over() {
    let stage = Stage::new(askable()).await;
    let mut raw = stage.raw().await;
    stage.set_access(&[incident()]);
    let told = |frame: &daam_pgwire::Frame| String::from_utf8_lossy(frame.body()).into_owned();
    let frame = raw.next().await.unwrap();
    let text = told(&frame);
    assert!(frame.tag() == b'N' && text.contains("request r1 (`incident`) is in force until"), "{text}");
    stage.set_access(&[]);
    let text = told(&raw.next().await.unwrap());
    assert!(text.contains("request r1 (`incident`) is over"), "{text}");
    // A session that begins under it hears of it, too.
    stage.set_access(&[incident()]);
    let (stream, session) = stage.stream();
    let mut late = super::stage::Raw::over(stream, session);
    let parameters = vec![("user".to_owned(), "jane".to_owned()), ("database".to_owned(), "shop".to_owned())];
    let startup = daam_pgwire::startup::StartupParameters { minor: 0, parameters };
    late.send(&daam_pgwire::startup::encode_session(&startup)).await;
    let frames = late.until_ready().await;
    assert!(frames.iter().any(|frame| frame.tag() == b'N' && told(frame).contains("r1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn access_that_begins_interrupts_nothing() {
    let stage = Stage::new(askable()).await;
    let mut raw = stage.raw().await;
    raw.send(&query("BEGIN; DECLARE c CURSOR FOR SELECT id FROM orders")).await;
    raw.until_ready().await;
    let mut held = stage.raw().await;
    held.send(&query("SELECT count(*) FROM orders, pg_sleep(600)")).await;
    let asleep = "SELECT pid::text FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' \
                  AND state = 'active' AND pid <> pg_backend_pid()";
    eventually("the statement runs", async || stage.world.strings(asleep).await.len() == 1).await;
    stage.set_access(&[incident(), ad_hoc("r2", vec![asked("hr", "staff", &["select"])])]);
    // Both have heard of it before they say anything.
    for session in [&mut raw, &mut held] {
        assert_eq!(session.next().await.unwrap().tag(), b'N');
        assert_eq!(session.next().await.unwrap().tag(), b'N');
    }
    assert_eq!(stage.world.strings(asleep).await.len(), 1);
    raw.send(&query("FETCH 1 FROM c")).await;
    assert_eq!(raw.summary().await, "T C ZT");
    // Inside the transaction it is as it was.
    raw.send(&query("SELECT id FROM hr.staff")).await;
    assert_eq!(raw.summary().await, "E:42501 ZE");
    raw.send(&query("ROLLBACK")).await;
    raw.summary().await;
    raw.send(&query("SELECT id FROM hr.staff")).await;
    assert_eq!(raw.summary().await, "T C ZI");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_ad_hoc_is_held_with_the_ceilings_masks_and_rows_and_nothing_else_is() {
    let stage = Stage::new(askable()).await;
    stage.world.superuser.batch_execute("INSERT INTO hr.staff VALUES (1, 50000), (2, 60000)").await.unwrap();
    let rows = vec![AskedRows {
        column: "id".to_owned(),
        any_of: BTreeSet::from(["2".to_owned(), "500".to_owned()]),
    }];
    let users = AskedRelation {
        columns: BTreeMap::from([("select".to_owned(), ["id", "email"].map(str::to_owned).into())]),
        rows,
        ..asked("public", "users", &["select"])
    };
    stage.set_access(&[ad_hoc("r2", vec![asked("hr", "staff", &["select"]), users])]);
    let client = stage.client().await;
    assert_eq!(one(&client, "SELECT salary FROM hr.staff WHERE id = 1").await.unwrap(), "NULL");
    assert_eq!(one(&client, "SELECT string_agg(id || email, ',') FROM users").await.unwrap(), "2***");
    for sql in [
        "SELECT name FROM users",
        "UPDATE users SET name = 'x'",
        "SELECT * FROM public.notice, public.contacts",
    ] {
        // A column that is not given does not exist for the session.
        let said = code(one(&client, sql).await);
        assert!(["42501", "42703"].contains(&said.as_str()), "{sql}: {said}");
    }
    assert_eq!(code(one(&client, "SELECT count(*) FROM orders").await), "no error");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_gives_nothing_that_a_mask_of_a_policy_held_takes() {
    let mut set = askable();
    set.policies.push(named("standing", masked(), None));
    set.policies.push(named("unmasked", open(), Some(terms())));
    let stage = Stage::new(set).await;
    stage.set_access(&[approved("r3", AccessAsked::Policy { policy_id: "unmasked".to_owned() })]);
    let client = stage.client().await;
    assert!(one(&client, EMAIL).await.unwrap().contains('*'), "the most restrictive mask wins");
}
