//! The directory, and who may not leave it.

use crate::engine::{NOW, TOKEN_END, admin, person, put, user};
use daam_store::{Db, Holder, NewCertificate, Role, Stored, TokenOwner, UserAuth, UserChange};
use std::collections::{BTreeMap, BTreeSet};

fn version(stored: Stored) -> u64 {
    match stored {
        Stored::Done(stored) => stored.directory_version,
        Stored::LastAdmin => panic!("refused"),
    }
}

async fn set(db: &Db, by: &UserAuth, email: &str, role: Role, disabled: bool) -> Stored {
    let (groups, attributes) = (BTreeSet::new(), BTreeMap::new());
    let change = UserChange { email, role: Some(role), groups: &groups, attributes: &attributes, disabled };
    db.put_user(by.scope(), &change, NOW).await.unwrap()
}

pub(crate) async fn a_change_is_a_new_directory_version(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let before = db.directory_version(ana.scope()).await.unwrap();
    let first = version(put(&db, &ana, "bo@x.org", false).await);
    let second = version(put(&db, &ana, "bo@x.org", true).await);
    assert_eq!((first, second), (before + 1, before + 2));
    let (held, users) = db.directory(ana.scope()).await.unwrap();
    assert_eq!(held, second);
    let bo = users.iter().find(|user| user.email == "bo@x.org").unwrap();
    assert!(bo.disabled);
    assert_eq!(bo.groups, BTreeSet::from(["eu".to_owned()]));
    assert_eq!(bo.attributes["tier"], 2);
}

pub(crate) async fn disabling_a_user_ends_tokens_and_certificates(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    put(&db, &ana, "bo@x.org", false).await;
    let owner = TokenOwner { email: "bo@x.org", name: "laptop", expires_at: TOKEN_END };
    let secret = db.create_token(&ana, &owner, NOW).await.unwrap().unwrap().1.reveal();
    let bo = user(&db, &secret, NOW).await.unwrap();
    let issued =
        |serial, not_after| NewCertificate { serial, holder: Holder::User(&bo), not_after, authority: 1 };
    assert!(db.record_certificate(bo.scope(), &issued("abc", NOW + 100), NOW).await.unwrap());
    assert!(db.revoked_serials(ana.scope(), NOW).await.unwrap().is_empty());
    put(&db, &ana, "bo@x.org", true).await;
    assert!(user(&db, &secret, NOW).await.is_none());
    // He was let in before he was disabled, and asks after.
    assert!(!db.record_certificate(bo.scope(), &issued("late", NOW + 100), NOW).await.unwrap());
    assert_eq!(db.revoked_serials(ana.scope(), NOW).await.unwrap(), BTreeSet::from(["abc".to_owned()]));
    assert!(db.revoked_serials(ana.scope(), NOW + 100).await.unwrap().is_empty(), "it has ended by itself");
    put(&db, &ana, "bo@x.org", false).await;
    assert_eq!(db.revoked_serials(ana.scope(), NOW).await.unwrap().len(), 1, "revoked stays revoked");
    assert!(user(&db, &secret, NOW).await.is_none(), "a token of before does not come back");
}

pub(crate) async fn the_last_admin_stays_even_when_two_leave_at_once(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let ana = person(&db, "calm-otter", ana.email()).await;
    assert!(matches!(set(&db, &ana, ana.email(), Role::Member, false).await, Stored::LastAdmin));
    assert!(matches!(set(&db, &ana, ana.email(), Role::Admin, true).await, Stored::LastAdmin));
    version(set(&db, &ana, "bo@x.org", Role::Admin, false).await);
    let tasks: Vec<_> = [ana.email().to_owned(), "bo@x.org".to_owned()]
        .into_iter()
        .map(|email| {
            let (db, ana) = (db.clone(), ana.clone());
            tokio::spawn(async move {
                matches!(set(&db, &ana, &email, Role::Member, false).await, Stored::Done(_))
            })
        })
        .collect();
    let mut left = 0;
    for task in tasks {
        left += usize::from(task.await.unwrap());
    }
    assert_eq!(left, 1);
}

pub(crate) async fn writers_do_not_fail_each_other(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let before = db.directory_version(ana.scope()).await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|writer| {
            let (db, ana) = (db.clone(), ana.clone());
            tokio::spawn(async move {
                for n in 0..10 {
                    put(&db, &ana, &format!("user{n}@writer{writer}.org"), false).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(db.directory_version(ana.scope()).await.unwrap(), before + 80);
    assert_eq!(db.users(ana.scope()).await.unwrap().len(), 81);
    assert!(db.audit(ana.scope()).await.unwrap().1);
}
