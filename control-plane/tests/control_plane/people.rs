//! Users and their tokens.

use crate::world::World;
use daam_api::v1::{Token, TokenCreated, User, WhoAmI};
use reqwest::Method;
use serde_json::json;

pub(crate) async fn a_token_can_be_made_used_deleted_and_expires(world: World) {
    let org = world.bootstrap().await;
    let request = json!({ "name": "ci", "expires_in": 60 });
    let made = async || -> TokenCreated {
        world.call(Method::POST, "/v1/tokens", &org.token, &request).await.json(201)
    };
    let (first, second) = (made().await, made().await);
    assert_eq!(first.expires_at, "2027-01-15T08:01:00Z");
    world.get("/v1/whoami", &first.token).await.ok(200);
    let path = format!("/v1/tokens/{}", first.id);
    world.call(Method::DELETE, &path, &org.token, &json!({})).await.ok(204);
    world.get("/v1/whoami", &first.token).await.refused(401, "auth.required");
    world.call(Method::DELETE, &path, &org.token, &json!({})).await.refused(404, "token.unknown");
    world.pass(59);
    world.get("/v1/whoami", &second.token).await.ok(200);
    world.pass(1);
    world.get("/v1/whoami", &second.token).await.refused(401, "auth.required");
}

pub(crate) async fn members_are_not_admins(world: World) {
    let org = world.bootstrap().await;
    let bo = world.member(&org, "bo@example.com").await;
    let me: WhoAmI = world.get("/v1/whoami", &bo).await.json(200);
    assert_eq!(me.role, "member");
    let for_ana = json!({ "name": "x", "email": "ana@example.com" });
    world.call(Method::POST, "/v1/tokens", &bo, &for_ana).await.refused(403, "auth.wrong-role");
    let own: TokenCreated =
        world.call(Method::POST, "/v1/tokens", &bo, &json!({ "name": "x" })).await.json(201);
    let short = json!({ "name": "ci", "expires_in": 60 });
    let short: TokenCreated = world.call(Method::POST, "/v1/tokens", &bo, &short).await.json(201);
    let longer = json!({ "name": "for ever", "expires_in": 61 });
    world.call(Method::POST, "/v1/tokens", &short.token, &longer).await.refused(400, "request.expiry");
    let child: TokenCreated =
        world.call(Method::POST, "/v1/tokens", &short.token, &json!({ "name": "child" })).await.json(201);
    assert_eq!(child.expires_at, short.expires_at);
    let hers: TokenCreated =
        world.call(Method::POST, "/v1/tokens", &org.token, &json!({ "name": "x" })).await.json(201);
    let delete = async |token: &str, id: &str| {
        world.call(Method::DELETE, &format!("/v1/tokens/{id}"), token, &json!({})).await
    };
    let listed = async |token: &str| -> Vec<Token> { world.get("/v1/tokens", token).await.json(200) };
    assert!(listed(&bo).await.iter().all(|token| token.email == "bo@example.com"));
    assert!(listed(&org.token).await.iter().any(|token| token.id == own.id));
    assert!(!world.get("/v1/tokens", &org.token).await.text().contains("daam_pat_"));
    delete(&bo, &hers.id).await.refused(404, "token.unknown");
    delete(&bo, &own.id).await.ok(204);
    let users: Vec<User> = world.get("/v1/users", &org.token).await.json(200);
    let emails: Vec<_> = users.iter().map(|user| user.email.as_str()).collect();
    assert_eq!(emails, ["ana@example.com", "bo@example.com"]);
}

pub(crate) async fn impossible_people_are_refused(world: World) {
    let org = world.bootstrap().await;
    let put = async |email: &str, body: serde_json::Value| {
        world.call(Method::PUT, &format!("/v1/users/{email}"), &org.token, &body).await
    };
    put("nobody", json!({ "groups": [], "attributes": {} })).await.refused(400, "user.email");
    put("bo@x.org", json!({ "role": "owner", "groups": [], "attributes": {} }))
        .await
        .refused(400, "user.role");
    put("bo@x.org", json!({ "groups": [" "], "attributes": {} })).await.refused(400, "user.groups");
    for attributes in
        [json!({ "x": null }), json!({ "x": [1] }), json!({ "email": "a" }), json!({ "x": 1.5 })]
    {
        put("bo@x.org", json!({ "groups": [], "attributes": attributes }))
            .await
            .refused(400, "user.attributes");
    }
    let last = json!({ "groups": [], "attributes": {}, "disabled": true });
    put("ana@example.com", last).await.refused(409, "user.last-admin");
    put("BO@x.org", json!({ "groups": ["a b"], "attributes": { "n": 1, "b": true } })).await.ok(200);
    put("bo@x.org", json!({ "groups": [], "attributes": {} })).await.ok(200);
    let users: Vec<User> = world.get("/v1/users", &org.token).await.json(200);
    assert_eq!(users.len(), 2, "one person has one spelling");
}

pub(crate) async fn a_disabled_user_is_out_at_once(world: World) {
    let org = world.bootstrap().await;
    let bo = world.member(&org, "bo@example.com").await;
    world.agent(&org, "shop").await;
    world.get("/v1/databases", &bo).await.ok(200);
    world.put_user(&org, "bo@example.com", true).await;
    for path in ["/v1/databases", "/v1/whoami", "/v1/ca"] {
        world.get(path, &bo).await.refused(401, "auth.required");
    }
    let request = json!({ "name": "x", "email": "bo@example.com" });
    world.call(Method::POST, "/v1/tokens", &org.token, &request).await.refused(404, "user.unknown");
}
