//! Notices of access requests: signed webhooks, and letters through a real mail server.

use crate::browser::{Browser, peer};
use crate::requests::Shop;
use crate::world::World;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daam_api::v1::{AccessRequest, Webhook, WebhookCreated};
use reqwest::Method;
use ring::hmac;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout};

type Heard = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// Somebody's server: it fails at the first delivery and takes every further one.
async fn receiver() -> (String, Heard) {
    let heard: Heard = Arc::default();
    let take = async |State(heard): State<Heard>, headers: HeaderMap, body: String| {
        let mut heard = heard.lock().unwrap();
        heard.push((headers, body));
        if heard.len() == 1 { StatusCode::BAD_GATEWAY } else { StatusCode::NO_CONTENT }
    };
    let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&heard));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, heard)
}

fn oncall() -> Value {
    let what = json!({ "kind": "policy", "policy_id": "oncall" });
    json!({ "database": "shop", "what": what, "seconds": 3600, "reason": "planted-secret-reason" })
}

/// As Standard Webhooks says.
fn is_signed(secret: &str, headers: &HeaderMap, body: &str) -> bool {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let tag = STANDARD.decode(text("webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
    let signed = format!("{}.{}.{body}", text("webhook-id"), text("webhook-timestamp"));
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes(), &tag).is_ok()
}

#[tokio::test]
async fn a_webhook_is_told_signed_until_it_takes_it() {
    let world = World::reaching_private_providers().await;
    let shop = Shop::open(&world).await;
    let (url, heard) = receiver().await;
    let token = &shop.org.token;
    let hook = json!({ "name": "chat", "url": url });
    let made: WebhookCreated = world.call(Method::POST, "/v1/webhooks", token, &hook).await.json(201);
    assert!(!format!("{made:?}").contains("whsec_"));
    assert!(!world.get("/v1/webhooks", token).await.text().contains("whsec_"), "shown once");
    let asked: AccessRequest = world.call(Method::POST, "/v1/requests", &shop.eli, &oncall()).await.json(201);
    let listed = async || world.get("/v1/webhooks", token).await.json::<Vec<Webhook>>(200).remove(0);
    world.until("the failure is shown", async || listed().await.failure.is_some()).await;
    assert!(listed().await.failure.unwrap().contains("502"));
    world.pass(10);
    world.until("it is delivered", async || listed().await.undelivered == 0).await;
    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0].0["webhook-id"], heard[1].0["webhook-id"], "so that it can be told from another");
    for (headers, body) in &heard {
        assert!(is_signed(&made.secret, headers, body));
        assert!(!is_signed(&made.secret, headers, &format!("{body} ")));
        assert!(!body.contains("planted-secret-reason") && !body.contains("orders"), "{body}");
    }
    let told: Value = serde_json::from_str(&heard[0].1).unwrap();
    assert_eq!((&told["type"], &told["data"]["request"]), (&json!("request.asked"), &json!(asked.id)));
    assert_eq!(told["data"]["url"], world.url(&format!("/requests/{}", asked.id)));
    world.call(Method::DELETE, &format!("/v1/webhooks/{}", made.id), token, &json!({})).await.ok(204);
}

#[tokio::test]
async fn a_webhook_cannot_reach_inside() {
    let world = World::start(None).await;
    let org = world.bootstrap().await;
    for url in [
        "http://127.0.0.1:1/",
        "https://10.0.0.1/",
        "https://localhost/",
        "https://u:p@x.example/",
        "x",
        "file:///etc",
    ] {
        let hook = json!({ "name": "chat", "url": url });
        world.call(Method::POST, "/v1/webhooks", &org.token, &hook).await.refused(400, "webhook.url");
    }
}

/// A real mail server that prints what it takes.
struct Post {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Post {
    async fn open() -> Self {
        let (child, lines, port) = Self::start(&[]).await;
        Self { _child: child, lines, url: format!("smtp://127.0.0.1:{port}") }
    }

    /// One that has a certificate and asks for a password: by `smtps`, or by `smtp` with STARTTLS.
    async fn guarded(scheme: &str, certificate: &Path, key: &Path) -> Self {
        let files = [certificate, key].map(|file| file.to_str().unwrap());
        let (child, lines, port) = Self::start(&[scheme, files[0], files[1]]).await;
        let query = if scheme == "smtp" { "?tls=required" } else { "" };
        Self { _child: child, lines, url: format!("{scheme}://daam:planted-secret@localhost:{port}{query}") }
    }

    async fn start(arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>, String) {
        let mut program = peer("mail.mjs");
        let mut child = program.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next_line().await.unwrap().unwrap();
        (child, lines, port)
    }

    async fn letter(&mut self) -> Value {
        let line = tokio::time::timeout(std::time::Duration::from_secs(30), self.lines.next_line()).await;
        serde_json::from_str(&line.unwrap().unwrap().unwrap()).unwrap()
    }
}

#[tokio::test]
async fn whoever_decides_gets_a_letter_and_whoever_asked_the_answer() {
    let mut post = Post::open().await;
    let world = World::with_mail(&post.url, None).await;
    let shop = Shop::open(&world).await;
    let asked: AccessRequest = world.call(Method::POST, "/v1/requests", &shop.eli, &oncall()).await.json(201);
    // The server turns the first letter away for now; it comes again.
    assert_eq!(post.letter().await["refused"], true);
    world.pass(10);
    let mut told = Vec::new();
    for _ in 0..2 {
        let letter = post.letter().await;
        let text = letter["text"].as_str().unwrap().replace("=\r\n", "");
        assert!(
            text.contains(&asked.id) && text.contains("eli@example.com asks for oncall on shop"),
            "{text}"
        );
        assert!(!text.contains("planted-secret-reason"), "{text}");
        assert_eq!(letter["from"], "daam@example.com");
        told.push(letter["to"].as_str().unwrap().to_owned());
    }
    told.sort();
    assert_eq!(told, ["bo@example.com", "cy@example.com"], "not who asked, and not who cannot decide");
    let why = json!({ "reason": "use the replica" });
    let path = format!("/v1/requests/{}/deny", asked.id);
    world.call(Method::POST, &path, &shop.bo, &why).await.ok(200);
    let letter = post.letter().await;
    assert_eq!(letter["to"], "eli@example.com");
    assert!(letter["text"].as_str().unwrap().contains("Denied: oncall on shop"), "{letter}");
}

#[tokio::test]
async fn a_mail_server_is_believed_by_its_ca_and_gets_the_password_after_that() {
    let files = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| files.path().join(name));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    for scheme in ["smtps", "smtp"] {
        let mut post = Post::guarded(scheme, &certificate, &key).await;
        let asked = async |world: &World| {
            let shop = Shop::open(world).await;
            let asked = world.call(Method::POST, "/v1/requests", &shop.eli, &oncall()).await;
            asked.json::<AccessRequest>(201)
        };
        let world = World::with_mail(&post.url, Some(&certificate)).await;
        asked(&world).await;
        assert_eq!(post.letter().await["refused"], true);
        world.pass(10);
        let letter = post.letter().await;
        assert_eq!((&letter["by"], &letter["secure"]), (&json!("daam"), &json!(true)), "{letter}");
        // With another password, the server says no; of an unknown CA, nothing is told to it.
        let wrong = post.url.replace("planted-secret", "planted-secret-2");
        let world = World::with_mail(&wrong, Some(&certificate)).await;
        asked(&world).await;
        while post.letter().await["denied"] != "daam" {}
        drop(world);
        let world = World::with_mail(&post.url, None).await;
        asked(&world).await;
        loop {
            let said = post.letter().await;
            assert!(said["by"].is_null(), "{said}");
            if said["broken"] == true {
                break;
            }
        }
    }
}

#[tokio::test]
async fn everybody_who_may_decide_gets_a_letter_however_many_they_are() {
    let mut post = Post::open().await;
    let world = World::with_mail(&post.url, None).await;
    let shop = Shop::open(&world).await;
    let mut expected: BTreeSet<String> = ["bo@example.com".to_owned(), "cy@example.com".to_owned()].into();
    let group = json!({ "groups": ["dba"], "attributes": {} });
    for n in 0..118 {
        let email = format!("dba{n}@example.com");
        world.call(Method::PUT, &format!("/v1/users/{email}"), &shop.org.token, &group).await.ok(200);
        expected.insert(email);
    }
    world.call(Method::POST, "/v1/requests", &shop.eli, &oncall()).await.ok(201);
    assert_eq!(post.letter().await["refused"], true);
    world.pass(10);
    let mut told = BTreeSet::new();
    while told.len() < expected.len() {
        let letter = post.letter().await;
        let to = letter["to"].as_str().unwrap().to_owned();
        assert!(expected.contains(&to) && told.insert(to), "nobody else, and nobody twice: {letter}");
    }
}

#[tokio::test]
async fn requests_are_made_and_decided_by_forms() {
    let world = World::start(None).await;
    let shop = Shop::open(&world).await;
    let mut browser = Browser::start();
    let link = async |token: &str| {
        let made = world.call(Method::POST, "/v1/console-link", token, &json!({})).await;
        made.json::<daam_api::v1::LinkCreated>(201).link
    };
    browser.goto(&link(&shop.eli).await).await;
    browser.click("button", "Sign in").await;
    browser.click("link", "Requests").await;
    browser.is_accessible("requests").await;
    browser.fill("For how many minutes (policy)", "30").await;
    browser.fill("When the policy begins, in UTC; at once if empty", "2027-01-16T08:30").await;
    browser.fill("Why you need the policy", "INC-1: <b>orders</b> stuck").await;
    browser.click("button", "Ask for the policy").await;
    let page = browser.text().await;
    assert!(page.contains("oncall on shop") && page.contains("INC-1: <b>orders</b> stuck"), "{page}");
    assert!(page.contains("0 of 2 approvals") && page.contains("2027-01-16T08:30:00Z"), "{page}");
    let address = browser.url().await;
    browser.forget().await;
    browser.goto(&link(&shop.bo).await).await;
    browser.click("button", "Sign in").await;
    browser.click("link", "Requests").await;
    browser.is_accessible("requests that wait").await;
    browser.click("link", "oncall on shop").await;
    browser.is_accessible("request").await;
    browser.click("button", "Approve").await;
    assert!(browser.text().await.contains("1 of 2 approvals"));
    browser.is_accessible("request in part approved").await;
    browser.forget().await;
    browser.goto(&link(&shop.cy).await).await;
    browser.click("button", "Sign in").await;
    browser.goto(&address).await;
    browser.fill("Why not", "use the replica").await;
    browser.click("button", "Deny").await;
    let page = browser.text().await;
    assert!(page.contains("denied") && page.contains("cy@example.com: use the replica"), "{page}");
    browser.forget().await;
    browser.goto(&link(&shop.org.token).await).await;
    browser.click("button", "Sign in").await;
    browser.goto(&world.url("/requests")).await;
    assert!(browser.text().await.contains("eli@example.com"), "an admin sees everybody's");
    browser.goto(&world.url("/webhooks")).await;
    browser.fill("What it is for", "chat").await;
    browser.fill("Address, https", "https://hooks.example.com/x").await;
    browser.click("button", "Add a webhook").await;
    assert!(browser.text().await.contains("whsec_"));
    browser.is_accessible("webhooks").await;
    browser.click("button", "Remove chat").await;
    assert!(browser.text().await.contains("There are none."));
    assert_eq!(browser.complaints().await, json!([]));
}
