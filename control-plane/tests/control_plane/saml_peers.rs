//! Signing in and out by providers that others wrote: pysaml2 in a real browser, samlify.

use crate::browser::{Browser, peer, python_peer};
use crate::link::Peer;
use crate::saml::{SamlIdp, add, back, begin, ours, post, provider, rules, users};
use crate::world::{Answer, Org, World, path_of};
use daam_api::link::ToAgent;
use daam_api::v1::{DeviceSignIn, Provider, SignedIn, WhoAmI};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What pysaml2 calls eduPersonAffiliation.
const AFFILIATION: &str = "urn:oid:1.3.6.1.4.1.5923.1.1.1.1";

async fn at_company(browser: &mut Browser, who: &str) {
    browser.fill_in("login", who).await;
    browser.click("button", "Sign-in").await;
    browser.click("button", "Continue").await;
}

/// A program's sign-in begins at a page of ours that needs one, and ends with a token and a certificate for it.
async fn program_of_his(world: &World, browser: &mut Browser, org: &Org) -> SignedIn {
    let asked = json!({ "device": "bo's laptop" });
    let asked: DeviceSignIn = world.call(Method::POST, "/v1/sign-in/device", "", &asked).await.json(201);
    browser.goto(&asked.verification_uri_complete).await;
    browser.fill("Your organization", &org.slug).await;
    browser.click("button", "Go on").await;
    browser.click("link", "Company login").await;
    at_company(browser, "bo").await;
    browser.until(&asked.user_code).await;
    browser.click("button", "Sign it in").await;
    browser.until("The program is signed in").await;
    let fetch = json!({ "code": asked.device_code });
    let program: SignedIn = world.call(Method::POST, "/v1/sign-in/fetch", "", &fetch).await.json(200);
    let me: WhoAmI = world.get("/v1/whoami", &program.token).await.json(200);
    assert_eq!(me.email, "bo@example.com");
    let (_, csr) = daam_identity::make_csr().unwrap();
    let wanted = json!({ "csr_pem": csr, "device": "d" });
    world.call(Method::POST, "/v1/certificates", &program.token, &wanted).await.ok(200);
    program
}

#[tokio::test]
async fn people_sign_in_by_pysaml2_and_are_out_everywhere_whichever_side_they_sign_out_at() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    let mut link = Peer::connected(&world, &agent).await;
    let people = json!({
        "bo": { "mail": ["Bo@example.com"], "eduPersonAffiliation": ["idp-dba", "idp-other"] },
        "eve": { "mail": ["eve@evil.example"] },
    });
    let mut program = python_peer("saml_idp.py");
    program.arg(people.to_string());
    let mut idp = SamlIdp::start(program).await;
    let mut wanted = rules();
    wanted["groups_claim"] = json!(AFFILIATION);
    let made: Provider = add(&world, &org, &idp.metadata.clone(), wanted).await.json(201);
    let known = json!({ "do": "know", "metadata": ours(&world, &made).await });
    let base = idp.ask(known).await["base"].as_str().unwrap().to_owned();

    let mut browser = Browser::start();
    browser.goto(&world.url(&format!("/sign-in?org={}", org.slug))).await;
    browser.is_accessible("sign-in of an organization").await;
    browser.click("link", "Company login").await;
    at_company(&mut browser, "eve").await;
    assert!(browser.text().await.contains("sso.domain"), "{}", browser.text().await);
    browser.forget().await;
    let program = program_of_his(&world, &mut browser, &org).await;
    let bo = users(&world, &org).await.into_iter().find(|user| user.email == "bo@example.com").unwrap();
    assert_eq!(bo.groups, BTreeSet::from(["dba".to_owned()]));
    browser.goto(&world.url("/account")).await;
    assert!(browser.text().await.contains("identity provider"));

    // Out there, and so here.
    browser.goto(&format!("{base}/out?who=bo")).await;
    browser.until("Everywhere").await;
    assert!(browser.text().await.contains("status:Success"), "{}", browser.text().await);
    world.get("/v1/whoami", &program.token).await.refused(401, "auth.required");
    loop {
        if let ToAgent::IdentityRevoked { serials } = link.hear().await
            && serials.len() == 1
        {
            break;
        }
    }
    browser.goto(&world.url("/")).await;
    assert!(browser.url().await.ends_with("/sign-in"), "{}", browser.url().await);

    // Out here, and so there.
    browser.goto(&world.url(&format!("/sign-in?org={}", org.slug))).await;
    browser.click("link", "Company login").await;
    at_company(&mut browser, "bo").await;
    browser.until("bo@example.com").await;
    browser.complaints().await;
    browser.click("button", "Sign out").await;
    browser.until("Your organization").await;
    assert!(browser.url().await.ends_with(&format!("/sign-in?org={}", org.slug)), "{}", browser.url().await);
    assert_eq!(browser.complaints().await, json!([]));
    let heard = idp.ask(json!({ "do": "heard" })).await["heard"].clone();
    assert_eq!(
        (heard[0][0].as_str(), heard[0][1].as_array().map(Vec::len)),
        (Some("bo"), Some(1)),
        "{heard}"
    );
    browser.goto(&world.url("/")).await;
    assert!(browser.url().await.ends_with("/sign-in"), "{}", browser.url().await);
}

#[tokio::test]
async fn people_sign_in_by_samlify_and_sign_out_at_either_side() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let mut idp = SamlIdp::start(peer("samlify.mjs")).await;
    let made = provider(&world, &org, &idp.metadata.clone()).await;
    idp.ask(json!({ "do": "know", "metadata": ours(&world, &made).await })).await;
    let (mut oracle, metadata) = (SamlIdp::hostile().await, idp.metadata.clone());
    let mut sign_in = async |idp: &mut SamlIdp| {
        let asked = begin(&world, idp, &made, "?return_to=%2Faccount").await;
        let response = idp.answer(&asked, json!({})).await;
        let asked_too = json!({ "do": "verify", "response": response, "metadata": metadata });
        assert_eq!(oracle.ask(asked_too).await["holds"], true, "xmlsec1 says so, too");
        let entered = back(&world, &asked, &response).await;
        assert_eq!(entered.location(), "/account", "{}", entered.text());
        entered.cookie()
    };
    let bo = sign_in(&mut idp).await;
    let found = users(&world, &org).await.into_iter().find(|user| user.email == "bo@example.com").unwrap();
    assert_eq!(found.groups, BTreeSet::from(["dba".to_owned()]));
    // What it signs, changed on the way, is nothing.
    let asked = begin(&world, &mut idp, &made, "").await;
    let response = idp.answer(&asked, json!({ "subject": "eve", "email": "eve@example.com" })).await;
    let changed = changed(&response, ">eve<", ">bob<");
    back(&world, &asked, &changed).await.page_refused(403, "saml.signature");

    let out = world.submit("/sign-out", Some(&bo), "").await.ok(200).text();
    let url = out.split("content=\"0; url=").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let url = url.replace("&#38;", "&").replace("&amp;", "&");
    let read = idp.ask(json!({ "do": "read", "url": url })).await;
    assert_eq!((&read["what"], &read["name"]), (&json!("LogoutRequest"), &json!(["bo"])));
    assert_eq!(read["sessions"], json!(["s1"]));
    let path = path_of(&made.backchannel_logout_uri);
    for by in ["redirect", "post"] {
        let bo = sign_in(&mut idp).await;
        let said = idp.ask(json!({ "do": "logout", "by": by, "subject": "bo", "sessions": ["s1"] })).await;
        let answered = match (&said["query"], &said["form"]) {
            (Value::String(query), _) => {
                Answer::of(world.request(Method::GET, &format!("{path}?{query}"))).await
            }
            (_, Value::String(form)) => {
                let form = form.replace('+', "%2B").replace('=', "%3D");
                post(&world, path, format!("SAMLRequest={form}&RelayState=state"), "").await
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(answered.status.as_u16(), 303, "{by}: {}", answered.text());
        let read = idp.ask(json!({ "do": "read", "url": answered.location() })).await;
        assert_eq!((&read["what"], &read["state"]), (&json!("LogoutResponse"), &json!("state")), "{by}");
        assert_eq!(world.look("/", &bo).await.location(), "/sign-in", "{by}");
    }
}

/// A message in base64 with a text of it replaced.
fn changed(message: &str, from: &str, to: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let text = String::from_utf8(STANDARD.decode(message).unwrap()).unwrap();
    assert!(text.contains(from), "{text}");
    STANDARD.encode(text.replace(from, to))
}
