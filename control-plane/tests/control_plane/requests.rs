//! Access requests: asked for, decided, pushed to the agent, ended; by the right people alone.

use crate::bundles::{put_bundle, put_trust, signed, trust};
use crate::link::Peer;
use crate::world::{NOW, Org, World};
use daam_api::link::{AccessGrant, AccessState, FromAgent, ToAgent};
use daam_api::v1::{AccessRequest, Enrolled, Requestable};
use daam_bundle::SigningKey;
use daam_catalog::RelationPattern;
use daam_control_plane::{Config, Server};
use daam_model::{Ceiling, Grant, Origin, Policy, PolicySet, RequestTerms, SessionLimits, Subjects, Verb};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

fn terms(count: u32) -> RequestTerms {
    RequestTerms {
        approvers: BTreeSet::from(["dba".to_owned()]),
        count,
        max_duration: Duration::from_secs(7200),
        reason_required: true,
    }
}

fn of(group: &str) -> Subjects {
    Subjects { groups: BTreeSet::from([group.to_owned()]), ..Subjects::default() }
}

/// `oncall` for two approvals, and a ceiling for reading orders.
pub(crate) fn policies() -> PolicySet {
    let grant = Grant {
        on: vec![RelationPattern::parse("public.orders").unwrap()],
        allow: BTreeSet::from([Verb::Select]),
        ..Grant::default()
    };
    let policy = Policy {
        name: "oncall".to_owned(),
        description: "Repairs orders.".to_owned(),
        subjects: of("engineering"),
        grants: vec![grant.clone()],
        masks: Vec::new(),
        session: SessionLimits::default(),
        request: Some(terms(2)),
        origin: Origin { file: "policies/oncall.yaml".to_owned(), line: 1 },
    };
    let ceiling = Ceiling {
        name: "ad-hoc".to_owned(),
        description: String::new(),
        who: of("engineering"),
        grants: vec![grant],
        masks: Vec::new(),
        terms: terms(1),
        origin: Origin { file: "policies/ceiling.yaml".to_owned(), line: 1 },
    };
    PolicySet {
        database: "shop".to_owned(),
        policies: vec![policy],
        ceilings: vec![ceiling],
        ..PolicySet::default()
    }
}

/// An organization where Eli of engineering asks, and Ana (its admin), Bo and Cy decide.
pub(crate) struct Shop {
    pub(crate) org: Org,
    pub(crate) key: SigningKey,
    pub(crate) agent: Enrolled,
    pub(crate) eli: String,
    pub(crate) bo: String,
    pub(crate) cy: String,
    pub(crate) fay: String,
}

async fn person(world: &World, org: &Org, email: &str, (role, groups): (&str, &[&str])) -> String {
    let token = world.in_role(org, email, role).await;
    let user = json!({ "role": role, "groups": groups, "attributes": {} });
    world.call(Method::PUT, &format!("/v1/users/{email}"), &org.token, &user).await.ok(200);
    token
}

impl Shop {
    pub(crate) async fn open(world: &World) -> Self {
        let org = world.bootstrap().await;
        let agent = world.agent(&org, "shop").await;
        let key = SigningKey::generate().unwrap();
        put_trust(world, &org, &trust(&org.slug, &key)).await.ok(200);
        let bundle = signed(&org.slug, (1, world.now()), Some(&key), &policies());
        put_bundle(world, &org, 0, &bundle).await.ok(200);
        Self {
            eli: person(world, &org, "eli@example.com", ("member", &["engineering", "dba"])).await,
            bo: person(world, &org, "bo@example.com", ("member", &["dba"])).await,
            cy: person(world, &org, "cy@example.com", ("approver", &["dba"])).await,
            fay: person(world, &org, "fay@example.com", ("member", &[])).await,
            org,
            key,
            agent,
        }
    }
}

pub(crate) fn oncall() -> Value {
    let what = json!({ "kind": "policy", "policy_id": "oncall" });
    json!({ "database": "shop", "what": what, "seconds": 3600, "reason": "INC-1: orders stuck" })
}

pub(crate) fn tables(verbs: &[&str]) -> Value {
    let orders = json!({ "schema": "public", "name": "orders", "verbs": verbs });
    let what = json!({ "kind": "ad_hoc", "ceiling_id": "ad-hoc", "relations": [orders] });
    json!({ "database": "shop", "what": what, "seconds": 60, "reason": "export" })
}

pub(crate) async fn ask(world: &World, token: &str, what: &Value) -> AccessRequest {
    world.call(Method::POST, "/v1/requests", token, what).await.json(201)
}

async fn act(world: &World, token: &str, (id, act): (&str, &str), body: &Value) -> crate::world::Answer {
    world.call(Method::POST, &format!("/v1/requests/{id}/{act}"), token, body).await
}

async fn seen(world: &World, token: &str, id: &str) -> AccessRequest {
    world.get(&format!("/v1/requests/{id}"), token).await.json(200)
}

/// The next list the agent is told.
async fn list(peer: &mut Peer) -> (u64, Vec<AccessGrant>) {
    loop {
        if let ToAgent::AccessUpdate { version, grants } = peer.hear().await {
            return (version, grants);
        }
    }
}

async fn report(peer: &mut Peer, version: u64, id: &str, (state, reason): (&str, Option<&str>)) {
    let (id, state, reason) = (id.to_owned(), state.to_owned(), reason.map(str::to_owned));
    peer.say(&FromAgent::AccessStatus { version, grants: vec![AccessState { id, state, reason }] }).await;
}

pub(crate) async fn a_request_is_approved_by_others_and_reaches_the_agent(world: World) {
    let shop = Shop::open(&world).await;
    let mut peer = Peer::greeted(&world, &shop.agent).await;
    let options: Vec<Requestable> = world.get("/v1/databases/shop/requestable", &shop.eli).await.json(200);
    let named: Vec<(&str, &str, u32)> =
        options.iter().map(|one| (one.kind.as_str(), one.name.as_str(), one.approvals)).collect();
    assert_eq!(named, [("policy", "oncall", 2), ("ceiling", "ad-hoc", 1)]);
    assert_eq!(options[0].gives, ["public.orders: select"]);
    let none: Vec<Requestable> = world.get("/v1/databases/shop/requestable", &shop.fay).await.json(200);
    assert_eq!(none, []);

    let asked = ask(&world, &shop.eli, &oncall()).await;
    let id = asked.id.as_str();
    assert_eq!((asked.state.as_str(), asked.needed.map(|needed| needed.approvals)), ("pending", Some(2)));
    let empty = json!({});
    act(&world, &shop.eli, (id, "approve"), &empty).await.refused(403, "request.own");
    act(&world, &shop.fay, (id, "approve"), &empty).await.refused(404, "request.unknown");
    act(&world, &shop.org.token, (id, "approve"), &empty).await.refused(403, "request.not-approver");
    act(&world, &shop.bo, (id, "deny"), &empty).await.refused(400, "request.reason");
    let first: AccessRequest = act(&world, &shop.bo, (id, "approve"), &empty).await.json(200);
    assert_eq!((first.state.as_str(), first.needed.map(|needed| needed.given)), ("pending", Some(1)));
    act(&world, &shop.bo, (id, "approve"), &empty).await.refused(409, "request.twice");
    let waiting = async |token: &str| {
        let found: Vec<AccessRequest> = world.get("/v1/requests?show=waiting", token).await.json(200);
        found.len()
    };
    assert_eq!((waiting(&shop.bo).await, waiting(&shop.cy).await, waiting(&shop.eli).await), (0, 1, 0));
    let pairing = json!({ "reason": "pairing" });
    let second: AccessRequest = act(&world, &shop.cy, (id, "approve"), &pairing).await.json(200);
    assert_eq!(second.state, "approved");

    let (version, grants) = list(&mut peer).await;
    assert_eq!((grants.len(), grants[0].id.as_str(), grants[0].approved_by.len()), (1, id, 2));
    assert_eq!((grants[0].starts_at, grants[0].ends_at), (NOW, NOW + 3600));
    assert_eq!(grants[0].reason, "INC-1: orders stuck");
    report(&mut peer, version, id, ("active", None)).await;
    world.until("it is active", async || seen(&world, &shop.eli, id).await.state == "active").await;
}

pub(crate) async fn what_is_held_is_extended_and_ended_and_the_agent_says_so(world: World) {
    let shop = Shop::open(&world).await;
    let mut peer = Peer::greeted(&world, &shop.agent).await;
    let asked = ask(&world, &shop.eli, &oncall()).await;
    let (id, empty) = (asked.id.as_str(), json!({}));
    for token in [&shop.bo, &shop.cy] {
        act(&world, token, (id, "approve"), &empty).await.ok(200);
    }
    let (version, _) = list(&mut peer).await;
    report(&mut peer, version, id, ("active", None)).await;
    world.until("it is active", async || seen(&world, &shop.eli, id).await.state == "active").await;

    let more = json!({ "seconds": 3600, "reason": "not done" });
    act(&world, &shop.bo, (id, "extend"), &more).await.refused(403, "request.not-yours");
    let wanted: AccessRequest = act(&world, &shop.eli, (id, "extend"), &more).await.json(200);
    assert!(wanted.extension.is_some() && wanted.state == "active", "{wanted:?}");
    for token in [&shop.bo, &shop.cy] {
        act(&world, token, (id, "approve"), &empty).await.ok(200);
    }
    let (extended, grants) = list(&mut peer).await;
    assert!(extended > version);
    assert_eq!((grants[0].starts_at, grants[0].ends_at), (NOW, NOW + 7200), "the same grant, longer");
    act(&world, &shop.eli, (id, "extend"), &more).await.refused(400, "request.duration");

    let ended: AccessRequest = act(&world, &shop.org.token, (id, "end"), &empty).await.json(200);
    assert_eq!((ended.state.as_str(), ended.can.len()), ("revoked", 0));
    assert!(ended.note.unwrap().ends_with("agent one has not said yet that it is over"));
    let (version, grants) = list(&mut peer).await;
    assert_eq!(grants, []);
    peer.say(&FromAgent::AccessStatus { version, grants: vec![] }).await;
    let note = async || seen(&world, &shop.eli, id).await.note;
    world
        .until("it is over there", async || note().await.as_deref() == Some("ended by ana@example.com"))
        .await;
    act(&world, &shop.eli, (id, "end"), &empty).await.refused(409, "request.closed");
    let acts: Vec<&str> = ended.history.iter().map(|event| event.act.as_str()).collect();
    assert_eq!(acts, ["approve", "approve", "extend", "approve", "approve", "end"]);
    let (entries, whole) = world.server.app().db().audit(&scope(&world, &shop.org).await).await.unwrap();
    assert!(whole && entries.iter().any(|entry| entry.action == "request.active"));
}

async fn scope(world: &World, org: &Org) -> daam_store::TenantScope {
    let caller = world.server.app().db().authenticate(&org.token, world.now()).await.unwrap().unwrap();
    caller.scope().clone()
}

pub(crate) async fn an_agent_that_comes_back_is_told_everything_that_is_not_over(world: World) {
    let shop = Shop::open(&world).await;
    let peer = Peer::greeted(&world, &shop.agent).await;
    let empty = json!({});
    let asked = ask(&world, &shop.eli, &oncall()).await;
    peer.leave().await;
    for token in [&shop.bo, &shop.cy] {
        act(&world, token, (&asked.id, "approve"), &empty).await.ok(200);
    }
    let state = seen(&world, &shop.eli, &asked.id).await;
    assert_eq!(state.note.as_deref(), Some("no agent has confirmed it yet"));
    let mut back = Peer::greeted(&world, &shop.agent).await;
    let (version, grants) = list(&mut back).await;
    assert_eq!(grants[0].id, asked.id);
    report(&mut back, version, &asked.id, ("refused", Some("0 approvals count"))).await;
    world.until("it is refused", async || seen(&world, &shop.eli, &asked.id).await.state == "refused").await;
    assert_eq!(seen(&world, &shop.eli, &asked.id).await.note.as_deref(), Some("0 approvals count"));
    back.leave().await;
    world.pass(3600);
    let mut late = Peer::greeted(&world, &shop.agent).await;
    assert_eq!(list(&mut late).await, (version, vec![]), "its time is over");
    // What it holds is later than what we have: we were restored from a backup.
    late.say(&FromAgent::AccessStatus { version: version + 40, grants: vec![] }).await;
    assert_eq!(list(&mut late).await.0, version + 41);
    let odd = AccessState { id: "r".into(), state: "perhaps".into(), reason: None };
    late.say(&FromAgent::AccessStatus { version, grants: vec![odd] }).await;
    assert_eq!(late.end().await.0, 4003);
}

pub(crate) async fn only_what_the_bundle_declares_can_be_asked_for_and_approved(world: World) {
    let shop = Shop::open(&world).await;
    let refused = async |token: &str, what: Value, status: u16, code: &str| {
        world.call(Method::POST, "/v1/requests", token, &what).await.refused(status, code)
    };
    let with = |name: &str, value: Value| {
        let mut what = oncall();
        what[name] = value;
        what
    };
    refused(&shop.eli, with("database", json!("till")), 404, "database.unknown").await;
    refused(
        &shop.eli,
        with("what", json!({ "kind": "policy", "policy_id": "root" })),
        409,
        "request.undeclared",
    )
    .await;
    refused(&shop.fay, oncall(), 403, "request.may-not-ask").await;
    refused(&shop.eli, with("seconds", json!(7201)), 400, "request.duration").await;
    refused(&shop.eli, with("reason", json!(" ")), 400, "request.reason").await;
    refused(&shop.eli, with("starts_at", json!("tomorrow")), 400, "request.start").await;
    refused(&shop.eli, with("starts_at", json!("2020-01-01T00:00:00Z")), 400, "request.start").await;
    refused(&shop.eli, with("approved_by", json!(["ana"])), 400, "request.malformed").await;
    refused(&shop.eli, tables(&["select"]), 409, "request.no-schema").await;
    let mut peer = Peer::greeted(&world, &shop.agent).await;
    peer.say(&FromAgent::SchemaReport { snapshot: shop_snapshot() }).await;
    world
        .until("the schema is known", async || {
            world.get("/v1/databases/shop/schema", &shop.org.token).await.status.as_u16() == 200
        })
        .await;
    refused(&shop.eli, tables(&["select", "delete"]), 400, "request.above-ceiling").await;
    refused(&shop.eli, tables(&["drop"]), 400, "request.asked").await;
    let asked = ask(&world, &shop.eli, &tables(&["select"])).await;
    let empty = json!({});
    // The next bundle declares nothing: what waits cannot be approved any more, but withdrawn.
    let nothing = PolicySet { database: "shop".to_owned(), ..PolicySet::default() };
    let bundle = signed(&shop.org.slug, (2, world.now()), Some(&shop.key), &nothing);
    put_bundle(&world, &shop.org, 1, &bundle).await.ok(200);
    act(&world, &shop.cy, (&asked.id, "approve"), &empty).await.refused(409, "request.undeclared");
    let ended: AccessRequest = act(&world, &shop.eli, (&asked.id, "end"), &empty).await.json(200);
    assert_eq!(ended.state, "revoked");
}

/// The shop's schema, as an agent would report it.
pub(crate) fn shop_snapshot() -> Value {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("policy-examples/shop/schema/shop");
    let files: BTreeMap<String, String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    daam_catalog::snapshot::to_json(&daam_catalog::lock::from_files(&files).unwrap())
}

pub(crate) async fn requests_are_seen_by_those_they_concern(world: World) {
    let shop = Shop::open(&world).await;
    let eve = world.organization("eve@evil.example").await;
    let auditor = world.in_role(&shop.org, "au@example.com", "auditor").await;
    let asked = ask(&world, &shop.eli, &oncall()).await;
    let path = format!("/v1/requests/{}", asked.id);
    for token in [&shop.eli, &shop.bo, &shop.cy, &shop.org.token, &auditor] {
        world.get(&path, token).await.ok(200);
    }
    world.get(&path, &shop.fay).await.refused(404, "request.unknown");
    world.get(&path, &eve.token).await.refused(404, "request.unknown");
    for word in ["approve", "deny", "end", "extend"] {
        let body = json!({ "reason": "x" });
        act(&world, &eve.token, (&asked.id, word), &body).await.refused(404, "request.unknown");
    }
    for token in [&shop.cy, &shop.org.token, &auditor] {
        let all: Vec<AccessRequest> = world.get("/v1/requests?show=all", token).await.json(200);
        assert_eq!(all.len(), 1);
    }
    for token in [&shop.eli, &shop.bo] {
        world.get("/v1/requests?show=all", token).await.refused(403, "auth.wrong-role");
    }
    assert_eq!(world.get("/v1/requests?show=all", &eve.token).await.ok(200).text(), "[]");
    for query in ["show=everything", "limit=0", "limit=201", "limit=x", "shwo=all"] {
        world.get(&format!("/v1/requests?{query}"), &shop.eli).await.refused(400, "request.malformed");
    }
    let page = async |before: &str| {
        let path = format!("/v1/requests?limit=1{before}");
        world.get(&path, &shop.eli).await.json::<Vec<AccessRequest>>(200)
    };
    let second = ask(&world, &shop.eli, &oncall()).await;
    assert_eq!(page("").await[0].id, second.id);
    assert_eq!(page(&format!("&before={}", second.id)).await[0].id, asked.id);
    act(&world, &auditor, (&asked.id, "end"), &json!({})).await.refused(403, "request.not-yours");
}

/// Over PostgreSQL an approval at one server reaches the agent of another; an embedded file has one server.
pub(crate) async fn an_approval_at_one_server_reaches_the_agent_of_another(world: World) {
    if world.config.database_url.is_none() {
        return;
    }
    let shop = Shop::open(&world).await;
    let data_dir = world.dir.path().join("second");
    std::fs::create_dir(&data_dir).unwrap();
    std::fs::copy(world.config.data_dir.join("keys.key"), data_dir.join("keys.key")).unwrap();
    let second = Server::start(&Config { data_dir, ..world.config.clone() }).await.unwrap();
    let mut peer = Peer::greeted(&world, &shop.agent).await;
    let asked = ask(&world, &shop.eli, &oncall()).await;
    for token in [&shop.bo, &shop.cy] {
        let url = format!("http://{}/v1/requests/{}/approve", second.address(), asked.id);
        let answer = reqwest::Client::new().post(url).bearer_auth(token).body("{}").send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
    }
    assert_eq!(list(&mut peer).await.1[0].id, asked.id);
    second.stop().await;
}
