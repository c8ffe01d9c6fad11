//! The audit as OpenTelemetry logs, at a receiver that reads them by OpenTelemetry's own definitions.

use crate::browser::python_peer;
use crate::saml::SamlIdp as Peer;
use crate::world::{Org, World};
use daam_api::v1::{AuditEntry, AuditExport};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::time::timeout;

const PATH: &str = "/v1/audit/otlp";

async fn receiver() -> Peer {
    Peer::start(python_peer("otlp.py")).await
}

async fn set(world: &World, org: &Org, endpoint: &str) -> AuditExport {
    let headers = json!({ "Authorization": "Bearer planted-secret-of-the-collector" });
    let new = json!({ "endpoint": endpoint, "headers": headers });
    world.call(Method::PUT, PATH, &org.token, &new).await.json(200)
}

/// The numbers of what arrived and was taken.
fn numbers(got: &Value, org: &Org) -> Vec<i64> {
    let taken = got["got"].as_array().unwrap().iter().filter(|record| record["status"] == 200);
    let ours = taken.filter(|record| record["resource"]["daam.organization"] == org.slug.as_str());
    ours.map(|record| record["attributes"]["daam.audit.seq"].as_i64().unwrap()).collect()
}

/// Waits until everything there is of the audit has arrived, and is settled.
async fn arrived(world: &World, org: &Org, to: &mut Peer) -> Value {
    let seen: Vec<AuditEntry> = world.get("/v1/audit?limit=1", &org.token).await.json(200);
    world
        .until("the audit has arrived", async || {
            let export: AuditExport = world.get(PATH, &org.token).await.json(200);
            export.after >= seen[0].seq
        })
        .await;
    to.ask(json!({ "do": "got" })).await
}

#[tokio::test]
async fn every_entry_arrives_in_order_with_what_it_says_and_its_hash() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let other = world.organization("zoe@other.example").await;
    let mut collector = receiver().await;
    let endpoint = collector.entity.clone();
    let export = set(&world, &org, &endpoint).await;
    assert_eq!((export.endpoint.as_str(), export.headers.len()), (endpoint.as_str(), 1));
    world.put_user(&org, "bo@example.com", false).await;
    let got = arrived(&world, &org, &mut collector).await;
    let entries: Vec<AuditEntry> = world.get("/v1/audit?limit=500", &org.token).await.json(200);
    let count = i64::try_from(entries.len()).unwrap();
    assert_eq!(numbers(&got, &org), (1..=count).collect::<Vec<_>>(), "each once, from the first one");
    assert!(numbers(&got, &other).is_empty());
    let records = got["got"].as_array().unwrap();
    for (record, entry) in records.iter().zip(entries.iter().rev()) {
        let said = &record["attributes"];
        assert_eq!(said["daam.audit.action"], entry.action.as_str());
        assert_eq!(said["daam.audit.actor"], entry.actor.as_str());
        assert_eq!(said["daam.audit.target"], entry.target.as_str());
        assert_eq!(said["daam.audit.detail"], entry.detail.as_str());
        assert_eq!(said["daam.audit.hash"].as_str().map(str::len), Some(64));
        assert_eq!(record["event"], format!("daam.audit.{}", entry.action));
        assert!(record["time"].as_u64().unwrap() >= 1_700_000_000_000_000_000);
        assert_eq!((&record["severity"], &record["scope"]), (&json!(9), &json!("daam.audit")));
        assert_eq!(record["resource"]["service.name"], "daam-control-plane");
        assert_eq!(record["headers"]["authorization"], "Bearer planted-secret-of-the-collector");
        assert_eq!(record["path"], "/v1/logs");
    }
    // What is sent along is shown to nobody and in no entry.
    let shown = world.get(PATH, &org.token).await.text() + &got.to_string();
    let audit = world.get("/v1/audit?limit=500", &org.token).await.text();
    assert!(shown.contains("authorization") && !audit.contains("planted-secret"));
    // Nor the path, which may let in there.
    assert!(endpoint.ends_with("/v1/logs") && !audit.contains("/v1/logs"), "{endpoint}");
    assert!(audit.contains(endpoint.trim_end_matches("/v1/logs")));
    assert!(!world.get(PATH, &org.token).await.text().contains("planted-secret"));
    world.call(Method::DELETE, PATH, &org.token, &json!({})).await.ok(204);
    world.get(PATH, &org.token).await.refused(404, "audit.otlp-unknown");
}

#[tokio::test]
async fn what_did_not_arrive_is_sent_again_also_by_a_server_that_starts_anew() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let mut collector = receiver().await;
    collector.ask(json!({ "do": "answer", "status": 503 })).await;
    let endpoint = collector.entity.clone();
    set(&world, &org, &endpoint).await;
    world
        .until("a failure is seen", async || {
            let export: AuditExport = world.get(PATH, &org.token).await.json(200);
            export.after == 0 && export.failure.is_some_and(|why| why.contains("503"))
        })
        .await;
    let world = world.restart().await;
    collector.ask(json!({ "do": "answer", "status": 200 })).await;
    world.put_user(&org, "bo@example.com", false).await;
    world.pass(700);
    let got = arrived(&world, &org, &mut collector).await;
    let taken = numbers(&got, &org);
    assert!(
        taken.len() > 2 && taken == (1..=i64::try_from(taken.len()).unwrap()).collect::<Vec<_>>(),
        "{taken:?}"
    );
    let export: AuditExport = world.get(PATH, &org.token).await.json(200);
    assert_eq!(export.failure, None);
    // What a receiver takes but for some is not sent again, and is said.
    collector.ask(json!({ "do": "answer", "rejected": 1 })).await;
    world.put_user(&org, "cy@example.com", false).await;
    arrived(&world, &org, &mut collector).await;
    let export: AuditExport = world.get(PATH, &org.token).await.json(200);
    assert!(export.failure.as_deref().is_some_and(|why| why.contains("too old")), "{export:?}");
    // Another place goes on where the first one ended.
    let mut second = receiver().await;
    let endpoint = second.entity.clone();
    let before = set(&world, &org, &endpoint).await.after;
    let got = arrived(&world, &org, &mut second).await;
    assert_eq!(numbers(&got, &org).first().copied(), Some(before + 1));
    for (endpoint, headers, code) in [
        ("http://collector.example/v1/logs", json!({}), "audit.otlp-endpoint"),
        ("https://u:planted-secret@collector.example/", json!({}), "audit.otlp-endpoint"),
        ("https://collector.example/?api-key=planted-secret", json!({}), "audit.otlp-query"),
        ("file:///etc/passwd", json!({}), "audit.otlp-endpoint"),
        ("https://collector.example/", json!({ "host": "x" }), "audit.otlp-headers"),
        ("https://collector.example/", json!({ "a b": "x" }), "audit.otlp-headers"),
        ("https://collector.example/", json!({ "a": "x\r\ny: z" }), "audit.otlp-headers"),
    ] {
        let bad = json!({ "endpoint": endpoint, "headers": headers });
        world.call(Method::PUT, PATH, &org.token, &bad).await.refused(400, code);
    }
    // Nor is a collector inside the operator's network asked, unless the operator says so.
    let careful = World::start(None).await;
    let org = careful.bootstrap().await;
    for inside in [second.entity.as_str(), "https://10.1.2.3/v1/logs", "https://169.254.169.254/v1/logs"] {
        let new = json!({ "endpoint": inside });
        careful.call(Method::PUT, PATH, &org.token, &new).await.refused(400, "audit.otlp-endpoint");
    }
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_holds_up_nobody_elses_audit() {
    let world = World::reaching_private_providers().await;
    let (org, other) = (world.bootstrap().await, world.organization("zoe@other.example").await);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    set(&world, &org, &format!("http://{}/", silent.local_addr().unwrap())).await;
    let (mut asked, _) = timeout(Duration::from_secs(20), silent.accept()).await.unwrap().unwrap();
    let gave_up = tokio::spawn(async move { drop(asked.read_to_end(&mut Vec::new()).await) });
    let mut collector = receiver().await;
    let endpoint = collector.entity.clone();
    set(&world, &other, &endpoint).await;
    let got = arrived(&world, &other, &mut collector).await;
    assert!(!numbers(&got, &other).is_empty());
    assert!(!gave_up.is_finished(), "one waited for the other");
}

/// The page with what there is to see of an export.
async fn looked(world: &World, session: &str) -> String {
    world.look("/audit/otlp", session).await.ok(200).text()
}

#[tokio::test]
async fn the_page_sets_changes_and_ends_it_and_shows_no_secret() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let ana = world.sign_in(&org.link).await;
    let cy = world.session(&world.in_role(&org, "cy@example.com", "auditor").await).await;
    assert!(looked(&world, &ana).await.contains("It is sent nowhere"));
    let mut collector = receiver().await;
    collector.ask(json!({ "do": "answer", "status": 503 })).await;
    let form = |endpoint: &str, header: &str, value: &str| {
        let pairs = [("endpoint", endpoint), ("header", header), ("value", value)];
        reqwest::Url::parse_with_params("http://x", pairs).unwrap().query().unwrap().to_owned()
    };
    let secret = "Bearer planted-secret-of-the-form";
    let good = form(&collector.entity, "authorization", secret);
    world.submit("/audit/otlp", Some(&cy), &good).await.page_refused(403, "auth.wrong-role");
    for (bad, code) in [
        (form("http://collector.example/v1/logs", "", ""), "audit.otlp-endpoint"),
        (form(&collector.entity, "host", "x"), "audit.otlp-headers"),
        (form(&collector.entity, "", secret), "audit.otlp-headers"),
    ] {
        let refused = world.submit("/audit/otlp", Some(&ana), &bad).await.page_refused(400, code);
        assert!(!refused.contains("planted-secret"), "{refused}");
    }
    assert_eq!(world.submit("/audit/otlp", Some(&ana), &good).await.location(), "/audit/otlp");
    world.until("a failure is seen", async || looked(&world, &cy).await.contains("503")).await;
    let page = looked(&world, &cy).await;
    assert!(page.contains("<code>authorization</code>") && !page.contains("0 entries"), "{page}");
    assert!(!page.contains("<form method=\"post\" action=\"/audit/otlp"), "{page}");
    // Where it is sent to now takes it, and what was sent along to the first one is not sent there.
    let mut second = receiver().await;
    let changed = form(&second.entity, "", "");
    assert_eq!(world.submit("/audit/otlp", Some(&ana), &changed).await.location(), "/audit/otlp");
    let got = arrived(&world, &org, &mut second).await;
    assert!(!got.to_string().contains("planted-secret") && !numbers(&got, &org).is_empty(), "{got}");
    world.until("nothing is left", async || looked(&world, &cy).await.contains("<dd>0 entries")).await;
    let page = looked(&world, &ana).await;
    assert!(
        page.contains("up to entry") && !page.contains("503") && !page.contains("planted-secret"),
        "{page}"
    );
    assert_eq!(world.submit("/audit/otlp/remove", Some(&ana), "").await.location(), "/audit/otlp");
    world.submit("/audit/otlp/remove", Some(&ana), "").await.page_refused(404, "audit.otlp-unknown");
    assert!(looked(&world, &cy).await.contains("It is sent nowhere"));
}

/// An entry as OpenTelemetry's own definitions must read it, written down here by hand.
fn as_a_record(entry: &Value, now: i64) -> Value {
    let said = |name: &str| entry[name].as_str().unwrap();
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let nanoseconds = |seconds: i64| format!("{seconds}000000000");
    let seq = entry["seq"].as_i64().unwrap().to_string();
    let body = format!("{} {} {}", said("actor"), said("action"), said("target"));
    json!({
        "timeUnixNano": nanoseconds(entry["at"].as_i64().unwrap()),
        "observedTimeUnixNano": nanoseconds(now),
        "severityNumber": "SEVERITY_NUMBER_INFO",
        "severityText": "INFO",
        "eventName": format!("daam.audit.{}", said("action")),
        "body": { "stringValue": body.trim_end() },
        "attributes": [
            { "key": "daam.audit.seq", "value": { "intValue": seq } },
            text("daam.audit.actor", said("actor")),
            text("daam.audit.action", said("action")),
            text("daam.audit.target", said("target")),
            text("daam.audit.detail", said("detail")),
            text("daam.audit.hash", said("hash")),
        ],
    })
}

#[tokio::test]
async fn what_is_sent_is_what_the_evidence_says_field_by_field_by_opentelemetrys_own_definitions() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    world.put_user(&org, "bo@example.com", false).await;
    let odd = json!({ "name": "größer \u{1f512} \"als\" \\n", "url": "https://hooks.example/" });
    let made: Value = world.call(Method::POST, "/v1/webhooks", &org.token, &odd).await.json(201);
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    world.call(Method::DELETE, &path, &org.token, &json!({})).await.ok(204);
    let mut collector = receiver().await;
    let endpoint = collector.entity.clone();
    set(&world, &org, &endpoint).await;
    let got = arrived(&world, &org, &mut collector).await;
    let mut records = Vec::new();
    for sent in got["messages"].as_array().unwrap() {
        assert_eq!(sent["same"], true, "no field is unknown there or written in another way: {sent}");
        let mut message = sent["message"].clone();
        records.extend(
            message["resourceLogs"][0]["scopeLogs"][0]["logRecords"].take().as_array().unwrap().clone(),
        );
        let attributes = [("service.name", "daam-control-plane"), ("daam.organization", org.slug.as_str())];
        let attributes =
            attributes.map(|(key, value)| json!({ "key": key, "value": { "stringValue": value } }));
        let around = json!({ "resourceLogs": [{
            "resource": { "attributes": attributes },
            "scopeLogs": [{ "scope": { "name": "daam.audit" }, "logRecords": null }],
        }] });
        assert_eq!(message, around);
    }
    let log = world.get("/v1/audit/log", &org.token).await.ok(200).text();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let entries: Vec<Value> = lines.filter_map(|line| line.get("entry").cloned()).collect();
    assert!(records.len() > 3 && entries.len() >= records.len(), "{log}");
    for (record, entry) in records.iter().zip(&entries) {
        assert_eq!(*record, as_a_record(entry, world.now()));
    }
}
