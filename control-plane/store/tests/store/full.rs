//! What SQLite undoes by itself, as it does when the disk is full.

use crate::engine::{NOW, TOKEN_END, admin, put, sqlite, user};
use daam_store::{TokenOwner, UserChange};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, sqlite::SqliteConnectOptions};
use std::collections::{BTreeMap, BTreeSet};

#[tokio::test]
async fn after_the_database_undid_a_change_by_itself_a_deleted_token_is_gone_on_every_connection() {
    let (db, dir) = sqlite().await;
    let ana = admin(&db, "calm-otter").await;
    let file = SqliteConnectOptions::new().filename(dir.path().join("daam.db"));
    let mut beside = file.connect().await.unwrap();
    beside
        .execute(
            "CREATE TRIGGER full BEFORE INSERT ON users WHEN NEW.email = 'full@x.org' \
             BEGIN SELECT RAISE(ROLLBACK, 'database or disk is full'); END",
        )
        .await
        .unwrap();
    beside.close().await.unwrap();
    let owner = TokenOwner { email: ana.email(), name: "ci", expires_at: TOKEN_END };
    let (id, secret) = db.create_token(&ana, &owner, NOW).await.unwrap().unwrap();
    let secret = secret.reveal();
    // Several at once, so that several connections have been through it.
    let tasks: Vec<_> = (0..24)
        .map(|n| {
            let (db, ana, secret) = (db.clone(), ana.clone(), secret.clone());
            tokio::spawn(async move {
                if n % 2 == 0 {
                    return assert!(user(&db, &secret, NOW).await.is_some());
                }
                let (groups, attributes) = (BTreeSet::new(), BTreeMap::new());
                let email = "full@x.org";
                let change = UserChange {
                    email,
                    role: None,
                    groups: &groups,
                    attributes: &attributes,
                    disabled: false,
                };
                db.put_user(ana.scope(), &change, NOW).await.unwrap_err();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let look = async || {
        let tasks: Vec<_> = (0..32)
            .map(|_| {
                let (db, secret) = (db.clone(), secret.clone());
                tokio::spawn(async move { user(&db, &secret, NOW).await.is_some() })
            })
            .collect();
        let mut found = 0;
        for task in tasks {
            found += usize::from(task.await.unwrap());
        }
        found
    };
    assert_eq!(look().await, 32);
    assert!(db.delete_token(&ana, &id, NOW).await.unwrap());
    assert_eq!(look().await, 0, "some connection still sees a token that was deleted");
    put(&db, &ana, "bo@x.org", false).await;
}
