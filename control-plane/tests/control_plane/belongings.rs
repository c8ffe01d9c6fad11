//! An organization that has one of everything, so that somebody else's reach for it is for something that is there.

use crate::passkeys::key_of;
use crate::requests::{Shop, ask, oncall};
use crate::sso::{Idp, callback, provider, round_trip, rules};
use crate::world::{Org, World};
use crate::{saml, workloads};
use daam_api::v1::LinkCreated;
use daam_control_plane::routes::{Route, Surface, table};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) struct Belongings {
    pub(crate) org: Org,
    /// A browser of its first admin.
    pub(crate) ana: String,
    /// By the noun that comes before `{id}` in a path.
    ids: BTreeMap<&'static str, String>,
}

/// What nobody else may read: of people, databases, and whatever they called something.
const NAMES: [&str; 8] = [
    "ana@example.com",
    "eli@example.com",
    "mallory@example.com",
    "gus@example.com",
    "hook-of-ours",
    "token-of-ours",
    "INC-1: orders stuck",
    "collector-of-ours",
];

async fn made(world: &World, org: &Org, (path, body): (&str, Value)) -> String {
    let made: Value = world.call(Method::POST, path, &org.token, &body).await.json(201);
    made["id"].as_str().unwrap().to_owned()
}

/// The first id that a page has between these two.
async fn on_page(world: &World, (page, before, after): (&str, &str, &str), session: &str) -> String {
    let text = world.look(page, session).await.ok(200).text();
    let mut parts = text.split(before).filter_map(|part| part.split_once(after));
    parts.next().unwrap_or_else(|| panic!("{page}: {text}")).0.to_owned()
}

impl Belongings {
    pub(crate) async fn gather(world: &World) -> Self {
        let Shop { org, agent, eli, .. } = Shop::open(world).await;
        let mut idp = Idp::start("hostile.mjs", &[]).await;
        idp.lie("nothing").await;
        let oidc = provider(world, &org, &idp.issuer, rules()).await.id;
        let (path, flow) = round_trip(world, &oidc, "").await;
        callback(world, &path, &flow).await.cookie();
        let metadata = saml::SamlIdp::hostile().await.metadata;
        let trust = workloads::trusted(world, &org, &idp.issuer, &json!({})).await;
        let invite = json!({ "email": "gus@example.com" });
        let invite: LinkCreated =
            world.call(Method::POST, "/v1/invites", &org.token, &invite).await.json(201);
        let export = json!({ "endpoint": "https://collector-of-ours.example/v1/logs" });
        world.call(Method::PUT, "/v1/audit/otlp", &org.token, &export).await.ok(200);
        let hook = json!({ "name": "hook-of-ours", "url": "https://hooks.example/x" });
        let ana = world.sign_in(&org.link).await;
        key_of(world, &ana).await;
        // Made when it is first asked for.
        world.get("/v1/audit/key", &org.token).await.ok(200);
        let ana = world.sign_in(&world.recover(&org, "ana@example.com").await).await;
        let ids = BTreeMap::from([
            ("agents", agent.id),
            ("relays", world.relay(&org).await.id),
            ("identity-links", oidc.clone()),
            ("links", oidc.clone()),
            ("oidc", oidc.clone()),
            ("identity-providers", oidc),
            ("workloads", trust.id),
            ("invites", invite.id.unwrap()),
            ("webhooks", made(world, &org, ("/v1/webhooks", hook)).await),
            ("scim", made(world, &org, ("/v1/scim-tokens", json!({ "name": "token-of-ours" }))).await),
            ("tokens", made(world, &org, ("/v1/tokens", json!({ "name": "token-of-ours" }))).await),
            ("requests", ask(world, &eli, &oncall()).await.id),
            ("passkeys", on_page(world, ("/passkeys", "/passkeys/", "/remove"), &ana).await),
            ("sessions", on_page(world, ("/account", "/account/sessions/", "/end"), &ana).await),
            ("saml-providers", saml::provider(world, &org, &metadata).await.id),
        ]);
        Self { org, ana, ids }
    }

    /// The path of a route, to something of this organization.
    pub(crate) fn path(&self, route: &Route) -> String {
        let mut path =
            route.path.replace("{db}", "shop").replace("{policy}", "oncall").replace("{version}", "1");
        let linked = path.contains("/links/") || path.contains("/identity-links/");
        path = path.replace("{email}", if linked { "mallory@example.com" } else { "eli@example.com" });
        let Some((before, after)) = path.split_once("{id}") else { return path };
        let noun = before.trim_end_matches('/').rsplit('/').next().unwrap();
        let noun = match noun {
            "scim-tokens" => "scim",
            "saml" => "saml-providers",
            "providers" if after == "/metadata" => "saml-providers",
            "providers" => "identity-providers",
            noun => noun,
        };
        let id = self.ids.get(noun).unwrap_or_else(|| panic!("{}: ours has no {noun}", route.path));
        format!("{before}{id}{after}")
    }

    /// What of it `text` says, except what was asked by.
    pub(crate) fn shown<'a>(&'a self, text: &str, asked: &str) -> Vec<&'a str> {
        let ids = self.ids.values().map(String::as_str);
        let names = NAMES.into_iter().chain(ids).chain([self.org.slug.as_str(), &self.org.admin_id]);
        names.filter(|name| !asked.contains(name) && text.contains(name)).collect()
    }

    /// Everything its admin can read without naming something: nothing of it changes by another's hand.
    pub(crate) async fn everything(&self, world: &World) -> BTreeMap<&'static str, String> {
        let mut all = BTreeMap::new();
        for route in
            table().into_iter().filter(|route| route.surface == Surface::Api && route.method == "GET")
        {
            if !route.path.contains('{') && !ASIDE.contains(&route.path) {
                let said = world.get(route.path, &self.org.token).await.ok(200);
                let mut said: Value =
                    serde_json::from_slice(&said.body).unwrap_or_else(|_| said.text().into());
                let things = said.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut);
                things.for_each(|thing| thing.retain(|name, _| name != "undelivered" && name != "failure"));
                all.insert(route.path, said.to_string());
            }
        }
        for what in
            ["agents", "relays", "webhooks", "scim", "tokens", "requests", "workloads", "saml-providers"]
        {
            let id = &self.ids[what];
            assert!(all.values().any(|said| said.contains(id)), "{what} of ours is in no list: {all:?}");
        }
        all
    }
}

/// Nothing of an organization; what is written by being read; how far the sending of something got.
const ASIDE: [&str; 10] = [
    "/healthz",
    "/readyz",
    "/v1/openapi.json",
    "/v1/agent/link",
    "/v1/freshness-key",
    "/v1/audit/export",
    "/v1/connections/export",
    "/v1/audit/log",
    "/v1/audit/checkpoints",
    "/v1/audit/otlp",
];
