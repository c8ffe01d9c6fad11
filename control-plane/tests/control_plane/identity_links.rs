//! Accounts at providers: who may link and remove them, and what forcing providers ends.

use crate::sso::{Idp, callback, provider, round_trip, rules};
use crate::world::{Answer, World, path_of};
use daam_api::v1::{LinkCreated, ProviderRules};
use reqwest::Method;
use serde_json::json;

/// Somebody who is signed in here, at the provider and back.
async fn linked(world: &World, id: &str, session: &str) -> Answer {
    let start = world.request(Method::GET, &format!("/sign-in/oidc/{id}?link=true"));
    let start =
        start.header("sec-fetch-site", "same-origin").header("cookie", format!("__Host-sid={session}"));
    let off = Answer::of(start).await;
    if off.status.as_u16() != 303 {
        return off;
    }
    let set = off.headers["set-cookie"].to_str().unwrap();
    let flow = set.strip_prefix("__Host-flow=").unwrap().split(';').next().unwrap().to_owned();
    let back = Answer::of(world.elsewhere(off.location())).await;
    let cookies = format!("__Host-flow={flow}; __Host-sid={session}");
    Answer::of(world.request(Method::GET, path_of(back.location())).header("cookie", cookies)).await
}

#[tokio::test]
async fn a_stolen_token_links_no_account_and_links_can_be_removed() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let mut idp = Idp::start("hostile.mjs", &[]).await;
    let closed = ProviderRules { provision: false, ..rules() };
    let made = provider(&world, &org, &idp.issuer, closed).await;
    idp.lie("nothing").await;
    // What a token began links nothing, and neither does nobody.
    let thief = world.session(&org.token).await;
    linked(&world, &made.id, &thief).await.page_refused(403, "sso.link");
    linked(&world, &made.id, "").await.page_refused(403, "sso.link");
    let account = world.look("/account", &thief).await.ok(200).text();
    assert!(!account.contains("link=true"), "{account}");
    let nobody = async || {
        let (path, flow) = round_trip(&world, &made.id, "").await;
        callback(&world, &path, &flow).await.page_refused(403, "sso.unknown");
    };
    nobody().await;
    // Nor does a session that ended on the way there.
    let ana = world.sign_in(&org.link).await;
    let start = world.request(Method::GET, &format!("/sign-in/oidc/{}?link=true", made.id));
    let off = Answer::of(
        start.header("sec-fetch-site", "same-origin").header("cookie", format!("__Host-sid={ana}")),
    )
    .await;
    let set = off.headers["set-cookie"].to_str().unwrap();
    let flow = set.strip_prefix("__Host-flow=").unwrap().split(';').next().unwrap().to_owned();
    let back = Answer::of(world.elsewhere(off.location())).await;
    world.submit("/sign-out", Some(&ana), "").await.ok(303);
    callback(&world, path_of(back.location()), &flow).await.page_refused(403, "sso.link");
    nobody().await;
    // What she signed in with herself does; she sees it, and so do those who oversee the organization.
    let ana = world.sign_in(&world.recover(&org, "ana@example.com").await).await;
    let by_provider = linked(&world, &made.id, &ana).await.cookie();
    let links = world.get("/v1/identity-links", &org.token).await.text();
    assert!(links.contains("\"subject\":\"mallory\"") && links.contains("ana@example.com"), "{links}");
    let page = world.look("/account", &by_provider).await.ok(200).text();
    assert!(page.contains("<code>mallory</code>"), "{page}");
    let own = format!("/account/links/{}/remove", made.id);
    world.submit(&own, Some(&by_provider), "").await.page_refused(409, "link.last");
    let page = world.look("/providers", &by_provider).await.ok(200).text();
    assert!(page.contains("<code>mallory</code>"), "{page}");
    let path = format!("/v1/users/ana@example.com/identity-links/{}", made.id);
    world.call(Method::DELETE, &path, &org.token, &json!({})).await.ok(204);
    world.call(Method::DELETE, &path, &org.token, &json!({})).await.refused(404, "link.unknown");
    assert_eq!(world.look("/", &by_provider).await.location(), "/sign-in");
    nobody().await;
    let ana = world.sign_in(&world.recover(&org, "ana@example.com").await).await;
    let by_provider = linked(&world, &made.id, &ana).await.cookie();
    let form = format!("/members/ana@example.com/links/{}/remove", made.id);
    world.submit(&form, Some(&by_provider), "").await.ok(303);
    nobody().await;
}

#[tokio::test]
async fn forcing_providers_ends_what_anything_else_began() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let mut idp = Idp::start("hostile.mjs", &[]).await;
    let made = provider(&world, &org, &idp.issuer, rules()).await;
    idp.lie("nothing").await;
    let (path, flow) = round_trip(&world, &made.id, "").await;
    let by_provider = callback(&world, &path, &flow).await.cookie();
    let invite = json!({ "email": "bo@example.com" });
    let invite: LinkCreated = world.call(Method::POST, "/v1/invites", &org.token, &invite).await.json(201);
    let invited = world.sign_in(&invite.link).await;
    let by_token = world.session(&org.token).await;
    let by_operator = world.sign_in(&org.link).await;
    let mut key = crate::passkeys::key_of(&world, &by_operator).await;
    let by_passkey = crate::passkeys::enter(&world, &mut key, &[]).await.cookie();
    let theirs = crate::passkeys::program(&world, &invited).await;
    let kept = crate::passkeys::program(&world, &by_provider).await;
    let force = json!({ "force_sso": true });
    world.call(Method::PUT, "/v1/sign-in-policy", &org.token, &force).await.ok(200);
    for ended in [&invited, &by_token, &by_operator, &by_passkey] {
        assert_eq!(world.look("/", ended).await.location(), "/sign-in");
        world.submit("/tokens", Some(ended), "name=x&days=366").await.page_refused(401, "auth.required");
    }
    world.get("/v1/whoami", &theirs).await.refused(401, "auth.required");
    world.look("/", &by_provider).await.ok(200);
    world.get("/v1/whoami", &kept).await.ok(200);
    crate::passkeys::enter(&world, &mut key, &[]).await.page_refused(403, "sign-in.forced");
    crate::passkeys::enter(&world, &mut key, &[("org", &org.slug)]).await.page_refused(403, "sign-in.forced");
    let recovered = world.sign_in(&world.recover(&org, "ana@example.com").await).await;
    world.look("/", &recovered).await.ok(200);
}
