//! Lists that come, go, begin, end and survive a restart.

use super::*;
use crate::access::judge::tests::{HOUR, START, catalog, grant, people, policies, user};
use crate::directory::Directory;
use daam_api::link::DirectoryUser;

fn at(unix: i64, steady: i64) -> Reading {
    Reading { unix, steady: Duration::from_secs(u64::try_from(steady).unwrap()) }
}

fn judge_by(ledger: &mut Ledger, people: Vec<DirectoryUser>) {
    let (policies, catalog, directory) = (policies(), catalog(), Directory::new(1, people));
    ledger.judge(Some(Facts { policies: &policies, catalog: &catalog, directory: &directory }));
}

/// A ledger that has heard of these grants at that time.
fn ledger(grants: Vec<AccessGrant>, now: Reading) -> Ledger {
    let mut ledger = Ledger::default();
    assert!(ledger.replace(1, grants, now));
    judge_by(&mut ledger, people());
    ledger.advance(now, true);
    ledger
}

fn states(ledger: &Ledger) -> Vec<(String, String)> {
    let FromAgent::AccessStatus { grants, .. } = ledger.status() else { panic!("another message") };
    grants.into_iter().map(|state| (state.id, state.state)).collect()
}

fn state(ledger: &Ledger) -> String {
    states(ledger).into_iter().map(|(_, state)| state).collect::<Vec<_>>().join(" ")
}

fn holds(ledger: &Ledger) -> bool {
    !ledger.requests().in_force("ann").is_empty()
}

#[test]
fn a_grant_waits_begins_and_ends_by_the_agents_own_clocks() {
    let mut ledger = ledger(vec![grant("r1")], at(START - 100, 0));
    assert_eq!((state(&ledger).as_str(), holds(&ledger)), ("waiting", false));
    assert_eq!(ledger.quiet_for(at(START - 100, 0)), Some(Duration::from_secs(100)));
    assert!(ledger.advance(at(START, 100), true));
    assert_eq!((state(&ledger).as_str(), holds(&ledger)), ("active", true));
    assert_eq!(ledger.quiet_for(at(START, 100)), Some(Duration::from_secs(3600)));
    assert!(!ledger.advance(at(START + HOUR - 1, 3699), true));
    assert!(ledger.advance(at(START + HOUR, 3700), true));
    assert_eq!((state(&ledger).as_str(), holds(&ledger)), ("ended", false));
}

#[test]
fn a_wall_clock_that_is_set_back_extends_nothing() {
    let mut ledger = ledger(vec![grant("r1")], at(START, 0));
    ledger.advance(at(START - 50 * HOUR, HOUR - 1), true);
    assert!(holds(&ledger));
    ledger.advance(at(START - 50 * HOUR, HOUR), true);
    assert_eq!(state(&ledger), "ended");
    // Nor does hearing of it again.
    ledger.replace(2, vec![grant("r1")], at(START - 50 * HOUR, HOUR));
    judge_by(&mut ledger, people());
    ledger.advance(at(START - 50 * HOUR, HOUR), true);
    assert_eq!(state(&ledger), "ended");
}

#[test]
fn what_is_not_in_the_next_list_is_gone_and_an_older_list_is_ignored() {
    let mut ledger = ledger(vec![grant("r1"), grant("r2")], at(START, 0));
    assert_eq!(state(&ledger), "active active");
    ledger.replace(5, vec![grant("r2")], at(START, 1));
    judge_by(&mut ledger, people());
    ledger.advance(at(START, 1), true);
    assert_eq!(states(&ledger), [("r2".to_owned(), "active".to_owned())]);
    assert!(!ledger.replace(4, vec![grant("r1"), grant("r2")], at(START, 2)));
    assert_eq!(states(&ledger).len(), 1);
    ledger.replace(6, Vec::new(), at(START, 3));
    assert!(!holds(&ledger) && ledger.is_empty());
}

#[test]
fn an_extension_and_an_early_end_move_the_end_and_an_id_cannot_change_its_meaning() {
    let mut ledger = ledger(vec![grant("r1")], at(START, 0));
    let mut hear = |ends_at, now| {
        ledger.replace(2, vec![AccessGrant { ends_at, ..grant("r1") }], now);
        judge_by(&mut ledger, people());
        ledger.advance(now, true);
        state(&ledger)
    };
    assert_eq!(hear(START + 2 * HOUR, at(START + HOUR - 1, HOUR - 1)), "active");
    assert_eq!(hear(START + 2 * HOUR, at(START + HOUR + 1, HOUR + 1)), "active");
    assert_eq!(
        hear(START + 2 * HOUR + 1, at(START + HOUR + 2, HOUR + 2)),
        "refused",
        "longer than the bundle allows"
    );
    assert_eq!(hear(START + HOUR + 3, at(START + HOUR + 3, HOUR + 3)), "ended");
}

#[test]
fn two_grants_of_one_id_are_both_refused() {
    let longer = AccessGrant { ends_at: START + 2 * HOUR, ..grant("r1") };
    let ledger = ledger(vec![grant("r1"), longer, grant("r2")], at(START, 0));
    assert_eq!(state(&ledger), "refused refused active");
}

#[test]
fn nothing_begins_under_a_bundle_that_may_be_an_old_one_and_what_has_begun_goes_on() {
    let later = AccessGrant { starts_at: START + 10, ends_at: START + HOUR, ..grant("r2") };
    let mut ledger = ledger(vec![grant("r1"), later], at(START, 0));
    assert_eq!(state(&ledger), "active waiting");
    ledger.advance(at(START + 20, 20), false);
    assert_eq!(state(&ledger), "active waiting");
    let FromAgent::AccessStatus { grants, .. } = ledger.status() else { panic!("another message") };
    assert!(grants[1].reason.as_ref().is_some_and(|reason| reason.contains("latest")), "{grants:?}");
    ledger.advance(at(START + 30, 30), true);
    assert_eq!(state(&ledger), "active active");
}

#[test]
fn an_approver_who_leaves_takes_the_approval_along() {
    let mut ledger = ledger(vec![grant("r1")], at(START, 0));
    let left = people().into_iter().filter(|person| person.id != "cem").collect();
    judge_by(&mut ledger, left);
    assert!(ledger.advance(at(START, 1), true));
    assert_eq!((state(&ledger).as_str(), holds(&ledger)), ("refused", false));
    let mut people = people();
    people.retain(|person| person.id != "ann");
    people.push(user("ann", &["support"]));
    judge_by(&mut ledger, people);
    ledger.advance(at(START, 2), true);
    let FromAgent::AccessStatus { grants, .. } = ledger.status() else { panic!("another message") };
    assert!(grants[0].reason.as_ref().is_some_and(|reason| reason.contains("may ask")), "{grants:?}");
}

#[test]
fn a_restart_keeps_what_has_not_ended_and_nothing_is_in_force_before_it_was_judged() {
    let before = ledger(vec![grant("r1")], at(START, 0));
    let text = serde_json::to_string(&before.stored(at(START + 600, 600))).unwrap();
    let stored = serde_json::from_str(&text).unwrap();
    let mut after = Ledger::restored(stored, at(START + 700, 0));
    assert!(!holds(&after) && after.version() == 1);
    judge_by(&mut after, people());
    // It had begun, so it goes on although nobody says that the bundle is the latest.
    after.advance(at(START + 700, 0), false);
    assert_eq!((state(&after).as_str(), holds(&after)), ("active", true));
    assert_eq!(after.quiet_for(at(START + 700, 0)), Some(Duration::from_secs(2900)));
    let stored = serde_json::from_str(&text).unwrap();
    let mut set_back = Ledger::restored(stored, at(START - 90 * HOUR, 0));
    judge_by(&mut set_back, people());
    set_back.advance(at(START - 90 * HOUR, 3000), false);
    assert_eq!(state(&set_back), "ended");
    let mut without = before;
    without.judge(None);
    without.advance(at(START, 1), true);
    assert_eq!(state(&without), "refused");
}
