//! The console over HTTP: who sees which page, what a browser may send, what a session is.

use crate::belongings::Belongings;
use crate::routes::{filled, tokens};
use crate::world::{Answer, World, path_of};
use daam_api::v1::{AuditEntry, LinkCreated, User};
use daam_control_plane::guard::Who;
use daam_control_plane::routes::{Route, Surface, table};
use reqwest::Method;
use serde_json::json;

fn pages() -> impl Iterator<Item = Route> {
    table().into_iter().filter(|route| route.surface == Surface::Console)
}

async fn visit(world: &World, route: &Route, path: &str, cookie: Option<&str>) -> Answer {
    if route.method == "GET" {
        return world.look(path, cookie.unwrap_or("")).await;
    }
    world.submit(path, cookie, "").await
}

pub(crate) async fn every_page_refuses_strangers_and_wrong_roles(world: World) {
    let org = world.bootstrap().await;
    let tokens = tokens(&world, &org).await;
    let mut sessions = Vec::new();
    for token in [&tokens.admin, &tokens.member, &tokens.approver, &tokens.auditor] {
        sessions.push(world.session(token).await);
    }
    let [admin, member, approver, auditor] = &sessions[..] else { panic!("four") };
    let mut walked = 0;
    for route in pages() {
        let path = filled(&route);
        if route.who == Who::Anyone {
            let answer = visit(&world, &route, &path, None).await;
            let status = answer.status.as_u16();
            let door = route.path.starts_with("/sign-in/oidc") || route.path == "/sign-in/passkey";
            let refused = door && status == 403;
            assert!(refused || matches!(status, 200 | 404), "{route:?}: {}", answer.text());
            continue;
        }
        for stranger in [None, Some("nonsense"), Some("daam_ses_nonsense"), Some(tokens.admin.as_str())] {
            let answer = visit(&world, &route, &path, stranger).await;
            if route.method == "GET" {
                assert_eq!(answer.status.as_u16(), 303, "{route:?}");
                assert!(answer.location().starts_with("/sign-in"), "{route:?}: {}", answer.location());
            } else {
                answer.page_refused(401, "auth.required");
            }
        }
        let bearer = world.request(route.method.parse().unwrap(), &path).bearer_auth(&tokens.admin);
        let answer = Answer::of(bearer.header("sec-fetch-site", "same-origin")).await;
        assert!(matches!(answer.status.as_u16(), 303 | 401), "{route:?} takes a bearer token");
        let (wrong, right): (&[&String], &[&String]) = match route.who {
            Who::User => (&[], &[admin, member, approver, auditor]),
            Who::Overseer => (&[member, approver], &[admin, auditor]),
            Who::Admin => (&[member, approver, auditor], &[admin]),
            other => panic!("{other:?} does not use a browser"),
        };
        for session in wrong {
            visit(&world, &route, &path, Some(session)).await.page_refused(403, "auth.wrong-role");
        }
        for session in right.iter().filter(|_| route.method == "GET") {
            let answer = visit(&world, &route, &path, Some(session)).await;
            let needs_query = route.path == "/program" && answer.status.as_u16() == 400;
            assert!(
                needs_query || matches!(answer.status.as_u16(), 200 | 404),
                "{route:?}: {}",
                answer.text()
            );
        }
        walked += 1;
    }
    assert!(walked >= 20, "only {walked}");
    for route in table().iter().filter(|route| route.surface == Surface::Api && route.who != Who::Anyone) {
        let cookie = format!("__Host-sid={admin}");
        let request = world.request(route.method.parse().unwrap(), &filled(route)).header("cookie", cookie);
        Answer::of(request.header("sec-fetch-site", "same-origin")).await.refused(401, "auth.required");
        world.get("/v1/whoami", admin).await.refused(401, "auth.required");
    }
}

/// Forms that act in one's own organization, whatever they say.
const OWN: [&str; 19] = [
    "/passkeys",
    "/passkeys/begin",
    "/audit/retention",
    "/audit/otlp",
    "/audit/otlp/remove",
    "/authorities",
    "/authorities/retire",
    "/tokens",
    "/members/invite",
    "/requests",
    "/requests/tables",
    "/webhooks",
    "/workloads",
    "/device",
    "/program",
    "/providers",
    "/providers/policy",
    "/providers/saml",
    "/scim",
];

pub(crate) async fn every_page_keeps_tenants_apart(world: World) {
    let world = world.of_today().await;
    let had = Belongings::gather(&world).await;
    let ours = &had.org;
    let theirs = world.organization("eve@evil.example").await;
    let before = had.everything(&world).await;
    let eve = world.sign_in(&theirs.link).await;
    for route in pages().filter(|route| route.who != Who::Anyone) {
        if matches!(route.path, "/sign-out") {
            continue;
        }
        let path = had.path(&route);
        let form = match route.path {
            "/switch" => format!("org={}", ours.slug),
            "/members/{email}/role" => "role=member".to_owned(),
            _ => String::new(),
        };
        let answer = match route.method {
            "GET" => world.look(&path, &eve).await,
            _ => world.submit(&path, Some(&eve), &form).await,
        };
        let own = OWN.contains(&route.path);
        let named = route.path.contains('{') || route.path == "/switch";
        match answer.status.as_u16() {
            404 if named => {}
            400 if own => {}
            // Nothing of hers is asked for: she has a rotation of her own begun, and no export to end.
            303 if own && answer.location() == "/authorities" => {}
            404 if own && route.path == "/audit/otlp/remove" => {}
            200 if !named => {}
            status => panic!("{route:?}: {status} {}", answer.text()),
        }
        let seen = answer.text();
        // What she asked for may be said back to her.
        assert_eq!(had.shown(&seen, &format!("{path} {form}")), [""; 0], "{route:?}: {seen}");
        assert!(world.look("/", &had.ana).await.text().contains(&ours.slug));
    }
    for (path, now) in had.everything(&world).await {
        assert_eq!(Some(&now), before.get(path), "{path} changed");
    }
}

pub(crate) async fn a_link_signs_in_once_and_only_by_the_button(world: World) {
    let org = world.bootstrap().await;
    let path = path_of(&org.link);
    for _ in 0..3 {
        let looked = world.look(path, "").await.ok(200);
        assert!(looked.text().contains("ana@example.com"));
        assert!(!looked.headers.contains_key("set-cookie"), "looking at a link signs nobody in");
        assert_eq!(looked.headers["referrer-policy"], "same-origin");
        assert_eq!(looked.headers["cache-control"], "no-store");
    }
    let entered = world.submit(path, None, "").await;
    assert_eq!(entered.location(), "/");
    let ana = entered.cookie();
    let page = world.look("/", &ana).await.ok(200);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("script") && !policy.contains("unsafe")
    );
    assert!(policy.contains("frame-ancestors 'none'"));
    assert!(world.submit(path, None, "").await.ok(404).text().contains("no longer works"));
    world.look(path, "").await.ok(404);
    world.pass(3601);
    assert_eq!(world.look("/", &ana).await.location(), "/sign-in", "an hour without use");
}

pub(crate) async fn nothing_is_changed_from_another_site(world: World) {
    let org = world.bootstrap().await;
    let ana = world.sign_in(&org.link).await;
    let origin = format!("http://localhost:{}", world.server.address().port());
    let send = async |headers: &[(&str, &str)]| {
        let mut request =
            world.request(Method::POST, "/tokens").header("cookie", format!("__Host-sid={ana}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let kind = "application/x-www-form-urlencoded";
        Answer::of(request.header("content-type", kind).body("name=evil&days=1")).await
    };
    for forged in [
        &[][..],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        // What a browser says counts more than what a page could have got it to say.
        &[("sec-fetch-site", "cross-site"), ("origin", &origin)],
    ] {
        send(forged).await.page_refused(403, "request.cross-site");
    }
    send(&[("sec-fetch-site", "same-origin")]).await.ok(200);
    send(&[("origin", &origin)]).await.ok(200);
    // Nobody is signed in as somebody else by a page elsewhere, either.
    let made: LinkCreated =
        world.call(Method::POST, "/v1/console-link", &org.token, &json!({})).await.json(201);
    let login = world.request(Method::POST, path_of(&made.link)).header("sec-fetch-site", "cross-site");
    Answer::of(login).await.page_refused(403, "request.cross-site");
    // A link is made of what the operator said, whatever a request claims to be for.
    let claimed = world.request(Method::POST, "/v1/console-link").bearer_auth(&org.token);
    let claimed = claimed.header("host", "evil.example").header("x-forwarded-host", "evil.example");
    let made: LinkCreated = Answer::of(claimed.body("{}")).await.json(201);
    assert!(made.link.starts_with(&origin), "{}", made.link);
}

pub(crate) async fn signing_in_and_moving_always_begins_another_session(world: World) {
    let org = world.bootstrap().await;
    let other = world.organization("zoe@other.example").await;
    // A session somebody else put into the browser is not the one that is signed in.
    let planted = "daam_ses_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let first = world.submit(path_of(&org.link), Some(planted), "").await.cookie();
    assert_ne!(first, planted);
    let invite = json!({ "email": "ana@other.example" });
    let invite: LinkCreated = world.call(Method::POST, "/v1/invites", &other.token, &invite).await.json(201);
    let told = world.look(path_of(&invite.link), &first).await.ok(200).text();
    assert!(told.contains("You are signed in as ana@example.com"), "{told}");
    let there = world.submit(path_of(&invite.link), Some(&first), "").await.cookie();
    assert_eq!(world.look("/", &first).await.location(), "/sign-in", "the session before has ended");
    assert!(world.look("/", &there).await.text().contains(&other.slug));
    // The other organization's invite is no proof for the first one.
    world
        .submit("/switch", Some(&there), &format!("org={}", org.slug))
        .await
        .page_refused(404, "organization.unknown");
    let ana = world.recover(&org, "ana@example.com").await;
    let ana = world.sign_in(&ana).await;
    assert!(world.look("/account", &ana).await.text().contains(&other.slug));
    let moved = world.submit("/switch", Some(&ana), &format!("org={}", other.slug)).await.cookie();
    assert_eq!(world.look("/", &ana).await.location(), "/sign-in");
    assert!(world.look("/", &moved).await.text().contains("ana@other.example"));
    let out = world.submit("/sign-out", Some(&moved), "").await;
    assert_eq!(out.location(), "/sign-in");
    assert!(out.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(world.look("/", &moved).await.location(), "/sign-in");
}

pub(crate) async fn what_the_pages_change_is_changed(world: World) {
    let org = world.bootstrap().await;
    let ana = world.sign_in(&org.link).await;
    let form = "email=Bo%40example.com&role=auditor&groups=dba%2C+eu";
    let page = world.submit("/members/invite", Some(&ana), form).await.ok(200).text();
    let link = page.split("class=\"once\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert!(!world.look("/members", &ana).await.text().contains("daam_sgn_"), "shown once");
    let bo = world.sign_in(&link).await;
    let users: Vec<User> = world.get("/v1/users", &org.token).await.json(200);
    let user = users.iter().find(|user| user.email == "bo@example.com").unwrap();
    assert_eq!((user.role.as_str(), user.groups.len()), ("auditor", 2));
    assert!(world.look("/members", &bo).await.ok(200).text().contains("ana@example.com"));
    assert!(!world.look("/members", &bo).await.text().contains("<form method=\"post\" action=\"/members"));
    assert_eq!(
        world.submit("/members/bo%40example.com/role", Some(&ana), "role=member").await.location(),
        "/members"
    );
    assert_eq!(world.look("/", &bo).await.location(), "/sign-in", "a role is for a session's whole life");
    for (path, form, code) in [
        ("/members/nobody%40x.org/role", "role=member", "user.unknown"),
        ("/members/ana%40example.com/role", "role=member", "user.last-admin"),
        ("/members/ana%40example.com/disable", "", "user.last-admin"),
        ("/members/bo%40example.com/role", "role=owner", "user.role"),
        ("/members/bo%40example.com/role", "role=member&x=1", "request.malformed"),
        ("/members/invite", "email=bo%40example.com&role=member", "invite.joined"),
        ("/tokens", "name=x&days=9999", "request.expiry"),
    ] {
        let refused = world.submit(path, Some(&ana), form).await;
        assert!(refused.text().contains(&format!("<code>{code}</code>")), "{path}: {}", refused.text());
    }
    let page = world.submit("/tokens", Some(&ana), "name=%3Cscript%3E&days=2").await.ok(200).text();
    assert!(page.contains("&#60;script&#62;") && !page.contains("<script"), "{page}");
    let token = page.split("class=\"once\">").nth(1).unwrap().split('<').next().unwrap();
    world.get("/v1/whoami", token).await.ok(200);
    // By a token into the console and out with a longer one: no.
    let short = json!({ "name": "ci", "expires_in": 3600 });
    world.put_user(&org, "cy@example.com", false).await;
    let short: daam_api::v1::TokenCreated = {
        let mut request = short.clone();
        request["email"] = "cy@example.com".into();
        world.call(Method::POST, "/v1/tokens", &org.token, &request).await.json(201)
    };
    let cy = world.session(&short.token).await;
    world.submit("/tokens", Some(&cy), "name=x&days=30").await.page_refused(400, "request.expiry");
}

pub(crate) async fn the_audit_is_found_and_taken_out_whole(world: World) {
    let org = world.bootstrap().await;
    for n in 0..7 {
        world.put_user(&org, &format!("user{n}@example.com"), false).await;
    }
    world.pass(86_400);
    world.put_user(&org, "100%_sure@example.com", false).await;
    let found = async |query: &str| -> Vec<AuditEntry> {
        world.get(&format!("/v1/audit?{query}"), &org.token).await.json(200)
    };
    assert_eq!(found("action=user.put&limit=500").await.len(), 8);
    assert_eq!(found("text=USER3%40example").await.len(), 1);
    assert_eq!(found("text=100%25_SURE").await.len(), 1);
    assert_eq!(found("text=%25sure").await.len(), 0, "a percent sign is one");
    assert_eq!(found("action=user.put&since=1800000001").await.len(), 1);
    assert_eq!(found("action=user.put&until=1800000001").await.len(), 7);
    let first = found("limit=3").await;
    let next = found(&format!("limit=3&before={}", first[2].seq)).await;
    assert_eq!(next[0].seq, first[2].seq - 1);
    for bad in ["limit=0", "limit=501", "since=x", "nonsense=1"] {
        world.get(&format!("/v1/audit?{bad}"), &org.token).await.refused(400, "request.malformed");
    }
    let csv = world.get("/v1/audit/export?format=csv&action=user.put", &org.token).await.ok(200);
    assert_eq!(csv.headers["content-disposition"], "attachment; filename=\"audit.csv\"");
    assert_eq!(csv.text().lines().count(), 9, "{}", csv.text());
    let ana = world.session(&org.token).await;
    let lines = world.look("/audit/export?format=jsonl&q=user3&action=user.put", &ana).await.ok(200).text();
    let entry: AuditEntry = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!(entry.target, "user3@example.com");
    assert_eq!(found("action=audit.export").await.len(), 2, "taking it out is in it");
    let page = world.look("/audit?q=user3&from=2027-01-15&to=2027-01-15", &ana).await.ok(200).text();
    assert!(page.contains("user3@example.com") && !page.contains("user4@example.com"), "{page}");
    assert!(
        page.contains("/audit/export?format=csv&amp;q=user3&amp;from=2027-01-15&amp;to=2027-01-15"),
        "{page}"
    );
    world.look("/audit?from=yesterday", &ana).await.page_refused(400, "request.malformed");
}
