//! Trust files and freshness at the agent: what it follows, what it keeps, and what it no longer starts with.

use crate::author::jane;
use crate::world::{grant, policies};
use daam_agent::bundle_store::{BundleStore, GRACE, StoreError};
use daam_agent::keeper::Keeper;
use daam_agent::state::Denied;
use daam_api::link::FromAgent;
use daam_bundle::{
    Freshness, Head, Minimum, Role, RoleKeys, SignedTrust, SigningKey, Source, Standing, StatementInput,
    TrustDraft, TrustFile, TrustedKey, build,
};
use daam_catalog::Scope;
use daam_identity::UserPrincipal;
use daam_model::{PolicySet, Verb};
use std::path::Path;
use tokio::sync::mpsc;

const NOW: i64 = 1_800_000_000;

/// Everybody who may sign something.
struct People {
    root: SigningKey,
    policy: SigningKey,
    other: SigningKey,
    online: SigningKey,
}

fn role(key: &SigningKey) -> RoleKeys {
    RoleKeys { threshold: 1, keys: vec![TrustedKey { public: key.public(), comment: "test".into() }] }
}

impl People {
    fn new() -> Self {
        let key = || SigningKey::generate().unwrap();
        Self { root: key(), policy: key(), other: key(), online: key() }
    }

    /// Version 1: root and policy, and what else a test wants.
    fn trust(&self, change: impl FnOnce(&mut TrustDraft)) -> TrustFile {
        let mut draft = TrustDraft { org: "acme".into(), version: 1, ..TrustDraft::default() };
        draft.roles.insert(Role::Root, role(&self.root));
        draft.roles.insert(Role::Policy, role(&self.policy));
        change(&mut draft);
        TrustFile::check(draft).unwrap()
    }

    fn next(&self, held: &TrustFile, change: impl FnOnce(&mut TrustDraft)) -> (TrustFile, String) {
        let mut draft = held.successor();
        change(&mut draft);
        let mut signed = SignedTrust::new(TrustFile::check(draft).unwrap());
        signed.sign(&self.root).unwrap();
        (signed.trust().clone(), signed.to_json())
    }

    /// The next version trusts another policy key only.
    fn revoking(&self, held: &TrustFile) -> (TrustFile, String) {
        self.next(held, |draft| drop(draft.roles.insert(Role::Policy, role(&self.other))))
    }

    fn said(&self, head: &Head, now: i64) -> String {
        Freshness::about("acme", "shop", head, now, 3600).sign(&self.online).unwrap()
    }
}

fn unsigned(serial: u64, set: &PolicySet) -> daam_bundle::UnsignedBundle {
    let digest = "0".repeat(64);
    let input = StatementInput {
        org: "acme".into(),
        epoch: 1,
        serial,
        prev: None,
        effects_sha256: digest.clone(),
        lock_sha256: digest,
        issued_at: NOW,
        not_before: NOW,
        expires_at: NOW + 10 * GRACE,
        requires: vec![],
        min_agent: "0.0.0".into(),
        compiler: "test".into(),
        source: Source::default(),
        rollback_of: None,
        trust_version: 1,
    };
    build(set, input).unwrap()
}

fn bundle(serial: u64, key: &SigningKey) -> Vec<u8> {
    let mut bundle = unsigned(serial, &policies(vec![grant("public.*", &[Verb::Select])], &[]));
    bundle.sign(key).unwrap();
    bundle.to_bytes()
}

fn open(dir: &Path, trust: &TrustFile, now: i64) -> Keeper {
    let (outbox, _) = mpsc::channel(64);
    let store = BundleStore::open(dir.to_owned(), trust.clone(), "shop".into()).unwrap();
    Keeper::start(store, Scope::Absent, dir.to_owned(), outbox, now).unwrap()
}

fn serial(keeper: &Keeper) -> u64 {
    keeper.current().bundle.as_ref().map_or(0, |bundle| bundle.serial)
}

fn state_of(message: &FromAgent) -> (&str, String) {
    match message {
        FromAgent::BundleStatus { state, reason, .. } => (state, reason.clone().unwrap_or_default()),
        FromAgent::TrustStatus { reason, .. } => ("trust", reason.clone().unwrap_or_default()),
        other => panic!("{other:?}"),
    }
}

fn head(dir: &Path) -> Head {
    Head::from_json(&std::fs::read_to_string(dir.join("bundle-head.json")).unwrap()).unwrap()
}

fn standing(keeper: &Keeper, now: i64) -> Standing {
    keeper.current().bundle.as_ref().unwrap().standing(now)
}

#[test]
fn only_signed_successors_are_followed_and_they_survive_a_restart() {
    let (dir, people) = (tempfile::tempdir().unwrap(), People::new());
    let first = people.trust(|_| {});
    let keeper = open(dir.path(), &first, NOW);
    let (second, two) = people.revoking(&first);
    let (_, three) = people.next(&second, |_| {});
    let mut forged = SignedTrust::new(second.clone());
    forged.sign(&people.policy).unwrap();
    let answers = keeper.offer_trust(&[forged.to_json()], NOW);
    assert!(state_of(&answers[0]).1.contains("0 root key(s) of version 1"), "{answers:?}");
    let answers = keeper.offer_trust(std::slice::from_ref(&three), NOW);
    assert!(state_of(&answers[0]).1.contains("only version 2 is accepted next"), "{answers:?}");
    assert_eq!(keeper.trust().0, 1);
    keeper.offer_trust(&[two, three], NOW);
    assert_eq!(keeper.trust().0, 3);
    assert_eq!(state_of(&keeper.offer_bundle(&bundle(1, &people.policy), NOW)).0, "refused");
    assert_eq!(state_of(&keeper.offer_bundle(&bundle(1, &people.other), NOW)).0, "active");
    drop(keeper);
    let again = open(dir.path(), &first, NOW);
    assert_eq!((again.trust().0, serial(&again)), (3, 1));
}

#[test]
fn stored_trust_files_that_were_edited_refuse_the_start_and_dropped_ones_do_not_bring_the_bundle_back() {
    let (dir, people) = (tempfile::tempdir().unwrap(), People::new());
    let first = people.trust(|_| {});
    let keeper = open(dir.path(), &first, NOW);
    let (_, two) = people.next(&first, |_| {});
    keeper.offer_bundle(&bundle(1, &people.policy), NOW);
    keeper.offer_trust(std::slice::from_ref(&two), NOW);
    drop(keeper);
    let chain = dir.path().join("trust-chain.json");
    let good = std::fs::read_to_string(&chain).unwrap();
    let mut value: Vec<String> = serde_json::from_str(&good).unwrap();
    let mut envelope: serde_json::Value = serde_json::from_str(&value[0]).unwrap();
    envelope["signatures"] = serde_json::json!([]);
    value[0] = envelope.to_string();
    for damaged in ["{}".to_owned(), serde_json::to_string(&value).unwrap()] {
        std::fs::write(&chain, damaged).unwrap();
        let opened = BundleStore::open(dir.path().to_owned(), first.clone(), "shop".into());
        assert!(matches!(opened, Err(StoreError::Trust(_))), "{opened:?}");
    }
    // The head remembers that version 2 was seen: version 1 and its keys do not count any more.
    std::fs::remove_file(&chain).unwrap();
    let again = open(dir.path(), &first, NOW);
    assert_eq!(serial(&again), 0);
    assert_eq!(state_of(&again.offer_bundle(&bundle(2, &people.policy), NOW)).0, "refused");
    again.offer_trust(&[two], NOW);
    assert_eq!(state_of(&again.offer_bundle(&bundle(2, &people.policy), NOW)).0, "active");
}

#[test]
fn a_bundle_whose_signer_is_revoked_stays_until_a_restart_after_the_grace() {
    let (dir, people) = (tempfile::tempdir().unwrap(), People::new());
    let first = people.trust(|_| {});
    let keeper = open(dir.path(), &first, NOW);
    keeper.offer_bundle(&bundle(1, &people.policy), NOW);
    let (_, two) = people.revoking(&first);
    let answers = keeper.offer_trust(&[two], NOW);
    assert_eq!(state_of(&answers[1]).0, "signer-revoked");
    assert_eq!(serial(&keeper), 1);
    assert!(keeper.revoked_signer().is_some());
    // Nothing new by the revoked key, not even the same again.
    assert_eq!(state_of(&keeper.offer_bundle(&bundle(2, &people.policy), NOW)).0, "refused");
    assert_eq!(state_of(&keeper.bundle_status(1)).0, "signer-revoked");
    drop(keeper);
    let in_grace = open(dir.path(), &first, NOW + GRACE - 1);
    assert_eq!((serial(&in_grace), in_grace.trust().0), (1, 2));
    drop(in_grace);
    // A clock set back does not lengthen the grace beyond what is proven; one that goes on ends it.
    let after = open(dir.path(), &first, NOW + GRACE);
    assert_eq!(serial(&after), 0);
    assert_eq!(state_of(&after.offer_bundle(&bundle(2, &people.other), NOW + GRACE)).0, "active");
    assert!(after.revoked_signer().is_none());
    drop(after);
    assert_eq!(serial(&open(dir.path(), &first, NOW + GRACE)), 2);
}

#[test]
fn a_raised_epoch_makes_earlier_bundles_unacceptable_and_signing_again_ends_the_report() {
    let (dir, people) = (tempfile::tempdir().unwrap(), People::new());
    let first = people.trust(|_| {});
    let keeper = open(dir.path(), &first, NOW);
    keeper.offer_bundle(&bundle(9, &people.policy), NOW);
    let (_, two) = people.next(&first, |draft| draft.databases.entry("shop".into()).or_default().epoch = 2);
    let answers = keeper.offer_trust(&[two], NOW);
    assert!(state_of(&answers[1]).1.contains("only epoch 2"), "{answers:?}");
    assert_eq!(serial(&keeper), 9);
    assert_eq!(state_of(&keeper.offer_bundle(&bundle(10, &people.policy), NOW)).0, "refused");
}

fn admitted(keeper: &Keeper, now: i64) -> Denied {
    let user = UserPrincipal {
        org: "acme".into(),
        user_id: "u1".into(),
        email: "jane@example.com".into(),
        device: "x".into(),
        databases: daam_identity::Databases::Any,
    };
    keeper.current().admit(&user, now).map(|_| ()).unwrap_err()
}

#[test]
fn a_new_agent_serves_nobody_before_it_heard_which_bundle_is_the_latest() {
    let (dir, people) = (tempfile::tempdir().unwrap(), People::new());
    let trust = people.trust(|draft| drop(draft.roles.insert(Role::Freshness, role(&people.online))));
    let keeper = open(dir.path(), &trust, NOW);
    keeper.set_directory(1, vec![jane(false)]);
    keeper.offer_bundle(&bundle(5, &people.policy), NOW);
    let held = head(dir.path());
    assert_eq!(standing(&keeper, NOW), Standing::Unknown);
    assert_eq!(admitted(&keeper, NOW), Denied::Unattested { serial: 5 });
    let stranger = Freshness::about("acme", "shop", &held, NOW, 3600).sign(&people.policy).unwrap();
    keeper.offer_freshness(&stranger, NOW);
    assert_eq!(standing(&keeper, NOW), Standing::Unknown);
    keeper.offer_freshness(&people.said(&held, NOW), NOW);
    assert_eq!(standing(&keeper, NOW), Standing::Fresh);
    assert!(keeper.current().may_start_requests(NOW));
    // Nothing was introspected here, so the answer is about policies now and no longer about freshness.
    assert!(matches!(admitted(&keeper, NOW), Denied::NoPolicy { .. }));
    let later = NOW + 3600;
    assert_eq!(standing(&keeper, later), Standing::Stale);
    assert!(!keeper.current().may_start_requests(later));
    assert!(matches!(admitted(&keeper, later), Denied::NoPolicy { .. }));
    drop(keeper);
    // What was said counts over a restart for the rest of its hour, and then the agent is stale, not new again.
    assert_eq!(standing(&open(dir.path(), &trust, NOW + 60), NOW + 60), Standing::Fresh);
    let again = open(dir.path(), &trust, later);
    assert_eq!(standing(&again, later), Standing::Stale);
    let end = NOW + 10 * GRACE;
    assert_eq!(
        (standing(&again, end), admitted(&again, end)),
        (Standing::Expired, Denied::Expired { serial: 5 })
    );
}

#[test]
fn a_bundle_that_was_held_back_shows_as_stale_until_it_arrives() {
    let (dir, people) = (tempfile::tempdir().unwrap(), People::new());
    let trust = people.trust(|draft| drop(draft.roles.insert(Role::Freshness, role(&people.online))));
    let keeper = open(dir.path(), &trust, NOW);
    let next = bundle(6, &people.policy);
    let elsewhere = tempfile::tempdir().unwrap();
    open(elsewhere.path(), &trust, NOW).offer_bundle(&next, NOW);
    keeper.offer_bundle(&bundle(5, &people.policy), NOW);
    keeper.offer_freshness(&people.said(&head(elsewhere.path()), NOW), NOW);
    assert_eq!(standing(&keeper, NOW), Standing::Stale);
    keeper.offer_bundle(&next, NOW);
    assert_eq!(standing(&keeper, NOW), Standing::Fresh);
    // Its earlier word about serial 5 takes nothing back.
    keeper.offer_freshness(&people.said(&Head { serial: 5, ..head(dir.path()) }, NOW), NOW);
    assert_eq!(standing(&keeper, NOW), Standing::Fresh);
}

#[test]
fn a_new_agent_refuses_bundles_below_the_minimum_of_its_enrolment() {
    let (dir, people) = (tempfile::tempdir().unwrap(), People::new());
    let trust = people.trust(|_| {});
    BundleStore::keep_minimum(dir.path(), Minimum { epoch: 1, serial: 5 }).unwrap();
    BundleStore::keep_minimum(dir.path(), Minimum { epoch: 1, serial: 3 }).unwrap();
    let keeper = open(dir.path(), &trust, NOW);
    let answer = keeper.offer_bundle(&bundle(4, &people.policy), NOW);
    assert!(state_of(&answer).1.contains("serial 5 are the lowest accepted"), "{answer:?}");
    assert_eq!(state_of(&keeper.offer_bundle(&bundle(5, &people.policy), NOW)).0, "active");
    std::fs::write(dir.path().join("bundle-minimum.json"), "{}").unwrap();
    let opened = BundleStore::open(dir.path().to_owned(), trust, "shop".into());
    assert!(matches!(opened, Err(StoreError::Minimum)), "{opened:?}");
}

#[test]
fn an_emergency_key_takes_access_away_and_gives_none() {
    let (dir, people) = (tempfile::tempdir().unwrap(), People::new());
    let trust = people.trust(|draft| drop(draft.roles.insert(Role::Emergency, role(&people.other))));
    let keeper = open(dir.path(), &trust, NOW);
    let emergency = |serial, set: &PolicySet| {
        let mut bundle = unsigned(serial, set).for_emergency();
        bundle.sign(&people.other).unwrap();
        bundle.to_bytes()
    };
    let nothing = policies(vec![], &[]);
    assert_eq!(state_of(&keeper.offer_bundle(&emergency(1, &nothing), NOW)).0, "refused");
    keeper.offer_bundle(&bundle(1, &people.policy), NOW);
    let more = policies(vec![grant("public.*", &[Verb::Select, Verb::Delete])], &[]);
    let answer = keeper.offer_bundle(&emergency(2, &more), NOW);
    assert!(state_of(&answer).1.contains("may only narrow"), "{answer:?}");
    assert_eq!(state_of(&keeper.offer_bundle(&emergency(2, &nothing), NOW)).0, "active");
    drop(keeper);
    let again = open(dir.path(), &trust, NOW);
    assert_eq!((serial(&again), again.current().policies.policies[0].grants.len()), (2, 0));
}
