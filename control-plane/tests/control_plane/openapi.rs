//! The API's description, and refusals that come before any handler.

use crate::world::{Answer, World};
use daam_control_plane::openapi::{document, undescribed};
use daam_control_plane::reference;
use reqwest::Method;
use serde_json::Value;
use std::path::Path;

/// `DAAM_WRITE_SCHEMAS=1 cargo test -p daam-control-plane committed` writes it.
#[test]
fn the_committed_description_is_current_and_leaves_no_route_out() {
    let missing = undescribed();
    assert!(missing.is_empty(), "not described in control-plane/src/openapi/operations.rs: {missing:?}");
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("schemas/control-plane.openapi.json");
    let text = format!("{}\n", serde_json::to_string_pretty(&document()).unwrap());
    if std::env::var_os("DAAM_WRITE_SCHEMAS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "schemas/control-plane.openapi.json is not current");
}

/// `DAAM_WRITE_SCHEMAS=1 cargo test -p daam-control-plane committed` writes it.
#[test]
fn the_committed_page_on_options_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (path, text) = (root.join("policy-examples/control-plane-configuration.md"), reference::page());
    assert!(text.contains("| `--stranger-rate COUNT` |") && text.contains("`DAAM_DATABASE_URL`"), "{text}");
    if std::env::var_os("DAAM_WRITE_SCHEMAS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "policy-examples/control-plane-configuration.md is not current");
}

/// Every `$ref` below leads somewhere.
fn walk(document: &Value, value: &Value) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(place)) = object.get("$ref") {
                let place = place.strip_prefix('#').unwrap();
                assert!(document.pointer(place).is_some(), "{place} leads nowhere");
            }
            object.values().for_each(|value| walk(document, value));
        }
        Value::Array(values) => values.iter().for_each(|value| walk(document, value)),
        _ => {}
    }
}

/// Every `$ref` leads somewhere, and no two operations have one name.
#[test]
fn the_description_hangs_together() {
    let document = document();
    let mut names = std::collections::BTreeSet::new();
    for methods in document["paths"].as_object().unwrap().values() {
        for operation in methods.as_object().unwrap().values() {
            assert!(names.insert(operation["operationId"].as_str().unwrap()), "{operation}");
        }
    }
    assert!(names.len() > 40, "only {}", names.len());
    walk(&document, &document);
}

pub(crate) async fn every_refusal_is_a_problem(world: World) {
    let org = world.bootstrap().await;
    let served: Value = Answer::of(world.request(Method::GET, "/v1/openapi.json")).await.json(200);
    assert_eq!(served, document());
    let ask = |method: Method, path: &str| world.request(method, path).bearer_auth(&org.token);
    Answer::of(ask(Method::GET, "/nothing")).await.refused(404, "route.unknown");
    Answer::of(ask(Method::OPTIONS, "/v1/tokens")).await.refused(405, "route.method");
    Answer::of(ask(Method::DELETE, "/v1/tokens/%ff")).await.refused(400, "request.malformed");
    Answer::of(ask(Method::GET, "/v1/databases/%c3%28/schema")).await.refused(400, "request.malformed");
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let request = ask(Method::POST, "/v1/tokens").header("content-type", kind).body("{\"name\":\"x\"}");
        Answer::of(request).await.refused(415, "request.media-type");
    }
    let request = ask(Method::POST, "/v1/tokens").header("content-type", "application/json; charset=utf-8");
    Answer::of(request.body("{\"name\":\"x\"}")).await.ok(201);
    Answer::of(ask(Method::POST, "/v1/tokens").body(vec![b' '; 70_000]))
        .await
        .refused(413, "request.too-large");
    Answer::of(ask(Method::GET, "/v1/audit?limit=x")).await.refused(400, "request.malformed");
    Answer::of(ask(Method::GET, "/v1/users?cursor=%00")).await.refused(400, "request.malformed");
    let array = ask(Method::POST, "/v1/tokens").header("content-type", "application/json").body("[\"x\"]");
    Answer::of(array).await.refused(400, "request.malformed");
    let turned = ask(Method::POST, "/v1/tokens").json(&serde_json::json!({ "name": "nimda\u{202e}" }));
    Answer::of(turned).await.refused(400, "request.name");
    let page = Answer::of(world.request(Method::GET, "/sign-in?org=%00")).await;
    page.page_refused(400, "request.malformed");
    Answer::of(ask(Method::GET, "/v1/agent/link")).await.refused(403, "auth.wrong-role");
}
