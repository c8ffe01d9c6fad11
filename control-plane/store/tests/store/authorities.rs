//! One authority takes the place of another.

use crate::engine::{NOW, admin, agent, enrolment};
use daam_store::{
    AgentEnrolment, AuthoritiesStanding, Db, Enforced, EnrolmentKind, Hello, Here, Holder, NewAgent,
    NewAuthority, NewCertificate, Retired, UserAuth,
};
use std::collections::BTreeMap;

const HERE: Here = Here { seconds: 60, before: None };

async fn offered(db: &Db, by: &UserAuth) {
    let new = NewAuthority { number: 2, certificate: "new", sealed: "sealed", handover: "word" };
    assert!(db.offer_authority(by.scope(), &new, NOW).await.unwrap());
}

pub(crate) async fn neither_a_restart_nor_a_refusal_is_belief(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let hello = |link_id| Hello {
        link_id,
        addresses: &[],
        agent_version: "0.0.0",
        bundle_serial: 0,
        directory_version: 0,
    };
    let says = async |agent: &str, refused: Option<&str>| {
        let said = AuthoritiesStanding { version: 2, refused: refused.map(str::to_owned) };
        let said = Enforced { authorities: Some(said), ..Enforced::default() };
        db.agents_enforce(ana.scope(), &BTreeMap::from([(agent.to_owned(), said)])).await.unwrap();
    };
    let one = agent(&db, &ana, "one", "shop").await;
    let two = agent(&db, &ana, "two", "shop").await;
    db.agent_connected(&one, &hello("first"), NOW).await.unwrap();
    offered(&db, &ana).await;
    let issues = async |here: Here, now: i64| db.let_newest_issue(ana.scope(), &here, now).await.unwrap();
    assert!(!issues(HERE, NOW + 5).await, "one that is here said nothing");
    // The server was away for five minutes, and another agent is faster to come back.
    db.forget_links().await.unwrap();
    let began = NOW + 300;
    let just_began = Here { before: Some(began), ..HERE };
    assert!(!issues(just_began, began).await, "nobody had the time to come back");
    db.agent_connected(&two, &hello("second"), began).await.unwrap();
    says("two", None).await;
    assert!(!issues(just_began, began + 10).await, "one had no time to come back");
    says("one", Some("pinned by hand")).await;
    assert!(!issues(HERE, NOW + 4000).await, "one said no, and went");
    says("one", None).await;
    assert!(issues(HERE, NOW + 4000).await);
}

pub(crate) async fn one_that_is_gone_for_good_holds_nothing_up(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let hello =
        Hello { link_id: "l", addresses: &[], agent_version: "0", bundle_serial: 0, directory_version: 0 };
    let one = agent(&db, &ana, "one", "shop").await;
    db.agent_connected(&one, &hello, NOW).await.unwrap();
    db.agent_disconnected(&one, "l").await.unwrap();
    agent(&db, &ana, "never here", "shop").await;
    offered(&db, &ana).await;
    assert!(!db.let_newest_issue(ana.scope(), &HERE, NOW + 30).await.unwrap(), "it may be on its way back");
    assert!(db.let_newest_issue(ana.scope(), &HERE, NOW + 61).await.unwrap());
}

pub(crate) async fn one_that_never_was_here_is_not_missed_by_a_server_that_begins(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    agent(&db, &ana, "one", "shop").await;
    offered(&db, &ana).await;
    let here = Here { before: Some(NOW), ..HERE };
    assert!(db.let_newest_issue(ana.scope(), &here, NOW).await.unwrap());
}

pub(crate) async fn nobody_is_admitted_by_an_authority_that_was_retired_meanwhile(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let kind = EnrolmentKind::Agent { database: "shop".to_owned() };
    let (_, token) = enrolment(&db, &ana, &kind).await;
    offered(&db, &ana).await;
    assert!(db.let_newest_issue(ana.scope(), &HERE, NOW).await.unwrap());
    let retired = db.retire_authority(ana.scope(), true, NOW).await.unwrap();
    assert!(matches!(retired, Retired::Done(_)));
    let by = async |authority: i64| {
        let holder = Holder::Agent("one");
        let certificate = NewCertificate { serial: "s", holder, not_after: NOW + 600, authority };
        let new = NewAgent { id: "one", name: "one", audit_key: "key", certificate };
        db.enrol_agent(&token, &new, NOW).await.unwrap()
    };
    assert!(matches!(by(1).await, AgentEnrolment::Retired));
    assert!(db.agents(ana.scope(), NOW, 0).await.unwrap().is_empty());
    assert!(matches!(by(2).await, AgentEnrolment::Made(_)), "the token is as good as before");
    assert!(matches!(by(2).await, AgentEnrolment::Used));
}
