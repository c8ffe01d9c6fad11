//! The state machine, by hand and by chance.

use super::decide::{Actor, Asked, Doing, State, can, decide, may_ask, sees, state, waits_for};
use super::declared::Declared;
use super::refusal::{Refused, span};
use daam_api::link::{AccessAsked, AskedRelation};
use daam_api::v1::User;
use daam_catalog::Catalog;
use daam_model::{Ceiling, Origin, Policy, PolicySet, RequestTerms, SessionLimits, Subjects};
use daam_store::{AccessRequest, Act, Change, Decision, Event, Report, Role, Standing};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const NOW: i64 = 1_800_000_000;
const HOUR: i64 = 3600;

fn terms(count: u32) -> RequestTerms {
    RequestTerms {
        approvers: BTreeSet::from(["dba".to_owned()]),
        count,
        max_duration: Duration::from_secs(2 * 3600),
        reason_required: true,
    }
}

fn of(group: &str) -> Subjects {
    Subjects { groups: BTreeSet::from([group.to_owned()]), ..Subjects::default() }
}

fn policies(count: u32) -> PolicySet {
    let policy = |name: &str, request| Policy {
        name: name.to_owned(),
        description: String::new(),
        subjects: of("engineering"),
        grants: Vec::new(),
        masks: Vec::new(),
        session: SessionLimits::default(),
        request,
        origin: Origin::default(),
    };
    let ceiling = Ceiling {
        name: "ad-hoc".to_owned(),
        description: String::new(),
        who: of("engineering"),
        grants: Vec::new(),
        masks: Vec::new(),
        terms: terms(count),
        origin: Origin::default(),
    };
    PolicySet {
        policies: vec![policy("standing", None), policy("oncall", Some(terms(count)))],
        ceilings: vec![ceiling],
        ..PolicySet::default()
    }
}

fn user(id: &str, groups: &[&str], disabled: bool) -> User {
    User {
        id: id.to_owned(),
        email: format!("{id}@example.com"),
        role: "member".to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        attributes: BTreeMap::new(),
        disabled,
    }
}

/// Eli asks; Ana, Bo and Cy decide, but Cy is disabled; Eli is in the deciding group, too.
fn people() -> [User; 5] {
    [
        user("eli", &["engineering", "dba"], false),
        user("ana", &["dba"], false),
        user("bo", &["dba"], false),
        user("cy", &["dba"], true),
        user("fay", &[], false),
    ]
}

fn declared(count: u32) -> Declared {
    Declared::new(policies(count), &people())
}

fn oncall() -> AccessAsked {
    AccessAsked::Policy { policy_id: "oncall".to_owned() }
}

fn request() -> AccessRequest {
    AccessRequest {
        id: "r".to_owned(),
        database: "shop".to_owned(),
        user_id: "eli".to_owned(),
        email: "eli@example.com".to_owned(),
        name: "oncall".to_owned(),
        asked: oncall(),
        reason: "incident".to_owned(),
        seconds: HOUR,
        wanted_start: None,
        created_at: NOW,
        revision: 0,
        standing: Standing {
            decision: Decision::Pending,
            starts_at: None,
            ends_at: None,
            round: 0,
            approved_round: None,
            extension: None,
        },
        events: Vec::new(),
        reports: Vec::new(),
    }
}

fn who(user_id: &str) -> Actor<'_> {
    Actor { user_id, role: if user_id == "root" { Role::Admin } else { Role::Member } }
}

fn doing(act: Act) -> Doing {
    Doing { act, reason: "because".to_owned(), seconds: 600 }
}

/// As the store makes it.
fn made(request: &mut AccessRequest, by: &str, change: Change, at: i64) {
    let Change { act, round, reason, standing, told: _ } = change;
    let (user_id, email) = (by.to_owned(), String::new());
    request.events.push(Event { round, act, user_id, email, reason, at });
    request.standing = standing;
    request.revision += 1;
}

fn acted(
    declared: &Declared,
    request: &mut AccessRequest,
    by: &str,
    act: Act,
    at: i64,
) -> Result<(), Refused> {
    let change = decide(declared, request, who(by), &doing(act), at)?;
    made(request, by, change, at);
    Ok(())
}

#[test]
fn it_takes_as_many_others_as_the_bundle_says() {
    let declared = declared(2);
    let mut request = request();
    let groups = BTreeSet::from(["dba".to_owned()]);
    assert_eq!(acted(&declared, &mut request, "eli", Act::Approve, NOW), Err(Refused::Own(groups.clone())));
    for stranger in ["fay", "cy", "root", "nobody"] {
        let refused = acted(&declared, &mut request, stranger, Act::Approve, NOW);
        assert_eq!(refused, Err(Refused::NoApprover(groups.clone())), "{stranger}");
    }
    acted(&declared, &mut request, "ana", Act::Approve, NOW).unwrap();
    assert_eq!(state(&request, NOW), State::Pending);
    assert_eq!(acted(&declared, &mut request, "ana", Act::Approve, NOW), Err(Refused::Twice));
    acted(&declared, &mut request, "bo", Act::Approve, NOW + 10).unwrap();
    assert_eq!(state(&request, NOW + 10), State::Approved);
    assert_eq!(
        (request.standing.starts_at, request.standing.ends_at),
        (Some(NOW + 10), Some(NOW + 10 + HOUR))
    );
    assert_eq!(acted(&declared, &mut request, "bo", Act::Deny, NOW), Err(Refused::Closed(State::Approved)));
}

#[test]
fn an_approval_counts_only_while_its_maker_may_decide() {
    let mut request = request();
    acted(&declared(2), &mut request, "ana", Act::Approve, NOW).unwrap();
    let mut people = people();
    people[1].groups.clear();
    let later = Declared::new(policies(2), &people);
    acted(&later, &mut request, "bo", Act::Approve, NOW).unwrap();
    assert_eq!(state(&request, NOW), State::Pending, "one of two has left");
}

#[test]
fn what_the_bundle_no_longer_declares_cannot_be_approved_but_ended() {
    let nothing = Declared::new(PolicySet::default(), &people());
    let mut request = request();
    assert_eq!(
        acted(&nothing, &mut request, "ana", Act::Approve, NOW),
        Err(Refused::Undeclared("oncall".to_owned()))
    );
    let mut shorter = policies(1);
    if let Some(terms) = &mut shorter.policies[1].request {
        terms.max_duration = Duration::from_secs(60);
    }
    let refused = acted(&Declared::new(shorter, &people()), &mut request, "ana", Act::Approve, NOW);
    assert!(matches!(refused, Err(Refused::Duration { most: 60, .. })), "{refused:?}");
    assert_eq!(acted(&nothing, &mut request, "fay", Act::End, NOW), Err(Refused::NotYoursToEnd));
    acted(&nothing, &mut request, "eli", Act::End, NOW).unwrap();
    assert_eq!(state(&request, NOW), State::Revoked);
}

#[test]
fn time_passes_by_itself() {
    let declared = declared(1);
    let mut waiting = request();
    assert_eq!(state(&waiting, NOW + 7 * 86_400), State::Expired, "nobody decided");
    waiting.wanted_start = Some(NOW + HOUR);
    assert_eq!(state(&waiting, NOW + 2 * HOUR), State::Expired, "its time is over");
    acted(&declared, &mut waiting, "ana", Act::Approve, NOW + HOUR + 60).unwrap();
    let planned = (Some(NOW + HOUR + 60), Some(NOW + 2 * HOUR));
    assert_eq!((waiting.standing.starts_at, waiting.standing.ends_at), planned, "late, but no longer");
    let says = |state: &str| Report { agent: "one".into(), state: state.into(), reason: None, at: NOW };
    for (report, now, expected) in [
        ("waiting", NOW + HOUR + 90, State::Approved),
        ("active", NOW + HOUR + 90, State::Active),
        ("refused", NOW + HOUR + 90, State::Refused),
        ("active", NOW + 2 * HOUR, State::Expired),
        ("ended", NOW + 2 * HOUR, State::Expired),
    ] {
        waiting.reports = vec![says(report)];
        assert_eq!(state(&waiting, now), expected, "{report}");
    }
    waiting.reports = vec![says("refused"), says("active")];
    assert_eq!(state(&waiting, NOW + HOUR + 90), State::Active, "one agent of two has it in force");
}

#[test]
fn more_time_is_approved_like_the_request_and_never_beyond_the_bundles() {
    let declared = declared(1);
    let mut request = request();
    assert_eq!(acted(&declared, &mut request, "eli", Act::Extend, NOW), Err(Refused::NotHeld));
    acted(&declared, &mut request, "ana", Act::Approve, NOW).unwrap();
    assert_eq!(acted(&declared, &mut request, "ana", Act::Extend, NOW), Err(Refused::NotYours));
    let long = Doing { seconds: 3601, ..doing(Act::Extend) };
    let refused = decide(&declared, &request, who("eli"), &long, NOW);
    assert!(matches!(refused, Err(Refused::Duration { left: HOUR, .. })), "{refused:?}");
    acted(&declared, &mut request, "eli", Act::Extend, NOW + 60).unwrap();
    assert_eq!(request.standing.ends_at, Some(NOW + HOUR), "asking gives nothing");
    assert_eq!(acted(&declared, &mut request, "eli", Act::Extend, NOW + 60), Err(Refused::ExtendedAlready));
    assert!(waits_for(&declared, &request, who("ana"), NOW + 60), "her first word was for something else");
    assert!(!waits_for(&declared, &request, who("eli"), NOW + 60));
    acted(&declared, &mut request, "bo", Act::Deny, NOW + 60).unwrap();
    assert_eq!((state(&request, NOW + 60), request.standing.ends_at), (State::Approved, Some(NOW + HOUR)));
    acted(&declared, &mut request, "eli", Act::Extend, NOW + 60).unwrap();
    acted(&declared, &mut request, "ana", Act::Approve, NOW + 120).unwrap();
    let standing = &request.standing;
    assert_eq!((standing.starts_at, standing.ends_at), (Some(NOW), Some(NOW + HOUR + 600)));
    assert_eq!(request.approved_by(standing.approved_round.unwrap()).collect::<Vec<_>>(), ["ana"]);
    let over = NOW + HOUR + 600;
    assert_eq!(
        acted(&declared, &mut request, "eli", Act::Extend, over),
        Err(Refused::Closed(State::Expired))
    );
}

#[test]
fn everybody_sees_what_concerns_them_and_can_do_what_they_are_shown() {
    let declared = declared(1);
    let request = request();
    for (id, role, sees_it, able) in [
        ("eli", Role::Member, true, vec![Act::End]),
        ("ana", Role::Member, true, vec![Act::Approve, Act::Deny, Act::End]),
        ("fay", Role::Member, false, vec![]),
        ("fay", Role::Auditor, true, vec![]),
        ("fay", Role::Approver, true, vec![]),
        ("fay", Role::Admin, true, vec![Act::End]),
    ] {
        let actor = Actor { user_id: id, role };
        assert_eq!(sees(&declared, &request, actor), sees_it, "{actor:?}");
        assert_eq!(can(&declared, &request, actor, NOW), able, "{actor:?}");
    }
}

#[test]
fn only_what_is_declared_can_be_asked_for_by_those_it_is_for() {
    let declared = declared(1);
    let ask = |by: &str, what: &AccessAsked, seconds, wanted_start, reason| {
        let catalog = Catalog::default();
        let asked = Asked { what, seconds, wanted_start, reason, catalog: Some(&catalog) };
        may_ask(&declared, by, &asked, NOW).map(|(name, seconds)| (name.to_owned(), seconds))
    };
    assert_eq!(ask("eli", &oncall(), 3600, None, "x"), Ok(("oncall".to_owned(), HOUR)));
    let standing = AccessAsked::Policy { policy_id: "standing".to_owned() };
    assert_eq!(ask("eli", &standing, 60, None, "x"), Err(Refused::Undeclared("standing".to_owned())));
    assert_eq!(ask("fay", &oncall(), 60, None, "x"), Err(Refused::MayNotAsk("oncall".to_owned())));
    for seconds in [0, 7201, u64::MAX] {
        assert!(matches!(ask("eli", &oncall(), seconds, None, "x"), Err(Refused::Duration { .. })));
    }
    assert_eq!(ask("eli", &oncall(), 60, None, "  "), Err(Refused::NoReason));
    assert_eq!(ask("eli", &oncall(), 60, None, "a\nb"), Err(Refused::Reason));
    assert_eq!(ask("eli", &oncall(), 60, Some(NOW - 3600), "x"), Err(Refused::Start));
    assert_eq!(ask("eli", &oncall(), 60, Some(i64::MAX), "x"), Err(Refused::Start));
    let table = AskedRelation::parse("public.orders:select").unwrap();
    let ad_hoc = AccessAsked::AdHoc { ceiling_id: "ad-hoc".to_owned(), relations: vec![table] };
    assert!(matches!(ask("eli", &ad_hoc, 60, None, "x"), Err(Refused::Above(_))));
    let asked = Asked { what: &ad_hoc, seconds: 60, wanted_start: None, reason: "x", catalog: None };
    assert_eq!(may_ask(&declared, "eli", &asked, NOW), Err(Refused::NoCatalog));
}

#[test]
fn spans_are_said_exactly() {
    for (seconds, said) in [(0, "0 s"), (90, "1 min 30 s"), (7200, "2 h"), (90_000, "1 d 1 h")] {
        assert_eq!(span(seconds), said);
    }
}

proptest! {
    /// Whatever people try, in whatever order: what is held was approved by enough others, lies within the bundle's time,
    /// and what is over stays over.
    #[test]
    fn nothing_is_held_that_enough_others_did_not_approve(
        count in 1_u32..3,
        steps in prop::collection::vec((0_usize..6, 0_usize..4, 0_i64..2000), 0..40),
    ) {
        let declared = declared(count);
        let mut request = request();
        let mut now = NOW;
        for (person, act, pause) in steps {
            now += pause;
            let by = ["eli", "ana", "bo", "cy", "fay", "root"][person];
            let before = request.clone();
            let was = state(&before, now);
            let outcome = acted(&declared, &mut request, by, Act::EVERY[act], now);
            let is = state(&request, now);
            if matches!(was, State::Expired | State::Denied | State::Revoked) {
                prop_assert!(outcome.is_err());
                prop_assert_eq!(&before, &request);
            }
            prop_assert!(!matches!((was, is), (State::Approved, State::Pending | State::Denied)));
            let standing = &request.standing;
            if standing.decision == Decision::Approved {
                let yes: BTreeSet<&str> = request.approved_by(standing.approved_round.unwrap()).collect();
                prop_assert!(yes.len() >= usize::try_from(count).unwrap());
                prop_assert!(yes.iter().all(|id| ["ana", "bo"].contains(id)));
                let (start, end) = (standing.starts_at.unwrap(), standing.ends_at.unwrap());
                prop_assert!(end > start && end - start <= 2 * HOUR);
                if before.standing.decision == Decision::Approved {
                    prop_assert_eq!(Some(start), before.standing.starts_at);
                    prop_assert!(Some(end) >= before.standing.ends_at);
                }
            }
        }
    }
}
