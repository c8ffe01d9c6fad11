//! The audit.

use crate::engine::{NOW, admin, agent, put, sqlite};
use daam_store::Db;

pub(crate) async fn every_change_is_in_the_audit_and_the_chain_is_whole(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    put(&db, &ana, "bo@x.org", false).await;
    agent(&db, &ana, "one", "shop").await;
    db.put_trust(ana.scope(), 1, "trust", NOW).await.unwrap();
    let (entries, whole) = db.audit(ana.scope()).await.unwrap();
    assert!(whole);
    let actions: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["organization.create", "user.put", "enrolment.create", "agent.enrol", "trust.put"]);
    assert_eq!(entries[1].actor, "user:admin@calm-otter.example");
    assert_eq!(entries[1].target, "bo@x.org");
}

#[tokio::test]
async fn an_edited_or_missing_entry_shows() {
    for tampering in [
        "UPDATE audit SET target = 'eve@x.org' WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 3",
    ] {
        let (db, dir) = sqlite().await;
        let ana = admin(&db, "calm-otter").await;
        put(&db, &ana, "bo@x.org", false).await;
        put(&db, &ana, "cy@x.org", false).await;
        assert!(db.audit(ana.scope()).await.unwrap().1);
        let file = sqlx::SqlitePool::connect(dir.path().join("daam.db").to_str().unwrap()).await.unwrap();
        sqlx::query(tampering).execute(&file).await.unwrap();
        assert!(!db.audit(ana.scope()).await.unwrap().1, "{tampering}");
    }
}
