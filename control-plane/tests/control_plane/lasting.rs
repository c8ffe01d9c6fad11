//! Whoever comes by an admin's API token has what it gives until it ends, and nothing that stays.

use crate::world::{Answer, Org, World, path_of};
use daam_api::v1::{LinkCreated, ScimTokenCreated, Token, TokenCreated, User};
use reqwest::Method;
use serde_json::{Value, json};

const NO: &str = "auth.needs-person";

async fn users(world: &World, org: &Org) -> Vec<(String, String, bool)> {
    let users: Vec<User> = world.get("/v1/users", &org.token).await.json(200);
    users.into_iter().map(|user| (user.email, user.role, user.disabled)).collect()
}

async fn role(world: &World, session: &str, email: &str, role: &str) -> Answer {
    let path = format!("/members/{}/role", email.replace('@', "%40"));
    world.submit(&path, Some(session), &format!("role={role}")).await
}

async fn token(world: &World, by: &str, wanted: &Value) -> Answer {
    world.call(Method::POST, "/v1/tokens", by, wanted).await
}

/// Cy is an admin, Di one who is disabled, Fay one who has not joined yet, Bo a member.
async fn organization(world: &World) -> (Org, String) {
    let org = world.bootstrap().await;
    let ana = world.sign_in(&org.link).await;
    for (email, become_admin) in [("bo", false), ("cy", true), ("di", true)] {
        let email = format!("{email}@example.com");
        world.put_user(&org, &email, false).await;
        if become_admin {
            role(world, &ana, &email, "admin").await.ok(303);
        }
    }
    world.submit("/members/di%40example.com/disable", Some(&ana), "").await.ok(303);
    world.submit("/members/invite", Some(&ana), "email=fay%40example.com&role=admin").await.ok(200);
    (org, ana)
}

pub(crate) async fn an_api_token_makes_no_admin_however_it_tries(world: World) {
    let (org, ana) = organization(&world).await;
    let before = users(&world, &org).await;
    let admin =
        |disabled: bool| json!({ "role": "admin", "groups": [], "attributes": {}, "disabled": disabled });
    let kept = json!({ "groups": [], "attributes": {}, "disabled": false });
    let invite = |email: &str, more: Value| {
        let mut wanted = json!({ "email": email });
        for (name, value) in more.as_object().unwrap() {
            wanted[name] = value.clone();
        }
        wanted
    };
    // A program's token is a token, whoever let it in.
    let program = crate::passkeys::program(&world, &ana).await;
    for by in [&org.token, &program] {
        for (method, path, body) in [
            (Method::PUT, "/v1/users/bo@example.com", admin(false)),
            (Method::PUT, "/v1/users/bo@example.com", admin(true)),
            (Method::PUT, "/v1/users/new@example.com", admin(false)),
            (Method::PUT, "/v1/users/di@example.com", admin(false)),
            (Method::PUT, "/v1/users/di@example.com", kept.clone()),
            (Method::POST, "/v1/invites", invite("new@example.com", json!({ "role": "admin" }))),
            (Method::POST, "/v1/invites", invite("fay@example.com", json!({}))),
            (Method::POST, "/v1/invites", invite("cy@example.com", json!({ "recover": true }))),
            (Method::POST, "/v1/invites", invite("ana@example.com", json!({ "recover": true }))),
            (Method::POST, "/v1/tokens", json!({ "name": "x", "email": "cy@example.com" })),
        ] {
            let told = world.call(method, path, by, &body).await.refused(403, NO);
            assert!(told.contains("API token") && told.contains("in the console"), "{told}");
        }
    }
    // Nor does a session it began.
    let by_token = world.session(&org.token).await;
    for (path, form) in [
        ("/members/bo%40example.com/role", "role=admin"),
        ("/members/di%40example.com/enable", ""),
        ("/members/invite", "email=new%40example.com&role=admin"),
        ("/members/invite", "email=fay%40example.com&role=member"),
        ("/members/invite", "email=cy%40example.com&role=member&recover=yes"),
    ] {
        world.submit(path, Some(&by_token), form).await.page_refused(403, NO);
    }
    assert_eq!(users(&world, &org).await, before, "nothing of it was done");
    // Other roles it manages as before.
    let fine = json!({ "role": "approver", "groups": ["dba"], "attributes": {}, "disabled": false });
    world.call(Method::PUT, "/v1/users/bo@example.com", &org.token, &fine).await.ok(200);
    world.call(Method::PUT, "/v1/users/cy@example.com", &org.token, &admin(false)).await.ok(200);
    let made = invite("gus@example.com", json!({ "role": "auditor" }));
    world.call(Method::POST, "/v1/invites", &org.token, &made).await.ok(201);
    // And a person everything.
    for (path, form) in [
        ("/members/bo%40example.com/role", "role=admin"),
        ("/members/di%40example.com/enable", ""),
        ("/members/invite", "email=fay%40example.com&role=member"),
        ("/members/invite", "email=cy%40example.com&role=member&recover=yes"),
        ("/tokens", "name=x&days=300&email=cy%40example.com"),
    ] {
        let done = world.submit(path, Some(&ana), form).await;
        assert!(matches!(done.status.as_u16(), 200 | 303), "{path}: {}", done.text());
    }
}

pub(crate) async fn what_was_made_for_less_is_not_an_admins(world: World) {
    let (org, ana) = organization(&world).await;
    // A token lives no longer than the one it was made with, for whomever it is.
    let short: TokenCreated =
        token(&world, &org.token, &json!({ "name": "leaked", "expires_in": 3600 })).await.json(201);
    for wanted in [
        json!({ "name": "x", "expires_in": 3601 }),
        json!({ "name": "x", "expires_in": 3601, "email": "bo@example.com" }),
    ] {
        token(&world, &short.token, &wanted).await.refused(400, "request.expiry");
    }
    let child: TokenCreated = token(&world, &short.token, &json!({ "name": "x" })).await.json(201);
    assert_eq!(child.expires_at, short.expires_at);
    let session = world.session(&short.token).await;
    world.submit("/tokens", Some(&session), "name=x&days=1").await.page_refused(400, "request.expiry");
    // What it made for a member does not become an admin's when the member does.
    let of_bo: TokenCreated =
        token(&world, &short.token, &json!({ "name": "x", "email": "bo@example.com" })).await.json(201);
    let invite = json!({ "email": "bo@example.com" });
    let invite: LinkCreated = world.call(Method::POST, "/v1/invites", &short.token, &invite).await.json(201);
    role(&world, &ana, "bo@example.com", "approver").await.ok(303);
    world.get("/v1/whoami", &of_bo.token).await.ok(200);
    role(&world, &ana, "bo@example.com", "admin").await.ok(303);
    world.get("/v1/whoami", &of_bo.token).await.refused(401, "auth.required");
    world.submit(path_of(&invite.link), None, "").await.ok(404);
    // With its end everything is as it was: nothing of it is left but what a person made.
    world.pass(3600);
    for ended in [&short.token, &child.token] {
        world.get("/v1/whoami", ended).await.refused(401, "auth.required");
    }
    let tokens: Vec<Token> = world.get("/v1/tokens", &org.token).await.json(200);
    assert_eq!(tokens.len(), 1, "{tokens:?}");
}

pub(crate) async fn a_scim_token_is_what_made_it(world: World) {
    let (org, ana) = organization(&world).await;
    let short: TokenCreated =
        token(&world, &org.token, &json!({ "name": "leaked", "expires_in": 3600 })).await.json(201);
    let ask = async |wanted: Value| world.call(Method::POST, "/v1/scim-tokens", &short.token, &wanted).await;
    ask(json!({ "name": "idp", "expires_in": 3601 })).await.refused(400, "request.expiry");
    let made: ScimTokenCreated = ask(json!({ "name": "idp" })).await.json(201);
    assert_eq!(made.expires_at, short.expires_at);
    let page = world.submit("/scim", Some(&ana), "name=idp&days=366").await.ok(200).text();
    let lasting = page.split(['<', '>']).find(|text| text.starts_with("daam_scm_")).unwrap().to_owned();
    let found: Value =
        world.get("/scim/v2/Users?filter=userName%20eq%20%22cy@example.com%22", &lasting).await.json(200);
    let place = format!("/scim/v2/Users/{}", found["Resources"][0]["id"].as_str().unwrap());
    let active =
        |active: bool| json!({ "Operations": [{ "op": "replace", "path": "active", "value": active }] });
    let said = async |by: &str, on: bool| world.call(Method::PATCH, &place, by, &active(on)).await;
    // Whoever was an admin and was disabled by provisioning does not come back by it.
    said(&made.token, false).await.ok(200);
    let told = said(&made.token, true).await.ok(403).text();
    assert!(told.contains("cannot make an admin"), "{told}");
    assert_eq!(said(&lasting, true).await.json::<Value>(200)["active"], true);
    // And it ends with the token it was made with.
    let tokens: Vec<Token> = world.get("/v1/tokens", &org.token).await.json(200);
    let id = &tokens.iter().find(|token| token.name == "leaked").unwrap().id;
    world.call(Method::DELETE, &format!("/v1/tokens/{id}"), &org.token, &json!({})).await.ok(204);
    assert_eq!(world.get("/scim/v2/Users", &made.token).await.status.as_u16(), 401);
    world.get("/scim/v2/Users", &lasting).await.ok(200);
}
