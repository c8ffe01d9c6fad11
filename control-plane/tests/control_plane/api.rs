//! What every route of the API has in common: keys that make a request be done once, lists in parts, and how often
//! somebody may ask.

use crate::world::{Answer, Org, World};
use daam_api::v1::{Token, TokenCreated, User};
use daam_control_plane::openapi::document;
use daam_control_plane::rates::RateConfig;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

async fn keyed(world: &World, token: &str, key: &str, body: &Value) -> Answer {
    let request = world.request(Method::POST, "/v1/tokens").bearer_auth(token).header("idempotency-key", key);
    Answer::of(request.json(body)).await
}

pub(crate) async fn a_request_with_a_key_is_done_once(world: World) {
    let org = world.bootstrap().await;
    let member = world.member(&org, "bo@example.com").await;
    let body = json!({ "name": "ci", "expires_in": 900_000 });
    let first = keyed(&world, &org.token, "k1", &body).await;
    assert!(first.headers.get("idempotency-replayed").is_none());
    let first: TokenCreated = first.json(201);
    let again = keyed(&world, &org.token, "k1", &body).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.headers["content-type"], "application/json");
    assert_eq!(again.json::<TokenCreated>(201).token, first.token, "the very answer, secret and all");
    let made = |tokens: Vec<Token>| tokens.iter().filter(|token| token.name == "ci").count();
    assert_eq!(made(world.get("/v1/tokens", &org.token).await.json(200)), 1);

    keyed(&world, &org.token, "k1", &json!({ "name": "other" }))
        .await
        .refused(422, "idempotency.other-request");
    let other: TokenCreated = keyed(&world, &member, "k1", &json!({ "name": "ci" })).await.json(201);
    assert_ne!(other.token, first.token, "another credential's key is another key");
    for bad in ["", "two words", "a\tb", &"k".repeat(256)] {
        keyed(&world, &org.token, bad, &body).await.refused(400, "idempotency.key");
    }
    // A refusal is an answer, too.
    let nobody = json!({ "name": "x", "email": "nobody@example.com" });
    keyed(&world, &org.token, "k2", &nobody).await.refused(404, "user.unknown");
    world.put_user(&org, "nobody@example.com", false).await;
    keyed(&world, &org.token, "k2", &nobody).await.refused(404, "user.unknown");

    let named = json!({ "name": "at once" });
    let at_once = (0..8).map(|_| keyed(&world, &org.token, "k3", &named));
    let answers = futures_util::future::join_all(at_once).await;
    assert!(answers.iter().all(|answer| matches!(answer.status.as_u16(), 201 | 409)), "{answers:?}");
    let secrets: BTreeSet<String> = answers
        .into_iter()
        .filter(|answer| answer.status == 201)
        .map(|answer| answer.json::<TokenCreated>(201).token)
        .collect();
    assert_eq!(secrets.len(), 1);
    world.pass(86_401);
    let later: TokenCreated = keyed(&world, &org.token, "k1", &body).await.json(201);
    assert_ne!(later.token, first.token, "a day later the key is forgotten");
}

pub(crate) async fn a_key_whose_request_failed_or_was_left_alone_is_as_good_as_new(world: World) {
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    let connect = async |key: &str| {
        let request = world.request(Method::POST, "/v1/databases/shop/connect").bearer_auth(&org.token);
        Answer::of(request.header("idempotency-key", key).json(&json!({}))).await
    };
    // Nobody can be reached: our failure, and no answer that stands.
    for _ in 0..2 {
        connect("k1").await.refused(503, "database.no-agent");
    }
    let _peer = crate::link::Peer::connected(&world, &agent).await;
    let offered = connect("k1").await.ok(200);
    assert!(offered.headers.get("idempotency-replayed").is_none());
    assert_eq!(connect("k1").await.ok(200).headers["idempotency-replayed"], "true");
    // The sender is gone before there is an answer, and asks again.
    let body = json!({ "name": "left alone" });
    for place in 0..10 {
        let key = format!("left-{place}");
        let mut left = TcpStream::connect(world.server.address()).await.unwrap();
        let text = body.to_string();
        let request = format!(
            "POST /v1/tokens HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nidempotency-key: {key}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{text}",
            org.token,
            text.len()
        );
        left.write_all(request.as_bytes()).await.unwrap();
        drop(left);
        // Under way for a moment at most.
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let answer = keyed(&world, &org.token, &key, &body).await;
            if answer.status == 201 {
                break;
            }
            assert!(answer.status == 409 && Instant::now() < deadline, "{place}: {}", answer.text());
            sleep(Duration::from_millis(20)).await;
        }
    }
    let made = |tokens: Vec<Token>| tokens.iter().filter(|token| token.name == "left alone").count();
    assert_eq!(made(world.get("/v1/tokens", &org.token).await.json(200)), 10, "each was done once");
}

/// Every item of a list, by the links of its parts.
async fn walked(world: &World, org: &Org, path: &str) -> Vec<Value> {
    let (mut items, mut next) = (Vec::new(), Some(path.to_owned()));
    while let Some(path) = next {
        let part = world.get(&path, &org.token).await;
        let link = part.headers.get("link").map(|link| link.to_str().unwrap().to_owned());
        next = link
            .map(|link| link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned());
        let part: Vec<Value> = part.json(200);
        assert!(!part.is_empty() && part.len() <= 2, "{path}: {part:?}");
        items.extend(part);
    }
    items
}

pub(crate) async fn lists_go_on_where_their_links_say(world: World) {
    let org = world.bootstrap().await;
    for name in ["d", "b", "e", "a", "c"] {
        world.put_user(&org, &format!("{name}@example.com"), false).await;
        world.call(Method::POST, "/v1/tokens", &org.token, &json!({ "name": name })).await.ok(201);
        world.agent(&org, name).await;
    }
    let users: Vec<User> = world.get("/v1/users", &org.token).await.json(200);
    assert_eq!(users.len(), 6);
    for (path, name, count) in [
        ("/v1/users?limit=2", "email", 6),
        ("/v1/tokens?limit=2", "id", 6),
        ("/v1/agents?limit=2", "id", 5),
        ("/v1/databases?limit=2", "name", 5),
        ("/v1/audit?limit=2&action=token.", "seq", 6),
    ] {
        let found = walked(&world, &org, path).await;
        let distinct: BTreeSet<String> = found.iter().map(|item| item[name].to_string()).collect();
        let count = if path.contains("audit") { distinct.len() } else { count };
        assert_eq!((found.len(), distinct.len()), (count, count), "{path}");
    }
    // What goes and comes between two parts hides and repeats nothing else.
    let first = world.get("/v1/users?limit=2", &org.token).await;
    let link = first.headers["link"].to_str().unwrap().to_owned();
    let next = link.strip_prefix('<').unwrap().split('>').next().unwrap().to_owned();
    let first: Vec<User> = first.json(200);
    world.put_user(&org, "aa@example.com", false).await;
    let rest: Vec<User> = world.get(&next.replace("limit=2", "limit=100"), &org.token).await.json(200);
    let emails = |users: &[User]| users.iter().map(|user| user.email.clone()).collect::<Vec<_>>();
    assert_eq!(emails(&first), ["a@example.com", "ana@example.com"]);
    assert_eq!(emails(&rest), ["b@example.com", "c@example.com", "d@example.com", "e@example.com"]);

    let cursor = next.split("cursor=").nth(1).unwrap().split('&').next().unwrap();
    let described = document();
    let mut lists = 0;
    for (path, methods) in described["paths"].as_object().unwrap() {
        let parameters = methods["get"]["parameters"].as_array();
        if !parameters.is_some_and(|all| all.iter().any(|parameter| parameter["name"] == "cursor")) {
            continue;
        }
        lists += 1;
        let path = path.replace("{db}", "a");
        for bad in ["limit=0", "limit=501", "limit=x", "nothing=1"] {
            world.get(&format!("{path}?{bad}"), &org.token).await.refused(400, "request.malformed");
        }
        world.get(&format!("{path}?cursor=%21"), &org.token).await.refused(400, "request.cursor");
        if path != "/v1/users" {
            world.get(&format!("{path}?cursor={cursor}"), &org.token).await.refused(400, "request.cursor");
        }
    }
    assert!(lists >= 10, "only {lists} lists");
}

#[tokio::test]
async fn whoever_asks_too_often_is_told_when_to_come_again_and_keeps_nobody_out() {
    let world = World::at_rates(RateConfig { rate: 1, stranger_rate: 1 }).await;
    let org = world.bootstrap().await;
    let member = world.member(&org, "bo@example.com").await;
    // Other requests of theirs may have been counted before.
    let mut refused = None;
    for _ in 0..30 {
        let answer = world.get("/v1/whoami", &member).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        answer.ok(200);
    }
    let refused = refused.expect("it never ends");
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    refused.refused(429, "rate.credential");
    world.get("/v1/whoami", &org.token).await.ok(200);

    let stranger =
        async || Answer::of(world.request(Method::GET, "/v1/whoami").bearer_auth("daam_pat_guess")).await;
    let mut statuses = BTreeSet::new();
    for _ in 0..30 {
        statuses.insert(stranger().await.status.as_u16());
    }
    assert_eq!(statuses, BTreeSet::from([401, 429]), "guesses run out");
    stranger().await.refused(429, "rate.address");
    let device = world.request(Method::POST, "/v1/sign-in/device").json(&json!({ "device": "x" }));
    Answer::of(device).await.refused(429, "rate.address");
    let page = Answer::of(world.request(Method::GET, "/sign-in")).await;
    assert_eq!(page.status, 429);
    assert!(page.headers.contains_key("retry-after"), "pages say it, too");
    world.get("/v1/whoami", &org.token).await.ok(200);
}
