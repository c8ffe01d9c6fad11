//! What agents report.

use crate::engine::{NOW, admin, agent};
use daam_store::{ConnectionFilter, Db, Violation};

pub(crate) async fn a_schema_report_replaces_everything(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let one = agent(&db, &ana, "one", "shop").await;
    assert_eq!(db.schema(ana.scope(), "shop").await.unwrap(), None);
    for snapshot in ["{\"relations\":[1,2]}", "{\"relations\":[2]}"] {
        db.replace_schema(&one, snapshot, NOW).await.unwrap();
        assert_eq!(db.schema(ana.scope(), "shop").await.unwrap().as_deref(), Some(snapshot));
    }
}

pub(crate) async fn repeated_violations_fold_over_five_minutes(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let one = agent(&db, &ana, "one", "shop").await;
    let seen = Violation { policy_id: "p", schema: "public", table: "salaries", site: "bundle" };
    let other = Violation { site: "session", ..seen };
    // Sliding: each repeat within five minutes of the last one extends it.
    for (violation, at, new) in
        [(seen, 0, true), (seen, 299, false), (seen, 598, false), (other, 598, true), (seen, 898, true)]
    {
        assert_eq!(db.violation(&one, violation, NOW + at).await.unwrap(), new, "{at}");
    }
    assert_eq!(db.agents(ana.scope(), 0, NOW).await.unwrap()[0].scope_violations, 3);
    assert_eq!(db.agents(ana.scope(), 0, NOW + 700).await.unwrap()[0].scope_violations, 1);
}

pub(crate) async fn a_session_ends_once(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let one = agent(&db, &ana, "one", "shop").await;
    db.session_started(&one, "s", "bo", NOW).await.unwrap();
    db.session_started(&one, "s", "bo", NOW).await.unwrap();
    assert_eq!(db.open_sessions(ana.scope()).await.unwrap(), 1);
    db.session_ended(&one, ("s", "someone else"), (None, 0), NOW).await.unwrap();
    assert_eq!(db.open_sessions(ana.scope()).await.unwrap(), 1);
    db.session_ended(&one, ("s", "bo"), (Some("left"), 12), NOW).await.unwrap();
    assert_eq!(db.open_sessions(ana.scope()).await.unwrap(), 0);
}

pub(crate) async fn sessions_that_ended_are_forgotten_and_no_others(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let eve = admin(&db, "sly-fox").await;
    let (one, theirs) = (agent(&db, &ana, "one", "shop").await, agent(&db, &eve, "two", "shop").await);
    for (by, id, ended) in [
        (&one, "old", Some(NOW + 10)),
        (&one, "new", Some(NOW + 20)),
        (&one, "goes on", None),
        (&theirs, "old", Some(NOW + 10)),
    ] {
        db.session_started(by, id, "bo", NOW).await.unwrap();
        if let Some(at) = ended {
            db.session_ended(by, (id, "bo"), (None, 0), at).await.unwrap();
        }
    }
    assert_eq!(db.forget_sessions(ana.scope(), NOW + 20).await.unwrap(), 1);
    assert_eq!(db.forget_sessions(ana.scope(), NOW + 20).await.unwrap(), 0);
    let ids = async |by: &daam_store::UserAuth| -> Vec<String> {
        let listed = db.connections(by.scope(), &ConnectionFilter::default(), 10).await.unwrap();
        listed.into_iter().map(|connection| connection.id).collect()
    };
    assert_eq!(ids(&ana).await, ["new", "goes on"]);
    assert_eq!(ids(&eve).await, ["old"], "each organization by its own days");
}

/// Whatever an agent says it has, it has the sessions of no other agent, and nothing begins at one that was removed.
pub(crate) async fn sessions_end_with_what_their_agent_has(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let (one, two) = (agent(&db, &ana, "one", "shop").await, agent(&db, &ana, "two", "shop").await);
    for (by, id) in [(&one, "a"), (&one, "b"), (&two, "a")] {
        db.session_started(by, id, "bo", NOW).await.unwrap();
    }
    let has = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    assert_eq!(db.sessions_are(&one, &has(&["a", "c"]), NOW + 5).await.unwrap(), 1);
    assert_eq!(db.sessions_are(&one, &has(&["a", "c"]), NOW + 6).await.unwrap(), 0);
    assert_eq!(db.open_sessions(ana.scope()).await.unwrap(), 2);
    // Nobody ends it a second time, but for its agent's own word.
    db.session_ended(&one, ("b", "bo"), (Some("left"), 3), NOW + 7).await.unwrap();
    db.session_ended(&one, ("b", "bo"), (Some("again"), 4), NOW + 8).await.unwrap();
    let ended = ConnectionFilter { open: Some(false), ..ConnectionFilter::default() };
    let ended = db.connections(ana.scope(), &ended, 10).await.unwrap();
    let said: Vec<_> =
        ended.iter().map(|one| (one.ended_at, one.reason.as_deref(), one.statements)).collect();
    assert_eq!(said, [(Some(NOW + 7), Some("left"), 3)]);
    assert!(db.remove_agent(ana.scope(), two.agent_id(), NOW + 9).await.unwrap());
    db.session_started(&two, "late", "bo", NOW + 9).await.unwrap();
    assert_eq!(db.open_sessions(ana.scope()).await.unwrap(), 1);
}
