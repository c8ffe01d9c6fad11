//! Health and metrics of the whole program.

use crate::author::{Author, jane};
use crate::plane::{Plane, now};
use crate::program::{Program, bundle_status, files, offer};
use crate::world::{World, connect, eventually, grant, policies};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daam_api::link::ToAgent;
use daam_model::Verb;
use std::collections::BTreeMap;

/// What readiness waits for.
async fn missing(program: &Program) -> Vec<String> {
    let (status, text) = program.get("/health/ready").await;
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    let missing: Vec<String> = serde_json::from_value(answer["missing"].clone()).unwrap();
    assert_eq!((status == 200, answer["ready"] == true), (missing.is_empty(), missing.is_empty()), "{text}");
    missing
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_ready_while_a_new_session_would_be_served_and_says_what_it_waits_for() {
    let (world, mut plane, author) = (World::start().await, Plane::start().await, Author::new());
    let program = Program::start(files(&world, &plane, &author, "")).await;
    assert_eq!(missing(&program).await, ["policy bundle", "directory"]);
    plane.say(&ToAgent::DirectoryUpdate { version: 1, users: vec![jane(false)] });
    let set = policies(vec![grant("public.users", &[Verb::Select])], &[]);
    // Its bundle lives for a thousand seconds, of which all but a few are over.
    let old = author.bundle_at(now() - 993, 1, &set);
    plane.say(&ToAgent::PolicyUpdate { serial: 1, bundle: STANDARD.encode(old) });
    plane.hear("active", |message| bundle_status(message).filter(|(_, state)| state == "active")).await;
    assert_eq!(missing(&program).await, Vec::<String>::new());
    assert!(program.try_session(&plane).await.is_ok());
    eventually("the bundle has expired", async || {
        missing(&program).await == ["policy bundle that has not expired"]
    })
    .await;
    assert!(program.try_session(&plane).await.is_err());
    plane.say(&offer(&author, 2, &set));
    eventually("another one is in force", async || missing(&program).await.is_empty()).await;
    // The database lets nobody in any more.
    let postgres = connect(&world.cluster.superuser_dsn("postgres")).await;
    postgres.batch_execute("ALTER DATABASE shop ALLOW_CONNECTIONS false").await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop'";
    postgres.batch_execute(end).await.unwrap();
    eventually("the database is missed", async || missing(&program).await == ["database"]).await;
    assert_eq!(program.get("/health/live").await.0, 200, "a restart would not help");
    assert!(program.get("/metrics").await.1.contains("\ndaam_database_up 0\n"));
    postgres.batch_execute("ALTER DATABASE shop ALLOW_CONNECTIONS true").await.unwrap();
    eventually("it is back", async || missing(&program).await.is_empty()).await;
    eventually("and sessions with it", async || program.try_session(&plane).await.is_ok()).await;
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scope_is_in_local_health_whether_absent_empty_or_listed() {
    let world = World::start().await;
    let all = world.full().await.relation_names().count();
    for (scope, active, patterns, count) in [
        ("", false, serde_json::json!([]), all),
        ("  scope: []\n", true, serde_json::json!([]), 0),
        ("  scope: [public.users, hr.*]\n", true, serde_json::json!(["public.users", "hr.*"]), 2),
    ] {
        let (plane, author) = (Plane::start().await, Author::new());
        let program = Program::start(files(&world, &plane, &author, scope)).await;
        let expected =
            serde_json::json!({ "active": active, "patterns": patterns, "in_scope_object_count": count });
        assert_eq!(program.detailed().await["scope"], expected, "{scope:?}");
        program.stop().await;
        assert!(plane.record().iter().all(|text| !text.contains("in_scope_object_count")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_prometheus_text_and_name_nothing_of_the_customers() {
    let (world, plane, author) = (World::start().await, Plane::start().await, Author::new());
    let program = Program::start(files(&world, &plane, &author, "  scope: [public.users]\n")).await;
    let (status, text) = program.get("/metrics").await;
    assert_eq!(status, 200);
    let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
    let (mut helped, mut samples) = (None, 0);
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(!help.is_empty() && !kinds.contains_key(name), "{line}");
            helped = Some(name);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(helped, Some(name), "HELP comes before TYPE");
            assert!(["gauge", "counter"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            kinds.insert(name, kind);
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            assert!(plain && name.starts_with("daam_") && kinds.contains_key(name), "{line}");
            value.parse::<u64>().unwrap();
            samples += 1;
        }
    }
    assert!(samples == kinds.len() && samples >= 18, "{text}");
    assert!(text.ends_with('\n') && !text.contains("users") && !text.contains("public"));
    program.stop().await;
}
