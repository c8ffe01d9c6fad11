//! SCIM 2.0: as Okta and Microsoft Entra send it, as the protocol's own tester tries it, and who may.

use crate::browser::python;
use crate::link::Peer;
use crate::routes::{filled, tokens};
use crate::world::{Answer, Org, World};
use daam_api::link::ToAgent;
use daam_control_plane::guard::Who;
use daam_control_plane::routes::{Route, Surface, table};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

pub(crate) const USERS: &str = "/scim/v2/Users";
const GROUPS: &str = "/scim/v2/Groups";

fn surface() -> impl Iterator<Item = Route> {
    table().into_iter().filter(|route| route.surface == Surface::Scim)
}

/// A refusal in SCIM's words.
fn refused(answer: Answer, status: u16, kind: Option<&str>) {
    let answer = answer.ok(status);
    assert_eq!(answer.kind, "application/scim+json", "{}", answer.text());
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(told["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
    assert_eq!(told["status"], status.to_string());
    assert_eq!(told["scimType"].as_str(), kind, "{told}");
}

async fn visit(world: &World, route: &Route, path: &str, token: Option<&str>) -> Answer {
    let mut request = world.request(route.method.parse().unwrap(), path);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    Answer::of(request.body("{}")).await
}

pub(crate) async fn every_scim_route_refuses_strangers_wrong_tokens_and_other_tenants(world: World) {
    let org = world.bootstrap().await;
    let tokens = tokens(&world, &org).await;
    let theirs = world.organization("eve@evil.example").await;
    let (ours, eve) = (world.scim(&org).await, world.scim(&theirs).await);
    let bo: Value = user(&world, &ours, &json!({ "userName": "bo2@example.com" })).await;
    let group = json!({ "displayName": "dba", "members": [{ "value": bo["id"] }] });
    let group: Value = world.call(Method::POST, GROUPS, &ours, &group).await.json(201);
    let mut walked = 0;
    for route in surface() {
        let path = filled(&route);
        refused(visit(&world, &route, &path, None).await, 401, None);
        for stranger in ["nonsense", "daam_scm_nonsense"] {
            let answer = visit(&world, &route, &path, Some(stranger)).await;
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
            refused(answer, 401, None);
        }
        for wrong in tokens.wrong(Who::Scim) {
            refused(visit(&world, &route, &path, Some(wrong)).await, 403, None);
        }
        let named = if path.contains("/Users/") { &bo["id"] } else { &group["id"] };
        let path = path.replace("some-id", named.as_str().unwrap());
        let answer = visit(&world, &route, &path, Some(&eve)).await;
        let text = answer.text();
        assert!(!text.contains("bo2@example.com") && !text.contains("dba"), "{route:?}: {text}");
        if route.path.ends_with("/{id}") && matches!(route.method, "GET" | "DELETE") {
            refused(answer, 404, None);
        }
        walked += 1;
    }
    assert!(walked >= 19, "only {walked}");
    // Her own groups do not take our people, and ours stay as they are.
    let stolen = json!({ "displayName": "stolen", "members": [{ "value": bo["id"] }] });
    refused(world.call(Method::POST, GROUPS, &eve, &stolen).await, 400, Some("invalidValue"));
    let still: Value = world.get(&format!("{USERS}/{}", text(&bo["id"])), &ours).await.json(200);
    assert_eq!(still["groups"][0]["display"], "dba");
    // A token that was deleted is none.
    let listed: Value = world.get("/v1/scim-tokens", &org.token).await.json(200);
    for token in listed.as_array().unwrap() {
        let path = format!("/v1/scim-tokens/{}", text(&token["id"]));
        world.call(Method::DELETE, &path, &org.token, &json!({})).await.ok(204);
    }
    refused(world.get(USERS, &ours).await, 401, None);
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

pub(crate) async fn user(world: &World, token: &str, user: &Value) -> Value {
    world.call(Method::POST, USERS, token, user).await.json(201)
}

async fn listed(world: &World, token: &str, query: &[(&str, &str)]) -> Value {
    let request = world.request(Method::GET, USERS).query(query).bearer_auth(token);
    Answer::of(request).await.json(200)
}

fn names(list: &Value) -> Vec<&str> {
    list["Resources"].as_array().unwrap().iter().map(|user| text(&user["userName"])).collect()
}

pub(crate) async fn a_provider_like_okta_keeps_members_and_groups(world: World) {
    let org = world.bootstrap().await;
    let token = world.scim(&org).await;
    // It looks first whether anybody is there, then whether this one is.
    let list: Value = world.get(&format!("{USERS}?startIndex=1&count=2"), &token).await.json(200);
    assert_eq!((&list["totalResults"], names(&list)), (&json!(1), vec!["ana@example.com"]));
    let sam = r#"userName eq "Sam.Jones@example.com""#;
    assert_eq!(listed(&world, &token, &[("filter", sam)]).await["totalResults"], 0);
    let new = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "Sam.Jones@example.com",
        "name": { "givenName": "Sam", "familyName": "Jones" },
        "emails": [{ "primary": true, "value": "sam.jones@example.com", "type": "work" }],
        "displayName": "Sam Jones", "locale": "en-US", "externalId": "00ujl29u0le5T6Aj10h7",
        "groups": [], "password": "planted-secret-1mz050nq", "active": true,
    });
    let made = user(&world, &token, &new).await;
    assert!(made.get("password").is_none() && made.get("locale").is_none(), "{made}");
    assert_eq!(made["externalId"], "00ujl29u0le5T6Aj10h7");
    refused(world.call(Method::POST, USERS, &token, &new).await, 409, Some("uniqueness"));
    let found = listed(&world, &token, &[("filter", sam)]).await;
    assert_eq!(found["Resources"][0]["id"], made["id"], "whatever the case");
    let place = format!("{USERS}/{}", text(&made["id"]));
    // The whole again, then the group, then out.
    let mut renamed = new.clone();
    renamed["displayName"] = json!("Sam J.");
    let put: Value = world.call(Method::PUT, &place, &token, &renamed).await.json(200);
    assert_eq!(put["displayName"], "Sam J.");
    let group = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "support", "members": [] });
    let group: Value = world.call(Method::POST, GROUPS, &token, &group).await.json(201);
    let group_place = format!("{GROUPS}/{}", text(&group["id"]));
    let add = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [
        { "op": "add", "path": "members", "value": [{ "value": made["id"], "display": "Sam.Jones@example.com" }] },
    ] });
    world.call(Method::PATCH, &group_place, &token, &add).await.ok(200);
    let people: Value = world.get("/v1/users", &org.token).await.json(200);
    let sam = people.as_array().unwrap().iter().find(|one| one["email"] == "sam.jones@example.com").unwrap();
    assert_eq!(
        (&sam["groups"], &sam["role"], &sam["id"]),
        (&json!(["support"]), &json!("member"), &made["id"])
    );
    let rename = json!({ "Operations": [{ "op": "replace", "value": { "id": group["id"], "displayName": "helpdesk" } }] });
    world.call(Method::PATCH, &group_place, &token, &rename).await.ok(200);
    let seen: Value = world.get(&place, &token).await.json(200);
    assert_eq!(seen["groups"][0]["display"], "helpdesk");
    let off = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "value": { "active": false } }] });
    let off: Value = world.call(Method::PATCH, &place, &token, &off).await.json(200);
    assert_eq!(off["active"], false);
    world.call(Method::DELETE, &group_place, &token, &json!({})).await.ok(204);
    refused(world.get(&group_place, &token).await, 404, None);
    let seen: Value = world.get(&place, &token).await.json(200);
    assert!(seen.get("groups").is_none(), "{seen}");
    world.call(Method::DELETE, &place, &token, &json!({})).await.ok(204);
    refused(world.get(&place, &token).await, 404, None);
    // And back again later, without what there was.
    let back = user(&world, &token, &new).await;
    assert_eq!(back["id"], made["id"]);
    assert!(back.get("groups").is_none(), "{back}");
}

pub(crate) async fn a_provider_like_entra_keeps_members_and_groups(world: World) {
    let org = world.bootstrap().await;
    let token = world.scim(&org).await;
    // Its connection test: somebody who cannot be there.
    let probe = r#"userName eq "non-existent-8e1b""#;
    assert_eq!(listed(&world, &token, &[("filter", probe)]).await["totalResults"], 0);
    let new = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
        "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        "userName": "Test_User_ab6490ee@example.com", "active": true,
        "emails": [{ "primary": true, "type": "work", "value": "Test_User_fd0ea19b@example.com" }],
        "meta": { "resourceType": "User" },
        "name": { "formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName" },
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "IT" }, "roles": [],
    });
    let made = user(&world, &token, &new).await;
    let place = format!("{USERS}/{}", text(&made["id"]));
    let change = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [
        { "op": "Replace", "path": "emails[type eq \"work\"].value", "value": "updated@example.com" },
        { "op": "Replace", "path": "name.familyName", "value": "updatedFamilyName" },
        { "op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "value": "HR" },
    ] });
    let changed: Value = world.call(Method::PATCH, &place, &token, &change).await.json(200);
    assert_eq!(changed["emails"][0]["value"], "updated@example.com");
    assert_eq!(changed["name"]["familyName"], "updatedFamilyName");
    let other = user(&world, &token, &json!({ "userName": "second@example.com" })).await;
    let group = json!({ "displayName": "displayName", "externalId": "8aa1a0c0", "members": [
        { "value": made["id"] }, { "value": other["id"] }] });
    let group: Value = world.call(Method::POST, GROUPS, &token, &group).await.json(201);
    let group_place = format!("{GROUPS}/{}", text(&group["id"]));
    let lean: Value = world.get(&format!("{group_place}?excludedAttributes=members"), &token).await.json(200);
    assert!(lean.get("members").is_none() && lean["displayName"] == "displayName", "{lean}");
    let query = [("filter", r#"displayName eq "displayName""#), ("excludedAttributes", "members")];
    let found: Value =
        Answer::of(world.request(Method::GET, GROUPS).query(&query).bearer_auth(&token)).await.json(200);
    assert_eq!(found["totalResults"], 1);
    // It names whom to remove in `value`: that is not everybody.
    let remove = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "Remove", "path": "members", "value": [{ "value": made["id"] }] }] });
    let left: Value = world.call(Method::PATCH, &group_place, &token, &remove).await.json(200);
    assert_eq!(left["members"].as_array().unwrap().len(), 1);
    assert_eq!(left["members"][0]["value"], other["id"]);
    let off = json!({ "Operations": [{ "op": "Replace", "path": "active", "value": "False" }] });
    let off: Value = world.call(Method::PATCH, &place, &token, &off).await.json(200);
    assert_eq!(off["active"], false);
    let people: Value = world.get("/v1/users", &org.token).await.json(200);
    let gone = people.as_array().unwrap().iter().find(|one| one["email"] == "updated@example.com").unwrap();
    assert_eq!(gone["disabled"], true);
}

pub(crate) async fn pages_versions_and_parts_are_as_asked(world: World) {
    let org = world.bootstrap().await;
    let token = world.scim(&org).await;
    for index in 0..7 {
        user(&world, &token, &json!({ "userName": format!("u{index}@example.com"), "title": "dba" })).await;
    }
    let page = |start: &'static str, count: &'static str| {
        let query = [("filter", "title eq \"DBA\""), ("startIndex", start), ("count", count)];
        let (world, token) = (&world, &token);
        async move { listed(world, token, &query).await }
    };
    let first = page("1", "3").await;
    assert_eq!((&first["totalResults"], &first["itemsPerPage"]), (&json!(7), &json!(3)));
    let mut seen: Vec<String> = Vec::new();
    for start in ["1", "4", "7"] {
        seen.extend(names(&page(start, "3").await).into_iter().map(str::to_owned));
    }
    seen.sort();
    assert_eq!(seen, (0..7).map(|index| format!("u{index}@example.com")).collect::<Vec<_>>());
    assert_eq!(page("0", "-5").await["itemsPerPage"], 0);
    assert_eq!(page("100", "3").await["itemsPerPage"], 0);
    refused(world.get(&format!("{USERS}?count=x"), &token).await, 400, Some("invalidValue"));
    refused(world.get(&format!("{USERS}?filter=userName"), &token).await, 400, Some("invalidFilter"));
    refused(world.get(&format!("{USERS}?filter=password+pr"), &token).await, 400, Some("invalidFilter"));
    let body = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": "userName sw \"u1\"", "attributes": ["userName"], "startIndex": 1, "count": 10 });
    let found: Value = world.call(Method::POST, &format!("{USERS}/.search"), &token, &body).await.json(200);
    let only: Vec<&String> = found["Resources"][0].as_object().unwrap().keys().collect();
    assert_eq!(only, ["id", "schemas", "userName"]);

    let id = text(&found["Resources"][0]["id"]).to_owned();
    let place = format!("{USERS}/{id}");
    let first = world.get(&place, &token).await.ok(200);
    let tag = first.headers["etag"].to_str().unwrap().to_owned();
    let with = |method: Method, name: &'static str, tag: &str| {
        world.request(method, &place).header(name, tag).bearer_auth(&token)
    };
    assert_eq!(Answer::of(with(Method::GET, "if-none-match", &tag)).await.status.as_u16(), 304);
    let change = json!({ "Operations": [{ "op": "replace", "path": "title", "value": "cto" }] }).to_string();
    let done = Answer::of(with(Method::PATCH, "if-match", &tag).body(change.clone())).await.ok(200);
    assert_ne!(done.headers["etag"].to_str().unwrap(), tag);
    refused(Answer::of(with(Method::PATCH, "if-match", &tag).body(change)).await, 412, None);
    refused(Answer::of(with(Method::DELETE, "if-match", &tag)).await, 412, None);
    Answer::of(with(Method::GET, "if-none-match", &tag)).await.ok(200);
}

pub(crate) async fn provisioning_gives_no_role_and_leaves_somebody_in_charge(world: World) {
    let org = world.bootstrap().await;
    let token = world.scim(&org).await;
    let ana = listed(&world, &token, &[("filter", "userName eq \"ana@example.com\"")]).await;
    let place = format!("{USERS}/{}", text(&ana["Resources"][0]["id"]));
    let off = json!({ "Operations": [{ "op": "replace", "path": "active", "value": false }] });
    refused(world.call(Method::PATCH, &place, &token, &off).await, 400, Some("mutability"));
    refused(world.call(Method::DELETE, &place, &token, &json!({})).await, 400, Some("mutability"));
    let eve = json!({ "userName": "eve@example.com", "role": "admin", "roles": [{ "value": "admin" }] });
    user(&world, &token, &eve).await;
    let people: Value = world.get("/v1/users", &org.token).await.json(200);
    let eve = people.as_array().unwrap().iter().find(|one| one["email"] == "eve@example.com").unwrap();
    assert_eq!(eve["role"], "member");
    for bad in [
        "{",
        "[]",
        "{}",
        "{\"userName\":1}",
        "{\"userName\":\"no address\"}",
        "{\"userName\":\"a\\u0000@x\"}",
    ] {
        let answer = world.send(Method::POST, USERS, &token, bad.into()).await;
        assert_eq!(answer.status.as_u16(), 400, "{bad}: {}", answer.text());
    }
    let twice = json!({ "userName": "ANA@example.com", "emails": [{ "value": "other@example.com" }] });
    refused(world.call(Method::POST, USERS, &token, &twice).await, 409, Some("uniqueness"));
    let mine = json!({ "userName": "other", "emails": [{ "value": "Ana@Example.com" }] });
    refused(world.call(Method::POST, USERS, &token, &mine).await, 409, Some("uniqueness"));
}

pub(crate) async fn whom_the_provider_deactivates_agents_hear_of_at_once(world: World) {
    let org = world.bootstrap().await;
    let token = world.scim(&org).await;
    let sam = user(&world, &token, &json!({ "userName": "sam@example.com" })).await;
    let wanted = json!({ "name": "x", "email": "sam@example.com" });
    let api: Value = world.call(Method::POST, "/v1/tokens", &org.token, &wanted).await.json(201);
    let api = text(&api["token"]).to_owned();
    let agent = world.agent(&org, "shop").await;
    let mut peer = Peer::greeted(&world, &agent).await;
    let is_off = |message: &ToAgent| match message {
        ToAgent::DirectoryUpdate { users, .. } => {
            users.iter().any(|one| one.id == text(&sam["id"]) && one.disabled)
        }
        _ => false,
    };
    loop {
        if let ToAgent::DirectoryUpdate { users, .. } = peer.hear().await {
            assert!(users.iter().any(|one| one.id == text(&sam["id"]) && !one.disabled));
            break;
        }
    }
    let began = Instant::now();
    let off = json!({ "Operations": [{ "op": "Replace", "path": "active", "value": "False" }] });
    let place = format!("{USERS}/{}", text(&sam["id"]));
    world.call(Method::PATCH, &place, &token, &off).await.ok(200);
    while !is_off(&peer.hear().await) {}
    let took = began.elapsed();
    let told = format!("from deactivation to the agent: {took:?}\n");
    std::io::stdout().write_all(told.as_bytes()).unwrap();
    // Sooner than anything that merely looks again from time to time.
    assert!(took < Duration::from_secs(4), "{took:?}");
    world.get("/v1/whoami", &api).await.refused(401, "auth.required");
}

async fn tester(world: &World, org: &Org) -> String {
    let token = world.scim(org).await;
    let output = python("scim2")
        .args(["-u", &format!("http://{}/scim/v2", world.server.address()), "test"])
        .env("SCIM_CLI_HEADERS", format!("Authorization: Bearer {token}"))
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[tokio::test]
async fn the_protocols_own_tester_finds_nothing() {
    let world = World::start(None).await;
    let org = world.bootstrap().await;
    let said = tester(&world, &org).await;
    let passed = said.matches("SUCCESS").count();
    assert!(passed > 60, "{said}");
    for bad in ["ERROR", "CRITICAL", "DEVIATION"] {
        assert!(!said.contains(bad), "{said}");
    }
}

/// Filters over `people`.
const FILTERS: [&str; 36] = [
    r#"userName eq "ana@example.org""#,
    r#"userName eq "ANA@EXAMPLE.ORG""#,
    r#"userName ne "ana@example.org""#,
    r#"userName co "example.org""#,
    r#"userName sw "b""#,
    r#"userName ew ".net""#,
    r#"userName gt "bo""#,
    r#"userName ge "bo@example.net""#,
    r#"userName lt "bo""#,
    r#"userName le "bo@example.net""#,
    "title pr",
    "not (title pr)",
    r#"title eq "dba""#,
    r#"title eq "DBA""#,
    "active eq true",
    "active eq false",
    "active ne true",
    r#"name.familyName eq "Smith""#,
    r#"name.familyName co "mi""#,
    "name pr",
    "name.givenName pr",
    r#"displayName eq "O'Neill \"Ann\"""#,
    r#"externalId eq "X1""#,
    r#"externalId eq "x1""#,
    r#"emails.value eq "ana@example.org""#,
    r#"emails.type eq "home""#,
    r#"emails[type eq "work"]"#,
    r#"emails[type eq "work" and value co "net"]"#,
    r#"emails[type eq "home" and value co "net"]"#,
    r#"emails[not (type eq "work")]"#,
    r#"active eq true and title eq "dba""#,
    r#"active eq false or title eq "dba""#,
    r#"title eq "dba" or active eq false and userName sw "c""#,
    r#"(title eq "dba" or active eq false) and userName sw "c""#,
    r#"not (active eq true and title eq "dba")"#,
    r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "c""#,
];

fn people() -> [Value; 4] {
    let ana = json!({ "userName": "ana@example.org", "active": true, "title": "dba", "externalId": "X1",
        "displayName": "O'Neill \"Ann\"", "name": { "familyName": "Smith", "givenName": "Ana" },
        "emails": [{ "value": "ana@example.org", "type": "work", "primary": true }, { "value": "a@home.net", "type": "home" }] });
    let bo = json!({ "userName": "bo@example.net", "active": false, "name": { "familyName": "smith" },
        "emails": [{ "value": "bo@example.net", "type": "work" }] });
    let cy = json!({ "userName": "cy@example.org", "active": true, "title": "cto",
        "emails": [{ "value": "cy@home.org", "type": "home" }] });
    let di = json!({ "userName": "cynthia@example.org", "active": false, "title": "DBA",
        "emails": [{ "value": "di@example.net", "type": "work" }] });
    [ana, bo, cy, di]
}

/// Whom a server finds.
async fn whom(server: &str, token: &str, filter: &str) -> (u16, Vec<String>) {
    let http = reqwest::Client::new();
    let answer = http
        .get(format!("{server}/Users"))
        .query(&[("filter", filter)])
        .bearer_auth(token)
        .send()
        .await
        .unwrap();
    let status = answer.status().as_u16();
    let list: Value = answer.json().await.unwrap();
    let found = list["Resources"].as_array().cloned().unwrap_or_default();
    let mut names: Vec<String> = found.iter().map(|user| text(&user["userName"]).to_owned()).collect();
    names.sort();
    (status, names)
}

#[tokio::test]
async fn filters_find_what_another_server_finds() {
    let world = World::start(None).await;
    let org = world.bootstrap().await;
    let token = world.scim(&org).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let _other = python("scim2-server")
        .args(["--port", &port, "--bearer-token", "t"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let theirs = format!("http://127.0.0.1:{port}/v2");
    let http = reqwest::Client::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    while http.get(format!("{theirs}/Schemas")).bearer_auth("t").send().await.is_err() {
        assert!(Instant::now() < deadline, "the other server does not answer");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let ours = format!("http://{}/scim/v2", world.server.address());
    // Whoever is there already would be found by ours alone.
    let ana = json!({ "role": "auditor", "groups": [], "attributes": {} });
    world.call(Method::PUT, "/v1/users/zz@admin.test", &org.token, &ana).await.ok(200);
    for person in people() {
        user(&world, &token, &person).await;
        let mut body = person.clone();
        body["schemas"] = json!(["urn:ietf:params:scim:schemas:core:2.0:User"]);
        let request = http.post(format!("{theirs}/Users")).bearer_auth("t");
        let made = request
            .header("content-type", "application/scim+json")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(made.status().as_u16(), 201, "{}", made.text().await.unwrap());
    }
    let mut different = Vec::new();
    for filter in FILTERS {
        let (status, mut found) = whom(&ours, &token, filter).await;
        found.retain(|name| name != "ana@example.com" && name != "zz@admin.test");
        let other = whom(&theirs, "t", filter).await;
        if (status, found.clone()) != other {
            different.push(format!("{filter}: {status} {found:?}, there {other:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
