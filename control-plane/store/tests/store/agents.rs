//! Links and relays.

use crate::engine::{NOW, admin, agent, enrolment};
use daam_store::{Caller, Db, EnrolmentKind, Hello, Wakeup};

fn hello<'a>(link_id: &'a str, addresses: &'a [String]) -> Hello<'a> {
    Hello { link_id, addresses, agent_version: "0.0.0", bundle_serial: 3, directory_version: 4 }
}

pub(crate) async fn an_agent_is_online_while_its_link_is_seen(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let one = agent(&db, &ana, "one", "shop").await;
    let addresses = vec!["127.0.0.1:6432".to_owned()];
    assert!(db.online_agents(ana.scope(), "shop", NOW - 60).await.unwrap().is_empty());
    db.agent_connected(&one, &hello("first", &addresses), NOW).await.unwrap();
    let online = db.online_agents(ana.scope(), "shop", NOW - 60).await.unwrap();
    assert_eq!((online.len(), &online[0].addresses), (1, &addresses));
    assert_eq!(db.databases(ana.scope(), NOW - 60).await.unwrap()[0].agents_online, 1);
    assert!(db.online_agents(ana.scope(), "shop", NOW).await.unwrap().is_empty(), "not seen since");
    db.agent_connected(&one, &hello("second", &addresses), NOW).await.unwrap();
    assert!(!db.agent_seen(&one, "first", NOW).await.unwrap(), "replaced");
    assert!(db.agent_seen(&one, "second", NOW + 5).await.unwrap());
    db.agent_disconnected(&one, "first").await.unwrap();
    assert_eq!(
        db.online_agents(ana.scope(), "shop", NOW).await.unwrap().len(),
        1,
        "the old link says nothing"
    );
    db.bundle_refused(&one, "expired").await.unwrap();
    let listed = db.agents(ana.scope(), NOW, 0).await.unwrap().remove(0);
    assert!(listed.online);
    assert_eq!(
        (listed.bundle_serial, listed.bundle_refused.as_deref(), listed.directory_version),
        (3, Some("expired"), 4)
    );
    db.bundle_active(&one, 9).await.unwrap();
    db.directory_enforced(&one, 8).await.unwrap();
    let listed = db.agents(ana.scope(), NOW, 0).await.unwrap().remove(0);
    assert_eq!((listed.bundle_serial, listed.bundle_refused, listed.directory_version), (9, None, 8));
    db.forget_links().await.unwrap();
    assert!(db.online_agents(ana.scope(), "shop", 0).await.unwrap().is_empty());
}

pub(crate) async fn a_directory_older_than_an_agents_becomes_the_later_one(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let one = agent(&db, &ana, "one", "shop").await;
    let greeted = async |directory_version| {
        let hello = Hello { directory_version, ..hello("link", &[]) };
        db.agent_connected(&one, &hello, NOW).await.unwrap();
        db.directory_version(ana.scope()).await.unwrap()
    };
    let ours = greeted(0).await;
    assert_eq!(greeted(ours).await, ours);
    assert_eq!(greeted(ours + 40).await, ours + 41, "restored from a backup");
    assert_eq!(greeted(ours + 3_000_000).await, ours + 41, "an agent cannot use up the versions");
    assert_eq!(greeted(i64::MAX.unsigned_abs()).await, ours + 41);
    assert_eq!(greeted(u64::MAX).await, ours + 41, "nor be shut out by what it was told");
    let (entries, _) = db.audit(ana.scope()).await.unwrap();
    assert_eq!(entries.iter().filter(|entry| entry.action == "agent.directory_replaced").count(), 3);
}

pub(crate) async fn a_removed_agent_is_gone_but_its_certificates_stay_revoked(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let eve = admin(&db, "sly-fox").await;
    let one = agent(&db, &ana, "one", "shop").await;
    db.agent_connected(&one, &hello("link", &[]), NOW).await.unwrap();
    assert!(!db.remove_agent(eve.scope(), "one", NOW).await.unwrap(), "not hers");
    assert!(db.agent_seen(&one, "link", NOW).await.unwrap());
    assert!(db.remove_agent(ana.scope(), "one", NOW).await.unwrap());
    assert!(!db.remove_agent(ana.scope(), "one", NOW).await.unwrap());
    assert!(!db.agent_seen(&one, "link", NOW).await.unwrap());
    assert!(db.agents(ana.scope(), 0, 0).await.unwrap().is_empty());
    assert!(db.online_agents(ana.scope(), "shop", 0).await.unwrap().is_empty());
    assert_eq!(db.revoked_serials(ana.scope(), NOW).await.unwrap().len(), 1);
}

/// Over PostgreSQL one server hears of another one's change; over SQLite there is no other.
pub(crate) async fn servers_wake_each_other(db: Db) {
    let Some(mut wakeups) = db.wakeups().await.unwrap() else {
        assert!(db.is_exclusive());
        return;
    };
    db.clone().announce("calm-otter").await.unwrap();
    assert_eq!(wakeups.next().await.unwrap(), Wakeup::Organization("calm-otter".to_owned()));
}

pub(crate) async fn relays_say_where_they_listen(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let (_, token) = enrolment(&db, &ana, &EnrolmentKind::Relay).await;
    let (id, link) = db.enrol_relay(&token, "r", NOW).await.unwrap().unwrap();
    let link = link.reveal();
    let Some(Caller::Relay(relay)) = db.authenticate(&link, NOW).await.unwrap() else {
        panic!("not a relay")
    };
    let offered = async |seen_after| db.relay_addresses(ana.scope(), seen_after).await.unwrap();
    assert!(offered(0).await.is_empty());
    assert!(db.set_relay_address(&relay, "relay.example:443", NOW).await.unwrap());
    assert!(!db.set_relay_address(&relay, "relay.example:443", NOW).await.unwrap(), "no news");
    assert_eq!(offered(NOW - 1).await, ["relay.example:443"]);
    assert!(offered(NOW).await.is_empty(), "not heard of since");
    let listed = db.relays(ana.scope(), NOW).await.unwrap().remove(0);
    assert_eq!((listed.id, listed.online), (id.clone(), false));
    let eve = admin(&db, "sly-fox").await;
    assert!(db.relays(eve.scope(), 0).await.unwrap().is_empty());
    assert!(!db.remove_relay(eve.scope(), &id, NOW).await.unwrap(), "not hers");
    assert!(db.remove_relay(ana.scope(), &id, NOW).await.unwrap());
    assert!(!db.remove_relay(ana.scope(), &id, NOW).await.unwrap());
    assert!(offered(0).await.is_empty());
    assert!(db.authenticate(&link, NOW).await.unwrap().is_none());
    db.set_relay_address(&relay, "evil.example:443", NOW).await.unwrap();
    assert!(offered(0).await.is_empty());
}
