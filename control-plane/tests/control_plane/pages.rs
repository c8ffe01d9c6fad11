//! The console in a real browser: without a script, with a keyboard, read aloud, light and dark.

use crate::browser::Browser;
use crate::link::Peer;
use crate::world::World;
use axum::Router;
use axum::response::Html;
use axum::routing::get;
use daam_api::link::FromAgent;
use serde_json::json;
use tokio::net::TcpListener;

#[tokio::test]
async fn an_admin_finds_a_scope_violation_and_follows_it_from_agent_to_policy_and_back() {
    let world = World::start(None).await;
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    crate::bundles::publish_first(&world, &org).await;
    let mut peer = Peer::greeted(&world, &agent).await;
    let violation = |table: &str| FromAgent::ScopeViolation {
        policy_id: "everything".into(),
        schema: "secret".into(),
        table: table.into(),
        site: "grant".into(),
    };
    for table in ["a", "b", "a"] {
        peer.say(&violation(table)).await;
    }
    world
        .until("both are stored", async || {
            world.get("/v1/agents", &org.token).await.text().contains("\"scope_violations\":2")
        })
        .await;

    let mut browser = Browser::start();
    assert_eq!(browser.goto(&org.link).await, 200);
    browser.is_accessible("link").await;
    browser.click("button", "Sign in").await;
    assert!(browser.text().await.contains("Scope violations, 7 days"));
    browser.press("Tab").await;
    assert_eq!(browser.focused().await, "Skip to content");
    browser.click("link", "Agents").await;
    browser.is_accessible("agents").await;
    browser.click("link", "one").await;
    let page = browser.text().await;
    assert!(page.contains("2 scope violations in 7 days"), "{page}");
    assert!(page.contains("secret.a") && page.contains("secret.b"), "{page}");
    browser.is_accessible("agent").await;
    browser.click("link", "everything").await;
    let page = browser.text().await;
    assert!(page.contains("Policy everything") && page.contains("2 out of scope at one"), "{page}");
    browser.is_accessible("policy").await;
    browser.click("link", "2 out of scope at one").await;
    assert!(browser.url().await.ends_with(&format!("/agents/{}#violations", agent.id)));
    world.pass(7 * 86_400 + 1);
    browser.goto(&world.recover(&org, "ana@example.com").await).await;
    browser.click("button", "Sign in").await;
    browser.goto(&world.url(&format!("/agents/{}", agent.id))).await;
    assert!(browser.text().await.contains("0 scope violations in 7 days"), "a week has gone by");
    assert_eq!(browser.complaints().await, json!([]), "the policy of the pages is kept by the pages");
}

#[tokio::test]
async fn every_page_is_accessible() {
    let world = World::start(None).await;
    let org = world.bootstrap().await;
    world.agent(&org, "shop").await;
    crate::bundles::publish_first(&world, &org).await;
    world.put_user(&org, "ci@example.com", false).await;
    let session = world.session(&org.token).await;
    crate::workloads::limited(&world, &session, ("ci@example.com", &["shop"])).await;
    let mut browser = Browser::start();
    browser.goto(&world.url("/databases")).await;
    assert!(browser.url().await.ends_with("/sign-in?return_to=%2Fdatabases"));
    browser.is_accessible("sign-in").await;
    browser.goto(&org.link).await;
    browser.click("button", "Sign in").await;
    let cookies = browser.cookies().await;
    let cookie = &cookies[0];
    assert_eq!(cookie["name"], "__Host-sid");
    for (what, value) in [("httpOnly", json!(true)), ("secure", json!(true)), ("sameSite", json!("Lax"))] {
        assert_eq!(cookie[what], value, "{cookies}");
    }
    for path in [
        "/",
        "/databases",
        "/databases/shop",
        "/connections",
        "/audit",
        "/audit/otlp",
        "/authorities",
        "/workloads",
        "/members",
        "/providers",
        "/requests",
        "/webhooks",
        "/tokens",
        "/account",
        "/passkeys",
    ] {
        assert_eq!(browser.goto(&world.url(path)).await, 200, "{path}");
        browser.is_accessible(path).await;
    }
    browser.goto(&world.url("/authorities")).await;
    browser.click("button", "Begin with a new authority").await;
    assert!(browser.text().await.contains("previous: its certificates count"));
    browser.is_accessible("a change of authorities").await;
    browser.click_text("Retire it now, whatever stands on it").await;
    browser.is_accessible("its early end").await;
    browser.goto(&world.url("/audit/otlp")).await;
    browser.fill("Address, https", "https://collector.example/v1/logs").await;
    browser.fill("A header to send along (empty: none)", "authorization").await;
    browser.fill("Its value", "Bearer x").await;
    browser.click("button", "Send it there").await;
    assert_eq!(browser.complaints().await, json!([]));
    browser.is_accessible("the audit's export").await;
    assert_eq!(browser.goto(&world.url("/agents/none")).await, 404);
    browser.is_accessible("refusal").await;
}

#[tokio::test]
async fn members_and_tokens_are_managed_by_forms() {
    let world = World::start(None).await;
    let org = world.bootstrap().await;
    let mut browser = Browser::start();
    browser.goto(&org.link).await;
    browser.click("button", "Sign in").await;
    browser.goto(&world.url("/members")).await;
    browser.fill("E-mail", "bo@example.com").await;
    browser.select("Role (somebody new)", "approver").await;
    browser.fill("Groups (somebody new), with commas between", "dba, support").await;
    browser.click("button", "Make an invite").await;
    let page = browser.text().await;
    browser.is_accessible("invited").await;
    let link = page.split_whitespace().find(|word| word.contains("/sign-in/link/")).unwrap().to_owned();
    browser.select("Role of bo@example.com", "member").await;
    browser.click("button", "Set").await;
    browser.goto(&world.url("/tokens")).await;
    browser.fill("What it is for", "pipeline").await;
    browser.click("button", "Make a token").await;
    let page = browser.text().await;
    let token = page.split_whitespace().find(|word| word.starts_with("daam_pat_")).unwrap();
    world.get("/v1/whoami", token).await.ok(200);
    browser.click("button", "Delete pipeline").await;
    world.get("/v1/whoami", token).await.refused(401, "auth.required");
    browser.goto(&world.url("/audit")).await;
    browser.fill("Text", "pipeline-or-not").await;
    browser.click("button", "Search").await;
    assert!(browser.text().await.contains("Nothing fits"));
    browser.click("button", "Sign out").await;
    assert!(browser.url().await.ends_with("/sign-in"));
    browser.goto(&link).await;
    browser.click("button", "Join").await;
    assert!(browser.text().await.contains("bo@example.com"));
    assert_eq!(browser.goto(&world.url("/members")).await, 403);
}

#[tokio::test]
async fn a_page_elsewhere_cannot_act_for_whoever_is_signed_in() {
    let world = World::start(None).await;
    let org = world.bootstrap().await;
    let target = world.url("/tokens");
    let evil = format!(
        "<form method=post action=\"{target}\"><input name=name value=evil><input name=days value=1><button>Win</button></form>"
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    let frame = format!("<iframe src=\"{}\"></iframe>", world.url("/tokens"));
    let pages = Router::new().route("/", get(async || Html(evil))).route("/frame", get(async || Html(frame)));
    let served = tokio::spawn(async move { axum::serve(listener, pages).await.unwrap() });
    let mut browser = Browser::start();
    browser.goto(&org.link).await;
    browser.click("button", "Sign in").await;
    browser.goto(&elsewhere).await;
    browser.click("button", "Win").await;
    let page = browser.text().await;
    assert!(
        page.contains("Not signed in") || page.contains("did not come from a page of this console"),
        "{page}"
    );
    browser.complaints().await;
    browser.goto(&format!("{elsewhere}frame")).await;
    let complaints = browser.complaints().await.to_string();
    assert!(complaints.contains("frame-ancestors") || complaints.contains("X-Frame-Options"), "{complaints}");
    assert!(!world.get("/v1/tokens", &org.token).await.text().contains("evil"));
    browser.forget().await;
    served.abort();
}
