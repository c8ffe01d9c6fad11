//! Publishing.

use crate::engine::{NOW, admin};
use daam_store::{Db, NewBundle, Published};

fn bundle(epoch: u64, serial: u64, head: &str) -> NewBundle<'_> {
    NewBundle { database: "shop", epoch, serial, statement_sha256: "5ha", head, bytes: b"\x00file\xff" }
}

pub(crate) async fn publishing_is_compare_and_swap(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let scope = ana.scope();
    assert_eq!(db.bundle(scope, "shop").await.unwrap(), None);
    let wrong = db.publish(scope, &bundle(1, 1, "h1"), 7, NOW).await.unwrap();
    assert_eq!(wrong, Published::HeadMoved { serial: 0 });
    assert!(db.databases(scope, 0).await.unwrap().is_empty(), "nothing of a refused upload stays");
    let tasks: Vec<_> = (1..=8)
        .map(|serial| {
            let (db, ana) = (db.clone(), ana.clone());
            tokio::spawn(async move {
                db.publish(ana.scope(), &bundle(1, serial, "h"), 0, NOW).await.unwrap() == Published::Done
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += usize::from(task.await.unwrap());
    }
    assert_eq!(done, 1);
    let stored = db.bundle(scope, "shop").await.unwrap().unwrap();
    assert_eq!(stored.bytes, b"\x00file\xff");
    let next = bundle(1, 100, "h100");
    assert_eq!(db.publish(scope, &next, stored.serial, NOW).await.unwrap(), Published::Done);
    assert_eq!(db.head(scope, "shop").await.unwrap().as_deref(), Some("h100"));
    assert_eq!(db.head_serial(scope, "shop").await.unwrap(), 100);
    assert_eq!(db.databases(scope, 0).await.unwrap()[0].bundle_serial, 100);
}

pub(crate) async fn a_new_epoch_may_start_with_a_lower_serial(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let scope = ana.scope();
    for (epoch, serial, expected) in [(1, 1, 0), (1, 5, 1), (2, 1, 5)] {
        let done = db.publish(scope, &bundle(epoch, serial, "h"), expected, NOW).await.unwrap();
        assert_eq!(done, Published::Done, "{epoch} {serial}");
    }
    assert_eq!(db.bundle(scope, "shop").await.unwrap().unwrap().serial, 1);
}

pub(crate) async fn a_trust_file_does_not_step_back(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let scope = ana.scope();
    for (version, content, stored) in
        [(2, "two", true), (2, "two", true), (2, "other", false), (1, "one", false), (3, "three", true)]
    {
        assert_eq!(db.put_trust(scope, version, content, NOW).await.unwrap(), stored, "{version} {content}");
    }
    assert_eq!(db.trust(scope).await.unwrap().as_deref(), Some("three"));
}
