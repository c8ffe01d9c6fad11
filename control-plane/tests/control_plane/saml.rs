//! Signing in by a provider that speaks SAML: what it takes, what comes of it, and whom it reaches.

use crate::browser::python_peer;
use crate::world::{Answer, Org, World, path_of};
use daam_api::v1::{LinkCreated, Provider, ProviderKind, User};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A provider of `ci/peers` that does what it is told.
pub(crate) struct SamlIdp {
    pub(crate) entity: String,
    pub(crate) metadata: String,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl SamlIdp {
    /// The one that lies.
    pub(crate) async fn hostile() -> Self {
        Self::start(python_peer("saml_hostile.py")).await
    }

    pub(crate) async fn start(mut program: Command) -> Self {
        let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let first: Value = serde_json::from_str(&output.next_line().await.unwrap().unwrap()).unwrap();
        let text = |name: &str| first[name].as_str().unwrap().to_owned();
        Self { entity: text("entity"), metadata: text("metadata"), input, output, _child: child }
    }

    pub(crate) async fn ask(&mut self, asked: Value) -> Value {
        self.input.write_all(format!("{asked}\n").as_bytes()).await.unwrap();
        let line = self.output.next_line().await.unwrap();
        serde_json::from_str(line.as_deref().unwrap_or_else(|| panic!("{asked}: it is gone"))).unwrap()
    }

    /// Metadata with these keys in it.
    pub(crate) async fn metadata(&mut self, how: Value) -> String {
        let mut asked = json!({ "do": "metadata" });
        asked.as_object_mut().unwrap().extend(how.as_object().unwrap().clone());
        self.ask(asked).await["metadata"].as_str().unwrap().to_owned()
    }

    /// What it says to a question, base64.
    pub(crate) async fn answer(&mut self, asked: &Asked, how: Value) -> String {
        let mut said = json!({
            "do": "answer",
            "acs": asked.acs,
            "audience": asked.audience,
            "request": asked.request,
        });
        said.as_object_mut().unwrap().extend(how.as_object().unwrap().clone());
        self.ask(said).await["response"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn rules() -> Value {
    json!({
        "provision": true,
        "allowed_domains": ["example.com"],
        "trust_unverified_email": true,
        "groups_claim": "groups",
        "groups": { "idp-dba": "dba" },
    })
}

pub(crate) async fn add(world: &World, org: &Org, metadata: &str, rules: Value) -> Answer {
    let new = json!({ "name": "Company login", "metadata": metadata, "rules": rules });
    world.call(Method::POST, "/v1/saml-providers", &org.token, &new).await
}

pub(crate) async fn provider(world: &World, org: &Org, metadata: &str) -> Provider {
    add(world, org, metadata, rules()).await.json(201)
}

/// A question that was asked in a browser.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) acs: String,
    pub(crate) audience: String,
    pub(crate) request: String,
    pub(crate) state: String,
    pub(crate) flow: String,
}

/// Our metadata at a provider.
pub(crate) async fn ours(world: &World, made: &Provider) -> String {
    let answer = world.look(path_of(&made.client_id), "").await.ok(200);
    assert_eq!(answer.kind, "application/samlmetadata+xml");
    answer.text()
}

pub(crate) async fn begin(world: &World, idp: &mut SamlIdp, made: &Provider, query: &str) -> Asked {
    begin_as(world, idp, made, (query, "")).await
}

/// From our door to the provider, in a browser with this session.
pub(crate) async fn begin_as(
    world: &World,
    idp: &mut SamlIdp,
    made: &Provider,
    (query, session): (&str, &str),
) -> Asked {
    let path = format!("/sign-in/saml/{}{query}", made.id);
    let off = world.request(Method::GET, &path).header("sec-fetch-site", "same-origin");
    let off = Answer::of(off.header("cookie", format!("__Host-sid={session}"))).await.ok(303);
    let set = off.headers["set-cookie"].to_str().unwrap();
    let (flow, terms) = set.strip_prefix("__Host-flow=").unwrap().split_once("; ").unwrap();
    for term in ["Path=/", "Secure", "HttpOnly", "SameSite=None", "Max-Age=600"] {
        assert!(terms.split("; ").any(|set| set == term), "{terms}");
    }
    assert!(off.location().starts_with("https://idp.example/sso?"), "{}", off.location());
    let metadata = ours(world, made).await;
    let read = idp.ask(json!({ "do": "read", "url": off.location(), "metadata": metadata })).await;
    assert_eq!(read["what"], "AuthnRequest");
    assert_eq!(read["AssertionConsumerServiceURL"], made.redirect_uri);
    assert_eq!(read["issuer"], json!([made.client_id]));
    Asked {
        acs: made.redirect_uri.clone(),
        audience: made.client_id.clone(),
        request: read["ID"].as_str().unwrap().to_owned(),
        state: read["state"].as_str().unwrap().to_owned(),
        flow: flow.to_owned(),
    }
}

fn encoded(text: &str) -> String {
    text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

/// As the provider's page posts it.
pub(crate) async fn post(world: &World, path: &str, form: String, flow: &str) -> Answer {
    let request = world.request(Method::POST, path).header("sec-fetch-site", "cross-site");
    let request =
        request.header("origin", "https://idp.example").header("cookie", format!("__Host-flow={flow}"));
    Answer::of(request.header("content-type", "application/x-www-form-urlencoded").body(form)).await
}

pub(crate) async fn back(world: &World, asked: &Asked, response: &str) -> Answer {
    let form = format!("SAMLResponse={}&RelayState={}", encoded(response), asked.state);
    post(world, path_of(&asked.acs), form, &asked.flow).await
}

/// A whole sign-in.
pub(crate) async fn sign_in(world: &World, idp: &mut SamlIdp, made: &Provider, how: Value) -> Answer {
    let asked = begin(world, idp, made, "").await;
    let response = idp.answer(&asked, how).await;
    back(world, &asked, &response).await
}

pub(crate) async fn users(world: &World, org: &Org) -> Vec<User> {
    world.get("/v1/users", &org.token).await.json(200)
}

#[tokio::test]
async fn people_are_who_the_provider_says_and_stay_so_by_its_name_for_them() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let mut idp = SamlIdp::hostile().await;
    let made = provider(&world, &org, &idp.metadata.clone()).await;
    assert_eq!(
        (made.kind, made.issuer.as_str(), made.keys.len()),
        (ProviderKind::Saml, idp.entity.as_str(), 1)
    );
    let page = world.look(&format!("/sign-in?org={}", org.slug), "").await.ok(200).text();
    assert!(page.contains(&format!("/sign-in/saml/{}?", made.id)), "{page}");
    // Either signature is enough, both are good, and xmlsec1 says so, too.
    for vector in ["", "response signed", "both signed"] {
        let asked = begin(&world, &mut idp, &made, "?return_to=%2Faccount").await;
        let response =
            idp.answer(&asked, json!({ "vector": vector, "groups": ["idp-dba", "idp-other"] })).await;
        assert_eq!(idp.ask(json!({ "do": "verify", "response": response })).await["holds"], true, "{vector}");
        let entered = back(&world, &asked, &response).await;
        assert_eq!(entered.location(), "/account", "{vector}: {}", entered.text());
        let page = world.look("/account", &entered.cookie()).await.text();
        assert!(page.contains("bo@example.com") && page.contains("identity provider"), "{vector}: {page}");
    }
    let bo = users(&world, &org).await.into_iter().find(|user| user.email == "bo@example.com").unwrap();
    assert_eq!((&bo.groups, bo.role.as_str()), (&BTreeSet::from(["dba".to_owned()]), "member"));
    // The same name with another address is the same member; another name with that address is nobody.
    let renamed = sign_in(&world, &mut idp, &made, json!({ "email": "renamed@example.com" })).await.cookie();
    assert!(world.look("/", &renamed).await.text().contains("bo@example.com"));
    let taken = sign_in(&world, &mut idp, &made, json!({ "subject": "eve" })).await;
    taken.page_refused(403, "sso.email-taken");
    let outside = json!({ "subject": "eve", "email": "eve@evil.example" });
    sign_in(&world, &mut idp, &made, outside).await.page_refused(403, "sso.domain");
    world.put_user(&org, "bo@example.com", true).await;
    sign_in(&world, &mut idp, &made, json!({})).await.page_refused(403, "sso.disabled");
    world.put_user(&org, "bo@example.com", false).await;
    // Where to go on to is a place of ours or none; a session lives no longer than the provider says.
    let asked = begin(&world, &mut idp, &made, "?return_to=%2F%2Fevil.example").await;
    let response = idp.answer(&asked, json!({ "session_ends": 120 })).await;
    let entered = back(&world, &asked, &response).await;
    assert_eq!(entered.location(), "/");
    let short = entered.cookie();
    world.look("/", &short).await.ok(200);
    world.pass(130);
    assert_eq!(world.look("/", &short).await.location(), "/sign-in");
    let audit = world.get("/v1/audit?limit=500", &org.token).await.text();
    for action in ["provider.add", "member.link", "session.begin", "user.groups"] {
        assert!(audit.contains(action), "{action}: {audit}");
    }
    assert!(audit.contains(&made.keys[0].sha256), "the audit names the keys");
}

#[tokio::test]
async fn an_invite_a_link_and_forced_sign_in_work_by_it_as_by_any_provider() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let mut idp = SamlIdp::hostile().await;
    let metadata = idp.metadata.clone();
    let made: Provider = add(&world, &org, &metadata, json!({})).await.json(201);
    sign_in(&world, &mut idp, &made, json!({})).await.page_refused(403, "sso.unknown");
    let force = json!({ "force_sso": true });
    let ana = world.session(&org.token).await;
    let recovered = world.sign_in(&world.recover(&org, "ana@example.com").await).await;
    world.call(Method::PUT, "/v1/sign-in-policy", &org.token, &force).await.ok(200);
    assert_eq!(world.look("/", &ana).await.location(), "/sign-in");
    let invite = json!({ "email": "bo@example.com" });
    let invite: LinkCreated = world.call(Method::POST, "/v1/invites", &org.token, &invite).await.json(201);
    let page = world.look(path_of(&invite.link), "").await.ok(200).text();
    assert!(page.contains(&format!("/sign-in/saml/{}?invite=", made.id)), "{page}");
    let secret = path_of(&invite.link).rsplit('/').next().unwrap();
    let asked = begin(&world, &mut idp, &made, &format!("?invite={secret}")).await;
    let response = idp.answer(&asked, json!({ "email": "" })).await;
    let bo = back(&world, &asked, &response).await.cookie();
    assert!(world.look("/", &bo).await.text().contains("bo@example.com"));
    // An account is linked from the account page alone, and the session it was asked in must still be there.
    assert_eq!(world.look("/", &recovered).await.location(), "/sign-in", "it was forced out, too");
    let recovered = world.sign_in(&world.recover(&org, "ana@example.com").await).await;
    let link = format!("/sign-in/saml/{}?link=true", made.id);
    let elsewhere = |link: &str| {
        let cookie = format!("__Host-sid={recovered}");
        world.request(Method::GET, link).header("cookie", cookie).header("sec-fetch-site", "cross-site")
    };
    Answer::of(elsewhere(&link)).await.page_refused(403, "request.cross-site");
    // Nor does a link elsewhere begin a sign-in: it leads to the page that says where.
    let led = Answer::of(elsewhere(&format!("/sign-in/saml/{}", made.id))).await;
    assert_eq!(led.location(), format!("/sign-in?org={}&return_to=%2F", org.slug));
    assert!(!led.headers.contains_key("set-cookie"));
    let asked = begin_as(&world, &mut idp, &made, ("?link=true", &recovered)).await;
    world.submit("/sign-out", Some(&recovered), "").await.ok(303);
    let response = idp.answer(&asked, json!({ "subject": "ana" })).await;
    back(&world, &asked, &response).await.page_refused(403, "sso.link");
    let recovered = world.sign_in(&world.recover(&org, "ana@example.com").await).await;
    let asked = begin_as(&world, &mut idp, &made, ("?link=true", &recovered)).await;
    let response = idp.answer(&asked, json!({ "subject": "ana" })).await;
    let linked = back(&world, &asked, &response).await.cookie();
    assert!(world.look("/", &linked).await.text().contains("ana@example.com"));
    assert_eq!(
        world.look("/", &recovered).await.location(),
        "/sign-in",
        "a new session, and the old one ended"
    );
    assert!(world.look("/account", &linked).await.text().contains("<code>ana</code>"));
    // Without its provider nobody is signed in by it.
    let path = format!("/v1/identity-providers/{}", made.id);
    world.call(Method::DELETE, &path, &org.token, &json!({})).await.ok(204);
    assert_eq!(world.look("/", &linked).await.location(), "/sign-in");
}

#[tokio::test]
async fn keys_change_by_an_admins_upload_and_the_provider_stays_the_same() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let mut idp = SamlIdp::hostile().await;
    let made = provider(&world, &org, &idp.metadata.clone()).await;
    let path = format!("/v1/saml-providers/{}", made.id);
    let put = async |metadata: &str| {
        let changed = json!({ "name": "Renamed", "metadata": metadata, "rules": rules() });
        world.call(Method::PUT, &path, &org.token, &changed).await
    };
    // Whoever has the keys is everybody who signs in there, so an API token does not change them.
    let (ana, by_token) = (world.sign_in(&org.link).await, world.session(&org.token).await);
    let form =
        |metadata: &str| metadata.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    let form_path = format!("/providers/{}/metadata", made.id);
    let upload = async |session: &str, metadata: &str| {
        world.submit(&form_path, Some(session), &format!("metadata={}", form(metadata))).await
    };
    sign_in(&world, &mut idp, &made, json!({ "vector": "next key" }))
        .await
        .page_refused(403, "saml.signature");
    let before = ours(&world, &made).await;
    let both = idp.metadata(json!({ "keys": "both" })).await;
    put(&both).await.refused(403, "auth.needs-person");
    upload(&by_token, &both).await.page_refused(403, "auth.needs-person");
    assert_eq!(upload(&ana, &both).await.location(), "/providers");
    let changed: Provider = put(&both).await.json(200);
    assert_eq!((changed.keys.len(), changed.name.as_str()), (2, "Renamed"));
    for vector in ["", "next key"] {
        sign_in(&world, &mut idp, &made, json!({ "vector": vector })).await.cookie();
    }
    let next = idp.metadata(json!({ "keys": "next" })).await;
    assert_eq!(upload(&ana, &next).await.location(), "/providers");
    sign_in(&world, &mut idp, &made, json!({})).await.page_refused(403, "saml.signature");
    sign_in(&world, &mut idp, &made, json!({ "vector": "next key" })).await.cookie();
    assert_eq!(ours(&world, &made).await, before, "our own key stays");
    let other = idp.metadata(json!({ "keys": "one", "entity": "https://other.example" })).await;
    put(&other).await.refused(409, "provider.other");
    let none = idp.metadata(json!({ "keys": "none" })).await;
    put(&none).await.refused(400, "provider.metadata");
    add(&world, &org, &none, rules()).await.refused(400, "provider.metadata");
    for bad in ["", "<x/>", "<!DOCTYPE x><x/>", &"x".repeat(300_000)] {
        add(&world, &org, bad, rules()).await.refused(400, "provider.metadata");
    }
    let metadata = idp.metadata.clone();
    let unverified = json!({ "provision": true });
    add(&world, &org, &metadata, unverified).await.refused(400, "provider.unverified");
    add(&world, &org, &metadata, json!({ "default_role": "admin" })).await.refused(400, "provider.role");
    let done = upload(&ana, &both).await;
    assert_eq!(done.location(), "/providers", "{}", done.text());
    let new = format!(
        "name=Second&metadata={}&domains=example.com&email_attribute=&groups_attribute=",
        form(&metadata)
    );
    let done = world.submit("/providers/saml", Some(&ana), &new).await;
    assert_eq!(done.location(), "/providers", "{}", done.text());
    let page = world.look("/providers", &ana).await.ok(200).text();
    for text in ["Second", "Renamed", made.redirect_uri.as_str(), made.keys[0].sha256.as_str()] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(!page.contains("PRIVATE KEY"));
}
