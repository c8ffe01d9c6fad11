//! Laws over generated policy sets.

use super::*;
use crate::mask::tests::any_mask;
use crate::mask::{EffectiveMask, Mask};
use crate::policy::Grant;
use proptest::prelude::*;

fn any_relation_pattern() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "public.customers",
        "public.orders",
        "public.orders_*",
        "public.*",
        "*.*_1",
        "public.customer_list",
        "public.order_report",
    ])
    .prop_map(str::to_owned)
}

fn any_filter() -> impl Strategy<Value = Option<String>> {
    prop::option::weighted(0.3, prop::sample::select(vec!["id = 1", "id = 2"]).prop_map(str::to_owned))
}

fn any_grant() -> impl Strategy<Value = Grant> {
    let allow = prop::collection::btree_set(prop::sample::select(Verb::ALL.to_vec()), 1..4);
    (any_relation_pattern(), allow, any_filter(), any_filter(), any::<bool>()).prop_map(
        |(on, allow, rows, restrict, narrow)| {
            let mut written = grant(&on, &[]);
            written.allow = allow;
            written.rows = rows;
            written.restrict = restrict;
            if narrow { written.columns(Verb::Select, &["id", "email"]) } else { written }
        },
    )
}

fn any_rule() -> impl Strategy<Value = (String, Mask)> {
    let column = prop::sample::select(vec!["email", "total", "id", "*"]);
    let pattern =
        (any_relation_pattern(), column).prop_map(|(relation, column)| format!("{relation}.{column}"));
    (pattern, any_mask())
}

/// What one policy grants and masks.
type Written = (Vec<Grant>, Vec<(String, Mask)>);

fn any_policies() -> impl Strategy<Value = Vec<Policy>> {
    let one = (prop::collection::vec(any_grant(), 0..3), prop::collection::vec(any_rule(), 0..3));
    prop::collection::vec(one, 1..4).prop_map(|list| {
        let build = |(index, (grants, rules)): (usize, Written)| {
            let policy = grants.into_iter().fold(policy(&format!("p{index}")), Policy::grant);
            rules.into_iter().fold(policy, |policy, (on, with)| policy.mask(&on, with))
        };
        list.into_iter().enumerate().map(build).collect()
    })
}

fn of(policies: Vec<Policy>) -> PolicySet {
    PolicySet { policies, ..set([]) }
}

/// Whether a row is reached for which `id = 1` and `id = 2` have these truths.
fn reaches(access: &RelationAccess, verb: Verb, truth: [bool; 2]) -> bool {
    let holds = |clause: &FilterClause| {
        clause.text.split(" OR ").any(|part| if part.contains("id = 1") { truth[0] } else { truth[1] })
    };
    let Some(filter) = access.rows.get(&verb) else { return true };
    (filter.any.is_empty() || filter.any.iter().any(holds)) && filter.all.iter().all(holds)
}

/// Masks are compared as applied: on a column that is not granted nothing is.
fn weakest<'e>(
    e: &'e EffectivePolicy,
    relation: &RelationName,
    column: &Identifier,
) -> Option<&'e EffectiveMask> {
    e.relations.get(relation)?.masks.get(column)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_order_of_policies_grants_and_rules_is_irrelevant(policies in any_policies()) {
        let before = resolve(&of(policies.clone()), &shop());
        let mut turned = policies;
        turned.reverse();
        for policy in &mut turned {
            policy.grants.reverse();
            policy.masks.reverse();
        }
        prop_assert_eq!(before, resolve(&of(turned), &shop()));
    }

    #[test]
    fn a_further_mask_rule_never_weakens_a_mask_nor_grants_anything(policies in any_policies(), (on, with) in any_rule()) {
        let before = resolve(&of(policies.clone()), &shop());
        let mut more = policies;
        more.push(policy("more").mask(&on, with));
        let after = resolve(&of(more), &shop());
        for (name, access) in &after.relations {
            let earlier = before.relations.get(name);
            prop_assert!(earlier.is_some_and(|earlier| earlier.verbs == access.verbs), "{} granted by a mask", name);
            for (column, mask) in &earlier.unwrap().masks {
                let now = weakest(&after, name, column);
                prop_assert!(now.is_some_and(|now| now.covers(mask)), "{name}.{column}: {mask} became {now:?}");
            }
        }
    }

    #[test]
    fn a_restriction_never_adds_anything(policies in any_policies(), on in any_relation_pattern()) {
        let before = resolve(&of(policies.clone()), &shop());
        let mut more = policies;
        let unsatisfiable = grant(&on, &[Verb::Select]).columns(Verb::Select, &["gone"]).restrict("false");
        more.push(policy("more").grant(unsatisfiable));
        let after = resolve(&of(more), &shop());
        for (name, access) in &after.relations {
            let earlier = &before.relations[name];
            // A parent may lose a verb to a restriction of its child, never gain one.
            for (verb, columns) in &access.verbs {
                prop_assert_eq!(earlier.verbs.get(verb), Some(columns));
            }
            prop_assert_eq!(&earlier.masks, &access.masks);
            for (verb, filter) in earlier.rows.iter().filter(|(verb, _)| access.verbs.contains_key(*verb)) {
                prop_assert!(filter.all.iter().all(|clause| access.rows[verb].all.contains(clause)));
            }
        }
    }

    #[test]
    fn no_view_shows_a_masked_column_or_filtered_rows(policies in any_policies()) {
        let catalog = shop();
        let e = resolve(&of(policies.clone()), &catalog);
        // Granting the tables as well shows their masks; it takes none away.
        let tables = ["public.customers", "public.orders*"].map(|on| grant(on, &[Verb::Delete]));
        let all = resolve(&of([policies, vec![tables.into_iter().fold(policy("all"), Policy::grant)]].concat()), &catalog);
        for name in e.relations.keys() {
            for read in &catalog.relations[name].reads {
                prop_assert!(weakest(&all, &read.relation, &read.column).is_none(), "{name} shows {read:?}");
                let filtered = e.relations.get(&read.relation).is_some_and(|base| base.rows.contains_key(&Verb::Select));
                prop_assert!(!filtered, "{name} shows every row of {}", read.relation);
            }
        }
    }

    #[test]
    fn a_partition_never_reaches_a_row_its_parents_do_not(policies in any_policies(), truth in any::<[bool; 2]>()) {
        let catalog = shop();
        let e = resolve(&of(policies), &catalog);
        for (child, access) in &e.relations {
            for parent in crate::effective::rows::ancestors(child, &catalog) {
                let Some(above) = e.relations.get(&parent) else { continue };
                for verb in access.verbs.keys().filter(|verb| above.verbs.contains_key(verb)) {
                    let (inner, outer) = (reaches(access, *verb, truth), reaches(above, *verb, truth));
                    prop_assert!(!inner || outer, "{child} reaches past {parent} on {verb:?}");
                }
            }
        }
    }

    #[test]
    fn everything_granted_exists_in_the_catalogue(policies in any_policies()) {
        let catalog = shop();
        let e = resolve(&of(policies), &catalog);
        for (name, access) in &e.relations {
            let relation = &catalog.relations[name];
            prop_assert!(access.verbs.values().flatten().all(|column| relation.column(column).is_some()));
            prop_assert!(access.masks.keys().all(|column| relation.column(column).is_some()));
            prop_assert!(access.rows.keys().all(|verb| access.verbs.contains_key(verb)));
        }
    }
}
