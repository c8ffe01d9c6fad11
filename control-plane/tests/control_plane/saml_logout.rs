//! Signing out there ends what was begun here, and signing out here is told there.

use crate::link::Peer;
use crate::saml::{SamlIdp, back, begin, begin_as, ours, post, provider, sign_in};
use crate::world::{Answer, World, path_of};
use daam_api::link::ToAgent;
use daam_api::v1::{DeviceSignIn, Provider, SignedIn};
use reqwest::Method;
use serde_json::{Value, json};

/// Brings a notice of the provider's to us.
async fn told(world: &World, idp: &mut SamlIdp, made: &Provider, how: Value) -> Answer {
    let mut asked =
        json!({ "do": "logout", "to": made.backchannel_logout_uri, "by": "query", "subject": "bo" });
    asked.as_object_mut().unwrap().extend(how.as_object().unwrap().clone());
    let said = idp.ask(asked).await;
    brought(world, made, &said).await
}

async fn brought(world: &World, made: &Provider, said: &Value) -> Answer {
    let path = path_of(&made.backchannel_logout_uri);
    if let Some(query) = said["query"].as_str() {
        let request = world.request(Method::GET, &format!("{path}?{query}"));
        return Answer::of(request.header("sec-fetch-site", "cross-site")).await;
    }
    let form = said["form"].as_str().unwrap().replace('+', "%2B").replace('=', "%3D");
    post(world, path, format!("SAMLRequest={form}&RelayState=st%20ate"), "").await
}

#[tokio::test]
async fn signing_out_there_ends_the_console_the_programs_and_the_databases() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    let mut link = Peer::connected(&world, &agent).await;
    let mut idp = SamlIdp::hostile().await;
    let made = provider(&world, &org, &idp.metadata.clone()).await;
    let bo = sign_in(&world, &mut idp, &made, json!({ "session": "s1" })).await.cookie();
    let other = sign_in(&world, &mut idp, &made, json!({ "session": "s2" })).await.cookie();
    let cy = json!({ "subject": "cy", "email": "cy@example.com", "session": "s1" });
    let cy = sign_in(&world, &mut idp, &made, cy).await.cookie();
    // A program of his, with a certificate for the database.
    let asked = json!({ "device": "laptop" });
    let asked: DeviceSignIn = world.call(Method::POST, "/v1/sign-in/device", "", &asked).await.json(201);
    let yes = format!("code={}&answer=yes", asked.user_code);
    world.submit("/device", Some(&bo), &yes).await.ok(200);
    let fetch = json!({ "code": asked.device_code });
    let program: SignedIn = world.call(Method::POST, "/v1/sign-in/fetch", "", &fetch).await.json(200);
    let (_, csr) = daam_identity::make_csr().unwrap();
    let wanted = json!({ "csr_pem": csr, "device": "d" });
    world.call(Method::POST, "/v1/certificates", &program.token, &wanted).await.ok(200);

    let answered =
        told(&world, &mut idp, &made, json!({ "sessions": ["s1"], "state": "st ate" })).await.ok(303);
    assert!(
        answered.location().starts_with("https://idp.example/done?a=b&SAMLResponse="),
        "{}",
        answered.location()
    );
    let metadata = ours(&world, &made).await;
    let read = idp.ask(json!({ "do": "read", "url": answered.location(), "metadata": metadata })).await;
    assert_eq!((&read["what"], &read["state"]), (&json!("LogoutResponse"), &json!("st ate")));
    assert_eq!(read["status"], json!(["urn:oasis:names:tc:SAML:2.0:status:Success"]));
    assert_eq!(world.look("/", &bo).await.location(), "/sign-in");
    world.get("/v1/whoami", &program.token).await.refused(401, "auth.required");
    loop {
        if let ToAgent::IdentityRevoked { serials } = link.hear().await
            && serials.len() == 1
        {
            break;
        }
    }
    world.look("/", &other).await.ok(200);
    world.look("/", &cy).await.ok(200);
    // By a form, and of every session.
    told(&world, &mut idp, &made, json!({ "by": "form" })).await.ok(303);
    assert_eq!(world.look("/", &other).await.location(), "/sign-in");
    world.look("/", &cy).await.ok(200);
    let audit = world.get("/v1/audit?action=provider.logout", &org.token).await.text();
    assert_eq!(audit.matches("\"provider.logout\"").count(), 2, "{audit}");
}

#[tokio::test]
async fn a_notice_that_does_not_hold_ends_nothing() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let other = world.organization("zoe@other.example").await;
    let mut idp = SamlIdp::hostile().await;
    let metadata = idp.metadata.clone();
    let made = provider(&world, &org, &metadata).await;
    let theirs = provider(&world, &other, &metadata).await;
    let bo = sign_in(&world, &mut idp, &made, json!({})).await.cookie();
    for by in ["query", "form"] {
        for (how, code) in [
            (json!({ "how": "unsigned" }), "saml.signature"),
            (json!({ "how": "evil key with its certificate" }), "saml.signature"),
            (json!({ "how": "tampered", "state": "x" }), "saml.signature"),
            (json!({ "how": "rsa-sha1" }), "saml.algorithm"),
            (json!({ "say": { "issuer": "https://other.example" } }), "saml.issuer"),
            (json!({ "say": { "destination": theirs.backchannel_logout_uri } }), "saml.destination"),
            (json!({ "say": { "issued": -600 } }), "saml.time"),
            (json!({ "say": { "issued": 600 } }), "saml.time"),
            (json!({ "say": { "ends": -200 } }), "saml.time"),
            (json!({ "sessions": [""] }), "saml.subject"),
        ] {
            let mut asked = how.clone();
            asked["by"] = json!(by);
            told(&world, &mut idp, &made, asked).await.page_refused(403, code);
            world.look("/", &bo).await.ok(200);
        }
    }
    // For the other organization, whose provider is the same.
    let said = json!({ "do": "logout", "to": theirs.backchannel_logout_uri, "by": "query", "subject": "bo" });
    let said = idp.ask(said).await;
    brought(&world, &made, &said).await.page_refused(403, "saml.destination");
    brought(&world, &theirs, &said).await.ok(303);
    world.look("/", &bo).await.ok(200);
    // Once.
    let said = json!({ "do": "logout", "to": made.backchannel_logout_uri, "by": "query", "subject": "cy" });
    let said = idp.ask(said).await;
    brought(&world, &made, &said).await.ok(303);
    brought(&world, &made, &said).await.page_refused(403, "saml.replayed");
    for query in
        ["", "?", "?SAMLRequest=x", "?SAMLResponse=x", "?SAMLRequest=x&SAMLResponse=y", "?RelayState=x"]
    {
        let path = format!("{}{query}", path_of(&made.backchannel_logout_uri));
        world.look(&path, "").await.page_refused(403, "saml.malformed");
    }
    // An answer to a sign-in is no notice.
    let asked = begin(&world, &mut idp, &made, "").await;
    let response = idp.answer(&asked, json!({})).await;
    let form = format!("SAMLRequest={}", response.replace('+', "%2B").replace('=', "%3D"));
    post(&world, path_of(&made.backchannel_logout_uri), form, "").await.page_refused(403, "saml.malformed");
    world.look("/", &bo).await.ok(200);
}

const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";

/// Signs out here: what the provider is told.
async fn out(world: &World, idp: &mut SamlIdp, made: &Provider, session: &str) -> Value {
    let out = world.submit("/sign-out", Some(session), "").await.ok(200);
    assert!(out.headers["set-cookie"].to_str().unwrap().starts_with("__Host-sid=; Max-Age=0"));
    let page = out.text();
    let url = page.split("content=\"0; url=").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let url = url.replace("&#38;", "&").replace("&amp;", "&");
    assert!(url.starts_with("https://idp.example/slo?SAMLRequest="), "{url}");
    let metadata = ours(world, made).await;
    idp.ask(json!({ "do": "read", "url": url, "metadata": metadata })).await
}

pub(crate) async fn an_answer_is_to_a_notice_that_was_sent_and_once(world: World) {
    let org = world.bootstrap().await;
    let other = world.organization("zoe@other.example").await;
    let mut idp = SamlIdp::hostile().await;
    idp.ask(json!({ "do": "clock", "now": world.now() })).await;
    let metadata = idp.metadata.clone();
    let made = provider(&world, &org, &metadata).await;
    let (second, theirs) =
        (provider(&world, &org, &metadata).await, provider(&world, &other, &metadata).await);
    let bo = sign_in(&world, &mut idp, &made, json!({})).await.cookie();
    let said = out(&world, &mut idp, &made, &bo).await;
    let answer = |request: &Value| json!({ "answers": SUCCESS, "request": request });
    // Nothing asked, nothing that was asked, and asked of another provider, of ours or of somebody else's.
    for (at, how) in [
        (&made, json!({ "answers": SUCCESS })),
        (&made, answer(&json!("_x"))),
        (&second, answer(&said["ID"])),
        (&theirs, answer(&said["ID"])),
    ] {
        told(&world, &mut idp, at, how).await.page_refused(403, "saml.request");
    }
    told(&world, &mut idp, &made, answer(&said["ID"])).await.ok(303);
    told(&world, &mut idp, &made, answer(&said["ID"])).await.page_refused(403, "saml.request");
    // One that says no is an answer, too.
    let bo = sign_in(&world, &mut idp, &made, json!({})).await.cookie();
    let said = out(&world, &mut idp, &made, &bo).await;
    let no = json!({ "answers": "urn:oasis:names:tc:SAML:2.0:status:Responder", "request": said["ID"] });
    told(&world, &mut idp, &made, no.clone()).await.page_refused(403, "saml.status");
    told(&world, &mut idp, &made, no).await.page_refused(403, "saml.request");
    // And in time.
    let bo = sign_in(&world, &mut idp, &made, json!({})).await.cookie();
    let said = out(&world, &mut idp, &made, &bo).await;
    world.pass(600);
    idp.ask(json!({ "do": "clock", "now": world.now() })).await;
    told(&world, &mut idp, &made, answer(&said["ID"])).await.page_refused(403, "saml.request");
}

#[tokio::test]
async fn signing_out_here_is_told_there_if_it_wants_to_hear() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let mut idp = SamlIdp::hostile().await;
    let made = provider(&world, &org, &idp.metadata.clone()).await;
    let bo = sign_in(&world, &mut idp, &made, json!({ "session": "s7" })).await.cookie();
    let read = out(&world, &mut idp, &made, &bo).await;
    assert_eq!((&read["what"], &read["name"]), (&json!("LogoutRequest"), &json!(["bo"])));
    assert_eq!((&read["sessions"], &read["issuer"]), (&json!(["s7"]), &json!([made.client_id])));
    assert_eq!(world.look("/", &bo).await.location(), "/sign-in");
    // What it answers is looked at, and leads to the door.
    let forged = json!({ "answers": SUCCESS, "request": read["ID"], "how": "evil key with its certificate" });
    told(&world, &mut idp, &made, forged).await.page_refused(403, "saml.signature");
    let done =
        told(&world, &mut idp, &made, json!({ "answers": SUCCESS, "request": read["ID"] })).await.ok(303);
    assert_eq!(done.location(), format!("/sign-in?org={}", org.slug));
    // Where it does not want to hear, nobody is sent.
    let deaf = idp.metadata(json!({ "keys": "one", "logout": false })).await;
    let changed = json!({ "name": "x", "metadata": deaf, "rules": crate::saml::rules() });
    let path = format!("/v1/saml-providers/{}", made.id);
    world.call(Method::PUT, &path, &org.token, &changed).await.ok(200);
    let bo = sign_in(&world, &mut idp, &made, json!({})).await.cookie();
    assert_eq!(world.submit("/sign-out", Some(&bo), "").await.ok(303).location(), "/sign-in");
    let bo = sign_in(&world, &mut idp, &made, json!({})).await.cookie();
    let ended = told(&world, &mut idp, &made, json!({})).await.ok(200).text();
    assert!(ended.contains("You are signed out"), "{ended}");
    assert_eq!(world.look("/", &bo).await.location(), "/sign-in");
}

pub(crate) async fn people_sign_in_and_out_by_saml_on_either_engine(world: World) {
    let org = world.bootstrap().await;
    let mut idp = SamlIdp::hostile().await;
    idp.ask(json!({ "do": "clock", "now": world.now() })).await;
    let made = provider(&world, &org, &idp.metadata.clone()).await;
    let how = json!({ "session": "s1", "groups": ["idp-dba"], "id": "_once" });
    let bo = sign_in(&world, &mut idp, &made, how.clone()).await.cookie();
    assert!(world.look("/account", &bo).await.text().contains("bo@example.com"));
    sign_in(&world, &mut idp, &made, how).await.page_refused(403, "saml.replayed");
    // The same browser signs in again: the session it had has ended.
    let asked = begin_as(&world, &mut idp, &made, ("", &bo)).await;
    let response = idp.answer(&asked, json!({ "session": "s2" })).await;
    let again = back(&world, &asked, &response).await.cookie();
    assert_eq!(world.look("/", &bo).await.location(), "/sign-in");
    told(&world, &mut idp, &made, json!({ "sessions": ["s1"] })).await.ok(303);
    world.look("/", &again).await.ok(200);
    told(&world, &mut idp, &made, json!({ "sessions": ["s1", "s2"] })).await.ok(303);
    assert_eq!(world.look("/", &again).await.location(), "/sign-in");
    let bo = sign_in(&world, &mut idp, &made, json!({})).await.cookie();
    assert!(
        world.submit("/sign-out", Some(&bo), "").await.ok(200).text().contains("https://idp.example/slo")
    );
    // And linked to the account of somebody who is signed in otherwise.
    let ana = world.sign_in(&world.recover(&org, "ana@example.com").await).await;
    let asked = begin_as(&world, &mut idp, &made, ("?link=true", &ana)).await;
    let response = idp.answer(&asked, json!({ "subject": "ana" })).await;
    let linked = back(&world, &asked, &response).await.cookie();
    assert!(world.look("/", &linked).await.text().contains("ana@example.com"));
    let path = format!("/v1/identity-providers/{}", made.id);
    world.call(Method::DELETE, &path, &org.token, &json!({})).await.ok(204);
    assert_eq!(world.look("/", &linked).await.location(), "/sign-in");
}
