//! Bundles on their way into force: accepted, refused, kept over a restart, and narrowed by the scope.

use crate::author::{Author, jane};
use crate::world::{grant, policies};
use daam_agent::bundle_store::BundleStore;
use daam_agent::keeper::Keeper;
use daam_agent::reload::Reload;
use daam_agent::state::Denied;
use daam_agent::upkeep::Upkeep;
use daam_agent::upstream::UpstreamConfig;
use daam_api::link::FromAgent;
use daam_catalog::{RelationPattern, Scope};
use daam_identity::UserPrincipal;
use daam_model::{Mask, PolicySet, Verb};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

const NOW: i64 = 1_800_000_000;

fn signed(author: &Author, serial: u64, set: &PolicySet) -> Vec<u8> {
    author.bundle_at(NOW, serial, set)
}

fn keeper(dir: &Path, author: &Author, scope: Scope) -> (Keeper, mpsc::Receiver<FromAgent>) {
    let (outbox, sent) = mpsc::channel(64);
    let store = BundleStore::open(dir.to_owned(), author.trust(), "shop".into()).unwrap();
    (Keeper::start(store, scope, dir.to_owned(), outbox, NOW + 1).unwrap(), sent)
}

fn scope(patterns: &[&str]) -> Scope {
    Scope::Patterns(patterns.iter().map(|text| RelationPattern::parse(text).unwrap()).collect())
}

fn serial(keeper: &Keeper) -> u64 {
    keeper.current().bundle.as_ref().map_or(0, |bundle| bundle.serial)
}

fn status(message: &FromAgent) -> (&str, Option<&str>) {
    match message {
        FromAgent::BundleStatus { state, reason, .. } => (state, reason.as_deref()),
        other => panic!("{other:?}"),
    }
}

fn read(on: &str) -> daam_model::Grant {
    grant(on, &[Verb::Select])
}

fn violations(sent: &mut mpsc::Receiver<FromAgent>) -> Vec<(String, String, String)> {
    let mut out = Vec::new();
    while let Ok(message) = sent.try_recv() {
        if let FromAgent::ScopeViolation { policy_id, schema, table, site } = message {
            out.push((policy_id, format!("{schema}.{table}"), site));
        }
    }
    out
}

#[test]
fn an_accepted_bundle_is_in_force_and_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let author = Author::new();
    let (first, _sent) = keeper(dir.path(), &author, Scope::Absent);
    assert_eq!(serial(&first), 0);
    let set = policies(vec![read("public.*")], &[]);
    assert_eq!(status(&first.offer_bundle(&signed(&author, 7, &set), NOW + 1)), ("active", None));
    drop(first);
    let (again, _sent) = keeper(dir.path(), &author, Scope::Absent);
    assert_eq!(serial(&again), 7);
    assert_eq!(again.current().policies.policies, set.policies);
}

#[test]
fn a_bundle_edited_on_disk_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let author = Author::new();
    let (first, _sent) = keeper(dir.path(), &author, Scope::Absent);
    let bundle = signed(&author, 7, &policies(vec![read("public.*")], &[]));
    first.offer_bundle(&bundle, NOW + 1);
    drop(first);
    let stored = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "daam"))
        .unwrap();
    let mut bytes = std::fs::read(&stored).unwrap();
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    std::fs::write(&stored, bytes).unwrap();
    let (again, _sent) = keeper(dir.path(), &author, Scope::Absent);
    assert_eq!(serial(&again), 0);
    // The head still stands guard: what is older does not get in, what was held does.
    assert_eq!(
        status(&again.offer_bundle(
            &signed(&author, 6, &PolicySet { database: "shop".into(), ..PolicySet::default() }),
            NOW + 1
        ))
        .0,
        "refused"
    );
    assert_eq!(status(&again.offer_bundle(&bundle, NOW + 1)).0, "active");
}

#[test]
fn a_bundle_of_another_author_is_refused_and_the_old_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (author, stranger) = (Author::new(), Author::new());
    let (keeper, _sent) = keeper(dir.path(), &author, Scope::Absent);
    let set = policies(vec![read("public.*")], &[]);
    keeper.offer_bundle(&signed(&author, 1, &set), NOW + 1);
    let answer = keeper.offer_bundle(&signed(&stranger, 2, &set), NOW + 1);
    assert_eq!(status(&answer).0, "refused");
    assert_eq!(serial(&keeper), 1);
}

#[test]
fn masks_and_filters_outside_the_scope_refuse_the_whole_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let author = Author::new();
    let (keeper, mut outbox) = keeper(dir.path(), &author, scope(&["public.*"]));
    let masked = policies(vec![read("public.users")], &[("hr.staff.salary", Mask::Null)]);
    let answer = keeper.offer_bundle(&signed(&author, 1, &masked), NOW + 1);
    assert!(status(&answer).1.unwrap().contains("scope"), "{answer:?}");
    let mut filtered = read("public.users");
    filtered.rows = Some("id IN (SELECT s.id FROM hr.staff s)".into());
    let filtered = policies(vec![filtered], &[]);
    assert_eq!(status(&keeper.offer_bundle(&signed(&author, 1, &filtered), NOW + 1)).0, "refused");
    assert_eq!(serial(&keeper), 0);
    // The second is the same policy and table within five minutes, so it is told once.
    let told = [("everyone".to_owned(), "hr.staff".to_owned(), "policy_load".to_owned())];
    assert_eq!(violations(&mut outbox), told);
    assert_eq!(keeper.violations(), 2);
}

#[test]
fn a_grant_outside_the_scope_is_dropped_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let author = Author::new();
    let (keeper, mut outbox) = keeper(dir.path(), &author, scope(&["public.*"]));
    let set = policies(vec![read("public.users"), read("hr.staff")], &[]);
    assert_eq!(status(&keeper.offer_bundle(&signed(&author, 1, &set), NOW + 1)), ("active", None));
    let told = [("everyone".to_owned(), "hr.staff".to_owned(), "grant_issuance".to_owned())];
    assert_eq!(violations(&mut outbox), told);
    let left: usize = keeper.current().policies.policies[0].grants.iter().map(|grant| grant.on.len()).sum();
    assert_eq!(left, 1);
}

fn certificate(user_id: &str) -> UserPrincipal {
    UserPrincipal {
        org: "acme".into(),
        user_id: user_id.into(),
        email: "jane@example.com".into(),
        device: "laptop".into(),
        databases: daam_identity::Databases::Any,
    }
}

#[test]
fn nobody_gets_in_without_bundle_directory_entry_or_policy() {
    let dir = tempfile::tempdir().unwrap();
    let author = Author::new();
    let (keeper, _sent) = keeper(dir.path(), &author, Scope::Absent);
    let denied = |user: &str| keeper.current().admit(&certificate(user), NOW + 1).map(|_| ()).unwrap_err();
    assert_eq!(denied("u1"), Denied::NoBundle);
    keeper.offer_bundle(&signed(&author, 1, &policies(vec![read("public.*")], &[])), NOW + 1);
    assert!(matches!(denied("u1"), Denied::Unknown { .. }));
    assert_eq!(keeper.set_directory(5, vec![jane(true)]), 5);
    assert!(matches!(denied("u1"), Denied::Disabled { .. }));
    // An older directory does not bring her back.
    assert_eq!(keeper.set_directory(4, vec![jane(false)]), 5);
    assert!(matches!(denied("u1"), Denied::Disabled { .. }));
    keeper.set_directory(6, vec![jane(false)]);
    // Nothing was introspected, so no policy reaches anything.
    assert!(matches!(denied("u1"), Denied::NoPolicy { .. }));
    let late = keeper.current().admit(&certificate("u1"), NOW + 1000).map(|_| ()).unwrap_err();
    assert_eq!(late, Denied::Expired { serial: 1 });
}

#[test]
fn a_directory_from_out_of_reach_is_replaced_by_the_control_plane_that_says_which_one_it_replaces() {
    let dir = tempfile::tempdir().unwrap();
    let author = Author::new();
    let (poisoned, _sent) = keeper(dir.path(), &author, Scope::Absent);
    assert_eq!(poisoned.set_directory(u64::MAX, vec![jane(false)]), u64::MAX);
    assert_eq!(poisoned.set_directory(7, vec![jane(true)]), u64::MAX, "an older one alone is still ignored");
    assert_eq!(poisoned.replace_directory(8, 7, vec![jane(true)]), u64::MAX, "another one was meant");
    assert_eq!(poisoned.replace_directory(u64::MAX, 7, vec![jane(true)]), 7);
    assert_eq!(poisoned.replace_directory(u64::MAX, 5, vec![jane(false)]), 7, "said once, it is used up");
    assert_eq!(poisoned.replace_directory(7, 9, vec![jane(false)]), 7);
    drop(poisoned);
    let (again, _sent) = keeper(dir.path(), &author, Scope::Absent);
    assert_eq!(again.current().directory.version(), 7);
    assert!(again.current().directory.user("u1").unwrap().disabled);
    assert_eq!(again.set_directory(8, vec![jane(false)]), 8, "and it counts on from there");
}

#[test]
fn the_directory_and_revocations_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let author = Author::new();
    let (first, _sent) = keeper(dir.path(), &author, Scope::Absent);
    first.set_directory(3, vec![jane(false)]);
    first.revoke(BTreeSet::from(["ab".to_owned()]));
    drop(first);
    let (again, _sent) = keeper(dir.path(), &author, Scope::Absent);
    assert_eq!(again.current().directory.version(), 3);
    assert_eq!(again.revoked(), BTreeSet::from(["ab".to_owned()]));
}

#[tokio::test]
async fn an_invalid_edit_leaves_the_scope_as_it_was_and_a_valid_one_narrows_the_bundle_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let author = Author::new();
    let (keeper, mut outbox) = keeper(dir.path(), &author, scope(&["public.*", "hr.*"]));
    let set = policies(vec![read("public.users"), read("hr.staff")], &[("hr.staff.salary", Mask::Null)]);
    assert_eq!(status(&keeper.offer_bundle(&signed(&author, 1, &set), NOW + 1)).0, "active");
    let keeper = Arc::new(keeper);
    let path = dir.path().join("config.yaml");
    // Nothing listens there: a reload must narrow even when the database does not answer.
    let upstream = UpstreamConfig::parse("postgresql://agent@127.0.0.1:1/shop").unwrap();
    let reload = Reload {
        path: Some(path.clone()),
        started: BTreeMap::new(),
        sessions: Arc::default(),
        keeper: keeper.clone(),
        upkeep: Arc::new(Upkeep::new(upstream, keeper.clone())),
        patterns: Arc::new(Mutex::new(vec!["public.*".to_owned(), "hr.*".to_owned()])),
        outbox: mpsc::channel(8).0,
    };
    std::fs::write(&path, "upstream: { dsn_file: dsn, scope: }\n").unwrap();
    assert!(!reload.reload().await);
    assert_eq!(keeper.current().scope.patterns().len(), 2);
    std::fs::write(&path, "upstream: { dsn_file: dsn, scope: [public.*] }\n").unwrap();
    assert!(reload.reload().await);
    let state = keeper.current();
    let left: usize = state.policies.policies[0].grants.iter().map(|grant| grant.on.len()).sum();
    assert_eq!((state.scope.patterns().len(), left, serial(&keeper)), (1, 1, 1));
    let told = violations(&mut outbox);
    assert!(told.iter().all(|(_, table, _)| table == "hr.staff") && !told.is_empty(), "{told:?}");
}
