//! The audit as evidence, over HTTP.

use crate::world::{Answer, Postgres, World};
use daam_api::v1::{AuditKey, AuditRetention};
use daam_bundle::PublicKey;
use daam_ledger::{Entry, Fault, Found, Hash, Signed, Verifier};
use reqwest::Method;
use serde_json::json;

fn verify(key: &AuditKey, log: &Answer, kept: impl IntoIterator<Item = Signed>) -> Result<Found, Fault> {
    let mut verifier = Verifier::new(PublicKey::from_text(&key.public).unwrap(), kept);
    for line in log.text().lines() {
        verifier.read(line)?;
    }
    verifier.finish()
}

pub(crate) async fn the_log_is_taken_out_as_evidence_and_its_checkpoints_stay_good(world: World) {
    let org = world.bootstrap().await;
    world.put_user(&org, "bo@example.com", false).await;
    let key: AuditKey = world.get("/v1/audit/key", &org.token).await.json(200);
    let path = "/v1/audit/checkpoints";
    let made: Signed = world.call(Method::POST, path, &org.token, &json!({})).await.json(200);
    assert_eq!(made.key(), key.keyid);
    let listed: Vec<Signed> = world.get(path, &org.token).await.json(200);
    // On a slow machine the server's own first one is there, too.
    assert!(listed.contains(&made), "{listed:?}");
    let none: Vec<Signed> = world.get(&format!("{path}?before=1"), &org.token).await.json(200);
    assert!(none.is_empty());
    world.get(&format!("{path}?before=x"), &org.token).await.refused(400, "request.malformed");

    world.put_user(&org, "cy@example.com", false).await;
    let log = world.get("/v1/audit/log", &org.token).await.ok(200);
    assert_eq!(log.kind, "application/jsonl");
    let found = verify(&key, &log, [made.clone()]).unwrap();
    assert_eq!(found.org, org.slug);
    assert!(found.signed == found.last && found.last > made.unverified().size, "{found:?}");
    // The same after a restart, signed with the same key.
    let world = world.restart().await;
    let log = world.get("/v1/audit/log", &org.token).await.ok(200);
    verify(&key, &log, [made, found.latest.unwrap()]).unwrap();

    let keep = "/v1/audit/retention";
    let kept: AuditRetention = world.get(keep, &org.token).await.json(200);
    assert_eq!(kept.days, None);
    for days in [0, 29, 36_501] {
        world
            .call(Method::PUT, keep, &org.token, &json!({ "days": days }))
            .await
            .refused(400, "audit.retention");
    }
    world.call(Method::PUT, keep, &org.token, &json!({ "days": 30 })).await.ok(200);
    let kept: AuditRetention = world.get(keep, &org.token).await.json(200);
    assert_eq!(kept.days, Some(30));
    // A month later the next start removes what is old enough, and the rest verifies.
    world.pass(31 * 86_400);
    let world = world.restart().await;
    let link = world.recover(&org, "ana@example.com").await;
    let cookie = world.sign_in(&link).await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let log = loop {
        let log = world.look("/audit/log", &cookie).await.ok(200);
        if !log.text().contains("organization.create") {
            break log;
        }
        assert!(std::time::Instant::now() < deadline, "old entries stay");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let found = verify(&key, &log, []).unwrap();
    assert!(found.first > 1 && found.last > found.first, "{found:?}");
    let page = world.look("/audit", &cookie).await.ok(200).text();
    assert!(page.contains("Signed up to entry") && page.contains("for 30 days"), "{page}");
    world.submit("/audit/retention", Some(&cookie), "days=").await.ok(303);
    let page = world.look("/audit", &cookie).await.ok(200).text();
    assert!(page.contains("for ever"), "{page}");
    world.submit("/audit/retention", Some(&cookie), "days=soon").await.page_refused(400, "audit.retention");
}

#[tokio::test]
async fn checkpoints_are_carried_off_to_a_file() {
    let world = World::start(None).await;
    let org = world.bootstrap().await;
    let World { server, dir, mut config, .. } = world;
    server.stop().await;
    let file = dir.path().join("checkpoints.jsonl");
    config.checkpoint_file = Some(file.clone());
    let server = daam_control_plane::Server::start(&config).await.unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let text = loop {
        match std::fs::read_to_string(&file) {
            Ok(text) if text.ends_with('\n') => break text,
            _ => assert!(std::time::Instant::now() < deadline, "no checkpoint was carried off"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let signed: Signed = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(signed.unverified().org, org.slug);
    server.stop().await;
}

/// A log of so many entries, every hash fitting, in the place of what there is; no checkpoint stays.
fn written_anew(org_id: &str, count: u64) -> String {
    let mut head: Option<Hash> = None;
    let mut sql = "DELETE FROM audit; DELETE FROM audit_checkpoints; ".to_owned();
    for seq in 1..=i64::try_from(count).unwrap() {
        let (actor, action) = ("user:eve@x.org".to_owned(), "user.put".to_owned());
        let entry = Entry { seq, at: 1, actor, action, target: "eve".to_owned(), detail: String::new() };
        let hash = entry.hash(head, org_id);
        let row = format!(
            "INSERT INTO audit (org_id, seq, at, actor, action, target, detail, hash) \
             VALUES ('{org_id}', {seq}, 1, 'user:eve@x.org', 'user.put', 'eve', '', '{hash}'); \
             UPDATE organizations SET audit_seq = {seq}, audit_head = '{hash}'; "
        );
        sql.push_str(&row);
        head = Some(hash);
    }
    sql
}

#[tokio::test]
async fn a_log_that_was_written_anew_while_the_server_was_down_is_not_signed() {
    let postgres = Postgres::start();
    let world = World::start(Some(postgres.database("anew").await)).await;
    let org = world.bootstrap().await;
    world.put_user(&org, "bo@example.com", false).await;
    let path = "/v1/audit/checkpoints";
    let made: Signed = world.call(Method::POST, path, &org.token, &json!({})).await.json(200);
    let said = made.unverified();
    postgres.execute("anew", &written_anew(&said.org_id, said.size + 3)).await;
    let world = world.restart().await;
    let told = world.call(Method::POST, path, &org.token, &json!({})).await.refused(409, "audit.broken");
    let file = format!("audit-signed/{}.json", org.slug);
    assert!(told.contains("set back") && told.contains(&file), "{told}");
    let none: Vec<Signed> = world.get(path, &org.token).await.json(200);
    assert!(none.is_empty(), "{none:?}");

    // Where what it remembers cannot be read it signs nothing, and the log can still be read.
    std::fs::write(world.config.data_dir.join(&file), "{").unwrap();
    assert_ne!(world.call(Method::POST, path, &org.token, &json!({})).await.status.as_u16(), 200);
    assert!(world.get("/v1/audit/log", &org.token).await.ok(200).text().contains("eve"));
    // As the refusal says, for a database that was set back on purpose.
    std::fs::remove_file(world.config.data_dir.join(&file)).unwrap();
    world.call(Method::POST, path, &org.token, &json!({})).await.ok(200);
}
