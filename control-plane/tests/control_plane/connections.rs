//! Who was connected where and when.

use crate::link::Peer;
use crate::world::{Org, World};
use daam_api::link::FromAgent;
use daam_api::v1::Connection;
use reqwest::Method;
use serde_json::json;

fn event(id: &str, user: &str, ended: Option<&str>) -> FromAgent {
    FromAgent::SessionEvent {
        session_id: id.to_owned(),
        user_id: user.to_owned(),
        event: if ended.is_some() { "ended" } else { "started" }.to_owned(),
        reason: ended.map(str::to_owned),
        statements: if ended.is_some() { 7 } else { 0 },
    }
}

fn has(ids: &[&str]) -> FromAgent {
    FromAgent::OpenSessions { session_ids: ids.iter().map(|id| (*id).to_owned()).collect() }
}

async fn found(world: &World, org: &Org, query: &str) -> Vec<Connection> {
    world.get(&format!("/v1/connections?{query}"), &org.token).await.json(200)
}

async fn ids(world: &World, org: &Org, query: &str) -> Vec<String> {
    found(world, org, query).await.into_iter().map(|one| one.session_id).collect()
}

/// Until exactly these are open.
async fn open(world: &World, org: &Org, expected: &[&str]) {
    world
        .until("these sessions are open", async || {
            let mut open = ids(world, org, "state=open").await;
            open.sort();
            open == expected
        })
        .await;
}

pub(crate) async fn what_an_agent_no_longer_has_ends_when_it_says_what_it_has(world: World) {
    let org = world.bootstrap().await;
    let (agent, other) = (world.agent(&org, "shop").await, world.agent(&org, "crm").await);
    let mut peer = Peer::connected(&world, &agent).await;
    let mut others = Peer::connected(&world, &other).await;
    for id in ["s1", "s2", "s3"] {
        peer.say(&event(id, &org.admin_id, None)).await;
    }
    others.say(&event("s1", &org.admin_id, None)).await;
    open(&world, &org, &["s1", "s1", "s2", "s3"]).await;
    peer.leave().await;
    world.pass(50);

    // One that does not say what it has is believed by its events.
    let mut peer = Peer::connected(&world, &agent).await;
    peer.say(&event("s3", &org.admin_id, Some("left"))).await;
    open(&world, &org, &["s1", "s1", "s2"]).await;
    peer.leave().await;
    let mut peer = Peer::connected(&world, &agent).await;
    peer.say(&has(&["s2", "not told of yet"])).await;
    open(&world, &org, &["s1", "s2"]).await;
    let gone = found(&world, &org, "state=ended&reason=no%20longer%20HAD").await;
    assert_eq!(
        (gone.len(), gone[0].session_id.as_str(), gone[0].agent_id.as_str()),
        (1, "s1", agent.id.as_str())
    );
    assert_eq!(gone[0].ended_at.as_deref(), Some("2027-01-15T08:00:50Z"), "when it was learned");
    let ana = world.session(&org.token).await;
    let overview = world.look("/", &ana).await.ok(200).text();
    assert!(overview.contains(">2<"), "{overview}");
    // What it says of the end after all counts, once.
    for (reason, statements) in [("left", 7), ("changed its mind", 7)] {
        peer.say(&event("s1", &org.admin_id, Some(reason))).await;
        world
            .until("the agent's own word counts", async || {
                let ended = found(&world, &org, &format!("state=ended&agent={}", agent.id)).await;
                let s1 = ended.iter().find(|one| one.session_id == "s1").unwrap();
                s1.reason.as_deref() == Some("left") && s1.statements == statements
            })
            .await;
    }
    // Whoever is removed has none.
    world.call(Method::DELETE, &format!("/v1/agents/{}", agent.id), &org.token, &json!({})).await.ok(204);
    open(&world, &org, &["s1"]).await;
    assert_eq!(ids(&world, &org, "reason=was%20removed").await, ["s2"]);
}

pub(crate) async fn connections_are_found_and_taken_out_whole(world: World) {
    let org = world.bootstrap().await;
    let theirs = world.organization("zoe@other.example").await;
    let bo =
        world.put_user(&org, "bo@example.com", false).await["id"].as_str().unwrap_or_default().to_owned();
    let bo = if bo.is_empty() { "bo".to_owned() } else { bo };
    let (shop, crm) = (world.agent(&org, "shop").await, world.agent(&org, "crm").await);
    let (mut shop, mut crm) = (Peer::connected(&world, &shop).await, Peer::connected(&world, &crm).await);
    // A day each, from 2027-01-15 on; the last one goes on.
    for day in 0..5 {
        let who = if day % 2 == 0 { org.admin_id.as_str() } else { bo.as_str() };
        let peer = if day == 1 { &mut crm } else { &mut shop };
        let id = format!("d{day}");
        peer.say(&event(&id, who, None)).await;
        world.until("it began", async || ids(&world, &org, "").await.contains(&id)).await;
        world.pass(3600);
        if day < 4 {
            peer.say(&event(&id, who, Some("=cmd() left, at 100%"))).await;
            world.until("it ended", async || ids(&world, &org, "state=open").await.is_empty()).await;
        }
        world.pass(86_400 - 3600);
    }
    assert_eq!(ids(&world, &org, "").await, ["d4", "d3", "d2", "d1", "d0"], "the latest first");
    for (query, expected) in [
        ("user=Ana%40example.com", vec!["d4", "d2", "d0"]),
        ("database=crm", vec!["d1"]),
        ("agent=one&database=shop", vec!["d4", "d3", "d2", "d0"]),
        ("state=open", vec!["d4"]),
        ("state=ended&limit=2", vec!["d3", "d2"]),
        ("reason=LEFT,%20at%20100%25", vec!["d3", "d2", "d1", "d0"]),
        ("reason=l_ft", vec![]),
        // During the second day somebody was there although it began and ended within.
        ("since=1800086400&until=1800172799", vec!["d1"]),
        ("since=1800003600&until=1800003600", vec!["d0"]),
        ("user=zoe%40other.example", vec![]),
    ] {
        assert_eq!(ids(&world, &org, query).await, expected, "{query}");
    }
    assert!(ids(&world, &theirs, "").await.is_empty());
    // Parts.
    let (mut all, mut path) = (Vec::new(), Some("/v1/connections?limit=2".to_owned()));
    while let Some(next) = path {
        let answer = world.get(&next, &org.token).await.ok(200);
        let link = answer.headers.get("link").map(|link| link.to_str().unwrap().to_owned());
        path = link.map(|link| link.split(['<', '>']).nth(1).unwrap().to_owned());
        all.extend(answer.json::<Vec<Connection>>(200).into_iter().map(|one| one.session_id));
    }
    assert_eq!(all, ["d4", "d3", "d2", "d1", "d0"]);
    for bad in ["limit=0", "limit=501", "since=x", "state=maybe", "nonsense=1"] {
        world.get(&format!("/v1/connections?{bad}"), &org.token).await.refused(400, "request.malformed");
    }
    world.get("/v1/connections?cursor=AAAA", &org.token).await.refused(400, "request.cursor");
    files_and_page(&world, &org).await;
}

async fn files_and_page(world: &World, org: &Org) {
    let csv = world.get("/v1/connections/export?format=csv&state=ended", &org.token).await.ok(200);
    assert_eq!(csv.headers["content-disposition"], "attachment; filename=\"connections.csv\"");
    let text = csv.text();
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(text.starts_with("started_at,ended_at,email,") && text.contains("'=cmd() left"), "{text}");
    let ana = world.session(&org.token).await;
    let lines = world.look("/connections/export?format=jsonl&database=crm", &ana).await.ok(200).text();
    let one: Connection = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!((one.session_id.as_str(), one.statements), ("d1", 7));
    let entries: Vec<serde_json::Value> =
        world.get("/v1/audit?action=audit.export", &org.token).await.json(200);
    assert!(
        entries.len() == 2 && entries.iter().all(|entry| entry["target"] == "connections"),
        "{entries:?}"
    );
    let page = world.look("/connections?database=shop&state=ended&from=2027-01-17&to=2027-01-17", &ana).await;
    let page = page.ok(200).text();
    assert_eq!(page.matches("<th scope=\"row\">").count(), 1, "{page}");
    let carried = "/connections/export?format=csv&amp;database=shop&amp;state=ended&amp;from=2027-01-17&amp;to=2027-01-17";
    assert!(page.contains(carried), "{page}");
    let none = world.look("/connections?user=nobody%40example.com", &ana).await.ok(200).text();
    assert!(none.contains("Nothing fits."), "{none}");
    for bad in ["from=yesterday", "state=maybe", "after=x"] {
        let refused = world.look(&format!("/connections?{bad}"), &ana).await.ok(400).text();
        assert!(refused.contains("<code>request."), "{refused}");
    }
}
