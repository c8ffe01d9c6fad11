//! The audit.

use crate::engine::{NOW, admin, agent, put, sqlite};
use daam_bundle::SigningKey;
use daam_ledger::{Entry, Fault, Found, Hash, Signed, Tip, Verifier};
use daam_store::{Checkpointed, Db, TenantScope};
use std::path::Path;

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

/// Signs what there is.
async fn signed(db: &Db, scope: &TenantScope, key: &SigningKey, at: i64) -> Checkpointed {
    let trusted = |signed: &Signed| signed.verify(&key.public()).is_ok();
    let sign = |tip: &Tip| tip.checkpoint(scope.org(), at).sign(key);
    db.checkpoint(scope, (None, at), trusted, sign).await.unwrap()
}

async fn checkpoint(db: &Db, scope: &TenantScope, key: &SigningKey, at: i64) -> Signed {
    match signed(db, scope, key, at).await {
        Checkpointed::Signed(signed) => signed,
        other => panic!("not signed: {other:?}"),
    }
}

/// The log as somebody else reads it.
async fn verify(
    db: &Db,
    scope: &TenantScope,
    key: &SigningKey,
    kept: impl IntoIterator<Item = Signed>,
) -> Result<Found, Fault> {
    let mut verifier = Verifier::new(key.public(), kept);
    let mut after = None;
    loop {
        let part = db.audit_log(scope, after).await.unwrap();
        for line in part.lines {
            verifier.read(line.write().trim_end())?;
        }
        match part.next {
            Some(seq) => after = Some(seq),
            None => return verifier.finish(),
        }
    }
}

pub(crate) async fn a_log_verifies_by_its_checkpoints_also_after_old_entries_went(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let eve = admin(&db, "sly-fox").await;
    let (scope, key) = (ana.scope(), SigningKey::generate().unwrap());
    assert_eq!(verify(&db, scope, &key, []).await, Err(Fault::Unsigned));
    let earliest = checkpoint(&db, scope, &key, NOW).await;
    // More than one part of a log has.
    for index in 0..600 {
        db.keep_audit(&ana, Some(40), NOW + index).await.unwrap();
    }
    let first = checkpoint(&db, scope, &key, NOW + 600).await;
    assert_eq!(first.unverified().size, 601);
    assert!(matches!(signed(&db, scope, &key, NOW).await, Checkpointed::Present(same) if same == first));
    let day = 86_400;
    put(&db, &ana, "bo@x.org", false).await;
    db.keep_audit(&ana, Some(50), NOW + day).await.unwrap();
    let second = checkpoint(&db, scope, &key, NOW + day).await;
    let found = verify(&db, scope, &key, [first.clone(), second.clone()]).await.unwrap();
    assert_eq!((found.first, found.last, found.signed), (1, 603, 603));
    let listed = [second.clone(), first.clone(), earliest.clone()];
    assert_eq!(db.checkpoints(scope, None, 10).await.unwrap(), listed);
    assert_eq!(db.checkpoints(scope, Some(603), 10).await.unwrap().first(), Some(&first));
    // A tenant has its own.
    assert!(db.checkpoints(eve.scope(), None, 10).await.unwrap().is_empty());
    let theirs = db.audit_log(eve.scope(), None).await.unwrap().lines;
    assert_eq!(theirs.len(), 2, "{theirs:?}");

    // What is older than the first checkpoint goes; later entries stay, because no checkpoint stands before them.
    assert_eq!(db.cut_audit(scope, NOW, NOW + day).await.unwrap(), None, "nothing is old enough");
    assert_eq!(db.cut_audit(scope, NOW + 700, NOW + day).await.unwrap(), Some(601));
    assert_eq!(db.cut_audit(scope, NOW + 700, NOW + day).await.unwrap(), None);
    // Whoever kept one from before what is gone sees that it is the same log.
    let found = verify(&db, scope, &key, [earliest, first.clone(), second.clone()]).await.unwrap();
    assert_eq!((found.first, found.last, found.signed, found.before_cut), (602, 604, 603, 0));
    assert!(db.audit(scope).await.unwrap().1);
    let third = checkpoint(&db, scope, &key, NOW + day).await;
    assert_eq!(verify(&db, scope, &key, [second, third]).await.unwrap().signed, 604);
    assert_eq!(db.audit(eve.scope()).await.unwrap().0.len(), 1, "another organization's stay");
}

/// Four entries; the first two signed by one checkpoint, all by another.
async fn tampered(statements: &[&str]) -> (Result<Found, Fault>, Result<Found, Fault>, Checkpointed) {
    let (db, dir) = sqlite().await;
    let ana = admin(&db, "calm-otter").await;
    let (scope, key) = (ana.scope(), SigningKey::generate().unwrap());
    put(&db, &ana, "bo@x.org", false).await;
    let first = checkpoint(&db, scope, &key, NOW).await;
    put(&db, &ana, "cy@x.org", false).await;
    put(&db, &ana, "di@x.org", false).await;
    let second = checkpoint(&db, scope, &key, NOW).await;
    assert_eq!(verify(&db, scope, &key, [first.clone()]).await.unwrap().signed, 4);
    run(&dir.path().join("daam.db"), statements).await;
    let alone = verify(&db, scope, &key, []).await;
    let kept = verify(&db, scope, &key, [first, second]).await;
    (alone, kept, signed(&db, scope, &key, NOW + 1).await)
}

async fn run(file: &Path, statements: &[&str]) {
    let pool = sqlx::SqlitePool::connect(file.to_str().unwrap()).await.unwrap();
    for statement in statements {
        sqlx::query(sqlx::AssertSqlSafe(*statement)).execute(&pool).await.unwrap();
    }
    pool.close().await;
}

#[tokio::test]
async fn an_edited_reordered_or_missing_entry_shows() {
    let swap = [
        "UPDATE audit SET seq = 99 WHERE seq = 2",
        "UPDATE audit SET seq = 2 WHERE seq = 3",
        "UPDATE audit SET seq = 3 WHERE seq = 99",
    ];
    let cases: [(&[&str], Fault); 7] = [
        (&["UPDATE audit SET target = 'eve@x.org' WHERE seq = 2"], Fault::Changed { seq: 2 }),
        (&["UPDATE audit SET at = at - 1 WHERE seq = 4"], Fault::Changed { seq: 4 }),
        (&["UPDATE audit SET hash = 'nonsense' WHERE seq = 3"], Fault::Changed { seq: 3 }),
        (&swap, Fault::Changed { seq: 2 }),
        (&["DELETE FROM audit WHERE seq = 3"], Fault::Missing { from: 3, to: 3 }),
        (&["DELETE FROM audit WHERE seq = 1"], Fault::Missing { from: 1, to: 1 }),
        (&["DELETE FROM audit WHERE seq = 4"], Fault::Truncated { last: 3, signed: 4 }),
    ];
    for (statements, fault) in cases {
        let (alone, kept, _) = tampered(statements).await;
        assert_eq!((alone.unwrap_err(), kept.unwrap_err()), (fault.clone(), fault), "{statements:?}");
    }
}

#[tokio::test]
async fn a_log_that_was_cut_short_with_all_its_traces_shows_to_whoever_kept_a_checkpoint() {
    let (alone, kept, next) = tampered(&[
        "DELETE FROM audit WHERE seq > 2",
        "DELETE FROM audit_checkpoints WHERE size > 2",
        "UPDATE organizations SET audit_seq = 2, audit_head = (SELECT hash FROM audit WHERE seq = 2)",
    ])
    .await;
    assert!(alone.is_ok());
    assert_eq!(kept, Err(Fault::Truncated { last: 2, signed: 4 }));
    assert!(matches!(next, Checkpointed::Present(_)), "{next:?}");
}

/// Writes a log of so many entries in the place of what there is, every hash fitting, and takes every checkpoint away.
async fn written_anew(file: &Path, count: i64) {
    let pool = sqlx::SqlitePool::connect(file.to_str().unwrap()).await.unwrap();
    let (org,): (String,) = sqlx::query_as("SELECT id FROM organizations").fetch_one(&pool).await.unwrap();
    let mut head: Option<Hash> = None;
    let mut statements = vec!["DELETE FROM audit".to_owned(), "DELETE FROM audit_checkpoints".to_owned()];
    for seq in 1..=count {
        let (actor, action) = ("user:eve@x.org".to_owned(), "user.put".to_owned());
        let entry = Entry { seq, at: NOW, actor, action, target: "eve".to_owned(), detail: String::new() };
        let hash = entry.hash(head, &org);
        statements.push(format!(
            "INSERT INTO audit (org_id, seq, at, actor, action, target, detail, hash) \
             VALUES ('{org}', {seq}, {NOW}, 'user:eve@x.org', 'user.put', 'eve', '', '{hash}')"
        ));
        statements.push(format!("UPDATE organizations SET audit_seq = {seq}, audit_head = '{hash}'"));
        head = Some(hash);
    }
    pool.close().await;
    run(file, &statements.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn a_log_that_was_written_anew_is_not_signed_by_a_server_that_signed_the_other() {
    let (db, dir) = sqlite().await;
    let ana = admin(&db, "calm-otter").await;
    let (scope, key) = (ana.scope(), SigningKey::generate().unwrap());
    put(&db, &ana, "bo@x.org", false).await;
    let kept = checkpoint(&db, scope, &key, NOW).await;
    let file = dir.path().join("daam.db");
    written_anew(&file, 5).await;
    let again = async |known: Option<&Signed>| {
        let trusted = |signed: &Signed| signed.verify(&key.public()).is_ok();
        let sign = |tip: &Tip| tip.checkpoint(scope.org(), NOW + 1).sign(&key);
        db.checkpoint(scope, (known, NOW + 1), trusted, sign).await.unwrap()
    };
    let refused = again(Some(&kept)).await;
    assert!(matches!(refused, Checkpointed::Broken(Fault::Forgotten { size: 2 })), "{refused:?}");
    // One that knows nothing of it signs; and what was cut off then is no excuse.
    assert!(matches!(again(None).await, Checkpointed::Signed(_)));
    assert_eq!(verify(&db, scope, &key, [kept.clone()]).await, Err(Fault::Rewritten { size: 2 }));
    assert_eq!(db.cut_audit(scope, NOW + 9, NOW + 9).await.unwrap(), Some(5));
    assert_eq!(verify(&db, scope, &key, [kept.clone()]).await, Err(Fault::Rewritten { size: 2 }));
    run(&file, &["DELETE FROM audit_gone"]).await;
    assert_eq!(verify(&db, scope, &key, [kept]).await, Err(Fault::Uncompared { kept: 2, cut: 5 }));
    assert!(verify(&db, scope, &key, []).await.is_ok(), "nobody else can tell");
}

#[tokio::test]
async fn a_log_that_another_server_signed_counts_over_the_same_entries_only() {
    let (db, dir) = sqlite().await;
    let ana = admin(&db, "calm-otter").await;
    let (scope, key) = (ana.scope(), SigningKey::generate().unwrap());
    let file = dir.path().join("daam.db");
    put(&db, &ana, "bo@x.org", false).await;
    let ours = checkpoint(&db, scope, &key, NOW).await;
    put(&db, &ana, "cy@x.org", false).await;
    let trusted = |signed: &Signed| signed.verify(&key.public()).is_ok();
    let sign = |tip: &Tip| tip.checkpoint(scope.org(), NOW + 1).sign(&key);
    let again = async || db.checkpoint(scope, (Some(&ours), NOW + 1), trusted, sign).await.unwrap();
    // The other one signs one more entry, and it is the same log, also after old entries went.
    let theirs = checkpoint(&db, scope, &key, NOW).await;
    assert!(matches!(again().await, Checkpointed::Present(same) if same == theirs));
    assert_eq!(db.cut_audit(scope, NOW + 9, NOW + 9).await.unwrap(), Some(3));
    assert!(matches!(again().await, Checkpointed::Signed(_)));
    run(&file, &["DELETE FROM audit_gone"]).await;
    assert!(matches!(again().await, Checkpointed::Present(_)), "cut before hashes stayed");
    run(&file, &["UPDATE organizations SET audit_cut = 0"]).await;
    let refused = again().await;
    assert!(matches!(refused, Checkpointed::Broken(Fault::Forgotten { size: 2 })), "{refused:?}");
    // The other one never saw what we signed, and signs what stands in its place.
    written_anew(&file, 5).await;
    checkpoint(&db, scope, &key, NOW).await;
    let refused = again().await;
    assert!(matches!(refused, Checkpointed::Broken(Fault::Rewritten { size: 2 })), "{refused:?}");
    assert_eq!(db.cut_audit(scope, NOW + 9, NOW + 9).await.unwrap(), Some(5));
    let refused = again().await;
    assert!(matches!(refused, Checkpointed::Broken(Fault::Rewritten { size: 2 })), "{refused:?}");
}

#[tokio::test]
async fn hashes_of_what_is_gone_end_where_one_is_missing() {
    let (db, dir) = sqlite().await;
    let ana = admin(&db, "calm-otter").await;
    let (scope, key) = (ana.scope(), SigningKey::generate().unwrap());
    for email in ["bo@x.org", "cy@x.org", "di@x.org"] {
        put(&db, &ana, email, false).await;
    }
    let kept = checkpoint(&db, scope, &key, NOW).await;
    put(&db, &ana, "ed@x.org", false).await;
    checkpoint(&db, scope, &key, NOW).await;
    assert_eq!(db.cut_audit(scope, NOW + 9, NOW + 9).await.unwrap(), Some(5));
    assert!(verify(&db, scope, &key, [kept.clone()]).await.is_ok());
    run(&dir.path().join("daam.db"), &["DELETE FROM audit_gone WHERE seq = 3"]).await;
    // Not the fourth's hash in the third's place.
    assert_eq!(verify(&db, scope, &key, [kept]).await, Err(Fault::Uncompared { kept: 4, cut: 5 }));
}

#[tokio::test]
async fn what_is_not_whole_is_not_signed() {
    // Cut short after the last checkpoint, where only the counter beside the log knows.
    let (db, dir) = sqlite().await;
    let ana = admin(&db, "calm-otter").await;
    let (scope, key) = (ana.scope(), SigningKey::generate().unwrap());
    checkpoint(&db, scope, &key, NOW).await;
    put(&db, &ana, "bo@x.org", false).await;
    put(&db, &ana, "cy@x.org", false).await;
    let file = dir.path().join("daam.db");
    run(&file, &["DELETE FROM audit WHERE seq = 3"]).await;
    let refused = signed(&db, scope, &key, NOW).await;
    assert!(matches!(refused, Checkpointed::Broken(Fault::Short { last: 2, counted: 3 })), "{refused:?}");
    assert!(!db.audit(scope).await.unwrap().1);
    // A checkpoint somebody put there is no place to go on from.
    let other = SigningKey::generate().unwrap();
    let refused = signed(&db, scope, &other, NOW).await;
    assert!(matches!(refused, Checkpointed::Broken(Fault::Cut { size: 1 })), "{refused:?}");
    // Entries that are gone without a checkpoint in their place.
    run(&file, &["UPDATE organizations SET audit_cut = 2", "DELETE FROM audit WHERE seq = 1"]).await;
    assert!(verify(&db, scope, &key, []).await.is_err());
}
