//! What monitoring sees, read as Prometheus reads it.

use crate::browser::peers;
use crate::link::Peer;
use crate::world::{Answer, World};
use daam_control_plane::metrics::FAMILIES;
use reqwest::Method;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

async fn page(world: &World) -> String {
    let url = format!("http://{}/metrics", world.server.metrics_address().unwrap());
    Answer::of(world.elsewhere(&url)).await.ok(200).text()
}

/// Every sample's value by its name and labels.
async fn samples(world: &World) -> BTreeMap<String, f64> {
    let page = page(world).await;
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// The same where it is a whole number.
fn count(samples: &BTreeMap<String, f64>, name: &str) -> String {
    value(samples, name).to_string()
}

fn value(samples: &BTreeMap<String, f64>, name: &str) -> f64 {
    let name = format!("daam_control_plane_{name}");
    samples.get(&name).copied().unwrap_or_else(|| panic!("no {name} in {samples:#?}"))
}

pub(crate) async fn numbers_move_with_what_happens(world: World) {
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    let mut peer = Peer::connected(&world, &agent).await;
    let before = samples(&world).await;
    let users = r#"requests_total{method="PUT",route="/v1/users/{email}",status="2xx"}"#;
    assert!(!before.contains_key(&format!("daam_control_plane_{users}")));
    for (name, expected) in [("ready", "1"), ("links", "1"), ("organizations", "1"), ("directory_users", "1")]
    {
        assert_eq!(count(&before, name), expected, "{name}");
    }
    assert_eq!(count(&before, "database_up"), "1");
    // Five years at least.
    let now = f64::from(u32::try_from(world.now()).unwrap());
    assert!(value(&before, "authority_not_after_timestamp_seconds") > now + 5.0 * 365.0 * 86_400.0);

    world.put_user(&org, "bo@example.com", false).await;
    world.put_user(&org, "cy@example.com", false).await;
    peer.directory(3).await;
    let cookie = world.session(&org.token).await;
    world.look("/", &cookie).await;
    world.pass(1000);
    world.server.drain();
    let after = samples(&world).await;
    assert_eq!(count(&after, users), "2");
    let took = r#"request_duration_seconds_count{method="PUT",route="/v1/users/{email}"}"#;
    assert_eq!(count(&after, took), "2");
    for (name, expected) in
        [("ready", "0"), ("draining", "1"), ("directory_users", "3"), ("web_sessions", "1")]
    {
        assert_eq!(count(&after, name), expected, "{name}");
    }
    assert!(value(&after, "pushes_total") > value(&before, "pushes_total"));
    assert!(value(&after, "pushed_bytes_total") > value(&before, "pushed_bytes_total"));
    assert!(value(&after, "push_delay_seconds_count") >= 1.0);
    // What was written since is not signed yet.
    assert!(value(&after, "checkpoint_age_seconds") >= 1000.0, "{after:#?}");
    // What is counted in the database is everybody's for a moment.
    world.pass(5);
    world.call(Method::POST, "/v1/audit/checkpoints", &org.token, &serde_json::json!({})).await.ok(200);
    assert_eq!(count(&samples(&world).await, "checkpoint_age_seconds"), "0");
    peer.leave().await;
    world.until("the link is gone", async || count(&samples(&world).await, "links") == "0").await;
}

#[tokio::test]
async fn what_strangers_ask_for_makes_no_series_and_nobody_is_named() {
    let world = World::start(None).await;
    let org = world.bootstrap().await;
    world.put_user(&org, "bo@example.com", false).await;
    world.agent(&org, "secretdb").await;
    world.get("/v1/users", &org.token).await.ok(200);
    Answer::of(world.request(Method::GET, "/nothing/0")).await;
    Answer::of(world.request(Method::from_bytes(b"BREW0").unwrap(), "/healthz")).await;
    world.get("/v1/databases/absent0/bundle", &org.token).await;
    let before = samples(&world).await.into_keys().collect::<BTreeSet<_>>();
    for number in 1..200 {
        Answer::of(world.request(Method::GET, &format!("/nothing/{number}\"}}%0a# {number}"))).await;
        Answer::of(
            world.request(Method::from_bytes(format!("BREW{number}").as_bytes()).unwrap(), "/healthz"),
        )
        .await;
        world.get(&format!("/v1/databases/absent{number}/bundle"), &org.token).await;
    }
    let after = samples(&world).await;
    let fresh: Vec<_> = after.keys().filter(|name| !before.contains(*name)).collect();
    assert!(fresh.len() < 40, "{fresh:#?}");
    let page = page(&world).await;
    for secret in [org.slug.as_str(), &org.admin_id, "example.com", "secretdb", "absent", "nothing", "BREW"] {
        assert!(!page.contains(secret), "{secret} is in it");
    }
    // The listener of metrics has nothing else, and the other one has no metrics.
    let metrics = world.server.metrics_address().unwrap();
    Answer::of(world.elsewhere(&format!("http://{metrics}/v1/users"))).await.ok(404);
    Answer::of(world.request(Method::GET, "/metrics")).await.refused(404, "route.unknown");
}

/// By the reader of Prometheus' own client library.
#[tokio::test]
async fn another_reader_of_the_format_reads_every_family() {
    let world = World::start(None).await;
    let org = world.bootstrap().await;
    world.get("/v1/users", &org.token).await.ok(200);
    let agent = world.agent(&org, "shop").await;
    let mut peer = Peer::connected(&world, &agent).await;
    world.put_user(&org, "bo@example.com", false).await;
    peer.directory(2).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut reader = Command::new(peers().join("python/bin/python3"))
        .arg(root.join("ci/peers/prometheus.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let text = page(&world).await;
    let mut input = reader.stdin.take().unwrap();
    input.write_all(text.as_bytes()).await.unwrap();
    drop(input);
    let output = reader.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{text}");
    let read: BTreeMap<String, String> = serde_json::from_slice(&output.stdout).unwrap();
    for family in FAMILIES.iter().filter(|family| !family.name.contains("_tls_")) {
        // Its reader calls a counter by its name without the ending.
        let name = family.name.strip_suffix("_total").unwrap_or(family.name);
        assert_eq!(read.get(name).map(String::as_str), Some(family.kind.name()), "{}", family.name);
    }
}

#[test]
fn the_page_lists_every_metric_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = std::fs::read_to_string(root.join("policy-examples/control-plane.md")).unwrap();
    let listed: Vec<String> =
        page.lines().filter(|line| line.starts_with("| `daam_control_plane_")).map(str::to_owned).collect();
    let expected: Vec<String> = FAMILIES
        .iter()
        .map(|family| format!("| `{}` | {} | {} |", family.name, family.kind.name(), family.help))
        .collect();
    assert_eq!(
        listed,
        expected,
        "policy-examples/control-plane.md does not list what is served:\n{}",
        expected.join("\n")
    );
    // What the alerts ask for is there.
    let named = page.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    for name in named.filter(|name| name.starts_with("daam_control_plane_")) {
        let family = name.trim_end_matches("_bucket").trim_end_matches("_count");
        assert!(FAMILIES.iter().any(|known| known.name == family), "there is no {name}");
    }
}
