//! Whom provisioning brings back, and with what.

use crate::passkeys::{enter, key_of};
use crate::scim::{USERS, text, user};
use crate::world::World;
use daam_api::v1::LinkCreated;
use reqwest::Method;
use serde_json::{Value, json};

pub(crate) async fn whom_an_admin_disabled_provisioning_does_not_enable(world: World) {
    let org = world.bootstrap().await;
    let token = world.scim(&org).await;
    let sam = user(&world, &token, &json!({ "userName": "sam@example.com" })).await;
    let place = format!("{USERS}/{}", text(&sam["id"]));
    let said = async |active: bool| -> bool {
        let change = json!({ "Operations": [{ "op": "replace", "path": "active", "value": active }] });
        let told: Value = world.call(Method::PATCH, &place, &token, &change).await.json(200);
        told["active"].as_bool().unwrap()
    };
    assert!(!said(false).await);
    assert!(said(true).await, "what provisioning disabled it enables");
    world.put_user(&org, "sam@example.com", true).await;
    assert!(!said(true).await, "an admin disabled them");
    let whole = json!({ "userName": "sam@example.com", "active": true, "displayName": "Sam" });
    let told: Value = world.call(Method::PUT, &place, &token, &whole).await.json(200);
    assert_eq!((&told["active"], &told["displayName"]), (&json!(false), &json!("Sam")));
    // Nor by taking them out and putting them back.
    world.call(Method::DELETE, &place, &token, &json!({})).await.ok(204);
    let back = user(&world, &token, &json!({ "userName": "sam@example.com", "active": true })).await;
    assert_eq!((&back["id"], &back["active"]), (&sam["id"], &json!(false)));
    world.put_user(&org, "sam@example.com", false).await;
    assert!(!said(false).await);
    assert!(said(true).await);
}

pub(crate) async fn whoever_comes_back_under_a_name_gets_nothing_of_whoever_had_it(world: World) {
    let org = world.bootstrap().await;
    let token = world.scim(&org).await;
    let bob = user(&world, &token, &json!({ "userName": "bob@example.com" })).await;
    let invite = json!({ "email": "bob@example.com" });
    let invite: LinkCreated = world.call(Method::POST, "/v1/invites", &org.token, &invite).await.json(201);
    let session = world.sign_in(&invite.link).await;
    let mut key = key_of(&world, &session).await;
    enter(&world, &mut key, &[]).await.cookie();
    let place = format!("{USERS}/{}", text(&bob["id"]));
    world.call(Method::DELETE, &place, &token, &json!({})).await.ok(204);
    // A year later another Bob is hired.
    let again = user(&world, &token, &json!({ "userName": "bob@example.com" })).await;
    assert_eq!((&again["id"], &again["active"]), (&bob["id"], &json!(true)));
    enter(&world, &mut key, &[]).await.page_refused(403, "passkey.refused");
    let invite = json!({ "email": "bob@example.com" });
    let invite: LinkCreated = world.call(Method::POST, "/v1/invites", &org.token, &invite).await.json(201);
    let session = world.sign_in(&invite.link).await;
    assert!(world.look("/", &session).await.text().contains("bob@example.com"));
}
