//! What was done to SAML elsewhere, and whatever else an answer can be that nobody asked for: refused, each with its code,
//! and nobody is signed in.

use crate::saml::{Asked, SamlIdp, add, back, begin, post, provider, rules, users};
use crate::world::{World, path_of};
use serde_json::json;

/// What is done to an answer, and the code it is refused with.
const VECTORS: [(&str, &str); 68] = [
    ("xsw1", "saml.malformed"),
    ("xsw2", "saml.malformed"),
    ("xsw3", "saml.malformed"),
    ("xsw4", "saml.malformed"),
    ("xsw5", "saml.malformed"),
    ("xsw6", "saml.malformed"),
    ("xsw7", "saml.malformed"),
    ("xsw8", "saml.malformed"),
    ("duplicate identifiers", "saml.malformed"),
    ("identifier of another spelling", "saml.malformed"),
    ("second assertion", "saml.malformed"),
    ("nothing signed", "saml.signature"),
    ("stripped", "saml.signature"),
    ("tampered subject", "saml.signature"),
    ("tampered attribute", "saml.signature"),
    ("tampered signature", "saml.signature"),
    ("evil key with its certificate", "saml.signature"),
    ("evil key with the good certificate", "saml.signature"),
    ("public key as hmac secret", "saml.signature"),
    ("no reference", "saml.signature"),
    ("URI empty", "saml.signature"),
    ("URI of the response", "saml.signature"),
    ("no transforms but the standard's", "saml.signature"),
    ("xpath", "saml.signature"),
    ("object in the signature", "saml.signature"),
    ("signature in the subject", "saml.signature"),
    ("next key", "saml.signature"),
    ("rsa-sha1", "saml.algorithm"),
    ("sha1 digest", "saml.algorithm"),
    ("doctype", "saml.malformed"),
    ("external entity", "saml.malformed"),
    ("billion laughs", "saml.malformed"),
    ("comment in the name", "saml.malformed"),
    ("instruction in the name", "saml.malformed"),
    ("cdata in the name", "saml.malformed"),
    ("deep", "saml.malformed"),
    ("many attributes", "saml.malformed"),
    ("many elements", "saml.malformed"),
    ("cut off", "saml.malformed"),
    ("not XML", "saml.malformed"),
    ("version 1", "saml.malformed"),
    ("another root", "saml.malformed"),
    ("too large", "saml.too-large"),
    ("encrypted assertion", "saml.encrypted"),
    ("encrypted beside", "saml.encrypted"),
    ("unsigned status", "saml.status"),
    ("wrong destination", "saml.destination"),
    ("wrong issuer of the response", "saml.issuer"),
    ("wrong request of the response", "saml.request"),
    ("wrong audience", "saml.audience"),
    ("no audience", "saml.audience"),
    ("wrong recipient", "saml.recipient"),
    ("wrong issuer", "saml.issuer"),
    ("issuer with a slash", "saml.issuer"),
    ("wrong request", "saml.request"),
    ("no request", "saml.request"),
    ("expired", "saml.time"),
    ("confirmation expired", "saml.time"),
    ("not yet", "saml.time"),
    ("issued long ago", "saml.time"),
    ("issued later", "saml.time"),
    ("session over", "saml.time"),
    ("transient", "saml.subject"),
    ("nobody", "saml.subject"),
    ("another's name", "saml.subject"),
    ("for somebody else", "saml.subject"),
    ("holder of key", "saml.recipient"),
    ("confirmation with a beginning", "saml.recipient"),
];

#[tokio::test]
async fn nobody_is_signed_in_by_what_the_provider_did_not_say_so() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let mut idp = SamlIdp::hostile().await;
    let made = provider(&world, &org, &idp.metadata.clone()).await;
    let mut wrong = Vec::new();
    for (vector, code) in VECTORS.into_iter().chain([("no statement", "saml.statement")]) {
        let asked = begin(&world, &mut idp, &made, "").await;
        let response = idp.answer(&asked, json!({ "vector": vector })).await;
        let refused = back(&world, &asked, &response).await;
        assert!(!refused.headers.contains_key("set-cookie"), "{vector} begins a session");
        let (status, page) = (refused.status.as_u16(), refused.text());
        let expected = if code == "saml.too-large" { 413 } else { 403 };
        if status != expected || !page.contains(&format!("<code>{code}</code>")) {
            let found = page.split("<code>").nth(1).and_then(|rest| rest.split("</code>").next());
            wrong.push(format!("{vector}: {status} {found:?} for {code}"));
        }
        for secret in ["mallory", &idp.entity, &asked.request, "MII"] {
            assert!(!page.contains(secret), "{vector} says {secret}: {page}");
        }
        // Whatever was refused cannot be mended and tried again.
        let good = idp.answer(&asked, json!({})).await;
        back(&world, &asked, &good).await.page_refused(403, "saml.flow");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(users(&world, &org).await.len(), 1, "nobody joined");
    crate::saml::sign_in(&world, &mut idp, &made, json!({})).await.cookie();
}

#[tokio::test]
async fn an_answer_counts_once_in_the_browser_that_asked() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let mut idp = SamlIdp::hostile().await;
    let made = provider(&world, &org, &idp.metadata.clone()).await;
    let refused = async |asked: &Asked, response: &str, code: &str| {
        let answer = back(&world, asked, response).await;
        assert!(!answer.headers.contains_key("set-cookie"), "{code}");
        answer.page_refused(403, code);
    };
    // A stranger's answer, brought to somebody else's browser: with no cookie, with one of its own.
    for flow in ["", "daam_flw_nonsense"] {
        let asked = begin(&world, &mut idp, &made, "").await;
        let response = idp.answer(&asked, json!({})).await;
        refused(&Asked { flow: flow.to_owned(), ..asked.clone() }, &response, "saml.flow").await;
        refused(&asked, &response, "saml.flow").await;
    }
    let (mine, theirs) = (begin(&world, &mut idp, &made, "").await, begin(&world, &mut idp, &made, "").await);
    let response = idp.answer(&theirs, json!({})).await;
    refused(&Asked { flow: mine.flow.clone(), ..theirs.clone() }, &response, "saml.flow").await;
    // My question, another one's answer.
    refused(&mine, &response, "saml.request").await;
    // What nobody asked, with a state of nobody's and with none.
    let asked = begin(&world, &mut idp, &made, "").await;
    let unasked = idp.answer(&asked, json!({ "vector": "no request" })).await;
    refused(&Asked { state: "/".to_owned(), ..asked.clone() }, &unasked, "saml.flow").await;
    refused(&Asked { state: String::new(), ..asked }, &unasked, "saml.flow").await;
    // Too late, and twice.
    let asked = begin(&world, &mut idp, &made, "").await;
    world.pass(601);
    let response = idp.answer(&asked, json!({})).await;
    refused(&asked, &response, "saml.flow").await;
    world.pass(-601);
    let asked = begin(&world, &mut idp, &made, "").await;
    let response = idp.answer(&asked, json!({ "id": "_the-same" })).await;
    back(&world, &asked, &response).await.cookie();
    refused(&asked, &response, "saml.flow").await;
    let asked = begin(&world, &mut idp, &made, "").await;
    let response = idp.answer(&asked, json!({ "id": "_the-same" })).await;
    refused(&asked, &response, "saml.replayed").await;
    // A form that is not one of the binding.
    let asked = begin(&world, &mut idp, &made, "").await;
    let path = path_of(&asked.acs);
    for form in ["", "SAMLResponse=x&SAMLResponse=y", "RelayState=x", "SAMLResponse=%FF%FE"] {
        post(&world, path, form.to_owned(), &asked.flow).await.page_refused(
            403,
            match form {
                "SAMLResponse=%FF%FE" => "saml.flow",
                _ => "saml.malformed",
            },
        );
    }
    let huge = format!("SAMLResponse={}", "A".repeat(1_100_000));
    let huge = post(&world, path, huge, &asked.flow).await;
    assert_eq!(huge.status.as_u16(), 413);
    post(&world, "/sign-in/saml/nobody", "SAMLResponse=x".to_owned(), &asked.flow)
        .await
        .page_refused(404, "provider.unknown");
}

#[tokio::test]
async fn what_one_provider_says_is_nothing_to_another_one_or_another_organization() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let other = world.organization("zoe@other.example").await;
    let (mut honest, mut evil) = (SamlIdp::hostile().await, SamlIdp::hostile().await);
    let metadata = honest.metadata.clone();
    let ours = provider(&world, &org, &metadata).await;
    // The same provider in another organization, and another one in ours that says it is that one.
    let theirs = provider(&world, &other, &metadata).await;
    let posing = evil.metadata(json!({ "keys": "one", "entity": honest.entity })).await;
    let posing = add(&world, &org, &posing, rules()).await.json::<daam_api::v1::Provider>(201);
    for to in [&theirs, &posing] {
        let asked = begin(&world, &mut honest, &ours, "").await;
        let response = honest.answer(&asked, json!({})).await;
        // To their door with our question, and as the answer to theirs.
        let elsewhere = Asked { acs: to.redirect_uri.clone(), ..asked.clone() };
        back(&world, &elsewhere, &response).await.page_refused(403, "saml.flow");
        let asked = begin(&world, &mut honest, to, "").await;
        let answer = back(&world, &asked, &response).await;
        assert!(!answer.headers.contains_key("set-cookie"));
        let code = if to.id == theirs.id { "saml.destination" } else { "saml.signature" };
        answer.page_refused(403, code);
    }
    // The same person at both is two people.
    crate::saml::sign_in(&world, &mut honest, &theirs, json!({})).await.cookie();
    assert!(users(&world, &org).await.iter().all(|user| user.email != "bo@example.com"));
    assert_eq!(users(&world, &other).await.len(), 2);
    // Nor is a SAML provider one of OpenID Connect, whatever path or notice says so.
    world.look(&format!("/sign-in/oidc/{}", ours.id), "").await.page_refused(404, "provider.unknown");
    let asked = begin(&world, &mut honest, &ours, "").await;
    let path = format!("/sign-in/oidc/callback?code=x&state={}", asked.state);
    crate::sso::callback(&world, &path, &asked.flow).await.page_refused(403, "sso.refused");
    let notice = format!("/v1/identity-providers/{}/backchannel-logout", ours.id);
    post(&world, &notice, "logout_token=a.b.c".to_owned(), "").await.refused(400, "logout.refused");
}
