//! How organizations begin.

use crate::engine::{NOW, admin, organization};
use daam_store::{Created, Db};

pub(crate) async fn the_first_organization_is_made_once_whoever_asks(db: Db) {
    assert!(!db.has_organization().await.unwrap());
    let slugs: Vec<String> = (0..8).map(|n| format!("org-{n}")).collect();
    let tasks: Vec<_> = slugs
        .into_iter()
        .map(|slug| {
            let db = db.clone();
            tokio::spawn(async move { db.bootstrap(&organization(&slug, "a@x.org"), NOW).await.unwrap() })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        match task.await.unwrap() {
            Created::Made { .. } => made += 1,
            Created::AlreadyBootstrapped => {}
            Created::SlugTaken => panic!("slugs differ"),
        }
    }
    assert_eq!(made, 1);
    assert!(db.has_organization().await.unwrap());
}

pub(crate) async fn a_taken_slug_is_said_so(db: Db) {
    let first = admin(&db, "calm-otter").await;
    let again = db.create_organization(&organization("calm-otter", "b@x.org"), NOW).await.unwrap();
    assert!(matches!(again, Created::SlugTaken));
    assert_eq!(db.users(first.scope()).await.unwrap().len(), 1);
    assert_eq!(db.ticket_key(first.scope()).await.unwrap().public, "ticket");
}
