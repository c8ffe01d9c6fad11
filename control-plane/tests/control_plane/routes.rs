//! The route table, walked: strangers, wrong roles, wrong tenants.

use crate::world::{Answer, Org, World};
use daam_control_plane::guard::Who;
use daam_control_plane::routes::{Route, table};
use reqwest::Method;
use serde_json::json;

/// One token of every kind, by what it is.
struct Tokens {
    admin: String,
    member: String,
    agent: String,
    relay: String,
    enrolment: String,
}

async fn tokens(world: &World, org: &Org) -> Tokens {
    Tokens {
        admin: org.token.clone(),
        member: world.member(org, "bo@example.com").await,
        agent: world.agent(org, "shop").await.link_token,
        relay: world.relay(org).await.link_token,
        enrolment: world.enrolment(org, &json!({ "kind": "relay" })).await,
    }
}

impl Tokens {
    /// Tokens that are valid but not for this route.
    fn wrong(&self, who: Who) -> Vec<&str> {
        let Self { admin, member, agent, relay, enrolment } = self;
        match who {
            Who::Anyone => vec![],
            Who::Operator => vec![admin, member, agent, relay, enrolment],
            Who::Enrolment => vec![admin, member, agent, relay],
            Who::AnyToken => vec![enrolment],
            Who::User => vec![agent, relay, enrolment],
            Who::Admin => vec![member, agent, relay, enrolment],
            Who::Agent => vec![admin, member, relay, enrolment],
            Who::Relay => vec![admin, member, agent, enrolment],
        }
    }
}

async fn visit(world: &World, route: &Route, path: &str, token: Option<&str>) -> Answer {
    let mut request = world.request(route.method.parse().unwrap(), path);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    Answer::of(request.body("{}")).await
}

fn filled(route: &Route) -> String {
    route.path.replace("{db}", "shop").replace("{email}", "bo@example.com").replace("{id}", "some-id")
}

pub(crate) async fn every_route_refuses_strangers_and_wrong_roles(world: World) {
    let org = world.bootstrap().await;
    let tokens = tokens(&world, &org).await;
    let mut walked = 0;
    for route in table() {
        let path = filled(&route);
        if route.who == Who::Anyone {
            visit(&world, &route, &path, None).await.ok(200);
            continue;
        }
        visit(&world, &route, &path, None).await.refused(401, "auth.required");
        for stranger in ["", "nonsense", "daam_pat_nonsense", "daam_agt_nonsense", "daam_boot_nonsense"] {
            visit(&world, &route, &path, Some(stranger)).await.refused(401, "auth.required");
        }
        // A token in the query is no token.
        let query = format!("{path}?access_token={}", tokens.admin);
        visit(&world, &route, &query, None).await.refused(401, "auth.required");
        let wrong = tokens.wrong(route.who);
        assert!(!wrong.is_empty(), "{route:?} has no wrong-role case");
        for token in wrong {
            visit(&world, &route, &path, Some(token)).await.refused(403, "auth.wrong-role");
        }
        walked += 1;
    }
    assert!(walked >= 20, "only {walked}");
    world.get("/v1/nothing", &org.token).await.refused(404, "route.unknown");
    let patch = world.request(Method::PATCH, "/v1/trust").bearer_auth(&org.token);
    Answer::of(patch).await.refused(405, "route.method");
}

/// What another organization's token gets for this organization's things: not found, or nothing.
pub(crate) async fn every_route_keeps_tenants_apart(world: World) {
    let ours = world.bootstrap().await;
    let theirs = world.organization("eve@evil.example").await;
    world.agent(&ours, "shop").await;
    let token = world.call(Method::POST, "/v1/tokens", &ours.token, &json!({ "name": "ci" })).await;
    let token_id = token.json::<serde_json::Value>(201)["id"].as_str().unwrap().to_owned();
    crate::bundles::publish_first(&world, &ours).await;
    let their_agent = world.agent(&theirs, "other").await;
    let eve = &theirs.token;
    let mut covered = Vec::new();
    for route in table() {
        let path = filled(&route).replace("some-id", &token_id);
        let name = format!("{} {}", route.method, route.path);
        match name.as_str() {
            "DELETE /v1/tokens/{id}" => {
                drop(visit(&world, &route, &path, Some(eve)).await.refused(404, "token.unknown"))
            }
            "GET /v1/databases/{db}/bundle" => {
                visit(&world, &route, &path, Some(eve)).await.refused(404, "bundle.missing");
                visit(&world, &route, &path, Some(&their_agent.link_token))
                    .await
                    .refused(404, "bundle.missing");
            }
            "GET /v1/databases/{db}/schema" => {
                drop(visit(&world, &route, &path, Some(eve)).await.refused(404, "schema.unknown"))
            }
            "POST /v1/databases/{db}/connect" => {
                drop(visit(&world, &route, &path, Some(eve)).await.refused(404, "database.unknown"))
            }
            "PUT /v1/databases/{db}/bundle" => {
                let path = format!("{path}?expect_head=0");
                visit(&world, &route, &path, Some(eve)).await.refused(404, "trust.missing");
            }
            "GET /v1/trust" => {
                drop(visit(&world, &route, &path, Some(eve)).await.refused(404, "trust.missing"))
            }
            "GET /v1/users" | "GET /v1/agents" | "GET /v1/databases" | "GET /v1/ca" | "GET /v1/whoami" => {
                let seen = visit(&world, &route, &path, Some(eve)).await.ok(200).text();
                for foreign in ["ana@example.com", "shop", &ours.slug, &ours.admin_id] {
                    assert!(!seen.contains(foreign), "{name} shows {foreign}: {seen}");
                }
            }
            // These act in the caller's own organization only, whatever the path says; their effect is checked below.
            "PUT /v1/users/{email}"
            | "PUT /v1/trust"
            | "POST /v1/tokens"
            | "POST /v1/enrolment-tokens"
            | "POST /v1/enrol"
            | "POST /v1/certificates"
            | "POST /v1/agent/certificate"
            | "GET /v1/agent/link"
            | "PUT /v1/relay/address"
            | "POST /v1/bootstrap"
            | "GET /healthz" => {}
            other => panic!("{other} has no wrong-tenant case"),
        }
        covered.push(name);
    }
    assert_eq!(covered.len(), table().len());
    world.put_user(&theirs, "ana@example.com", true).await;
    world.get("/v1/whoami", &ours.token).await.ok(200);
    let for_ana = json!({ "name": "x", "email": "bo@example.com" });
    world.call(Method::POST, "/v1/tokens", eve, &for_ana).await.refused(404, "user.unknown");
}

pub(crate) async fn bodies_are_bounded_and_strict(world: World) {
    let org = world.bootstrap().await;
    let large = world.send(Method::POST, "/v1/tokens", &org.token, vec![b' '; 70_000]).await;
    large.refused(413, "request.too-large");
    for body in ["", "[]", "{\"name\":\"x\",\"nmae\":1}", "{\"name\":1}", "\u{0}"] {
        let told = world
            .send(Method::POST, "/v1/tokens", &org.token, body.into())
            .await
            .refused(400, "request.malformed");
        assert!(!told.contains("NewToken"), "{told}");
    }
    for expires_in in [0_u64, u64::MAX] {
        let request = json!({ "name": "x", "expires_in": expires_in });
        world.call(Method::POST, "/v1/tokens", &org.token, &request).await.refused(400, "request.expiry");
    }
}
