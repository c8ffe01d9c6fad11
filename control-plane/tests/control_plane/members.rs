//! Invites and roles, over the API.

use crate::world::World;
use daam_api::v1::{Invite, LinkCreated, Token, User};
use reqwest::Method;
use serde_json::json;

pub(crate) async fn an_admin_invites_and_an_auditor_only_looks_on(world: World) {
    let org = world.bootstrap().await;
    let cy = world.in_role(&org, "cy@example.com", "auditor").await;
    let request =
        json!({ "email": "Bo@Example.com", "role": "approver", "groups": ["dba"], "expires_in": 60 });
    let made: LinkCreated = world.call(Method::POST, "/v1/invites", &org.token, &request).await.json(201);
    assert!(
        made.link.starts_with(&format!("http://localhost:{}/sign-in/link/", world.server.address().port()))
    );
    assert!(!format!("{made:?}").contains("daam_sgn_"));
    let open: Vec<Invite> = world.get("/v1/invites", &cy).await.json(200);
    assert_eq!((open[0].email.as_str(), open[0].role.as_str()), ("bo@example.com", "approver"));
    assert_eq!(open[0].created_by, "user:ana@example.com");
    assert!(!world.get("/v1/invites", &cy).await.text().contains("daam_sgn_"), "shown once");
    let users: Vec<User> = world.get("/v1/users", &cy).await.json(200);
    let bo = users.iter().find(|user| user.email == "bo@example.com").unwrap();
    assert!(bo.groups.contains("dba"));
    let tokens: Vec<Token> = world.get("/v1/tokens", &cy).await.json(200);
    assert!(tokens.iter().any(|token| token.email == "ana@example.com"));
    let anas = tokens.iter().find(|token| token.email == "ana@example.com").unwrap();
    let path = format!("/v1/tokens/{}", anas.id);
    world.call(Method::DELETE, &path, &cy, &json!({})).await.refused(404, "token.unknown");
    let path = format!("/v1/invites/{}", made.id.unwrap());
    world.call(Method::DELETE, &path, &cy, &json!({})).await.refused(403, "auth.wrong-role");
    world.call(Method::DELETE, &path, &org.token, &json!({})).await.ok(204);
    world.call(Method::DELETE, &path, &org.token, &json!({})).await.refused(404, "invite.unknown");
    let own: LinkCreated = world.call(Method::POST, "/v1/console-link", &cy, &json!({})).await.json(201);
    assert!(own.id.is_none());
}

pub(crate) async fn an_invite_says_what_it_would_not_do(world: World) {
    let org = world.bootstrap().await;
    let invite =
        async |body: serde_json::Value| world.call(Method::POST, "/v1/invites", &org.token, &body).await;
    invite(json!({ "email": "bo" })).await.refused(400, "user.email");
    invite(json!({ "email": "bo@x.org", "role": "owner" })).await.refused(400, "user.role");
    invite(json!({ "email": "bo@x.org", "groups": [""] })).await.refused(400, "user.groups");
    invite(json!({ "email": "bo@x.org", "expires_in": 31 * 86_400 })).await.refused(400, "request.expiry");
    world.put_user(&org, "bo@x.org", false).await;
    invite(json!({ "email": "bo@x.org", "role": "admin" })).await.refused(409, "invite.exists");
    invite(json!({ "email": "bo@x.org" })).await.ok(201);
    world.put_user(&org, "bo@x.org", true).await;
    invite(json!({ "email": "bo@x.org" })).await.refused(409, "invite.disabled");
}
