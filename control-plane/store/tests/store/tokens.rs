//! Bearer secrets: whom they speak for, and when they stop.

use crate::engine::{NOW, TOKEN_END, admin, agent, enrolment, person, put, user};
use daam_store::{
    AgentEnrolment, Caller, Db, Enrolment, EnrolmentKind, Holder, NewAgent, NewCertificate, Role, TokenOwner,
    UserAuth, UserChange,
};
use std::collections::{BTreeMap, BTreeSet};

async fn token(db: &Db, by: &UserAuth, email: &str, expires_at: i64) -> (String, String) {
    let owner = TokenOwner { email, name: "ci", expires_at };
    let (id, secret) = db.create_token(by, &owner, NOW).await.unwrap().unwrap();
    (id, secret.reveal())
}

pub(crate) async fn a_token_lives_until_it_expires_or_is_deleted(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    assert_eq!(ana.token_expires_at(), TOKEN_END);
    let (id, secret) = token(&db, &ana, ana.email(), NOW + 10).await;
    assert_eq!(user(&db, &secret, NOW + 9).await.unwrap().role(), Role::Admin);
    assert!(user(&db, &secret, NOW + 10).await.is_none());
    assert!(db.delete_token(&ana, &id, NOW).await.unwrap());
    assert!(user(&db, &secret, NOW).await.is_none());
    assert!(!db.delete_token(&ana, &id, NOW).await.unwrap());
    assert!(db.authenticate("daam_pat_nonsense", NOW).await.unwrap().is_none());
    let nobody = TokenOwner { email: "nobody@x.org", name: "ci", expires_at: TOKEN_END };
    assert!(db.create_token(&ana, &nobody, NOW).await.unwrap().is_none());
}

pub(crate) async fn certificates_end_with_the_token_that_asked_for_them(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let (id, secret) = token(&db, &ana, ana.email(), TOKEN_END).await;
    let ci = user(&db, &secret, NOW).await.unwrap();
    let issued =
        |serial, by| NewCertificate { serial, holder: Holder::User(by), not_after: TOKEN_END, authority: 1 };
    assert!(db.record_certificate(ana.scope(), &issued("hers", &ana), NOW).await.unwrap());
    assert!(db.record_certificate(ci.scope(), &issued("ci", &ci), NOW).await.unwrap());
    assert!(db.delete_token(&ana, &id, NOW).await.unwrap());
    assert_eq!(db.revoked_serials(ana.scope(), NOW).await.unwrap(), BTreeSet::from(["ci".to_owned()]));
    assert!(!db.record_certificate(ci.scope(), &issued("late", &ci), NOW).await.unwrap());
    assert!(db.audit(ana.scope()).await.unwrap().1);
}

pub(crate) async fn enrolment_tokens_end_with_their_maker(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let ana = person(&db, "calm-otter", ana.email()).await;
    let (groups, attributes) = (BTreeSet::new(), BTreeMap::new());
    let change = |role, disabled| UserChange {
        email: "eve@x.org",
        role: Some(role),
        groups: &groups,
        attributes: &attributes,
        disabled,
    };
    db.put_user(ana.scope(), &change(Role::Admin, false), NOW).await.unwrap();
    let (_, secret) = token(&db, &ana, "eve@x.org", TOKEN_END).await;
    let eve = user(&db, &secret, NOW).await.unwrap();
    let (text, auth) = enrolment(&db, &eve, &EnrolmentKind::Relay).await;
    for gone in [change(Role::Member, false), change(Role::Admin, true)] {
        db.put_user(ana.scope(), &gone, NOW).await.unwrap();
        assert!(db.authenticate(&text, NOW).await.unwrap().is_none());
        assert!(db.enrol_relay(&auth, "r", NOW).await.unwrap().is_none());
    }
    // Nor does it come back with the role.
    db.put_user(ana.scope(), &change(Role::Admin, false), NOW).await.unwrap();
    assert!(db.enrol_relay(&auth, "r", NOW).await.unwrap().is_none());
}

pub(crate) async fn members_delete_only_their_own_tokens(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    put(&db, &ana, "bo@x.org", false).await;
    let (_, secret) = token(&db, &ana, "bo@x.org", TOKEN_END).await;
    let bo = user(&db, &secret, NOW).await.unwrap();
    assert_eq!(bo.role(), Role::Member);
    let (hers, _) = token(&db, &ana, ana.email(), TOKEN_END).await;
    let (his, _) = token(&db, &bo, bo.email(), TOKEN_END).await;
    assert!(!db.delete_token(&bo, &hers, NOW).await.unwrap());
    assert!(db.delete_token(&bo, &his, NOW).await.unwrap());
    assert!(db.delete_token(&ana, &hers, NOW).await.unwrap());
}

pub(crate) async fn an_enrolment_token_admits_one_agent_however_many_ask(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let kind = EnrolmentKind::Agent { database: "shop".to_owned() };
    let (text, auth) = enrolment(&db, &ana, &kind).await;
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let (db, auth) = (db.clone(), auth.clone());
            tokio::spawn(async move {
                let (id, serial) = (format!("agent-{n}"), format!("serial-{n}"));
                let certificate = NewCertificate {
                    serial: &serial,
                    holder: Holder::Agent(&id),
                    not_after: TOKEN_END,
                    authority: 1,
                };
                let new = NewAgent { id: &id, name: "a", audit_key: "key", certificate };
                matches!(db.enrol_agent(&auth, &new, NOW).await.unwrap(), AgentEnrolment::Made(_))
            })
        })
        .collect();
    let mut enrolled = 0;
    for task in tasks {
        enrolled += usize::from(task.await.unwrap());
    }
    assert_eq!(enrolled, 1);
    assert!(db.authenticate(&text, NOW).await.unwrap().is_none());
    assert_eq!(db.agents(ana.scope(), 0, 0).await.unwrap().len(), 1);
    assert_eq!(db.databases(ana.scope(), 0).await.unwrap()[0].name, "shop");
}

pub(crate) async fn an_enrolment_token_is_for_its_kind_and_its_time(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let (_, relay) = enrolment(&db, &ana, &EnrolmentKind::Relay).await;
    let certificate =
        NewCertificate { serial: "s", holder: Holder::Agent("x"), not_after: TOKEN_END, authority: 1 };
    let new = NewAgent { id: "x", name: "x", audit_key: "key", certificate };
    assert!(matches!(db.enrol_agent(&relay, &new, NOW).await.unwrap(), AgentEnrolment::Used));
    let kind = EnrolmentKind::Agent { database: "shop".to_owned() };
    let (_, for_agent) = enrolment(&db, &ana, &kind).await;
    assert!(db.enrol_relay(&for_agent, "r", NOW).await.unwrap().is_none());
    assert!(db.enrol_relay(&relay, "r", NOW + 60).await.unwrap().is_none(), "it expired");
    let (id, link) = db.enrol_relay(&relay, "r", NOW).await.unwrap().unwrap();
    match db.authenticate(&link.reveal(), NOW).await.unwrap() {
        Some(Caller::Relay(found)) => assert_eq!(found.relay_id(), id),
        other => panic!("not a relay: {other:?}"),
    }
    let late = Enrolment { kind: &kind, expires_at: NOW };
    let (_, secret) = db.create_enrolment(&ana, &late, NOW).await.unwrap();
    assert!(db.authenticate(&secret.reveal(), NOW).await.unwrap().is_none());
    assert_eq!(agent(&db, &ana, "a", "shop").await.database(), "shop");
}

/// Whoever is being disabled makes no token that comes back with them.
pub(crate) async fn a_token_made_while_its_user_is_disabled_never_speaks(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    for round in 0..8 {
        let email = format!("bo{round}@x.org");
        put(&db, &ana, &email, false).await;
        let (_, secret) = token(&db, &ana, &email, TOKEN_END).await;
        let bo = user(&db, &secret, NOW).await.unwrap();
        let makers: Vec<_> = (0..12)
            .map(|_| {
                let (db, bo) = (db.clone(), bo.clone());
                tokio::spawn(async move {
                    let owner = TokenOwner { email: bo.email(), name: "race", expires_at: TOKEN_END };
                    db.create_token(&bo, &owner, NOW).await.unwrap().map(|(_, secret)| secret.reveal())
                })
            })
            .collect();
        put(&db, &ana, &email, true).await;
        let mut made = Vec::new();
        for maker in makers {
            made.extend(maker.await.unwrap());
        }
        put(&db, &ana, &email, false).await;
        for secret in made {
            assert!(user(&db, &secret, NOW).await.is_none(), "round {round}");
        }
    }
}
