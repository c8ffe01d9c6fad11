//! Signing in by an identity provider: a real one in a real browser, and one that lies.

use crate::browser::{Browser, peer};
use crate::link::Peer;
use crate::world::{Answer, Org, World, path_of};
use daam_api::link::ToAgent;
use daam_api::v1::{
    DeviceSignIn, LinkCreated, NewProvider, Provider, ProviderRules, SignedIn, TokenCreated, User, WhoAmI,
};
use reqwest::Method;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

/// A provider of `ci/peers`.
pub(crate) struct Idp {
    pub(crate) issuer: String,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Idp {
    pub(crate) async fn start(program: &str, arguments: &[&str]) -> Self {
        let mut child =
            peer(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let issuer = output.next_line().await.unwrap().unwrap();
        Self { issuer, input, output, _child: child }
    }

    pub(crate) async fn lie(&mut self, how: &str) {
        self.input.write_all(format!("{how}\n").as_bytes()).await.unwrap();
        assert_eq!(self.output.next_line().await.unwrap().as_deref(), Some("ok"));
    }
}

impl Idp {
    /// A token of a job, as it says of itself and as it is made.
    pub(crate) async fn job(&mut self, how: &serde_json::Value) -> String {
        self.input.write_all(format!("job {how}\n").as_bytes()).await.unwrap();
        self.output.next_line().await.unwrap().unwrap()
    }

    /// A logout token that names a session and nobody.
    async fn logout_token(&mut self, how: &serde_json::Value) -> String {
        self.input.write_all(format!("logout {how}\n").as_bytes()).await.unwrap();
        self.output.next_line().await.unwrap().unwrap()
    }
}

pub(crate) fn rules() -> ProviderRules {
    ProviderRules {
        provision: true,
        allowed_domains: BTreeSet::from(["example.com".to_owned()]),
        groups_claim: Some("groups".to_owned()),
        groups: BTreeMap::from([("idp-dba".to_owned(), "dba".to_owned())]),
        ..ProviderRules::default()
    }
}

pub(crate) async fn provider(world: &World, org: &Org, issuer: &str, rules: ProviderRules) -> Provider {
    let new = NewProvider {
        name: "Company login".to_owned(),
        issuer: issuer.to_owned(),
        client_id: "daam".to_owned(),
        client_secret: Some("planted-secret-of-the-client".to_owned()),
        rules,
    };
    let new = serde_json::to_value(&new).unwrap();
    world.call(Method::POST, "/v1/identity-providers", &org.token, &new).await.json(201)
}

/// From our door to the provider and back to our callback, without a browser: its address and the flow's cookie.
pub(crate) async fn round_trip(world: &World, id: &str, query: &str) -> (String, String) {
    let off = world.look(&format!("/sign-in/oidc/{id}{query}"), "").await.ok(303);
    let set = off.headers["set-cookie"].to_str().unwrap();
    let flow = set.strip_prefix("__Host-flow=").unwrap().split(';').next().unwrap().to_owned();
    let back = Answer::of(world.elsewhere(off.location())).await;
    (path_of(back.location()).to_owned(), flow)
}

pub(crate) async fn callback(world: &World, path: &str, flow: &str) -> Answer {
    Answer::of(world.request(Method::GET, path).header("cookie", format!("__Host-flow={flow}"))).await
}

#[tokio::test]
async fn a_provider_that_lies_lets_nobody_in() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let mut idp = Idp::start("hostile.mjs", &[]).await;
    let made = provider(&world, &org, &idp.issuer, rules()).await;
    for lie in [
        "nonce",
        "no nonce",
        "audience",
        "issuer",
        "expired",
        "unsigned",
        "shared secret",
        "key as secret",
        "another key",
        "no token",
        "another person",
    ] {
        idp.lie(lie).await;
        let (path, flow) = round_trip(&world, &made.id, "").await;
        let refused = callback(&world, &path, &flow).await;
        assert!(!refused.headers.contains_key("set-cookie"), "{lie}");
        refused.page_refused(403, "sso.refused");
    }
    idp.lie("unverified").await;
    let (path, flow) = round_trip(&world, &made.id, "").await;
    callback(&world, &path, &flow).await.page_refused(403, "sso.unverified");
}

#[tokio::test]
async fn an_answer_counts_once_in_its_own_browser_and_for_what_it_proves() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let mut idp = Idp::start("hostile.mjs", &[]).await;
    let made = provider(&world, &org, &idp.issuer, rules()).await;
    idp.lie("nothing").await;
    let (path, flow) = round_trip(&world, &made.id, "").await;
    let (other, mine) = round_trip(&world, &made.id, "").await;
    callback(&world, &path, &mine).await.page_refused(403, "sso.refused");
    callback(&world, &path, &flow).await.page_refused(403, "sso.refused");
    let forged = format!("{other}&iss=https%3A%2F%2Fevil.example");
    callback(&world, &forged, &mine).await.page_refused(403, "sso.refused");
    for path in [
        "/sign-in/oidc/callback",
        "/sign-in/oidc/callback?state=x&code=y",
        "/sign-in/oidc/callback?error=denied",
    ] {
        callback(&world, path, "x").await.page_refused(403, "sso.refused");
    }
    // The truth, at last; and where to go on to is a place of ours or none.
    let (path, flow) = round_trip(&world, &made.id, "?return_to=%2F%2Fevil.example").await;
    let entered = callback(&world, &path, &flow).await;
    assert_eq!(entered.location(), "/");
    let mallory = entered.cookie();
    callback(&world, &path, &flow).await.page_refused(403, "sso.refused");
    let (path, flow) = round_trip(&world, &made.id, "?return_to=%2Ftokens").await;
    assert_eq!(callback(&world, &path, &flow).await.location(), "/tokens");
    // What an organization's provider says counts there alone.
    assert!(!world.look("/account", &mallory).await.text().contains("Organizations"));

    // An address that somebody has proves nothing.
    world.put_user(&org, "mallory@example.com", true).await;
    let (path, flow) = round_trip(&world, &made.id, "").await;
    callback(&world, &path, &flow).await.page_refused(403, "sso.disabled");
    let other = world.organization("mallory@example.com").await;
    let theirs = provider(&world, &other, &idp.issuer, rules()).await;
    let (path, flow) = round_trip(&world, &theirs.id, "").await;
    callback(&world, &path, &flow).await.page_refused(403, "sso.email-taken");
    // With an invite it is that member who says so.
    let elsewhere = json!({ "email": "m@other.example" });
    let invite: LinkCreated =
        world.call(Method::POST, "/v1/invites", &other.token, &elsewhere).await.json(201);
    let secret = path_of(&invite.link).rsplit('/').next().unwrap();
    let (path, flow) = round_trip(&world, &theirs.id, &format!("?invite={secret}")).await;
    let joined = callback(&world, &path, &flow).await.cookie();
    assert!(world.look("/", &joined).await.text().contains("m@other.example"));
    // Nor is a provider inside the operator's network asked, unless the operator says so.
    let careful = World::start(None).await;
    let org = careful.bootstrap().await;
    let new = json!({ "name": "x", "issuer": idp.issuer, "client_id": "daam" });
    careful
        .call(Method::POST, "/v1/identity-providers", &org.token, &new)
        .await
        .refused(400, "provider.issuer");
}

#[tokio::test]
async fn an_answer_of_one_provider_is_not_taken_for_another_ones() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let mut honest = Idp::start("hostile.mjs", &[]).await;
    let mut evil = Idp::start("hostile.mjs", &[]).await;
    let ours = provider(&world, &org, &honest.issuer, rules()).await;
    let theirs = provider(&world, &org, &evil.issuer, rules()).await;
    honest.lie("nothing").await;
    evil.lie("nothing").await;
    // Begun at one, answered in the name of the other, within one organization.
    let (path, flow) = round_trip(&world, &ours.id, "").await;
    let mixed = format!("{path}&iss={}", evil.issuer.replace(':', "%3A").replace('/', "%2F"));
    callback(&world, &mixed, &flow).await.page_refused(403, "sso.refused");
    // The state of one with the browser's secret of the other.
    let (path, _) = round_trip(&world, &ours.id, "").await;
    let (_, flow) = round_trip(&world, &theirs.id, "").await;
    callback(&world, &path, &flow).await.page_refused(403, "sso.refused");
    // A token that one made in the name of the other holds at neither.
    evil.lie(&format!("issuer {}", honest.issuer)).await;
    for id in [&ours.id, &theirs.id] {
        let (path, flow) = round_trip(&world, id, "").await;
        let answer = callback(&world, &path, &flow).await;
        if id == &theirs.id {
            answer.page_refused(403, "sso.refused");
        } else {
            answer.cookie();
        }
    }
    // The same subject at both is two people.
    evil.lie("nothing").await;
    let (path, flow) = round_trip(&world, &theirs.id, "").await;
    callback(&world, &path, &flow).await.page_refused(403, "sso.email-taken");
}

#[tokio::test]
async fn a_provider_may_say_which_session_ended_without_saying_whose() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let mut idp = Idp::start("hostile.mjs", &[]).await;
    let made = provider(&world, &org, &idp.issuer, rules()).await;
    idp.lie("nothing").await;
    let (path, flow) = round_trip(&world, &made.id, "").await;
    let mallory = callback(&world, &path, &flow).await.cookie();
    let told = async |token: &str| {
        let told = world.request(Method::POST, path_of(&made.backchannel_logout_uri));
        let kind = "application/x-www-form-urlencoded";
        Answer::of(told.header("content-type", kind).body(format!("logout_token={token}"))).await
    };
    for how in [
        json!({ "claims": { "jti": "1", "aud": "somebody-else" } }),
        json!({ "claims": { "jti": "2", "iss": "https://other.example" } }),
        json!({ "claims": { "jti": "3", "nonce": "x" } }),
        json!({ "claims": { "jti": "4", "events": {} } }),
        json!({ "claims": { "jti": "5", "iat": 1 } }),
        json!({ "claims": { "jti": "6", "exp": 1 } }),
        json!({ "claims": { "jti": "7", "sid": "" } }),
        json!({ "claims": { "jti": "8" }, "header": { "typ": "at+jwt" } }),
        json!({ "claims": { "jti": "10" }, "forged": true }),
        json!({ "claims": {} }),
    ] {
        let token = idp.logout_token(&how).await;
        told(&token).await.refused(400, "logout.refused");
        world.look("/", &mallory).await.ok(200);
    }
    told(&idp.logout_token(&json!({ "claims": { "jti": "11", "sid": "S2" } })).await).await.ok(200);
    world.look("/", &mallory).await.ok(200);
    let token = idp.logout_token(&json!({ "claims": { "jti": "12" } })).await;
    told(&token).await.ok(200);
    assert_eq!(world.look("/", &mallory).await.location(), "/sign-in");
    told(&token).await.refused(400, "logout.refused");
    // One that never said which session it was means all of that person's when it names the person, too.
    idp.lie("no session").await;
    let (path, flow) = round_trip(&world, &made.id, "").await;
    let unnamed = callback(&world, &path, &flow).await.cookie();
    told(&idp.logout_token(&json!({ "claims": { "jti": "13" } })).await).await.ok(200);
    world.look("/", &unnamed).await.ok(200);
    told(&idp.logout_token(&json!({ "claims": { "jti": "14", "sub": "ana" } })).await).await.ok(200);
    world.look("/", &unnamed).await.ok(200);
    told(&idp.logout_token(&json!({ "claims": { "jti": "15", "sub": "mallory" } })).await).await.ok(200);
    assert_eq!(world.look("/", &unnamed).await.location(), "/sign-in");
}

#[tokio::test]
async fn people_sign_in_by_their_company_and_are_out_everywhere_when_they_sign_out_there() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    let mut link = Peer::connected(&world, &agent).await;
    let people = json!({
        "bo": { "email": "Bo@example.com", "email_verified": true, "groups": ["idp-dba", "idp-other"] },
        "eve": { "email": "eve@evil.example", "email_verified": true },
    });
    let redirect = world.url("/sign-in/oidc/callback");
    let mut idp = Idp::start("provider.mjs", &[&redirect, &people.to_string()]).await;
    let made = provider(&world, &org, &idp.issuer, rules()).await;
    assert_eq!(made.redirect_uri, redirect);
    idp.lie(&made.backchannel_logout_uri.replace("localhost", "127.0.0.1")).await;
    let mut browser = Browser::start();
    browser.goto(&world.url(&format!("/sign-in?org={}", org.slug))).await;
    browser.is_accessible("sign-in of an organization").await;
    browser.click("link", "Company login").await;
    at_company(&mut browser, "eve").await;
    assert!(browser.text().await.contains("sso.domain"), "{}", browser.text().await);
    browser.forget().await;
    browser.goto(&world.url(&format!("/sign-in?org={}&return_to=%2Faccount", org.slug))).await;
    browser.click("link", "Company login").await;
    at_company(&mut browser, "bo").await;
    let page = browser.text().await;
    assert!(page.contains("bo@example.com") && page.contains("identity provider"), "{page}");
    let users: Vec<User> = world.get("/v1/users", &org.token).await.json(200);
    let bo = users.iter().find(|user| user.email == "bo@example.com").unwrap();
    assert_eq!((&bo.groups, bo.role.as_str()), (&BTreeSet::from(["dba".to_owned()]), "member"));

    let signed_in = program_of_his(&world, &mut browser).await;
    // What he makes in that sign-in ends with it, too; what an admin makes for a pipeline's own account does not.
    browser.goto(&world.url("/tokens")).await;
    browser.fill("What it is for", "pipeline").await;
    browser.click("button", "Make a token").await;
    let page = browser.text().await;
    let own = page.split_whitespace().find(|word| word.starts_with("daam_pat_")).unwrap().to_owned();

    let nothing = json!({ "groups": [], "attributes": {}, "disabled": false });
    world.call(Method::PUT, "/v1/users/ci@example.com", &org.token, &nothing).await.ok(200);
    let wanted = json!({ "name": "pipeline", "email": "ci@example.com" });
    let made_for: TokenCreated = world.call(Method::POST, "/v1/tokens", &org.token, &wanted).await.json(201);

    browser.goto(&format!("{}/session/end", idp.issuer)).await;
    browser.click("button", "Yes, sign me out").await;
    world
        .until("his program is signed out", async || {
            world.get("/v1/whoami", &signed_in.token).await.status.as_u16() == 401
        })
        .await;
    loop {
        if let ToAgent::IdentityRevoked { serials } = link.hear().await
            && serials.len() == 1
        {
            break;
        }
    }
    browser.goto(&world.url("/")).await;
    assert!(browser.url().await.ends_with("/sign-in"), "{}", browser.url().await);
    assert_eq!(world.get("/v1/whoami", &own).await.status.as_u16(), 401);
    world.get("/v1/whoami", &made_for.token).await.ok(200);
    let forged = world.request(Method::POST, path_of(&made.backchannel_logout_uri));
    let kind = "application/x-www-form-urlencoded";
    let forged = forged.header("content-type", kind).body("logout_token=eyJhbGciOiJub25lIn0.e30.");
    Answer::of(forged).await.refused(400, "logout.refused");
}

/// Signs in by a code he compares, and gets a certificate for the database.
async fn program_of_his(world: &World, browser: &mut Browser) -> SignedIn {
    let asked = json!({ "device": "bo's laptop" });
    let asked: DeviceSignIn = world.call(Method::POST, "/v1/sign-in/device", "", &asked).await.json(201);
    let fetch = json!({ "code": asked.device_code });
    let fetched = async || world.call(Method::POST, "/v1/sign-in/fetch", "", &fetch).await;
    fetched().await.refused(409, "sign-in.pending");
    browser.goto(&asked.verification_uri_complete).await;
    browser.is_accessible("device").await;
    assert!(browser.text().await.contains("bo's laptop") && browser.text().await.contains(&asked.user_code));
    browser.click("button", "Sign it in").await;
    let signed_in: SignedIn = fetched().await.json(200);
    fetched().await.refused(400, "sign-in.unknown");
    let me: WhoAmI = world.get("/v1/whoami", &signed_in.token).await.json(200);
    assert_eq!(me.email, "bo@example.com");
    let (_, csr) = daam_identity::make_csr().unwrap();
    let wanted = json!({ "csr_pem": csr, "device": "d" });
    world.call(Method::POST, "/v1/certificates", &signed_in.token, &wanted).await.ok(200);
    signed_in
}

async fn at_company(browser: &mut Browser, who: &str) {
    browser.fill_in("login", who).await;
    browser.fill_in("password", "x").await;
    browser.click("button", "Sign-in").await;
    browser.click("button", "Continue").await;
}

#[tokio::test]
async fn where_only_providers_sign_in_the_operator_still_can() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let force = json!({ "force_sso": true });
    let set = async || world.call(Method::PUT, "/v1/sign-in-policy", &org.token, &force).await;
    set().await.refused(409, "sign-in.no-provider");
    let mut idp = Idp::start("hostile.mjs", &[]).await;
    let made = provider(&world, &org, &idp.issuer, rules()).await;
    let other = world.organization("zoe@other.example").await;
    let zoe = world.sign_in(&other.link).await;
    let here = json!({ "email": "zoe@here.example" });
    let here: LinkCreated = world.call(Method::POST, "/v1/invites", &org.token, &here).await.json(201);
    world.submit(path_of(&here.link), Some(&zoe), "").await.cookie();
    set().await.ok(200);
    let invite = json!({ "email": "bo@example.com" });
    let invite: LinkCreated = world.call(Method::POST, "/v1/invites", &org.token, &invite).await.json(201);
    let own: LinkCreated =
        world.call(Method::POST, "/v1/console-link", &org.token, &json!({})).await.json(201);
    for link in [&invite.link, &own.link] {
        world.submit(path_of(link), None, "").await.ok(404);
    }
    let page = world.look(path_of(&invite.link), "").await.ok(200).text();
    assert!(page.contains("Company login") && !page.contains("<button>"), "{page}");
    idp.lie("nothing").await;
    let secret = path_of(&invite.link).rsplit('/').next().unwrap();
    let (path, flow) = round_trip(&world, &made.id, &format!("?invite={secret}")).await;
    let bo = callback(&world, &path, &flow).await.cookie();
    assert!(world.look("/", &bo).await.text().contains("bo@example.com"));
    let recovered = world.sign_in(&world.recover(&org, "ana@example.com").await).await;
    world.look("/", &recovered).await.ok(200);
    // Nor does proof of the person move into it from elsewhere.
    let zoe = world.sign_in(&world.recover(&other, "zoe@other.example").await).await;
    assert!(world.look("/account", &zoe).await.text().contains(&org.slug));
    let form = format!("org={}", org.slug);
    world.submit("/switch", Some(&zoe), &form).await.page_refused(404, "organization.unknown");
    // An account is linked from the account page, and from no page elsewhere.
    let off = world.request(Method::GET, &format!("/sign-in/oidc/{}?link=true", made.id));
    let off = off.header("cookie", format!("__Host-sid={recovered}"));
    Answer::of(off).await.page_refused(403, "request.cross-site");
    // Without its provider nobody is signed in by it, and nothing is forced.
    let path = format!("/v1/identity-providers/{}", made.id);
    world.call(Method::DELETE, &path, &org.token, &json!({})).await.ok(204);
    assert_eq!(world.look("/", &bo).await.location(), "/sign-in");
    world.session(&org.token).await;
}

#[tokio::test]
async fn a_program_on_this_machine_is_handed_its_sign_in_by_the_browser() {
    let world = World::start(None).await;
    let org = world.bootstrap().await;
    let ana = world.sign_in(&org.link).await;
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let form = format!("port=45678&challenge={challenge}&state=0123456789abcdef&device=laptop");
    let page = world.look(&format!("/program?{form}"), &ana).await.ok(200);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("form-action 'self' http://127.0.0.1:45678;"), "{policy}");
    let hand = async || {
        let handed = world.submit("/program", Some(&ana), &form).await.ok(303);
        let code = handed.location().strip_prefix("http://127.0.0.1:45678/?code=").unwrap().to_owned();
        code.strip_suffix("&state=0123456789abcdef").unwrap().to_owned()
    };
    let fetch = async |code: &str, verifier: Option<&str>| {
        let body = json!({ "code": code, "verifier": verifier });
        world.call(Method::POST, "/v1/sign-in/fetch", "", &body).await
    };
    let code = hand().await;
    fetch(&code, None).await.refused(400, "sign-in.unknown");
    fetch(&code, Some(verifier)).await.refused(400, "sign-in.unknown");
    let code = hand().await;
    fetch(&code, Some("another-verifier-of-somebody-who-saw-the-code")).await.refused(400, "sign-in.unknown");
    let code = hand().await;
    world.pass(61);
    fetch(&code, Some(verifier)).await.refused(400, "sign-in.unknown");
    let code = hand().await;
    let done: SignedIn = fetch(&code, Some(verifier)).await.json(200);
    world.get("/v1/whoami", &done.token).await.ok(200);
    fetch(&code, Some(verifier)).await.refused(400, "sign-in.unknown");
    world.pass(12 * 3600);
    world.get("/v1/whoami", &done.token).await.refused(401, "auth.required");
    for bad in ["port=80", "port=45678&challenge=x", "state=http%3A%2F%2Fevil.example%2F12345"] {
        let form = format!("{bad}&challenge={challenge}&state=0123456789abcdef&device=laptop");
        let ana = world.session(&org.token).await;
        let refused = world.submit("/program", Some(&ana), &form).await;
        assert_eq!(refused.status.as_u16(), 400, "{bad}: {}", refused.text());
    }
    // A code that nobody approved, or that somebody refused, is worth nothing.
    let asked = json!({ "device": "headless" });
    let asked: DeviceSignIn = world.call(Method::POST, "/v1/sign-in/device", "", &asked).await.json(201);
    let ana = world.session(&org.token).await;
    let no = format!("code={}&answer=no", asked.user_code.to_lowercase());
    world.submit("/device", Some(&ana), &no).await.ok(200);
    fetch(&asked.device_code, None).await.refused(403, "sign-in.denied");
    world
        .submit("/device", Some(&ana), "code=BCDF-GHJK&answer=yes")
        .await
        .page_refused(404, "sign-in.unknown");
}
