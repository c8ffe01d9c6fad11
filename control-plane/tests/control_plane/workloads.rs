//! Jobs of pipelines: a real issuer's, and one that lies in every way.

use crate::link::Peer;
use crate::routes::filled;
use crate::sso::Idp;
use crate::world::{Answer, Org, World, path_of};
use daam_api::v1::{CertificateIssued, Database, Token, TokenCreated, TokenExchanged, WhoAmI, Workload};
use daam_control_plane::guard::Who;
use daam_control_plane::routes::{Surface, table};
use daam_identity::{Databases, Principal, facts_of_pem, make_csr};
use daam_store::{Exchanged, ProvenJob, StoredWorkload, new_provider_id};
use reqwest::{Method, Url};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

pub(crate) async fn trusted(world: &World, org: &Org, issuer: &str, more: &Value) -> Workload {
    world.put_user(org, "ci@example.com", false).await;
    let mut new = json!({
        "name": "deploys", "issuer": issuer, "email": "ci@example.com",
        "claims": { "repository": "acme/*", "ref": "refs/heads/main" },
    });
    for (name, value) in more.as_object().unwrap() {
        new[name] = value.clone();
    }
    world.call(Method::POST, "/v1/workloads", &org.token, &new).await.json(201)
}

async fn posted(world: &World, trust: &Workload, pairs: &[(&str, &str)]) -> Answer {
    let form = Url::parse_with_params("http://x", pairs).unwrap().query().unwrap().to_owned();
    let request = world.request(Method::POST, path_of(&trust.token_endpoint));
    Answer::of(request.header("content-type", "application/x-www-form-urlencoded").body(form)).await
}

async fn exchanged(world: &World, trust: &Workload, token: &str) -> Answer {
    // Tokens are of now, however long it took to get here.
    world.catch_up();
    let pairs = [("grant_type", GRANT), ("subject_token_type", JWT), ("subject_token", token)];
    posted(world, trust, &pairs).await
}

#[tokio::test]
async fn a_job_of_a_real_issuer_acts_for_a_while_and_no_longer() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let says = json!({ "repository": "acme/shop", "ref": "refs/heads/main" });
    let idp = Idp::start("provider.mjs", &["http://localhost/x", "{}", &says.to_string()]).await;
    let trust = trusted(&world, &org, &idp.issuer, &json!({})).await;
    assert_eq!(trust.audience, trust.token_endpoint);
    let of_runner = async |audience: &str| -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "daam"),
            ("client_secret", "planted-secret-of-the-client"),
            ("resource", audience),
        ];
        let form = Url::parse_with_params("http://x", form).unwrap().query().unwrap().to_owned();
        let request = world.elsewhere_post(&format!("{}/token", idp.issuer));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        Answer::of(request).await.json::<Value>(200)["access_token"].as_str().unwrap().to_owned()
    };
    let job = of_runner(&trust.audience).await;
    let given: TokenExchanged = exchanged(&world, &trust, &job).await.json(200);
    assert_eq!((given.token_type.as_str(), given.expires_in), ("Bearer", 900));
    let me: WhoAmI = world.get("/v1/whoami", &given.access_token).await.json(200);
    assert_eq!(me.email, "ci@example.com");
    let log = world.get("/v1/audit?action=workload", &org.token).await.text();
    assert!(log.contains("workload.exchange") && log.contains("\"actor\":\"workload:deploys\""), "{log}");
    // Once, and for nobody else.
    exchanged(&world, &trust, &job).await.refused(400, "workload.refused");
    let elsewhere = of_runner("https://elsewhere.example/").await;
    exchanged(&world, &trust, &elsewhere).await.refused(400, "workload.refused");
    let other = world.organization("eve@evil.example").await;
    let theirs = trusted(&world, &other, &idp.issuer, &json!({})).await;
    let job = of_runner(&trust.audience).await;
    exchanged(&world, &theirs, &job).await.refused(400, "workload.refused");
    exchanged(&world, &trust, &job).await.ok(200);
    // Its end is its end.
    world.pass(901);
    world.get("/v1/whoami", &given.access_token).await.refused(401, "auth.required");
}

#[tokio::test]
async fn what_a_job_makes_ends_with_it_whatever_it_acts_as() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let mut idp = Idp::start("hostile.mjs", &[]).await;
    world.put_user(&org, "deployer@example.com", false).await;
    let ana = world.sign_in(&org.link).await;
    world.submit("/members/deployer%40example.com/role", Some(&ana), "role=admin").await.ok(303);
    // Jobs that act as an admin are trusted by a person, however that one says so.
    let mine = json!({ "email": "ci@example.com", "lifetime": 600 });
    let of_a_member = trusted(&world, &org, &idp.issuer, &mine).await;
    let new = json!({ "name": "x", "issuer": idp.issuer, "email": "deployer@example.com", "claims": of_a_member.claims });
    world.call(Method::POST, "/v1/workloads", &org.token, &new).await.refused(403, "auth.needs-person");
    let db = world.server.app().db();
    let (known, ana) =
        (db.workload_door(&of_a_member.id).await.unwrap(), db.session(&ana, world.now()).await.unwrap());
    let id = new_provider_id();
    let deployer = StoredWorkload {
        email: "deployer@example.com".to_owned(),
        id: id.clone(),
        audience: world.url(&format!("/v1/workloads/{id}/token")),
        ..known.unwrap().workload().clone()
    };
    assert!(db.add_workload(ana.unwrap().user(), &deployer, world.now()).await.unwrap());
    let known: Vec<Workload> = world.get("/v1/workloads", &org.token).await.json(200);
    let trust = known.into_iter().find(|one| one.id == id).unwrap();
    let job = idp.job(&json!({ "audience": trust.audience })).await;
    let given: TokenExchanged = exchanged(&world, &trust, &job).await.json(200);
    let wanted = json!({ "name": "for ever", "expires_in": 31_000_000 });
    world.call(Method::POST, "/v1/tokens", &given.access_token, &wanted).await.refused(400, "request.expiry");
    let others = json!({ "name": "for ever", "expires_in": 31_000_000, "email": "ana@example.com" });
    world.call(Method::POST, "/v1/tokens", &given.access_token, &others).await.refused(400, "request.expiry");
    let child = json!({ "name": "child" });
    let child: TokenCreated =
        world.call(Method::POST, "/v1/tokens", &given.access_token, &child).await.json(201);
    world.call(Method::POST, "/v1/tokens", &child.token, &wanted).await.refused(400, "request.expiry");
    let session = world.session(&given.access_token).await;
    world.submit("/tokens", Some(&session), "name=x&days=366").await.page_refused(400, "request.expiry");
    let program = crate::passkeys::program(&world, &session).await;
    world.call(Method::POST, "/v1/tokens", &program, &wanted).await.refused(400, "request.expiry");
    let tokens: Vec<Token> = world.get("/v1/tokens", &org.token).await.json(200);
    assert!(tokens.iter().any(|token| token.name == "job of deploys"), "{tokens:?}");
    // Trust that ends takes everything along that was given by it.
    let path = format!("/v1/workloads/{}", trust.id);
    world.call(Method::DELETE, &path, &org.token, &json!({})).await.ok(204);
    for gone in [&given.access_token, &child.token, &program] {
        world.get("/v1/whoami", gone).await.refused(401, "auth.required");
    }
    assert_eq!(world.look("/", &session).await.location(), "/sign-in");
    let job = idp.job(&json!({ "audience": trust.audience })).await;
    exchanged(&world, &trust, &job).await.refused(400, "workload.refused");
    // And so does the member it acts as.
    let trust = trusted(&world, &org, &idp.issuer, &json!({})).await;
    let job = idp.job(&json!({ "audience": trust.audience })).await;
    let given: TokenExchanged = exchanged(&world, &trust, &job).await.json(200);
    world.put_user(&org, "ci@example.com", true).await;
    world.get("/v1/whoami", &given.access_token).await.refused(401, "auth.required");
    let job = idp.job(&json!({ "audience": trust.audience })).await;
    exchanged(&world, &trust, &job).await.refused(400, "workload.refused");
}

/// Everything but the truth.
fn lies(now: i64) -> Vec<Value> {
    vec![
        json!({ "how": "forged" }),
        json!({ "how": "unsigned" }),
        json!({ "how": "key as secret" }),
        json!({ "how": "own key" }),
        json!({ "how": "edited" }),
        json!({ "header": { "crit": ["b64"] } }),
        json!({ "header": { "typ": "logout+jwt" } }),
        json!({ "audience": "daam2" }),
        json!({ "audience": ["daam", "somebody-else"] }),
        json!({ "audience": [] }),
        json!({ "claims": { "iss": "https://token.actions.githubusercontent.com" } }),
        json!({ "claims": { "exp": now - 1 } }),
        json!({ "claims": { "exp": now + 200_000 } }),
        json!({ "claims": { "exp": null } }),
        json!({ "claims": { "nbf": now + 600 } }),
        json!({ "claims": { "iat": now + 600 } }),
        json!({ "claims": { "sub": "" } }),
        json!({ "claims": { "repository": "evil/shop" } }),
        json!({ "claims": { "repository": "acme/shop/../../evil" } }),
        json!({ "claims": { "repository": ["acme/shop"] } }),
        json!({ "claims": { "repository": null } }),
        json!({ "claims": { "ref": "refs/heads/main2" } }),
        json!({ "claims": { "ref": "refs/pull/7/merge" } }),
    ]
}

#[tokio::test]
async fn a_token_that_is_not_that_jobs_gets_nothing() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let mut idp = Idp::start("hostile.mjs", &[]).await;
    let trust = trusted(&world, &org, &idp.issuer, &json!({ "audience": "daam" })).await;
    for lie in &lies(world.now()) {
        let mut how = lie.clone();
        if how.get("audience").is_none() {
            how["audience"] = json!("daam");
        }
        let job = idp.job(&how).await;
        let answer = exchanged(&world, &trust, &job).await;
        assert_eq!(answer.status.as_u16(), 400, "{lie}: {}", answer.text());
        answer.refused(400, "workload.refused");
    }
    let good = json!({ "audience": "daam" });
    let job = idp.job(&good).await;
    let pairs = [("grant_type", GRANT), ("subject_token_type", JWT), ("subject_token", job.as_str())];
    for (at, other) in [(0, "authorization_code"), (1, "urn:ietf:params:oauth:token-type:saml2")] {
        let mut wrong = pairs;
        wrong[at].1 = other;
        posted(&world, &trust, &wrong).await.refused(400, "workload.malformed");
    }
    for nonsense in ["", "a.b.c", "..", "a.b.c.d", "e30.e30.e30"] {
        exchanged(&world, &trust, nonsense).await.refused(400, "workload.refused");
    }
    exchanged(&world, &trust, &format!("{job}{}", "A".repeat(20_000))).await.refused(400, "workload.refused");
    let unknown = Workload { token_endpoint: world.url("/v1/workloads/none/token"), ..trust.clone() };
    exchanged(&world, &unknown, &job).await.refused(400, "workload.refused");
    // The truth counts; copies of it do not, however many ask at once.
    let many = async || exchanged(&world, &trust, &job).await.status.as_u16();
    let (a, b, c) = tokio::join!(many(), many(), many());
    let mut codes = [a, b, c];
    codes.sort_unstable();
    assert_eq!(codes, [200, 400, 400]);
    // A new key of the issuer counts once it signs.
    idp.lie("rotate").await;
    world.pass(6);
    let job = idp.job(&good).await;
    exchanged(&world, &trust, &job).await.ok(200);
    let alone = idp.job(&json!({ "audience": ["daam"] })).await;
    exchanged(&world, &trust, &alone).await.ok(200);
    let late = idp.job(&good).await;
    world.pass(3600);
    exchanged(&world, &trust, &late).await.refused(400, "workload.refused");
}

#[tokio::test]
async fn trust_in_everybodys_jobs_is_refused() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    world.put_user(&org, "ci@example.com", false).await;
    let idp = Idp::start("hostile.mjs", &[]).await;
    let asked = async |new: &Value| world.call(Method::POST, "/v1/workloads", &org.token, new).await;
    let with = |name: &str, value: Value| {
        let claims = json!({ "repository": "acme/shop" });
        let mut new =
            json!({ "name": "x", "issuer": idp.issuer, "email": "ci@example.com", "claims": claims });
        new[name] = value;
        new
    };
    asked(&with("claims", json!({}))).await.refused(400, "workload.claims");
    asked(&with("claims", json!({ "repository": "**" }))).await.refused(400, "workload.claims");
    let github = "https://token.actions.githubusercontent.com";
    let mut everybodys = with("issuer", json!(github));
    everybodys["claims"] = json!({ "ref": "refs/heads/main" });
    asked(&everybodys).await.refused(400, "workload.claims");
    for issuer in ["http://10.0.0.1", "file:///etc/passwd", "x", "http://localhost:1"] {
        asked(&with("issuer", json!(issuer))).await.refused(400, "workload.issuer");
    }
    // Its document has to be its own.
    let other = idp.issuer.replace("localhost", "127.0.0.1");
    asked(&with("issuer", json!(other))).await.refused(400, "workload.issuer");
    asked(&with("lifetime", json!(86_400))).await.refused(400, "workload.lifetime");
    asked(&with("audience", json!(""))).await.refused(400, "workload.audience");
    asked(&with("email", json!("nobody@example.com"))).await.refused(404, "user.unknown");
    asked(&with("email", json!("ana@example.com"))).await.refused(403, "auth.needs-person");
    let made: Workload = asked(&with("lifetime", json!(60))).await.json(201);
    let known: Vec<Workload> = world.get("/v1/workloads", &org.token).await.json(200);
    assert_eq!((known.len(), &known[0].id, known[0].created_by.as_str()), (1, &made.id, "ana@example.com"));
}

/// Trust in jobs that act as `email`, limited to databases, and what a job was given for it. No issuer has a part in it.
/// By whoever has this session.
pub(crate) async fn limited(world: &World, session: &str, (email, databases): (&str, &[&str])) -> String {
    let db = world.server.app().db();
    let ana = db.session(session, world.now()).await.unwrap().unwrap().user().clone();
    let new = StoredWorkload {
        id: new_provider_id(),
        name: "deploys".to_owned(),
        issuer: "https://ci.example".to_owned(),
        audience: "daam".to_owned(),
        claims: BTreeMap::from([("ref".to_owned(), "refs/heads/main".to_owned())]),
        email: email.to_owned(),
        lifetime: 900,
        created_by: ana.email().to_owned(),
        created_at: world.now(),
        databases: Some(databases.iter().map(|name| (*name).to_owned()).collect()),
        used_at: None,
    };
    assert!(db.add_workload(&ana, &new, world.now()).await.unwrap());
    let door = db.workload_door(&new.id).await.unwrap().unwrap();
    let (now, sha256) = (world.now(), new.id.as_str());
    let job = ProvenJob { subject: "a job", sha256, forgotten_at: now + 900, expires_at: now + 900 };
    let Exchanged::Done(given) = db.exchange(&door, &job, now).await.unwrap() else { panic!("not given") };
    given.reveal()
}

/// The databases a certificate for the holder of a token is for.
async fn certified(world: &World, token: &str) -> Databases {
    let request = json!({ "csr_pem": make_csr().unwrap().1, "device": "runner" });
    let issued = world.call(Method::POST, "/v1/certificates", token, &request).await;
    let issued: CertificateIssued = issued.json(200);
    match facts_of_pem(&issued.certificate_pem).unwrap().principal {
        Principal::User(user) => user.databases,
        Principal::Agent(agent) => panic!("{agent:?}"),
    }
}

pub(crate) async fn a_job_limited_to_databases_reaches_these_and_nothing_else(world: World) {
    let org = world.bootstrap().await;
    let mut here = Vec::new();
    for database in ["shop", "archive"] {
        let agent = world.agent(&org, database).await;
        here.push(Peer::connected(&world, &agent).await);
    }
    world.put_user(&org, "deployer@example.com", false).await;
    let ana = world.sign_in(&org.link).await;
    world.submit("/members/deployer%40example.com/role", Some(&ana), "role=admin").await.ok(303);
    let job = limited(&world, &ana, ("deployer@example.com", &["shop", "later"])).await;
    let named = BTreeSet::from(["later".to_owned(), "shop".to_owned()]);
    let me: WhoAmI = world.get("/v1/whoami", &job).await.json(200);
    assert_eq!((me.role.as_str(), me.databases.as_ref()), ("admin", Some(&named)));
    let known: Vec<Database> = world.get("/v1/databases", &job).await.json(200);
    assert_eq!(known.iter().map(|database| database.name.as_str()).collect::<Vec<_>>(), ["shop"]);
    let connect = async |database: &str| {
        world.call(Method::POST, &format!("/v1/databases/{database}/connect"), &job, &json!({})).await
    };
    connect("shop").await.ok(200);
    connect("later").await.refused(404, "database.unknown");
    for database in ["archive", "none", "Shop", "sho%70%20", "%73hop2"] {
        let said = connect(database).await.refused(403, "auth.limited");
        assert!(said.contains("`later`, `shop`"), "{said}");
    }
    // However it is written, it is the same database.
    connect("%73hop").await.ok(200);
    // The certificate says so itself, to agents that ask nobody.
    assert_eq!(certified(&world, &job).await, Databases::Only(named));
    let bo = world.member(&org, "bo@example.com").await;
    assert_eq!(certified(&world, &bo).await, Databases::Any);
    let free: Vec<Database> = world.get("/v1/databases", &bo).await.json(200);
    assert_eq!(free.len(), 2);
    // An admin's job has no other way: whatever route there is, it is its database's or closed.
    let mut closed = 0;
    for route in table().into_iter().filter(|route| route.surface == Surface::Api) {
        if !matches!(route.who, Who::User | Who::Overseer | Who::Admin | Who::AnyToken | Who::Reader) {
            continue;
        }
        let path = filled(&route).replace("/shop", "/archive");
        let besides =
            ["/v1/whoami", "/v1/ca", "/v1/trust", "/v1/trust/1", "/v1/databases", "/v1/certificates"];
        if besides.contains(&path.as_str()) && route.method != "PUT" {
            continue;
        }
        world.call(route.method.parse().unwrap(), &path, &job, &json!({})).await.refused(403, "auth.limited");
        closed += 1;
    }
    assert!(closed > 50, "only {closed}");
    let users = world.get("/v1/users", &org.token).await.text();
    assert!(users.contains("deployer@example.com") && !users.contains("\"disabled\":true"), "{users}");
}

#[tokio::test]
async fn the_page_trusts_jobs_says_what_each_may_do_and_ends_it() {
    let world = World::reaching_private_providers().await;
    let org = world.bootstrap().await;
    let mut idp = Idp::start("hostile.mjs", &[]).await;
    world.put_user(&org, "ci@example.com", false).await;
    let ana = world.sign_in(&org.link).await;
    let cy = world.session(&world.in_role(&org, "cy@example.com", "auditor").await).await;
    let form = |changes: &[(&str, &str)]| {
        let claims = "repository = acme/*\r\nref = refs/heads/main";
        let mut pairs = BTreeMap::from([
            ("name", "deploys"),
            ("issuer", idp.issuer.as_str()),
            ("email", "ci@example.com"),
            ("claims", claims),
            ("databases", "shop, archive"),
            ("audience", "daam"),
            ("minutes", "10"),
        ]);
        pairs.extend(changes.iter().copied());
        Url::parse_with_params("http://x", pairs).unwrap().query().unwrap().to_owned()
    };
    let (good, free) = (form(&[]), form(&[("name", "builds"), ("databases", " ")]));
    world.submit("/workloads", Some(&cy), &good).await.page_refused(403, "auth.wrong-role");
    let many: Vec<String> = (0..17).map(|number| format!("db{number}")).collect();
    let many = many.join(",");
    for (changes, code) in [
        (("claims", "repository"), "workload.claims"),
        (("claims", "ref = *"), "workload.claims"),
        (("databases", "shop, a b"), "database.name"),
        (("databases", many.as_str()), "workload.databases"),
        (("minutes", "61"), "workload.lifetime"),
        (("issuer", "https://10.1.2.3"), "workload.issuer"),
    ] {
        world.submit("/workloads", Some(&ana), &form(&[changes])).await.page_refused(400, code);
    }
    let nothing = json!({ "name": "x", "issuer": idp.issuer, "email": "ci@example.com",
        "claims": { "repository": "acme/shop" }, "databases": [] });
    let refused = world.call(Method::POST, "/v1/workloads", &org.token, &nothing).await;
    refused.refused(400, "workload.databases");
    for form in [&good, &free] {
        assert_eq!(world.submit("/workloads", Some(&ana), form).await.location(), "/workloads");
    }
    let known: Vec<Workload> = world.get("/v1/workloads", &org.token).await.json(200);
    let limits: Vec<Option<usize>> =
        known.iter().map(|one| one.databases.as_ref().map(BTreeSet::len)).collect();
    assert_eq!(limits, [None, Some(2)], "by name: {known:?}");
    let looked = async |session: &str| world.look("/workloads", session).await.ok(200).text();
    let page = looked(&cy).await;
    for said in [
        "only archive, shop, and nothing else",
        "whatever this member may",
        "ci@example.com (member)",
        "never",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(!page.contains("action=\"/workloads"), "{page}");
    // The limit is in what a job is given.
    let deploys = known[1].clone();
    let job = idp.job(&json!({ "audience": "daam" })).await;
    let given: TokenExchanged = exchanged(&world, &deploys, &job).await.json(200);
    let me: WhoAmI = world.get("/v1/whoami", &given.access_token).await.json(200);
    assert_eq!(me.databases, deploys.databases);
    assert_eq!(looked(&cy).await.matches("never").count(), 1);
    let known: Vec<Workload> = world.get("/v1/workloads", &org.token).await.json(200);
    assert!(known[1].last_used_at.is_some() && known[0].last_used_at.is_none());
    let remove = format!("/workloads/{}/remove", deploys.id);
    world.submit(&remove, Some(&cy), "").await.page_refused(403, "auth.wrong-role");
    assert_eq!(world.submit(&remove, Some(&ana), "").await.location(), "/workloads");
    world.submit(&remove, Some(&ana), "").await.page_refused(404, "workload.unknown");
    world.get("/v1/whoami", &given.access_token).await.refused(401, "auth.required");
    assert!(!looked(&cy).await.contains("deploys"));
}
