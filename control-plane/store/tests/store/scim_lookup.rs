//! Looking members up by what providers call them.

use crate::engine::{NOW, admin, put};
use daam_store::{Db, ScimKey, ScimStored, ScimUserChange, UserAuth};
use sqlx::sqlite::SqlitePoolOptions;

fn described(name: &str, external_id: &str, emails: &[String]) -> ScimUserChange {
    ScimUserChange {
        user_name: name.to_owned(),
        email: format!("{name}@x.org"),
        active: true,
        external_id: Some(external_id.to_owned()),
        emails: emails.to_vec(),
        document: "{}".to_owned(),
    }
}

async fn add(db: &Db, by: &UserAuth, change: &ScimUserChange) -> String {
    match db.scim_add_user(by.scope(), change, NOW).await.unwrap() {
        ScimStored::Done(made) => made.id,
        other => panic!("{other:?}"),
    }
}

async fn found(db: &Db, by: &UserAuth, key: ScimKey<'_>) -> Vec<String> {
    let found = db.scim_users_by(by.scope(), key).await.unwrap();
    found.into_iter().map(|user| user.id).collect()
}

pub(crate) async fn a_look_up_finds_whom_it_could_mean_in_its_own_organization(db: Db) {
    let (ana, eve) = (admin(&db, "calm-otter").await, admin(&db, "sly-fox").await);
    let of = |name: &str| format!("{name}@Home.org");
    let bo = add(&db, &ana, &described("bo", "1", &[of("bo"), of("robert")])).await;
    let cy = add(&db, &ana, &described("cy", "2", &[])).await;
    add(&db, &eve, &described("bo", "1", &[of("bo")])).await;
    put(&db, &ana, "plain@x.org", false).await;
    for (key, wanted) in [
        (ScimKey::ExternalId("1"), vec![bo.clone()]),
        (ScimKey::ExternalId("3"), vec![]),
        (ScimKey::Email("ROBERT@home.org"), vec![bo.clone()]),
        (ScimKey::UserName("CY"), vec![cy.clone()]),
        (ScimKey::Id(&cy), vec![cy.clone()]),
    ] {
        assert_eq!(found(&db, &ana, key).await, wanted, "{key:?}");
    }
    assert_eq!(found(&db, &ana, ScimKey::Email("Plain@x.org")).await.len(), 1, "whom no provider described");
    let (total, page) = db.scim_users_page(ana.scope(), (1, 2)).await.unwrap();
    assert_eq!((total, page.len()), (4, 2));
    // More addresses than are kept to look up by: still found.
    let many: Vec<String> = (0..100).map(|n| format!("d{n}@x.org")).collect();
    let di = add(&db, &ana, &described("di", "4", &many)).await;
    assert!(found(&db, &ana, ScimKey::Email("d99@x.org")).await.contains(&di));
    assert!(found(&db, &ana, ScimKey::ExternalId("4")).await.contains(&di));
    // Whoever is gone is not.
    let agreed = |_: &daam_store::ScimUser| Ok::<(), ()>(());
    let gone = db.scim_remove_user(ana.scope(), &bo, agreed, NOW).await.unwrap().unwrap();
    assert!(matches!(gone, ScimStored::Done(())));
    assert!(!found(&db, &ana, ScimKey::ExternalId("1")).await.contains(&bo));
    assert_eq!(db.scim_users_page(ana.scope(), (0, 9)).await.unwrap().0, 4);
}

#[tokio::test]
async fn members_described_by_a_version_without_keys_are_found_until_they_are_described_again() {
    let (db, dir) = crate::engine::sqlite().await;
    let ana = admin(&db, "calm-otter").await;
    let bo = add(&db, &ana, &described("bo", "1", &["bo@home.org".to_owned()])).await;
    // As that version left it.
    let file = format!("sqlite://{}", dir.path().join("daam.db").display());
    let raw = SqlitePoolOptions::new().connect(&file).await.unwrap();
    for sql in ["DELETE FROM scim_keys", "UPDATE scim_users SET keyed = FALSE"] {
        sqlx::query(sql).execute(&raw).await.unwrap();
    }
    raw.close().await;
    for key in [ScimKey::ExternalId("1"), ScimKey::ExternalId("other"), ScimKey::Email("bo@home.org")] {
        assert_eq!(found(&db, &ana, key).await, [bo.as_str()], "{key:?}");
    }
    let again = |_: &daam_store::ScimUser| Ok::<_, ()>(Some(described("bo", "2", &[])));
    let changed = db.scim_change_user(ana.scope(), &bo, again, NOW).await.unwrap().unwrap();
    assert!(matches!(changed, ScimStored::Done(_)));
    assert_eq!(found(&db, &ana, ScimKey::ExternalId("2")).await, [bo.as_str()]);
    assert!(found(&db, &ana, ScimKey::ExternalId("1")).await.is_empty());
}
