//! Approved access through the whole program: what a control plane may bring into force, what it cannot invent, and what
//! happens while it is away.

use crate::author::{Author, jane};
use crate::plane::{Plane, now};
use crate::program::{Program, Session, bundle_status, files, offer};
use crate::proxy::requested::{ad_hoc, approved, askable, asked, incident};
use crate::world::{World, eventually};
use axum::extract::ws::Message;
use daam_api::link::{AccessAsked, AccessGrant, AccessState, DirectoryUser, FromAgent, ToAgent};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

const EMAIL: &str = "SELECT email FROM public.users ORDER BY id LIMIT 1";

fn dba() -> DirectoryUser {
    DirectoryUser {
        id: "u2".into(),
        email: "dora@example.com".into(),
        groups: BTreeSet::from(["dba".into()]),
        ..jane(false)
    }
}

async fn started(scope: &str) -> (World, Plane, Program) {
    let (world, mut plane, author) = (World::start().await, Plane::start().await, Author::new());
    let program = Program::start(files(&world, &plane, &author, scope)).await;
    plane.say(&ToAgent::DirectoryUpdate { version: 1, users: vec![jane(false), dba()] });
    plane.say(&offer(&author, 1, &askable()));
    plane.hear("active", |message| bundle_status(message).filter(|(_, state)| state == "active")).await;
    (world, plane, program)
}

/// What the agent says about that version, once nothing of it is on its way any more.
async fn heard(plane: &mut Plane, of: u64) -> Vec<AccessState> {
    plane
        .hear("the state of access", |message| match message {
            FromAgent::AccessStatus { version, grants } if version == of => Some(grants),
            _ => None,
        })
        .await
}

async fn code(session: &Session, sql: &str) -> String {
    match session.client.simple_query(sql).await {
        Ok(_) => "no error".to_owned(),
        Err(error) => error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_approved_is_in_force_until_it_is_revoked() {
    let (_world, mut plane, program) = started("").await;
    let session = program.session(&plane).await;
    assert_eq!(code(&session, EMAIL).await, "42501");
    plane.say(&ToAgent::AccessUpdate { version: 1, grants: vec![incident()] });
    let told = heard(&mut plane, 1).await;
    assert_eq!(told, [AccessState { id: "r1".into(), state: "active".into(), reason: None }]);
    eventually("it is in force", async || code(&session, EMAIL).await == "no error").await;
    plane.say(&ToAgent::AccessUpdate { version: 2, grants: Vec::new() });
    assert_eq!(heard(&mut plane, 2).await, []);
    eventually("it is over", async || code(&session, EMAIL).await == "42501").await;
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_that_invents_access_is_refused_and_hears_why() {
    let (_world, mut plane, program) = started("  scope: [public.*]\n").await;
    let policy = |id: &str, name: &str| approved(id, AccessAsked::Policy { policy_id: name.into() });
    let by = |id: &str, who: &[&str]| AccessGrant {
        approved_by: who.iter().map(ToString::to_string).collect(),
        ..AccessGrant { id: id.into(), ..incident() }
    };
    let invented = [
        (policy("standing", "everyone"), "cannot be asked for"),
        (policy("unknown", "root"), "has no policy"),
        (by("alone", &["u1"]), "who asked is among those who approved"),
        (by("nobody", &[]), "0 approvals"),
        (by("stranger", &["u9"]), "0 approvals"),
        (AccessGrant { id: "long".into(), ends_at: now() + 1_000_000, ..incident() }, "at most 3600 s"),
        (AccessGrant { id: "why".into(), reason: String::new(), ..incident() }, "requires one"),
        (AccessGrant { id: "who".into(), user_id: "u9".into(), ..incident() }, "not in the directory"),
        (ad_hoc("verb", vec![asked("public", "users", &["delete"])]), "above the ceiling"),
        (ad_hoc("table", vec![asked("public", "notice", &["select"])]), "above the ceiling"),
        (ad_hoc("catalog", vec![asked("pg_catalog", "pg_authid", &["select"])]), "no relation"),
        // Within the ceiling, outside the scope: as unknown as what does not exist.
        (ad_hoc("scope", vec![asked("hr", "staff", &["select"])]), "no relation `hr.staff`"),
        (
            ad_hoc("half", vec![asked("public", "users", &["select"]), asked("hr", "staff", &["select"])]),
            "no relation",
        ),
    ];
    let session = program.session(&plane).await;
    let grants = invented.iter().map(|(grant, _)| grant.clone()).collect();
    plane.unheard();
    plane.say(&ToAgent::AccessUpdate { version: 1, grants });
    let violation = plane
        .hear("the violation", |message| match message {
            FromAgent::ScopeViolation { policy_id, schema, table, site } => {
                Some((policy_id, schema, table, site))
            }
            _ => None,
        })
        .await;
    let expected = ["ad-hoc", "hr", "staff", "grant_issuance"].map(str::to_owned);
    assert_eq!(violation, expected.into());
    let told = heard(&mut plane, 1).await;
    assert_eq!(told.len(), invented.len());
    for ((grant, expected), told) in invented.iter().zip(&told) {
        assert_eq!((&told.id, told.state.as_str()), (&grant.id, "refused"));
        assert!(told.reason.as_ref().is_some_and(|reason| reason.contains(expected)), "{told:?}");
    }
    for sql in [EMAIL, "SELECT id FROM hr.staff", "TABLE public.notice"] {
        assert_eq!(code(&session, sql).await, "42501", "{sql}");
    }
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_with_an_unknown_field_gives_nothing_and_ends_what_was_in_force() {
    let (_world, mut plane, program) = started("").await;
    let session = program.session(&plane).await;
    plane.say(&ToAgent::AccessUpdate { version: 1, grants: vec![incident()] });
    heard(&mut plane, 1).await;
    eventually("it is in force", async || code(&session, EMAIL).await == "no error").await;
    let mut grant = serde_json::to_value(incident()).unwrap();
    grant["unmasked"] = json!(true);
    let list = json!({ "type": "access_update", "version": 2, "grants": [grant] });
    plane.say_raw(Message::text(list.to_string()));
    let told = heard(&mut plane, 2).await;
    assert_eq!((told[0].id.as_str(), told[0].state.as_str()), ("r1", "refused"));
    assert!(told[0].reason.as_ref().is_some_and(|reason| reason.contains("unmasked")), "{told:?}");
    eventually("it is over", async || code(&session, EMAIL).await == "42501").await;
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn access_begins_and_ends_on_time_and_a_restart_keeps_it_until_then() {
    let (_world, mut plane, program) = started("").await;
    let later = AccessGrant { starts_at: now() + 2, ends_at: now() + 16, ..incident() };
    plane.say(&ToAgent::AccessUpdate { version: 1, grants: vec![later] });
    assert_eq!(heard(&mut plane, 1).await[0].state, "waiting");
    let session = program.session(&plane).await;
    assert_eq!(code(&session, EMAIL).await, "42501");
    assert_eq!(heard(&mut plane, 1).await[0].state, "active");
    eventually("it has begun", async || code(&session, EMAIL).await == "no error").await;
    // From here on the control plane says nothing about it any more.
    let dir = program.kill().await;
    let program = Program::start(dir).await;
    let session = program.session(&plane).await;
    assert_eq!(code(&session, EMAIL).await, "no error");
    let over = tokio::time::timeout(Duration::from_secs(20), async {
        while code(&session, EMAIL).await == "no error" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    over.await.unwrap();
    assert_eq!(code(&session, EMAIL).await, "42501");
    program.stop().await;
}
