//! Passkeys: in a real browser with Chromium's own authenticators, and with one in memory that lies.

use crate::browser::Browser;
use crate::soft_key::{PRESENT, SoftKey, VERIFIED, Way};
use crate::world::{Answer, Org, World, path_of};
use daam_api::v1::{LinkCreated, SignedIn};
use daam_control_plane::server;
use reqwest::{Method, Url};
use serde_json::{Value, json};

/// What a sign-in was asked with, and the cookie of its browser.
struct Asked {
    options: Value,
    browser: String,
}

async fn asked(world: &World, form: &str) -> Asked {
    let begun = world.submit("/sign-in/passkey/begin", None, form).await.ok(200);
    let set = begun.headers["set-cookie"].to_str().unwrap().to_owned();
    assert!(set.contains("SameSite=Strict") && set.contains("HttpOnly") && set.contains("Secure"), "{set}");
    let browser = set.strip_prefix("__Host-passkey=").unwrap().split(';').next().unwrap().to_owned();
    Asked { options: begun.json(200), browser }
}

fn form(pairs: &[(&str, &str)]) -> String {
    Url::parse_with_params("http://x", pairs).unwrap().query().unwrap().to_owned()
}

async fn answered(world: &World, browser: &str, answer: &Value, more: &[(&str, &str)]) -> Answer {
    let credential = answer.to_string();
    let pairs = [&[("credential", credential.as_str())], more].concat();
    let request = world.request(Method::POST, "/sign-in/passkey").header("sec-fetch-site", "same-origin");
    let request = request.header("cookie", format!("__Host-passkey={browser}"));
    let kind = "application/x-www-form-urlencoded";
    Answer::of(request.header("content-type", kind).body(form(&pairs))).await
}

/// Signs in as it should be done.
pub(crate) async fn enter(world: &World, key: &mut SoftKey, more: &[(&str, &str)]) -> Answer {
    let Asked { options, browser } = asked(world, "").await;
    let answer = key.sign(&options, &right(world));
    answered(world, &browser, &answer, more).await
}

fn right(world: &World) -> Way {
    Way::right(&world.url(""))
}

async fn begun(world: &World, session: &str) -> Answer {
    world.submit("/passkeys/begin", Some(session), "name=key").await
}

async fn add(world: &World, session: &str, answer: &Value) -> Answer {
    world
        .submit("/passkeys", Some(session), &form(&[("name", "key"), ("credential", &answer.to_string())]))
        .await
}

/// A passkey of whoever has this session.
pub(crate) async fn key_of(world: &World, session: &str) -> SoftKey {
    let mut key = SoftKey::new();
    let options: Value = begun(world, session).await.json(200);
    let answer = key.register(&options, &right(world));
    assert_eq!(add(world, session, &answer).await.location(), "/passkeys");
    key
}

pub(crate) async fn a_passkey_signs_in_with_and_without_a_name(world: World) {
    let org = world.bootstrap().await;
    let ana = world.sign_in(&org.link).await;
    assert!(world.look("/", &ana).await.text().contains("Add a passkey"));
    let mut key = key_of(&world, &ana).await;
    assert!(!world.look("/", &ana).await.text().contains("Add a passkey"));
    let entered = enter(&world, &mut key, &[("return_to", "/account")]).await;
    assert_eq!(entered.location(), "/account");
    let session = entered.cookie();
    let page = world.look("/account", &session).await.ok(200).text();
    assert!(page.contains("<dd>passkey</dd>") && page.contains("ana@example.com"), "{page}");
    assert_ne!(session, ana);
    let away = enter(&world, &mut key, &[("return_to", "//evil.example")]).await;
    assert_eq!(away.location(), "/");
    // With a name it is asked for by its id, and need not know whose it is.
    let named = form(&[("org", &org.slug), ("email", "Ana@example.com")]);
    let Asked { options, browser } = asked(&world, &named).await;
    assert_eq!(options["publicKey"]["allowCredentials"].as_array().unwrap().len(), 1, "{options}");
    assert_eq!(options["publicKey"]["userVerification"], "required");
    let nameless = Way { handle: Some(Vec::new()), ..right(&world) };
    let answer = key.sign(&options, &nameless);
    answered(&world, &browser, &answer, &[]).await.cookie();
    // Somebody who is not here is asked like somebody who is, and the same at every time.
    let mut ids = Vec::new();
    for stranger in ["eve@example.com", "eve@example.com"] {
        let named = form(&[("org", &org.slug), ("email", stranger)]);
        ids.push(asked(&world, &named).await.options["publicKey"]["allowCredentials"].clone());
    }
    assert_eq!(ids[0], ids[1]);
    let lists = ids[0].as_array().unwrap();
    assert!(lists.iter().all(|id| id["type"] == "public-key" && id["id"].is_string()), "{ids:?}");
    // Several; named and listed; the last one stays as long as nothing else lets them in.
    let second = key_of(&world, &session).await;
    let page = world.look("/passkeys", &session).await.ok(200);
    let policy = page.headers["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let page = page.text();
    let ids: Vec<&str> =
        page.split("/passkeys/").filter_map(|part| part.split_once("/remove\"")).map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 2, "{page}");
    world.submit(&format!("/passkeys/{}/remove", ids[1]), Some(&session), "").await.ok(303);
    world
        .submit(&format!("/passkeys/{}/remove", ids[1]), Some(&session), "")
        .await
        .page_refused(404, "passkey.unknown");
    world
        .submit(&format!("/passkeys/{}/remove", ids[0]), Some(&session), "")
        .await
        .page_refused(409, "passkey.last");
    let mut second = second;
    enter(&world, &mut second, &[]).await.page_refused(403, "passkey.refused");
    // What a passkey began ends with it, and with what programs were given by it.
    let third = key_of(&world, &session).await;
    let program = program(&world, &session).await;
    world.submit(&format!("/passkeys/{}/remove", ids[0]), Some(&ana), "").await.ok(303);
    assert_eq!(world.look("/", &session).await.location(), "/sign-in");
    world.get("/v1/whoami", &program).await.refused(401, "auth.required");
    let mut third = third;
    enter(&world, &mut third, &[]).await.cookie();
}

/// A program that somebody signs in.
pub(crate) async fn program(world: &World, session: &str) -> String {
    let asked = world.call(Method::POST, "/v1/sign-in/device", "", &json!({ "device": "d" })).await;
    let asked: daam_api::v1::DeviceSignIn = asked.json(201);
    let form = format!("code={}&answer=yes", asked.user_code);
    world.submit("/device", Some(session), &form).await.ok(200);
    let fetch = json!({ "code": asked.device_code });
    let done: SignedIn = world.call(Method::POST, "/v1/sign-in/fetch", "", &fetch).await.json(200);
    done.token
}

pub(crate) async fn what_does_not_answer_rightly_signs_nobody_in(world: World) {
    let org = world.bootstrap().await;
    let ana = world.sign_in(&org.link).await;
    let mut key = key_of(&world, &ana).await;
    let invite = json!({ "email": "bo@example.com" });
    let invite: LinkCreated = world.call(Method::POST, "/v1/invites", &org.token, &invite).await.json(201);
    let bo = world.sign_in(&invite.link).await;
    let bos = key_of(&world, &bo).await;
    let port = world.server.address().port();
    let right = right(&world);
    let wrong = [
        (
            "another challenge",
            Way { challenge: Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".into()), ..right.clone() },
        ),
        ("another origin", Way { origin: "https://evil.example".into(), ..right.clone() }),
        ("another scheme", Way { origin: format!("https://localhost:{port}"), ..right.clone() }),
        ("another port", Way { origin: "http://localhost:1".into(), ..right.clone() }),
        ("a name below", Way { origin: format!("http://evil.localhost:{port}"), ..right.clone() }),
        ("another RP id", Way { rp: "evil.example".into(), ..right.clone() }),
        ("nobody verified", Way { flags: PRESENT, ..right.clone() }),
        ("nobody present", Way { flags: VERIFIED, ..right.clone() }),
        ("backed up without being able to", Way { flags: PRESENT | VERIFIED | 0x10, ..right.clone() }),
        ("suddenly able to be backed up", Way { flags: PRESENT | VERIFIED | 0x08, ..right.clone() }),
        ("a registration", Way { kind: Some("webauthn.create"), ..right.clone() }),
        ("in a frame", Way { client: json!({ "crossOrigin": true }), ..right.clone() }),
        ("in a frame of", Way { client: json!({ "topOrigin": "https://evil.example" }), ..right.clone() }),
        ("a broken signature", Way { tamper: true, ..right.clone() }),
        ("somebody else's handle", Way { handle: Some(bos.handle.clone()), ..right.clone() }),
        ("no handle", Way { handle: Some(Vec::new()), ..right.clone() }),
    ];
    for (what, way) in &wrong {
        let Asked { options, browser } = asked(&world, "").await;
        let answer = key.sign(&options, way);
        let refused = answered(&world, &browser, &answer, &[]).await;
        assert!(!refused.headers.contains_key("set-cookie"), "{what}");
        let text = refused.page_refused(403, "passkey.refused");
        assert!(text.contains("does not sign anybody in"), "{what}: {text}");
        // Once, whatever came of it.
        let answer = key.sign(&options, &right);
        answered(&world, &browser, &answer, &[]).await.page_refused(403, "passkey.refused");
    }
    let Asked { options, browser } = asked(&world, "").await;
    let answer = key.imposter().sign(&options, &right);
    answered(&world, &browser, &answer, &[]).await.page_refused(403, "passkey.refused");
    let Asked { options, browser } = asked(&world, "").await;
    let answer = SoftKey::unknown(&key).sign(&options, &right);
    answered(&world, &browser, &answer, &[]).await.page_refused(403, "passkey.refused");
}

pub(crate) async fn a_passkey_answers_for_its_person_in_its_browser_and_in_time(world: World) {
    let org = world.bootstrap().await;
    let ana = world.sign_in(&org.link).await;
    let mut key = key_of(&world, &ana).await;
    let invite = json!({ "email": "bo@example.com" });
    let invite: LinkCreated = world.call(Method::POST, "/v1/invites", &org.token, &invite).await.json(201);
    let bo = world.sign_in(&invite.link).await;
    let mut bos = key_of(&world, &bo).await;
    let right = right(&world);
    // Asked of one, answered by another.
    let named = form(&[("org", &org.slug), ("email", "ana@example.com")]);
    let Asked { options, browser } = asked(&world, &named).await;
    let answer = bos.sign(&options, &right);
    answered(&world, &browser, &answer, &[]).await.page_refused(403, "passkey.refused");
    let named = form(&[("org", &org.slug), ("email", "nobody@example.com")]);
    let Asked { options, browser } = asked(&world, &named).await;
    let answer = bos.sign(&options, &right);
    answered(&world, &browser, &answer, &[]).await.page_refused(403, "passkey.refused");
    // In the browser it was asked in, once, and in time.
    let (mine, theirs) = (asked(&world, "").await, asked(&world, "").await);
    let answer = key.sign(&mine.options, &right);
    answered(&world, &theirs.browser, &answer, &[]).await.page_refused(403, "passkey.refused");
    answered(&world, "", &answer, &[]).await.page_refused(403, "passkey.refused");
    answered(&world, &mine.browser, &answer, &[]).await.cookie();
    answered(&world, &mine.browser, &answer, &[]).await.page_refused(403, "passkey.refused");
    let late = asked(&world, "").await;
    world.pass(301);
    let answer = key.sign(&late.options, &right);
    answered(&world, &late.browser, &answer, &[]).await.page_refused(403, "passkey.refused");
    for nonsense in [json!(null), json!({}), json!({ "id": "x", "rawId": "!", "type": "public-key" })] {
        let Asked { browser, .. } = asked(&world, "").await;
        answered(&world, &browser, &nonsense, &[]).await.page_refused(403, "passkey.refused");
    }
    // A counter that goes back is a second passkey of the same key; it is refused, and overseers see it.
    let reached = std::mem::replace(&mut key.counter, 0);
    enter(&world, &mut key, &[]).await.page_refused(403, "passkey.refused");
    let log = world.get("/v1/audit?action=passkey.doubt", &org.token).await.text();
    assert!(log.contains("\"target\":\"key\""), "{log}");
    key.counter = reached;
    enter(&world, &mut key, &[]).await.cookie();
    // From our own pages only.
    let elsewhere =
        world.request(Method::POST, "/sign-in/passkey/begin").header("sec-fetch-site", "cross-site");
    Answer::of(elsewhere).await.page_refused(403, "request.cross-site");
}

pub(crate) async fn what_does_not_answer_rightly_is_not_added(world: World) {
    let org = world.bootstrap().await;
    let ana = world.sign_in(&org.link).await;
    let right = right(&world);
    let another = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned();
    for (what, way) in [
        ("another challenge", Way { challenge: Some(another), ..right.clone() }),
        ("another origin", Way { origin: "https://evil.example".into(), ..right.clone() }),
        ("another RP id", Way { rp: "evil.example".into(), ..right.clone() }),
        ("nobody verified", Way { flags: PRESENT, ..right.clone() }),
        ("nobody present", Way { flags: VERIFIED, ..right.clone() }),
        ("a sign-in", Way { kind: Some("webauthn.get"), ..right.clone() }),
        ("in a frame", Way { client: json!({ "crossOrigin": true }), ..right.clone() }),
    ] {
        let options: Value = begun(&world, &ana).await.json(200);
        assert_eq!(options["publicKey"]["authenticatorSelection"]["userVerification"], "required");
        let answer = SoftKey::new().register(&options, &way);
        add(&world, &ana, &answer).await.page_refused(403, "passkey.refused");
        let answer = SoftKey::new().register(&options, &right);
        let text = add(&world, &ana, &answer).await.page_refused(403, "passkey.refused");
        assert!(text.contains("or no longer"), "{what} used it up");
    }
    // A broken statement, and an attestation that is none.
    for broken in ["AAAA", "oWNmbXRkbm9uZQ", ""] {
        let options: Value = begun(&world, &ana).await.json(200);
        let mut answer = SoftKey::new().register(&options, &right);
        answer["response"]["attestationObject"] = json!(broken);
        add(&world, &ana, &answer).await.page_refused(403, "passkey.refused");
    }
    let options: Value = begun(&world, &ana).await.json(200);
    world.pass(301);
    let answer = SoftKey::new().register(&options, &right);
    add(&world, &ana, &answer).await.page_refused(403, "passkey.refused");
    // Asked in another session of the same person.
    let again = world.sign_in(&world.recover(&org, "ana@example.com").await).await;
    let options: Value = begun(&world, &again).await.json(200);
    let mut key = SoftKey::new();
    let answer = key.register(&options, &right);
    add(&world, &ana, &answer).await.page_refused(403, "passkey.refused");
    add(&world, &again, &answer).await.ok(303);
    // Somebody else's.
    let other = world.organization("eve@evil.example").await;
    let eve = world.sign_in(&other.link).await;
    let options: Value = begun(&world, &eve).await.json(200);
    let answer = key.imposter().register(&options, &right);
    add(&world, &eve, &answer).await.page_refused(409, "passkey.exists");
    enter(&world, &mut key, &[]).await.cookie();
    // Every one is told what there is already, and there is an end.
    for _ in 1..20 {
        key_of(&world, &again).await;
    }
    let options: Value = begun(&world, &again).await.json(200);
    assert_eq!(options["publicKey"]["excludeCredentials"].as_array().unwrap().len(), 20);
    let answer = SoftKey::new().register(&options, &right);
    add(&world, &again, &answer).await.page_refused(409, "passkey.full");
}

pub(crate) async fn a_passkey_is_added_by_whoever_is_proven_and_nobody_else(world: World) {
    let org = world.bootstrap().await;
    let by_token = world.session(&org.token).await;
    begun(&world, &by_token).await.page_refused(403, "passkey.unproven");
    assert!(
        world
            .look("/passkeys", &by_token)
            .await
            .ok(200)
            .text()
            .contains("vouches for you in this organization only")
    );
    // An invite adds the first one, and is another session then.
    let invite = json!({ "email": "bo@example.com" });
    let invite: LinkCreated = world.call(Method::POST, "/v1/invites", &org.token, &invite).await.json(201);
    let bo = world.sign_in(&invite.link).await;
    let options: Value = begun(&world, &bo).await.json(200);
    let mut key = SoftKey::new();
    let answer = key.register(&options, &right(&world));
    let upgraded = add(&world, &bo, &answer).await.cookie();
    assert_eq!(world.look("/", &bo).await.location(), "/sign-in");
    assert!(world.look("/account", &upgraded).await.text().contains("<dd>passkey</dd>"));
    // With the means of their own they belong to another organization, too.
    let other = world.organization("eve@evil.example").await;
    let here = json!({ "email": "bo@evil.example" });
    let here: LinkCreated = world.call(Method::POST, "/v1/invites", &other.token, &here).await.json(201);
    world.submit(path_of(&here.link), Some(&upgraded), "").await.cookie();
    // What the inviting admin holds there is no way to them here.
    let theirs = world
        .call(Method::POST, "/v1/tokens", &other.token, &json!({ "name": "x", "email": "bo@evil.example" }))
        .await;
    let theirs: daam_api::v1::TokenCreated = theirs.json(201);
    let theirs = world.session(&theirs.token).await;
    begun(&world, &theirs).await.page_refused(403, "passkey.unproven");
    // Not long after signing in, or again.
    let session = enter(&world, &mut key, &[]).await.cookie();
    let options: Value = begun(&world, &session).await.json(200);
    let answer = SoftKey::new().register(&options, &right(&world));
    world.pass(200);
    add(&world, &session, &answer).await.ok(303);
    world.pass(800);
    begun(&world, &session).await.page_refused(403, "passkey.stale");
    // Moving proves nothing anew, not even to where one is.
    for to in [&org.slug, &other.slug] {
        let session = enter(&world, &mut key, &[("org", &org.slug)]).await.cookie();
        world.pass(1000);
        let moved = world.submit("/switch", Some(&session), &format!("org={to}")).await.cookie();
        begun(&world, &moved).await.page_refused(403, "passkey.stale");
    }
    let page = world.look("/passkeys", &session).await.ok(200).text();
    assert!(page.contains("sign in again") && !page.contains("/remove"), "{page}");
}

pub(crate) async fn what_an_idle_browser_gave_ends_with_the_passkey_it_came_by(world: World) {
    let org = world.bootstrap().await;
    let invite = json!({ "email": "bo@example.com" });
    let invite: LinkCreated = world.call(Method::POST, "/v1/invites", &org.token, &invite).await.json(201);
    let bo = world.sign_in(&invite.link).await;
    let mut own = key_of(&world, &bo).await;
    let session = enter(&world, &mut own, &[]).await.cookie();
    let mut stolen = key_of(&world, &session).await;
    let thief = enter(&world, &mut stolen, &[]).await.cookie();
    let program = program(&world, &thief).await;
    // The browser is closed, others come and go, and the program goes on.
    world.pass(2 * 3600);
    assert_eq!(world.look("/", &thief).await.location(), "/sign-in");
    let session = enter(&world, &mut own, &[]).await.cookie();
    world.get("/v1/whoami", &program).await.ok(200);
    let page = world.look("/passkeys", &session).await.text();
    let ids: Vec<&str> =
        page.split("/passkeys/").filter_map(|part| part.split_once("/remove\"")).map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 2, "{page}");
    world.submit(&format!("/passkeys/{}/remove", ids[1]), Some(&session), "").await.ok(303);
    enter(&world, &mut stolen, &[]).await.page_refused(403, "passkey.refused");
    world.get("/v1/whoami", &program).await.refused(401, "auth.required");
}

pub(crate) async fn a_passkey_opens_what_its_person_belongs_to_and_no_more(world: World) {
    let org = world.bootstrap().await;
    let ana = world.sign_in(&org.link).await;
    let mut key = key_of(&world, &ana).await;
    let other = world.organization("eve@evil.example").await;
    let text = enter(&world, &mut key, &[("org", &other.slug)]).await.page_refused(403, "passkey.refused");
    assert!(!text.contains("eve"), "{text}");
    let here = json!({ "email": "ana@evil.example" });
    let here: LinkCreated = world.call(Method::POST, "/v1/invites", &other.token, &here).await.json(201);
    let session = enter(&world, &mut key, &[]).await.cookie();
    world.submit(path_of(&here.link), Some(&session), "").await.cookie();
    let there = enter(&world, &mut key, &[("org", &other.slug)]).await.cookie();
    assert!(world.look("/", &there).await.text().contains("ana@evil.example"));
    // Both organizations' overseers see what becomes of it.
    key_of(&world, &there).await;
    for org in [&org, &other] {
        let log = world.get("/v1/audit?action=passkey.add", &org.token).await.text();
        assert!(log.contains("passkey.add"), "{log}");
    }
    // Disabled there is out there, and nowhere else.
    world.put_user(&other, "ana@evil.example", true).await;
    assert_eq!(world.look("/", &there).await.location(), "/sign-in");
    enter(&world, &mut key, &[("org", &other.slug)]).await.page_refused(403, "passkey.refused");
    let here = enter(&world, &mut key, &[]).await.cookie();
    assert!(world.look("/", &here).await.text().contains("ana@example.com"));
}

pub(crate) async fn whoever_lost_every_passkey_is_let_in_again_in_that_organization(world: World) {
    let org = world.bootstrap().await;
    let invited = async |org: &Org, email: &str, recover: bool| {
        let wanted = json!({ "email": email, "recover": recover });
        let made: LinkCreated = world.call(Method::POST, "/v1/invites", &org.token, &wanted).await.json(201);
        made.link
    };
    let bo = world.sign_in(&invited(&org, "bo@example.com", false).await).await;
    let mut lost = key_of(&world, &bo).await;
    let session = enter(&world, &mut lost, &[]).await.cookie();
    let other = world.organization("zoe@other.example").await;
    let elsewhere = invited(&other, "bo@other.example", false).await;
    let elsewhere = world.submit(path_of(&elsewhere), Some(&session), "").await.cookie();
    let session = enter(&world, &mut lost, &[("org", &org.slug)]).await.cookie();
    let program = program(&world, &session).await;
    let own = world.submit("/tokens", Some(&session), "name=laptop&days=9").await.ok(200).text();
    let own = own.split(['<', '>']).find(|text| text.starts_with("daam_pat_")).unwrap().to_owned();
    let again = json!({ "email": "bo@example.com" });
    world.call(Method::POST, "/v1/invites", &org.token, &again).await.refused(409, "invite.joined");
    let link = invited(&org, "bo@example.com", true).await;
    assert!(world.look(path_of(&link), "").await.text().contains("opens it no more"));
    world.look("/", &session).await.ok(200);
    let recovered = world.sign_in(&link).await;
    assert!(world.look("/", &recovered).await.text().contains("bo@example.com"));
    // What opened it before does so no more; what is elsewhere is as it was, and out of reach of whoever has this.
    assert_eq!(world.look("/", &session).await.location(), "/sign-in");
    for gone in [&program, &own] {
        world.get("/v1/whoami", gone).await.refused(401, "auth.required");
    }
    enter(&world, &mut lost, &[("org", &org.slug)]).await.page_refused(403, "passkey.refused");
    world.look("/", &elsewhere).await.ok(200);
    let there = enter(&world, &mut lost, &[]).await.cookie();
    assert!(world.look("/", &there).await.text().contains("bo@other.example"));
    let mut new = key_of(&world, &recovered).await;
    let here = enter(&world, &mut new, &[]).await.cookie();
    let page = world.look("/account", &here).await.text();
    assert!(page.contains("bo@example.com") && !page.contains("Organizations"), "{page}");
    enter(&world, &mut new, &[("org", &other.slug)]).await.page_refused(403, "passkey.refused");
    // The operator can end stolen ones everywhere, while the server runs.
    let missing =
        server::recovery_link(&world.config, (&org.slug, "nobody@example.com", true)).await.unwrap();
    assert_eq!(missing, None);
    let link =
        server::recovery_link(&world.config, (&org.slug, "BO@example.com", true)).await.unwrap().unwrap();
    enter(&world, &mut new, &[]).await.page_refused(403, "passkey.refused");
    assert_eq!(world.look("/", &here).await.location(), "/sign-in");
    let link = world.url(path_of(&link));
    let back = world.sign_in(&link).await;
    key_of(&world, &back).await;
}

fn device() -> Value {
    json!({ "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true, "isUserVerified": true })
}

#[tokio::test]
async fn the_first_admin_ends_with_passkeys_and_comes_back_by_them() {
    let world = World::start(None).await;
    let org = world.bootstrap().await;
    let mut browser = Browser::start();
    browser.plug(device()).await;
    browser.goto(&org.link).await;
    browser.click("button", "Sign in").await;
    browser.click("link", "Add a passkey").await;
    browser.is_accessible("passkeys, none").await;
    // Whoever does not prove to be there gets none.
    browser.verified(false).await;
    browser.fill("What you call it", "my laptop").await;
    browser.click("button", "Add a passkey").await;
    assert!(browser.alert().await.contains("No passkey was used"));
    browser.verified(true).await;
    browser.click("button", "Add a passkey").await;
    browser.until("Remove my laptop").await;
    browser.is_accessible("passkeys, one").await;
    let kept = browser.credentials().await;
    assert_eq!((&kept[0]["rpId"], &kept[0]["isResidentCredential"]), (&json!("localhost"), &json!(true)));
    browser.click("button", "Sign out").await;
    browser.is_accessible("sign-in").await;
    browser.click("button", "Sign in with a passkey").await;
    browser.until("Connect from your machine").await;
    assert!(browser.text().await.contains("ana@example.com"));
    // A key of another kind, which keeps no names: it is found by hers.
    let kind = json!({ "protocol": "ctap2", "transport": "usb", "hasResidentKey": false, "hasUserVerification": true, "isUserVerified": true });
    browser.plug(kind).await;
    browser.goto(&world.url("/passkeys")).await;
    browser.fill("What you call it", "key on a ring").await;
    browser.click("button", "Add a passkey").await;
    browser.until("Remove key on a ring").await;
    browser.click("button", "Remove my laptop").await;
    browser.until("Sign in with a passkey").await;
    browser.goto(&world.url(&format!("/sign-in?org={}&return_to=%2Faccount", org.slug))).await;
    browser.is_accessible("sign-in of an organization").await;
    browser.click("button", "Sign in with a passkey").await;
    assert!(browser.alert().await.contains("No passkey was used"), "it does not know whose it is");
    browser.click_text("My security key keeps no names").await;
    browser.fill("Your e-mail address", "ana@example.com").await;
    browser.click("button", "Sign in with a passkey").await;
    browser.until("Signed in until").await;
    assert_eq!(browser.complaints().await, json!([]), "the policy of the pages is kept by the pages");
}
