//! Links that lead to an identity provider: from elsewhere, and of a recovery.

use crate::passkeys::{enter, key_of};
use crate::sso::{Idp, callback, provider, round_trip, rules};
use crate::world::{Answer, World, path_of};
use daam_api::v1::LinkCreated;
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn a_link_elsewhere_leads_to_our_page_and_to_nobodys_account() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let mut idp = Idp::start("hostile.mjs", &[]).await;
    let made = provider(&world, &org, &idp.issuer, rules()).await;
    idp.lie("nothing").await;
    let path = format!("/sign-in/oidc/{}?return_to=%2Ftokens", made.id);
    let page = format!("/sign-in?org={}&return_to=%2Ftokens", org.slug);
    for site in [Some("cross-site"), Some("same-site"), Some("none"), None] {
        let mut request = world.request(Method::GET, &path);
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        let led = Answer::of(request).await;
        assert_eq!(led.location(), page, "{site:?}");
        assert!(!led.headers.contains_key("set-cookie"), "{site:?}");
    }
    // There it says where they would be signed in, and the link begins it.
    let shown = world.look(&page, "").await.ok(200).text();
    assert!(shown.contains(&format!("/sign-in/oidc/{}", made.id)) && shown.contains(&org.slug), "{shown}");
}

#[tokio::test]
async fn a_recovery_by_a_provider_leaves_nothing_to_whoever_was_there() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let mut idp = Idp::start("hostile.mjs", &[]).await;
    let made = provider(&world, &org, &idp.issuer, rules()).await;
    idp.lie("nothing").await;
    let invited = async |recover: bool| {
        let wanted = json!({ "email": "bo@example.com", "recover": recover });
        let made: LinkCreated = world.call(Method::POST, "/v1/invites", &org.token, &wanted).await.json(201);
        path_of(&made.link).to_owned()
    };
    let by_provider = async |link: &str| {
        let secret = link.rsplit('/').next().unwrap();
        let (path, flow) = round_trip(&world, &made.id, &format!("?invite={secret}")).await;
        callback(&world, &path, &flow).await.cookie()
    };
    // A passkey of bo's, a token and a browser that somebody has got hold of.
    let first = world.submit(&invited(false).await, None, "").await.cookie();
    let mut stolen = key_of(&world, &first).await;
    let thief = enter(&world, &mut stolen, &[]).await.cookie();
    let own = world.submit("/tokens", Some(&thief), "name=laptop&days=9").await.ok(200).text();
    let own = own.split(['<', '>']).find(|text| text.starts_with("daam_pat_")).unwrap().to_owned();
    let bo = by_provider(&invited(true).await).await;
    assert!(world.look("/", &bo).await.text().contains("bo@example.com"));
    assert_eq!(world.look("/", &thief).await.location(), "/sign-in");
    world.get("/v1/whoami", &own).await.refused(401, "auth.required");
    enter(&world, &mut stolen, &[]).await.page_refused(403, "passkey.refused");
    // Again, with the account that is linked by now: nothing is in its way, and what it opened before is over.
    let again = by_provider(&invited(true).await).await;
    assert!(world.look("/", &again).await.text().contains("bo@example.com"));
    assert_eq!(world.look("/", &bo).await.location(), "/sign-in");
    // The form does the same to whoever came by the provider alone.
    let formed = world.submit(&invited(true).await, None, "").await.cookie();
    assert!(world.look("/", &formed).await.text().contains("bo@example.com"));
    assert_eq!(world.look("/", &again).await.location(), "/sign-in");
    let (path, flow) = round_trip(&world, &made.id, "").await;
    let stranger = callback(&world, &path, &flow).await.cookie();
    assert!(!world.look("/", &stranger).await.text().contains("bo@example.com"));
}
