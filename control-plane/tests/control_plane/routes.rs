//! The route table, walked: strangers, wrong roles, wrong tenants.

use crate::belongings::Belongings;
use crate::world::{Answer, Org, World};
use daam_control_plane::guard::Who;
use daam_control_plane::routes::{Route, Surface, table};
use reqwest::Method;
use serde_json::json;

/// One token of every kind, by what it is.
pub(crate) struct Tokens {
    pub(crate) admin: String,
    pub(crate) member: String,
    pub(crate) approver: String,
    pub(crate) auditor: String,
    agent: String,
    relay: String,
    enrolment: String,
    scim: String,
}

pub(crate) async fn tokens(world: &World, org: &Org) -> Tokens {
    Tokens {
        admin: org.token.clone(),
        member: world.member(org, "bo@example.com").await,
        approver: world.in_role(org, "di@example.com", "approver").await,
        auditor: world.in_role(org, "cy@example.com", "auditor").await,
        agent: world.agent(org, "shop").await.link_token,
        relay: world.relay(org).await.link_token,
        enrolment: world.enrolment(org, &json!({ "kind": "relay" })).await,
        scim: world.scim(org).await,
    }
}

impl Tokens {
    /// Tokens that are valid but not for this route.
    pub(crate) fn wrong(&self, who: Who) -> Vec<&str> {
        let Self { admin, member, approver, auditor, agent, relay, enrolment, scim } = self;
        match who {
            Who::Anyone => vec![],
            Who::Operator => vec![admin, member, approver, auditor, agent, relay, enrolment, scim],
            Who::Enrolment => vec![admin, member, approver, auditor, agent, relay, scim],
            Who::AnyToken => vec![enrolment, scim],
            Who::Reader => vec![relay, enrolment, scim],
            Who::User => vec![agent, relay, enrolment, scim],
            Who::Overseer => vec![member, approver, agent, relay, enrolment, scim],
            Who::Admin => vec![member, approver, auditor, agent, relay, enrolment, scim],
            Who::Agent => vec![admin, member, approver, auditor, relay, enrolment, scim],
            Who::Relay => vec![admin, member, approver, auditor, agent, enrolment, scim],
            Who::Scim => vec![admin, member, approver, auditor, agent, relay, enrolment],
        }
    }

    /// Tokens that are for this route.
    fn right(&self, who: Who) -> Vec<&str> {
        let Self { admin, member, approver, auditor, agent, relay, enrolment: _, scim } = self;
        match who {
            Who::Anyone | Who::Operator | Who::Enrolment => vec![],
            Who::AnyToken => vec![admin, member, approver, auditor, agent, relay],
            Who::Reader => vec![admin, member, approver, auditor, agent],
            Who::User => vec![admin, member, approver, auditor],
            Who::Overseer => vec![admin, auditor],
            Who::Admin => vec![admin],
            Who::Agent => vec![agent],
            Who::Relay => vec![relay],
            Who::Scim => vec![scim],
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

pub(crate) fn filled(route: &Route) -> String {
    route
        .path
        .replace("{db}", "shop")
        .replace("{email}", "bo@example.com")
        .replace("{id}", "some-id")
        .replace("{version}", "1")
        .replace("{policy}", "some-policy")
        .replace("{secret}", "daam_sgn_nonsense")
}

pub(crate) async fn every_route_refuses_strangers_and_wrong_roles(world: World) {
    let org = world.bootstrap().await;
    let tokens = tokens(&world, &org).await;
    let mut walked = 0;
    for route in table().into_iter().filter(|route| route.surface == Surface::Api) {
        let path = filled(&route);
        if route.who == Who::Anyone {
            // Open doors of sign-ins refuse what says nothing.
            let expected = if route.method == "GET" { 200 } else { 400 };
            visit(&world, &route, &path, None).await.ok(expected);
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
        // Whom the guard admits, the handler knows.
        if route.method == "GET" {
            for token in tokens.right(route.who) {
                let answer = visit(&world, &route, &path, Some(token)).await;
                assert!(!answer.status.is_server_error(), "{route:?}: {}", answer.text());
                assert_ne!(answer.status.as_u16(), 403, "{route:?}: {}", answer.text());
            }
        }
        walked += 1;
    }
    assert!(walked >= 20, "only {walked}");
    world.get("/v1/nothing", &org.token).await.refused(404, "route.unknown");
    let patch = world.request(Method::PATCH, "/v1/trust").bearer_auth(&org.token);
    Answer::of(patch).await.refused(405, "route.method");
}

/// What another organization's token must get for this organization's things.
enum Foreign {
    /// Not found, with this code: as if it did not exist.
    Missing(&'static str),
    /// An answer that names nothing of this organization.
    Silent,
    /// The route acts in the caller's own organization only, whatever its path and body say.
    Own,
}

/// Of what came with requests, providers and authorities.
fn foreign_request(route: &Route) -> Option<Foreign> {
    Some(match (route.method, route.path) {
        ("GET", "/v1/databases/{db}/requestable") => Foreign::Missing("database.unknown"),
        ("DELETE", "/v1/users/{email}/identity-links/{id}") => Foreign::Missing("link.unknown"),
        ("DELETE", "/v1/identity-providers/{id}") | ("PUT", "/v1/saml-providers/{id}") => {
            Foreign::Missing("provider.unknown")
        }
        ("DELETE", "/v1/workloads/{id}") => Foreign::Missing("workload.unknown"),
        ("DELETE", "/v1/webhooks/{id}") => Foreign::Missing("webhook.unknown"),
        ("GET", "/v1/requests" | "/v1/webhooks" | "/v1/workloads" | "/v1/authorities") => Foreign::Silent,
        ("GET" | "DELETE", "/v1/audit/otlp") => Foreign::Missing("audit.otlp-unknown"),
        ("PUT", "/v1/audit/otlp")
        | (
            "POST",
            "/v1/requests"
            | "/v1/webhooks"
            | "/v1/workloads"
            | "/v1/saml-providers"
            | "/v1/authorities"
            | "/v1/authorities/retire",
        ) => Foreign::Own,
        (_, path) if path.starts_with("/v1/requests/") => Foreign::Missing("request.unknown"),
        _ => return None,
    })
}

/// Read by whoever asks, or about whoever asks.
const OF_NOBODY: [&str; 5] =
    ["/v1/agent/link", "/healthz", "/readyz", "/v1/openapi.json", "/v1/freshness-key"];

/// Of what happened.
fn is_record(path: &str) -> bool {
    path.starts_with("/v1/audit") || path.starts_with("/v1/connections")
}

fn foreign(route: &Route) -> Foreign {
    if let Some(answer) = foreign_request(route) {
        return answer;
    }
    match (route.method, route.path) {
        ("GET", path) if OF_NOBODY.contains(&path) => Foreign::Own,
        ("DELETE", "/v1/tokens/{id}") => Foreign::Missing("token.unknown"),
        ("GET", "/v1/databases/{db}/bundle") => Foreign::Missing("bundle.missing"),
        ("DELETE", "/v1/scim-tokens/{id}") => Foreign::Missing("scim-token.unknown"),
        ("DELETE", "/v1/invites/{id}") => Foreign::Missing("invite.unknown"),
        ("DELETE", "/v1/relays/{id}") => Foreign::Missing("relay.unknown"),
        ("DELETE", "/v1/agents/{id}") => Foreign::Missing("agent.unknown"),
        ("GET", "/v1/databases/{db}/schema") => Foreign::Missing("schema.unknown"),
        ("POST", "/v1/databases/{db}/connect") => Foreign::Missing("database.unknown"),
        ("PUT", "/v1/databases/{db}/bundle") | ("GET", "/v1/trust" | "/v1/trust/{version}") => {
            Foreign::Missing("trust.missing")
        }
        ("GET", path) if is_record(path) => Foreign::Silent,
        (
            "GET",
            "/v1/users"
            | "/v1/tokens"
            | "/v1/invites"
            | "/v1/scim-tokens"
            | "/v1/identity-providers"
            | "/v1/identity-links"
            | "/v1/agents"
            | "/v1/agents/{id}/audit"
            | "/v1/relays"
            | "/v1/databases"
            | "/v1/ca"
            | "/v1/whoami",
        ) => Foreign::Silent,
        (
            "PUT",
            "/v1/audit/retention"
            | "/v1/users/{email}"
            | "/v1/trust"
            | "/v1/relay/address"
            | "/v1/sign-in-policy",
        )
        | (
            "POST",
            "/v1/tokens"
            | "/v1/audit/checkpoints"
            | "/v1/scim-tokens"
            | "/v1/invites"
            | "/v1/console-link"
            | "/v1/identity-providers"
            | "/v1/identity-providers/{id}/backchannel-logout"
            | "/v1/workloads/{id}/token"
            | "/v1/sign-in/device"
            | "/v1/sign-in/fetch"
            | "/v1/enrolment-tokens"
            | "/v1/enrol"
            | "/v1/bootstrap"
            | "/v1/certificates"
            | "/v1/agent/certificate",
        ) => Foreign::Own,
        (method, path) => panic!("{method} {path} has no wrong-tenant case"),
    }
}

pub(crate) async fn every_route_keeps_tenants_apart(world: World) {
    let world = world.of_today().await;
    let had = Belongings::gather(&world).await;
    let ours = had.org.clone();
    let theirs = world.organization("eve@evil.example").await;
    let before = had.everything(&world).await;
    let eve = &theirs.token;
    for route in table().into_iter().filter(|route| route.surface == Surface::Api) {
        let publishes = route.method == "PUT" && route.path.ends_with("/bundle");
        let query = if publishes { "?expect_head=1" } else { "" };
        let path = had.path(&route) + query;
        match foreign(&route) {
            Foreign::Missing(code) => {
                visit(&world, &route, &path, Some(eve)).await.refused(404, code);
            }
            Foreign::Silent => {
                let seen = visit(&world, &route, &path, Some(eve)).await.ok(200).text();
                assert_eq!(had.shown(&seen, &path), [""; 0], "{route:?}: {seen}");
            }
            Foreign::Own => {
                let seen = visit(&world, &route, &path, Some(eve)).await.text();
                assert_eq!(had.shown(&seen, &path), [""; 0], "{route:?}: {seen}");
            }
        }
    }
    for (path, now) in had.everything(&world).await {
        assert_eq!(Some(&now), before.get(path), "{path} changed");
    }
    // An agent reads its own database's bundle, not one of the same name elsewhere, nor another of its own organization.
    for (org, database) in [(&theirs, "shop"), (&ours, "till")] {
        let link = world.agent(org, database).await.link_token;
        world.get("/v1/databases/shop/bundle", &link).await.refused(404, "bundle.missing");
    }
    world.put_user(&theirs, "ana@example.com", true).await;
    world.get("/v1/whoami", &ours.token).await.ok(200);
    world.put_user(&ours, "bo@example.com", false).await;
    let for_bo = json!({ "name": "x", "email": "bo@example.com" });
    world.call(Method::POST, "/v1/tokens", eve, &for_bo).await.refused(404, "user.unknown");
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
    for path in ["/v1/databases/a%00b/schema", "/v1/databases/a%00b/bundle", "/v1/databases/a%00b/connect"] {
        let method = if path.ends_with("connect") { Method::POST } else { Method::GET };
        world.call(method, path, &org.token, &json!({})).await.refused(404, "route.unknown");
    }
    let twice = r#"{"groups":[],"attributes":{"tenant":1,"tenant":2}}"#;
    let put = world.send(Method::PUT, "/v1/users/bo@example.com", &org.token, twice.into()).await;
    put.refused(400, "request.malformed");
    for expires_in in [0_u64, u64::MAX] {
        let request = json!({ "name": "x", "expires_in": expires_in });
        world.call(Method::POST, "/v1/tokens", &org.token, &request).await.refused(400, "request.expiry");
    }
}
