//! Laws of effects and diffs, over random policies.

use crate::catalogue;
use daam_catalog::{Catalog, ColumnPattern, Identifier, RelationPattern, Scope};
use daam_compiler::diff::{Change, Direction, diff};
use daam_compiler::effects::{Class, Condition, Index, Question, Side, effects_sha256, who_can};
use daam_model::{
    Ceiling, Grant, Mask, MaskRule, Origin, Policy, PolicySet, RequestTerms, SessionLimits, Subjects, Verb,
};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

const SCHEMA: &str = "
table public.t: a integer, b integer
table public.u: a integer, b integer
view public.v reads public.t.a: a integer
";

fn catalog() -> Catalog {
    catalogue::parse(SCHEMA)
}

fn some<T: Clone + Ord + std::fmt::Debug + 'static>(
    of: Vec<T>,
    size: std::ops::Range<usize>,
) -> impl Strategy<Value = BTreeSet<T>> {
    prop::collection::btree_set(prop::sample::select(of), size)
}

fn text(of: &[&str]) -> impl Strategy<Value = String> + use<> {
    prop::sample::select(of.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
}

fn subjects() -> impl Strategy<Value = Subjects> {
    let groups = some(vec!["g".to_owned(), "h".to_owned()], 0..3);
    let users = some(vec!["u@acme.test".to_owned()], 0..2);
    (prop::bool::weighted(0.2), groups, users).prop_map(|(everyone, groups, users)| Subjects {
        everyone,
        groups,
        users,
    })
}

fn grant() -> impl Strategy<Value = Grant> {
    let on = text(&["public.t", "public.u", "public.v", "public.*"])
        .prop_map(|text| vec![RelationPattern::parse(&text).unwrap()]);
    let filter = || prop::option::of(text(&["a > 1", "b > 2", "a > 1 AND b > 2", "a > 3 OR b > 1"]));
    let columns = prop::option::of(some(vec!["a", "b"], 1..3));
    (
        on,
        some(Verb::ALL.to_vec(), 1..4),
        columns,
        filter(),
        prop::option::weighted(0.2, text(&["a > 1", "b > 9"])),
    )
        .prop_map(|(on, allow, columns, rows, restrict)| {
            let names = |columns: BTreeSet<&str>| {
                columns.into_iter().map(|name| Identifier::stored(name).unwrap()).collect()
            };
            let columns = columns.map(|columns| (Verb::Select, names(columns))).into_iter().collect();
            Grant { on, allow, columns, rows, restrict, ..Grant::default() }
        })
}

fn mask() -> impl Strategy<Value = MaskRule> {
    let with = prop::sample::select(vec![Mask::Null, Mask::Bucket(10), Mask::Bucket(100), Mask::Round(10)]);
    (text(&["public.t.a", "public.*.b", "public.u.a"]), with).prop_map(|(on, with)| MaskRule {
        on: vec![ColumnPattern::parse(&on).unwrap()],
        with,
        origin: Origin::default(),
    })
}

fn terms() -> impl Strategy<Value = RequestTerms> {
    (1_u32..3, 1_u64..3).prop_map(|(count, hours)| RequestTerms {
        approvers: BTreeSet::from(["dba".to_owned()]),
        count,
        max_duration: Duration::from_secs(hours * 3600),
        reason_required: true,
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let lists = (prop::collection::vec(grant(), 0..3), prop::collection::vec(mask(), 0..2));
    let limit = prop::option::weighted(0.3, (1_u64..3).prop_map(Duration::from_secs));
    (subjects(), lists, limit, prop::option::weighted(0.3, terms())).prop_map(
        |(subjects, (grants, masks), idle_timeout, request)| Policy {
            name: String::new(),
            description: String::new(),
            subjects,
            grants,
            masks,
            session: SessionLimits { idle_timeout, ..SessionLimits::default() },
            request,
            origin: Origin::default(),
        },
    )
}

fn set() -> impl Strategy<Value = PolicySet> {
    let ceiling = (policy(), terms()).prop_map(|(policy, terms)| Ceiling {
        name: "ad-hoc".to_owned(),
        description: String::new(),
        who: policy.subjects,
        grants: policy.grants.into_iter().map(|grant| Grant { restrict: None, ..grant }).collect(),
        masks: policy.masks,
        terms,
        origin: Origin::default(),
    });
    let policies = prop::collection::vec(policy(), 0..4);
    (policies, prop::option::weighted(0.3, ceiling)).prop_map(|(policies, ceiling)| PolicySet {
        database: "shop".to_owned(),
        policies: policies
            .into_iter()
            .enumerate()
            .map(|(at, policy)| Policy { name: format!("p{at}"), ..policy })
            .collect(),
        ceilings: ceiling.into_iter().collect(),
        ..PolicySet::default()
    })
}

/// One small step away, or none.
fn edited(set: PolicySet, edit: u8, other: &Policy) -> PolicySet {
    let mut set = set;
    match edit {
        0 => set.policies.reverse(),
        1 => {
            // A policy in two: what it grants, and what it hides and limits.
            if let Some(first) = set.policies.first_mut().filter(|policy| policy.request.is_none()) {
                let rest = Policy {
                    name: "rest".to_owned(),
                    grants: std::mem::take(&mut first.grants),
                    masks: Vec::new(),
                    ..first.clone()
                };
                set.policies.push(rest);
            }
        }
        2 => drop(set.policies.pop()),
        3 => set.policies.push(Policy { name: "new".to_owned(), ..other.clone() }),
        4 => set.policies.iter_mut().for_each(|policy| policy.description = "rewritten".to_owned()),
        5 => set.policies.iter_mut().for_each(|policy| drop(policy.masks.pop())),
        6 => set.ceilings.clear(),
        _ => set.ceilings.iter_mut().for_each(|ceiling| ceiling.terms.count += 1),
    }
    set
}

/// What is said of access itself; what other policies grant is told from the side that has the access.
fn said(changes: &[Change], direction: Direction, turned: bool) -> BTreeSet<[String; 5]> {
    let of = changes.iter().filter(|change| change.direction == direction);
    of.filter(|change| !change.what.contains("where granted by another policy"))
        .map(|change| {
            let (before, after) = (change.before.clone(), change.after.clone());
            let (before, after) = if turned { (after, before) } else { (before, after) };
            [change.who.clone(), change.when.clone(), change.what.clone(), before, after]
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn nothing_changes_between_a_set_and_itself(set in set()) {
        let catalog = catalog();
        let side = Side { policies: &set, catalog: &catalog, scope: &Scope::Absent };
        prop_assert_eq!(diff(&side, &side).changes, Vec::new());
    }

    #[test]
    fn what_one_way_widens_the_other_way_is_lost(
        one in set(), edit in 0_u8..9, other in policy(), far in set(),
    ) {
        let two = if edit == 8 { far } else { edited(one.clone(), edit, &other) };
        let catalog = catalog();
        let side = |policies| Side { policies, catalog: &catalog, scope: &Scope::Absent };
        let (there, back) = (diff(&side(&one), &side(&two)), diff(&side(&two), &side(&one)));
        let widened = said(&there.changes, Direction::Widened, false);
        prop_assert_eq!(widened, said(&back.changes, Direction::Lost, true));
        let lost = said(&there.changes, Direction::Lost, false);
        prop_assert_eq!(lost, said(&back.changes, Direction::Widened, true));
    }

    #[test]
    fn effects_have_one_digest_exactly_where_nothing_changes(
        one in set(), edit in 0_u8..9, other in policy(), far in set(),
    ) {
        let two = if edit == 8 { far } else { edited(one.clone(), edit, &other) };
        let catalog = catalog();
        let side = |policies| Side { policies, catalog: &catalog, scope: &Scope::Absent };
        let found = diff(&side(&one), &side(&two));
        let equal = effects_sha256(&side(&one)) == effects_sha256(&side(&two));
        prop_assert_eq!(equal, !found.changed(), "{:#?}", found.changes);
    }

    #[test]
    fn who_can_says_what_each_class_holds(set in set(), verb in prop::sample::select(Verb::ALL.to_vec())) {
        let catalog = catalog();
        let side = Side { policies: &set, catalog: &catalog, scope: &Scope::Absent };
        let relation = daam_catalog::RelationName::stored("public", "t").unwrap();
        let question = Question { verb, relation: relation.clone(), column: None, unmasked: false };
        let mut answers = who_can(&side, &question);
        answers.retain(|answer| answer.through.is_none());
        let index = Index::of(&side);
        for class in index.classes() {
            let held = index.evaluate(&catalog, &class, &Condition::Standing);
            let can = held.relations.get(&relation).is_some_and(|access| access.verbs.contains_key(&verb));
            let told = answers.iter().any(|answer| {
                (answer.class == class || answer.class == Class::Everyone)
                    && answer.condition == Condition::Standing
            });
            prop_assert!(!can || told, "{class} can, and is not named");
            let named = answers.iter().any(|answer| answer.class == class && answer.condition == Condition::Standing);
            prop_assert!(can || !named, "{class} is named, and cannot");
        }
    }
}
