//! What an emergency key may do with the policies in force, and what it may not.

use super::*;
use daam_catalog::Identifier;
use daam_catalog::pattern::{ColumnPattern, RelationPattern};
use daam_model::{Mask, MaskRule, Origin, Verb};
use std::time::Duration;

type Change<'a> = &'a dyn Fn(&mut PolicySet);

fn policy(name: &str) -> Policy {
    Policy {
        name: name.into(),
        description: String::new(),
        subjects: Subjects { groups: BTreeSet::from(["staff".into()]), ..Subjects::default() },
        grants: vec![Grant {
            on: ["public.orders", "public.customers"].map(|on| RelationPattern::parse(on).unwrap()).into(),
            allow: [Verb::Select, Verb::Update].into(),
            ..Grant::default()
        }],
        masks: vec![],
        session: SessionLimits::default(),
        request: None,
        origin: Origin::default(),
    }
}

fn masked(name: &str) -> Policy {
    let on = vec![ColumnPattern::parse("public.*.email").unwrap()];
    let masks = vec![MaskRule { on, with: Mask::Email, origin: Origin::default() }];
    Policy { masks, ..policy(name) }
}

fn set(policies: Vec<Policy>) -> PolicySet {
    let staff = BTreeSet::from(["ana@example.com".to_owned(), "bo@example.com".to_owned()]);
    let groups = [("staff".to_owned(), staff)].into();
    PolicySet { database: "shop".into(), groups, policies, ..PolicySet::default() }
}

fn staff(set: &mut PolicySet) -> &mut BTreeSet<String> {
    set.groups.get_mut("staff").unwrap()
}

/// The verdict on a change to one policy without masks and one with.
fn verdict(change: impl FnOnce(&mut PolicySet)) -> Option<String> {
    let old = set(vec![policy("plain"), masked("masked")]);
    let mut new = old.clone();
    change(&mut new);
    widening(&old, &new)
}

#[test]
fn nothing_changed_widens_nothing() {
    assert_eq!(verdict(|_| {}), None);
    assert_eq!(verdict(|set| set.policies[0].description = "other words".into()), None);
}

#[test]
fn taking_away_is_narrower() {
    let narrower: [Change<'_>; 8] = [
        &|set| drop(set.policies.remove(0)),
        &|set| set.policies[1].grants.clear(),
        &|set| set.policies[0].grants[0].allow = [Verb::Select].into(),
        &|set| drop(set.policies[0].grants[0].on.remove(0)),
        &|set| set.policies[0].grants[0].rows = Some("false".into()),
        &|set| {
            let id = BTreeSet::from([Identifier::stored("id").unwrap()]);
            set.policies[0].grants[0].columns.insert(Verb::Select, id);
        },
        &|set| set.policies[0].session.max_duration = Some(Duration::from_secs(60)),
        &|set| set.policies.push(Policy { grants: vec![], ..masked("more masks") }),
    ];
    for (at, change) in narrower.iter().enumerate() {
        assert_eq!(verdict(change), None, "{at}");
    }
}

#[test]
fn giving_is_wider_and_so_is_hiding_less() {
    let wider: [(Change<'_>, &str); 10] = [
        (&|set| set.policies.push(policy("new")), "is new and gives something"),
        (&|set| drop(set.policies.remove(1)), "is gone"),
        (&|set| set.policies[1].masks.clear(), "masks less"),
        (&|set| set.policies[1].masks[0].with = Mask::Null, "masks less"),
        (&|set| set.policies[0].grants[0].allow = Verb::ALL.into(), "grants more"),
        (&|set| set.policies[0].subjects.everyone = true, "more people"),
        (&|set| set.policies[1].subjects.groups.clear(), "no longer masks or filters for everyone"),
        (&|set| set.policies[0].session.procedural = Some(true), "limits sessions less"),
        (&|set| staff(set).extend(["eve@example.com".to_owned()]), "new members"),
        (&|set| staff(set).clear(), "people leave `staff`"),
    ];
    for (change, expected) in wider {
        let why = verdict(change).unwrap_or_else(|| panic!("accepted: {expected}"));
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn a_filter_is_added_but_never_dropped_or_changed() {
    let mut restricted = policy("r");
    restricted.grants[0].restrict = Some("a".into());
    let old = set(vec![restricted.clone()]);
    for other in [None, Some("b".to_owned())] {
        let mut changed = restricted.clone();
        changed.grants[0].restrict = other;
        assert!(widening(&old, &set(vec![changed])).is_some());
    }
    assert!(widening(&old, &set(vec![])).is_some());
    assert_eq!(widening(&set(vec![policy("r")]), &old), None);
}

#[test]
fn nobody_leaves_a_group_that_filters_ask_for() {
    let mut filtered = policy("f");
    filtered.grants[0].rows = Some("NOT ('banned' = ANY (subject.groups))".into());
    let mut old = set(vec![filtered]);
    old.groups.insert("banned".into(), BTreeSet::from(["ana@example.com".to_owned()]));
    let mut new = old.clone();
    new.groups.get_mut("banned").unwrap().clear();
    let why = widening(&old, &new).unwrap();
    assert!(why.contains("people leave `banned`"), "{why}");
}
