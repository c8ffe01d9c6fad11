//! Links and relays.

use crate::engine::{NOW, admin, agent, enrolment};
use daam_store::{
    AgentAuth, BundleStanding, Caller, Db, Enforced, EnrolmentKind, Hello, ServerRun, TenantScope, Wakeup,
};
use std::collections::BTreeMap;

fn hello<'a>(link_id: &'a str, addresses: &'a [String]) -> Hello<'a> {
    Hello { link_id, addresses, agent_version: "0.0.0", bundle_serial: 3, directory_version: 4 }
}

async fn counts(db: &Db, scope: &TenantScope, agent: &AgentAuth, link_id: &str) -> bool {
    db.briefing(scope, (0, NOW)).await.unwrap().counts(agent, link_id)
}

fn standing(serial: Option<u64>, refused: Option<&str>) -> Enforced {
    let bundle = Some(BundleStanding { serial, refused: refused.map(str::to_owned) });
    Enforced { bundle, ..Enforced::default() }
}

pub(crate) async fn an_agent_is_online_while_its_link_is_seen(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let one = agent(&db, &ana, "one", "shop").await;
    let addresses = vec!["127.0.0.1:6432".to_owned()];
    assert!(db.online_agents(ana.scope(), "shop", NOW - 60).await.unwrap().is_empty());
    let (server, other) = (ServerRun::begin(), ServerRun::begin());
    let [first, second] = [server.link_id(), server.link_id()];
    db.agent_connected(&one, &hello(&first, &addresses), NOW).await.unwrap();
    let online = db.online_agents(ana.scope(), "shop", NOW - 60).await.unwrap();
    assert_eq!((online.len(), &online[0].addresses), (1, &addresses));
    assert_eq!(db.databases(ana.scope(), NOW - 60).await.unwrap()[0].agents_online, 1);
    assert!(db.online_agents(ana.scope(), "shop", NOW).await.unwrap().is_empty(), "not seen since");
    db.agent_connected(&one, &hello(&second, &addresses), NOW).await.unwrap();
    assert!(!counts(&db, ana.scope(), &one, &first).await, "replaced");
    assert!(counts(&db, ana.scope(), &one, &second).await);
    db.links_seen(ana.scope(), &other, NOW + 5).await.unwrap();
    assert!(db.online_agents(ana.scope(), "shop", NOW).await.unwrap().is_empty(), "another server's");
    db.links_seen(ana.scope(), &server, NOW + 5).await.unwrap();
    db.agent_disconnected(&one, &first).await.unwrap();
    assert_eq!(
        db.online_agents(ana.scope(), "shop", NOW).await.unwrap().len(),
        1,
        "the old link says nothing"
    );
    let said = async |said: Enforced| {
        db.agents_enforce(ana.scope(), &BTreeMap::from([("one".to_owned(), said)])).await.unwrap();
    };
    said(standing(None, Some("expired"))).await;
    let listed = db.agents(ana.scope(), NOW, 0).await.unwrap().remove(0);
    assert!(listed.online);
    assert_eq!(
        (listed.bundle_serial, listed.bundle_refused.as_deref(), listed.directory_version),
        (3, Some("expired"), 4)
    );
    said(Enforced { directory: Some(8), ..standing(Some(9), None) }).await;
    let listed = db.agents(ana.scope(), NOW, 0).await.unwrap().remove(0);
    assert_eq!((listed.bundle_serial, listed.bundle_refused, listed.directory_version), (9, None, 8));
    db.forget_links().await.unwrap();
    assert!(db.online_agents(ana.scope(), "shop", 0).await.unwrap().is_empty());
}

pub(crate) async fn what_many_agents_say_at_once_is_stored_of_each_and_of_nobody_else(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let eve = admin(&db, "sly-fox").await;
    let names: Vec<String> = (0..37).map(|number| format!("agent{number:02}")).collect();
    for name in &names {
        agent(&db, &ana, name, "shop").await;
    }
    let theirs = agent(&db, &eve, "theirs", "shop").await;
    db.agent_connected(&theirs, &hello("link", &[]), NOW).await.unwrap();
    // Every third is behind, every fifth speaks of its bundle.
    let version = |number: u64| if number.is_multiple_of(3) { 11 } else { 12 };
    let mut said: BTreeMap<String, Enforced> = BTreeMap::new();
    for (number, name) in (0..).zip(&names) {
        let bundle = if number % 5 == 0 { standing(Some(number), None) } else { Enforced::default() };
        said.insert(name.clone(), Enforced { directory: Some(version(number)), ..bundle });
    }
    // Of another organization, by the id of theirs.
    said.insert("theirs".to_owned(), Enforced { directory: Some(99), ..standing(Some(99), Some("x")) });
    db.agents_enforce(ana.scope(), &said).await.unwrap();
    let listed = db.agents(ana.scope(), NOW, 0).await.unwrap();
    for (number, agent) in (0..).zip(&listed) {
        let serial = if number % 5 == 0 { number } else { 0 };
        assert_eq!((agent.directory_version, agent.bundle_serial), (version(number), serial), "{agent:?}");
    }
    assert_eq!(listed.len(), names.len());
    let theirs = db.agents(eve.scope(), NOW, 0).await.unwrap().remove(0);
    assert_eq!((theirs.directory_version, theirs.bundle_serial, theirs.bundle_refused), (4, 3, None));
}

pub(crate) async fn a_briefing_is_one_organizations(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let eve = admin(&db, "sly-fox").await;
    let hers = agent(&db, &ana, "one", "shop").await;
    let theirs = agent(&db, &eve, "two", "shop").await;
    for (agent, link) in [(&hers, "first"), (&theirs, "second")] {
        db.agent_connected(agent, &hello(link, &[]), NOW).await.unwrap();
    }
    let briefing = db.briefing(ana.scope(), (0, NOW)).await.unwrap();
    assert!(briefing.counts(&hers, "first") && briefing.database(&hers).is_some());
    assert!(!briefing.counts(&theirs, "second") && briefing.database(&theirs).is_none());
    assert_eq!(briefing.directory_version(), db.directory_version(ana.scope()).await.unwrap());
    assert_eq!((briefing.trust_version(), briefing.relays().len(), briefing.revoked().len()), (0, 0, 0));
}

#[test]
fn what_an_agent_says_later_counts_and_what_it_is_silent_of_stays() {
    let (active, refused) = (standing(Some(5), None), standing(None, Some("expired")));
    assert_eq!(refused.clone().after(active.clone()), standing(Some(5), Some("expired")));
    assert_eq!(active.clone().after(refused), active);
    let directory = Enforced { directory: Some(7), ..Enforced::default() };
    let both = directory.clone().after(active.clone());
    assert_eq!((both.directory, &both.bundle), (Some(7), &active.bundle));
    assert_eq!(Enforced::default().after(both.clone()), both);
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
    assert!(counts(&db, ana.scope(), &one, "link").await);
    assert!(db.remove_agent(ana.scope(), "one", NOW).await.unwrap());
    assert!(!db.remove_agent(ana.scope(), "one", NOW).await.unwrap());
    assert!(!counts(&db, ana.scope(), &one, "link").await);
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
