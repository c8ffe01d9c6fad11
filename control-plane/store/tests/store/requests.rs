//! Access requests and notices.

use crate::engine::{NOW, admin, agent, put, user};
use daam_api::link::{AccessAsked, AccessState};
use daam_store::{
    AccessRequest, Act, AuditFilter, Change, Db, Decision, Destination, Extension, NewRequest, Notice,
    Standing, TokenOwner, UserAuth, Waiting, new_request_id, new_webhook_id,
};

const WAITING: Waiting = Waiting { most: 2, since: NOW - 60 };

fn notice(emails: &[&str]) -> Notice {
    Notice { emails: emails.iter().map(|&email| email.to_owned()).collect(), body: "{}".to_owned() }
}

async fn member(db: &Db, by: &UserAuth, email: &str) -> UserAuth {
    put(db, by, email, false).await;
    let owner = TokenOwner { email, name: "x", expires_at: NOW + 3600 };
    let (_, token) = db.create_token(by, &owner, NOW).await.unwrap().unwrap();
    user(db, &token.reveal(), NOW).await.unwrap()
}

async fn ask(db: &Db, by: &UserAuth, notice: &Notice) -> Option<String> {
    let id = new_request_id();
    let asked = AccessAsked::Policy { policy_id: "oncall".to_owned() };
    let new = NewRequest {
        id: &id,
        database: "shop",
        name: "oncall",
        asked: &asked,
        reason: "incident",
        seconds: 600,
        wanted_start: None,
    };
    db.ask_for_access(by, &new, (WAITING, notice), NOW).await.unwrap().then_some(id)
}

fn approved(request: &AccessRequest) -> Change {
    let standing = Standing {
        decision: Decision::Approved,
        starts_at: Some(NOW),
        ends_at: Some(NOW + 600),
        approved_round: Some(request.standing.round),
        ..request.standing.clone()
    };
    Change { act: Act::Approve, round: request.standing.round, reason: "ok".to_owned(), standing, told: true }
}

pub(crate) async fn a_decision_is_made_once_on_what_was_read(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    agent(&db, &ana, "one", "shop").await;
    let bo = member(&db, &ana, "bo@x.org").await;
    let id = ask(&db, &bo, &notice(&[])).await.unwrap();
    assert_eq!(db.access_version(ana.scope(), "shop").await.unwrap(), 0, "asking tells agents nothing");
    let read = db.access_request(ana.scope(), &id).await.unwrap().unwrap();
    assert_eq!((read.email.as_str(), read.standing.decision), ("bo@x.org", Decision::Pending));
    assert_eq!(db.access_grants(ana.scope(), "shop", NOW).await.unwrap(), (0, vec![]));
    let (one, two) = (db.clone(), db.clone());
    let (first, second) = (approved(&read), approved(&read));
    let (a, b) = tokio::join!(
        one.change_request(&ana, &read, (&first, None), NOW),
        two.change_request(&ana, &read, (&second, None), NOW)
    );
    assert!(a.unwrap() ^ b.unwrap(), "one of two decisions at once");
    let (version, grants) = db.access_grants(ana.scope(), "shop", NOW).await.unwrap();
    assert_eq!((version, grants.len()), (1, 1));
    assert_eq!((grants[0].id.as_str(), grants[0].ends_at), (id.as_str(), NOW + 600));
    assert!(grants[0].approved_by.contains(ana.user_id()), "{grants:?}");
    assert!(db.access_grants(ana.scope(), "shop", NOW + 600).await.unwrap().1.is_empty(), "its time is over");
    let eve = admin(&db, "sly-fox").await;
    agent(&db, &eve, "two", "shop").await;
    assert!(db.access_request(eve.scope(), &id).await.unwrap().is_none());
    assert!(db.access_requests(eve.scope(), None, (None, 10)).await.unwrap().is_empty());
    assert!(db.undecided_requests(eve.scope(), (0, NOW)).await.unwrap().is_empty());
    assert_eq!(db.access_grants(eve.scope(), "shop", NOW).await.unwrap(), (0, vec![]));
    let again = db.access_request(ana.scope(), &id).await.unwrap().unwrap();
    assert!(!db.change_request(&eve, &again, (&approved(&again), None), NOW).await.unwrap(), "not hers");
    let filter = AuditFilter { action: Some("request.".to_owned()), ..AuditFilter::default() };
    let actions = db.search_audit(ana.scope(), &filter, 10);
    let actions: Vec<String> = actions.await.unwrap().into_iter().map(|entry| entry.action).collect();
    assert_eq!(actions, ["request.approve", "request.ask"]);
    assert!(db.audit(ana.scope()).await.unwrap().1);
}

pub(crate) async fn an_extension_is_granted_by_those_who_approved_it(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    agent(&db, &ana, "one", "shop").await;
    let (bo, cy) = (member(&db, &ana, "bo@x.org").await, member(&db, &ana, "cy@x.org").await);
    let id = ask(&db, &bo, &notice(&[])).await.unwrap();
    let read = async || db.access_request(ana.scope(), &id).await.unwrap().unwrap();
    let request = read().await;
    assert!(db.change_request(&ana, &request, (&approved(&request), None), NOW).await.unwrap());
    let request = read().await;
    let extension = Some(Extension { ends_at: NOW + 900, reason: "longer".to_owned() });
    let standing = Standing { round: 1, extension: extension.clone(), ..request.standing.clone() };
    let more = Change { act: Act::Extend, round: 1, reason: "longer".to_owned(), standing, told: false };
    assert!(db.change_request(&bo, &request, (&more, None), NOW).await.unwrap());
    let request = read().await;
    assert_eq!(request.standing.extension, extension);
    assert_eq!(db.undecided_requests(ana.scope(), (NOW - 1, NOW)).await.unwrap().len(), 1);
    assert!(db.undecided_requests(ana.scope(), (NOW, NOW + 600)).await.unwrap().is_empty());
    let (version, grants) = db.access_grants(ana.scope(), "shop", NOW).await.unwrap();
    assert_eq!((version, grants[0].ends_at), (1, NOW + 600), "asking gives nothing");
    let standing = Standing {
        ends_at: Some(NOW + 900),
        approved_round: Some(1),
        extension: None,
        ..request.standing.clone()
    };
    let yes = Change { act: Act::Approve, round: 1, reason: String::new(), standing, told: true };
    assert!(db.change_request(&cy, &request, (&yes, None), NOW).await.unwrap());
    let (version, grants) = db.access_grants(ana.scope(), "shop", NOW).await.unwrap();
    assert_eq!((version, grants[0].ends_at, grants[0].starts_at), (2, NOW + 900, NOW));
    assert_eq!(grants[0].approved_by.iter().collect::<Vec<_>>(), [cy.user_id()]);
    let events: Vec<Act> = read().await.events.iter().map(|event| event.act).collect();
    assert_eq!(events, [Act::Approve, Act::Extend, Act::Approve]);
}

pub(crate) async fn what_waits_is_bounded_and_lists_go_on_where_they_ended(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    agent(&db, &ana, "one", "shop").await;
    let bo = member(&db, &ana, "bo@x.org").await;
    let mut ids =
        vec![ask(&db, &bo, &notice(&[])).await.unwrap(), ask(&db, &bo, &notice(&[])).await.unwrap()];
    assert_eq!(ask(&db, &bo, &notice(&[])).await, None, "two wait already");
    ids.push(ask(&db, &ana, &notice(&[])).await.unwrap());
    let list = async |user: Option<&str>, before: Option<&str>| {
        let found = db.access_requests(ana.scope(), user, (before, 2)).await.unwrap();
        found.into_iter().map(|request| request.id).collect::<Vec<_>>()
    };
    assert_eq!(list(None, None).await, [ids[2].clone(), ids[1].clone()]);
    assert_eq!(list(None, Some(&ids[1])).await, [ids[0].clone()]);
    assert_eq!(list(Some(bo.user_id()), None).await, [ids[1].clone(), ids[0].clone()]);
}

pub(crate) async fn agents_say_what_became_of_it_and_only_of_their_own(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let shop = agent(&db, &ana, "one", "shop").await;
    let till = agent(&db, &ana, "two", "till").await;
    let eve = admin(&db, "sly-fox").await;
    let foreign = agent(&db, &eve, "three", "shop").await;
    let id = ask(&db, &ana, &notice(&[])).await.unwrap();
    let says = |state: &str, reason: Option<&str>| AccessState {
        id: id.clone(),
        state: state.to_owned(),
        reason: reason.map(str::to_owned),
    };
    for (agent, news) in [(&till, false), (&foreign, false), (&shop, true), (&shop, false)] {
        let states = [says("refused", Some("above the ceiling"))];
        assert_eq!(db.access_reported(agent, (0, &states), NOW).await.unwrap(), news);
    }
    let reports = db.access_request(ana.scope(), &id).await.unwrap().unwrap().reports;
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].reason.as_deref(), Some("above the ceiling"));
    assert!(db.access_reported(&shop, (0, &[says("active", None)]), NOW).await.unwrap());
    let (entries, whole) = db.audit(ana.scope()).await.unwrap();
    let actions: Vec<&str> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert!(whole && actions.ends_with(&["request.ask", "request.refused", "request.active"]), "{actions:?}");
    // What it says is all of it: what it no longer names is over there.
    assert!(db.access_reported(&till, (0, &[]), NOW).await.is_ok());
    assert!(!db.access_reported(&foreign, (0, &[]), NOW).await.unwrap());
    let state = async || db.access_request(ana.scope(), &id).await.unwrap().unwrap().reports[0].state.clone();
    assert_eq!(state().await, "active");
    assert!(db.access_reported(&shop, (0, &[]), NOW).await.unwrap());
    assert_eq!(state().await, "ended");
    // Restored from a backup: the agent holds a later list than ours.
    assert!(db.access_reported(&shop, (40, &[]), NOW).await.unwrap());
    assert_eq!(db.access_version(ana.scope(), "shop").await.unwrap(), 41);
    assert_eq!(db.access_version(eve.scope(), "shop").await.unwrap(), 0);
    assert!(db.remove_agent(ana.scope(), "one", NOW).await.unwrap());
    let left = db.access_request(ana.scope(), &id).await.unwrap().unwrap().reports;
    assert_eq!(left, [], "whoever is gone has nothing in force");
    for (held, ours) in [(41, 41), (3_000_000, 41), (i64::MAX.unsigned_abs(), 41)] {
        db.access_reported(&shop, (held, &[]), NOW).await.unwrap();
        assert_eq!(db.access_version(ana.scope(), "shop").await.unwrap(), ours, "{held}");
    }
}

pub(crate) async fn a_notice_is_delivered_once_however_many_servers_try(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    agent(&db, &ana, "one", "shop").await;
    let hook = new_webhook_id();
    db.add_webhook(ana.scope(), (&hook, "chat", "https://x.example/", "sealed"), NOW).await.unwrap();
    ask(&db, &ana, &notice(&["bo@x.org"])).await.unwrap();
    let due = db.due_notices(10, NOW).await.unwrap();
    assert_eq!(due.len(), 2);
    assert!(due.iter().any(|delivery| delivery.to == Destination::Email("bo@x.org".to_owned())));
    let to_hook =
        due.iter().find(|delivery| matches!(&delivery.to, Destination::Webhook { id, .. } if *id == hook));
    let to_hook = to_hook.unwrap();
    assert_eq!(to_hook.org, "calm-otter");
    let (one, two) = (db.clone(), db.clone());
    let (a, b) = tokio::join!(one.claim_notice(to_hook, NOW + 10), two.claim_notice(to_hook, NOW + 10));
    assert!(a.unwrap() ^ b.unwrap());
    assert_eq!(db.due_notices(10, NOW).await.unwrap().len(), 1, "the claimed one waits");
    db.notice_failed(&to_hook.id, ("the answer was 500", false), NOW).await.unwrap();
    assert_eq!(db.due_notices(10, NOW + 10).await.unwrap().len(), 2, "a server that died loses none");
    let listed = db.webhooks(ana.scope()).await.unwrap();
    assert_eq!((listed[0].undelivered, listed[0].failure.as_deref()), (1, Some("the answer was 500")));
    db.notice_delivered(&to_hook.id).await.unwrap();
    assert_eq!(db.webhooks(ana.scope()).await.unwrap()[0].undelivered, 0);
    let letter = db.due_notices(10, NOW + 10).await.unwrap().remove(0);
    db.notice_failed(&letter.id, ("gone", true), NOW).await.unwrap();
    assert!(db.due_notices(10, NOW + 10).await.unwrap().is_empty(), "given up");
    let eve = admin(&db, "sly-fox").await;
    assert!(db.webhooks(eve.scope()).await.unwrap().is_empty());
    assert!(!db.remove_webhook(eve.scope(), &hook, NOW).await.unwrap());
    assert!(db.remove_webhook(ana.scope(), &hook, NOW).await.unwrap());
    assert!(!db.remove_webhook(ana.scope(), &hook, NOW).await.unwrap());
}

pub(crate) async fn everybody_of_a_large_group_is_written_to_once(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    agent(&db, &ana, "one", "shop").await;
    for (count, all) in [(1, 1), (15, 16), (16, 32), (17, 49), (2000, 2049)] {
        let names: Vec<String> = (0..count).map(|n| format!("u{n}@of{count}.org")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let bo = member(&db, &ana, &format!("asks{count}@x.org")).await;
        ask(&db, &bo, &notice(&names)).await.unwrap();
        let due = db.due_notices(9999, NOW).await.unwrap();
        let told: std::collections::BTreeSet<_> = due
            .iter()
            .map(|delivery| match &delivery.to {
                Destination::Email(to) => to.clone(),
                Destination::Webhook { url, .. } => panic!("to {url}"),
            })
            .collect();
        assert_eq!((due.len(), told.len()), (all, all));
        assert!(names.iter().all(|name| told.contains(*name)));
        let ids: std::collections::BTreeSet<_> = due.iter().map(|delivery| &delivery.id).collect();
        assert_eq!(ids.len(), all, "each is delivered, claimed and tried again by itself");
    }
    // And keeps no other organization waiting, nor its own webhooks.
    let eve = admin(&db, "sly-fox").await;
    agent(&db, &eve, "two", "shop").await;
    let hook = new_webhook_id();
    db.add_webhook(ana.scope(), (&hook, "chat", "https://x.example/", "sealed"), NOW).await.unwrap();
    let di = member(&db, &ana, "di@x.org").await;
    ask(&db, &di, &notice(&[])).await.unwrap();
    ask(&db, &eve, &notice(&["bo@evil.org"])).await.unwrap();
    let first = db.due_notices(3, NOW).await.unwrap();
    let of = |org: &str| first.iter().filter(|delivery| delivery.org == org).count();
    assert_eq!((of("calm-otter"), of("sly-fox")), (2, 1));
    assert!(first.iter().any(|delivery| matches!(delivery.to, Destination::Webhook { .. })));
}
