//! Jobs of pipelines: what counts once, and what ends with what.

use crate::engine::{NOW, admin, person, user};
use daam_store::{
    Db, Exchanged, Lasting, ProvenJob, Role, StoreError, StoredWorkload, TokenOwner, UserAuth, UserChange,
    new_provider_id,
};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) async fn a_jobs_token_counts_once_and_what_it_gave_ends_with_its_trust(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let eve = admin(&db, "sly-fox").await;
    let new = StoredWorkload {
        id: new_provider_id(),
        name: "deploys".to_owned(),
        issuer: "https://ci.example".to_owned(),
        audience: "daam".to_owned(),
        claims: BTreeMap::from([("ref".to_owned(), "main".to_owned())]),
        email: ana.email().to_owned(),
        lifetime: 900,
        created_by: ana.email().to_owned(),
        created_at: NOW,
        databases: Some(BTreeSet::from(["archive".to_owned(), "shop".to_owned()])),
        used_at: None,
    };
    let token = db.add_workload(&ana, &new, NOW).await.unwrap_err();
    assert!(matches!(token, StoreError::NeedsPerson(Lasting::WayIn)), "{token}");
    let ana = person(&db, "calm-otter", ana.email()).await;
    assert!(db.add_workload(&ana, &new, NOW).await.unwrap());
    let nobodys = StoredWorkload { id: new_provider_id(), email: "nobody@x.org".to_owned(), ..new.clone() };
    assert!(!db.add_workload(&ana, &nobodys, NOW).await.unwrap());
    assert!(db.workload_door(&nobodys.id).await.unwrap().is_none());
    assert!(db.workloads(eve.scope()).await.unwrap().is_empty());
    let door = db.workload_door(&new.id).await.unwrap().unwrap();
    assert_eq!(door.workload().claims, new.claims);
    assert_eq!((&door.workload().databases, door.workload().used_at), (&new.databases, None));
    let job = ProvenJob { subject: "a job", sha256: "a", forgotten_at: NOW + 300, expires_at: NOW + 900 };
    let Exchanged::Done(token) = db.exchange(&door, &job, NOW).await.unwrap() else { panic!("not given") };
    assert!(matches!(db.exchange(&door, &job, NOW).await.unwrap(), Exchanged::Replayed));
    let token = token.reveal();
    let job_user = user(&db, &token, NOW + 899).await.unwrap();
    assert_eq!(job_user.email(), ana.email());
    assert_eq!(db.workloads(ana.scope()).await.unwrap()[0].used_at, Some(NOW));
    // Its databases are the only ones; nobody else's token is limited.
    assert_eq!(job_user.databases(), new.databases.as_ref());
    assert!(job_user.may_reach("shop") && !job_user.may_reach("hr"));
    assert!(ana.databases().is_none() && ana.may_reach("hr"));
    assert!(user(&db, &token, NOW + 900).await.is_none());
    // Whatever it is told, what a job makes ends with it.
    let owner = TokenOwner { email: job_user.email(), name: "for ever", expires_at: NOW + 1_000_000 };
    let (_, child) = db.create_token(&job_user, &owner, NOW).await.unwrap().unwrap();
    let child = child.reveal();
    assert!(user(&db, &child, NOW + 900).await.is_none());
    assert_eq!(user(&db, &child, NOW).await.unwrap().databases(), new.databases.as_ref());
    // Without a limit there is none.
    let free = StoredWorkload { id: new_provider_id(), databases: None, ..new.clone() };
    assert!(db.add_workload(&ana, &free, NOW).await.unwrap());
    let there = db.workload_door(&free.id).await.unwrap().unwrap();
    let Exchanged::Done(other) = db.exchange(&there, &job, NOW).await.unwrap() else { panic!("not given") };
    assert!(user(&db, &other.reveal(), NOW).await.unwrap().databases().is_none());
    ends_with_whoever_gave_it(&db, &ana, &free, &job).await;
    // Only its own organization ends it, and then all of that is over.
    assert!(!db.remove_workload(&eve, &new.id, NOW).await.unwrap());
    assert!(user(&db, &token, NOW).await.is_some());
    assert!(db.remove_workload(&ana, &new.id, NOW).await.unwrap());
    for gone in [&token, &child] {
        assert!(user(&db, gone, NOW).await.is_none());
    }
    let later = ProvenJob { sha256: "b", ..job };
    assert!(matches!(db.exchange(&door, &later, NOW).await.unwrap(), Exchanged::Gone));
}

/// What an admin gave ends with that admin, and comes back with them only by giving it anew.
async fn ends_with_whoever_gave_it(db: &Db, ana: &UserAuth, free: &StoredWorkload, job: &ProvenJob<'_>) {
    let zed = UserChange {
        email: "zed@x.org",
        role: Some(Role::Admin),
        groups: &BTreeSet::new(),
        attributes: &BTreeMap::new(),
        disabled: false,
    };
    db.put_user(ana.scope(), &zed, NOW).await.unwrap();
    let by_zed = person(db, "calm-otter", "zed@x.org").await;
    let theirs = StoredWorkload { id: new_provider_id(), ..free.clone() };
    assert!(db.add_workload(&by_zed, &theirs, NOW).await.unwrap());
    let there = db.workload_door(&theirs.id).await.unwrap().unwrap();
    let Exchanged::Done(given) = db.exchange(&there, job, NOW).await.unwrap() else { panic!("not given") };
    let given = given.reveal();
    assert!(user(db, &given, NOW).await.is_some());
    db.put_user(ana.scope(), &UserChange { role: Some(Role::Member), ..zed }, NOW).await.unwrap();
    assert!(user(db, &given, NOW).await.is_none());
    assert!(db.workload_door(&theirs.id).await.unwrap().is_none());
    let again = ProvenJob { sha256: "c", ..*job };
    assert!(matches!(db.exchange(&there, &again, NOW).await.unwrap(), Exchanged::Gone));
}
