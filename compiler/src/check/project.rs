//! Rules that compare clauses of several policies of one database.

use super::{CheckedMask, CheckedPolicy, Database, joins, writes};
use crate::preset::written;
use crate::rule;
use daam_catalog::{ColumnRef, Relation, RelationKind, RelationName};
use daam_diagnostic::{Severity, Sink};
use daam_model::{EffectiveMask, Subjects, Verb};
use std::collections::{BTreeMap, BTreeSet};

/// All of them.
pub(crate) fn compare(policies: &[CheckedPolicy<'_>], database: &Database<'_>, sink: &mut Sink) {
    duplicate_names(policies, sink);
    conflicting_masks(policies, sink);
    let readable = granted(policies, Verb::Select);
    masks_not_granted(policies, &readable, sink);
    writes_without_select(policies, &readable, sink);
    for policy in policies {
        shadowed(policy, sink);
        writes::standing(policy, database, sink);
    }
    writes::masked(policies, sink);
    if let Some(catalog) = database.catalog {
        joins::broken(policies, catalog, sink);
    }
    exposed_by_views(policies, sink);
}

fn duplicate_names(policies: &[CheckedPolicy<'_>], sink: &mut Sink) {
    let mut first: BTreeMap<&str, &CheckedPolicy<'_>> = BTreeMap::new();
    for policy in policies {
        let name = policy.name.value.as_str();
        if let Some(earlier) = first.get(name) {
            sink.push(
                rule::DUPLICATE_POLICY_NAME
                    .at(policy.name.at, format!("the policy `{name}` exists twice"))
                    .label(earlier.name.at, "also here")
                    .help("approvals, audit and `explain` refer to the name; give each its own")
                    .about(format!("policy:{name}")),
            );
        } else {
            first.insert(name, policy);
        }
    }
}

fn granted<'a>(policies: &[CheckedPolicy<'a>], verb: Verb) -> BTreeSet<&'a RelationName> {
    policies
        .iter()
        .flat_map(|policy| &policy.grants)
        .filter(|grant| grant.allow.contains(&verb))
        .flat_map(|grant| grant.relations().map(|relation| &relation.name))
        .collect()
}

/// One finding per pair of rules, naming the winner.
fn conflicting_masks(policies: &[CheckedPolicy<'_>], sink: &mut Sink) {
    let rules: Vec<&CheckedMask<'_>> = policies.iter().flat_map(|policy| &policy.masks).collect();
    let mut by_column: BTreeMap<ColumnRef, Vec<usize>> = BTreeMap::new();
    for (index, rule) in rules.iter().enumerate() {
        for (relation, column) in rule.on.iter().flat_map(|found| &found.covers) {
            let column = ColumnRef { relation: relation.name.clone(), column: column.name.clone() };
            by_column.entry(column).or_default().push(index);
        }
    }
    let mut told = BTreeSet::new();
    for (column, indexes) in by_column {
        for (position, second) in indexes.iter().enumerate() {
            for first in indexes.iter().take(position) {
                let (Some(a), Some(b)) = (rules.get(*first), rules.get(*second)) else { continue };
                if a.with == b.with || !told.insert((*first, *second)) {
                    continue;
                }
                let winner = EffectiveMask::new(a.with.clone()).join(&EffectiveMask::new(b.with.clone()));
                let message = format!(
                    "`{}.{}` is masked with `{}` here and `{}` elsewhere; who both apply to sees `{}`",
                    column.relation,
                    column.column,
                    written(&b.with),
                    written(&a.with),
                    written(winner.mask())
                );
                sink.push(rule::CONFLICTING_MASKS.at(b.at, message).label(a.at, "the other rule"));
            }
        }
    }
}

fn masks_not_granted(policies: &[CheckedPolicy<'_>], readable: &BTreeSet<&RelationName>, sink: &mut Sink) {
    for found in policies.iter().flat_map(|policy| &policy.masks).flat_map(|mask| &mask.on) {
        let any = found.covers.iter().any(|(relation, _)| readable.contains(&relation.name));
        if !any {
            let message = format!("no policy grants `select` on anything `{}` covers", found.pattern);
            sink.push(rule::MASK_NOT_GRANTED.at(found.at, message));
        }
    }
}

fn writes_without_select(
    policies: &[CheckedPolicy<'_>],
    readable: &BTreeSet<&RelationName>,
    sink: &mut Sink,
) {
    for grant in policies.iter().flat_map(|policy| &policy.grants) {
        let writes = grant.allow.iter().find(|verb| matches!(verb, Verb::Update | Verb::Delete));
        let Some(verb) = writes else { continue };
        if let Some(relation) = grant.relations().find(|relation| !readable.contains(&relation.name)) {
            sink.push(
                rule::WRITE_WITHOUT_SELECT
                    .at(
                        grant.at,
                        format!(
                            "`{}` on `{}`, which no policy lets anyone read",
                            verb.as_str(),
                            relation.name
                        ),
                    )
                    .help("allow `select` too, at least on the columns a WHERE clause needs"),
            );
        }
    }
}

/// A grant that another grant of the same policy contains whole.
fn shadowed(policy: &CheckedPolicy<'_>, sink: &mut Sink) {
    for (index, narrow) in policy.grants.iter().enumerate() {
        if narrow.on.is_empty() || narrow.allow.is_empty() || narrow.restricts {
            continue;
        }
        let covered: BTreeSet<&RelationName> = narrow.relations().map(|relation| &relation.name).collect();
        let wider = policy.grants.iter().enumerate().find(|(other, wide)| {
            let names: BTreeSet<&RelationName> = wide.relations().map(|relation| &relation.name).collect();
            let contains = wide.whole
                && covered.is_subset(&names)
                && narrow.allow.iter().all(|verb| wide.allow.contains(verb));
            // Of two equal grants only the later one is shadowed.
            let equal = narrow.whole && names == covered && wide.allow.len() == narrow.allow.len();
            *other != index && contains && (!equal || *other < index)
        });
        if let Some((_, wide)) = wider {
            sink.push(
                rule::SHADOWED_GRANT
                    .at(narrow.at, "another grant of this policy already allows all of this")
                    .label(wide.at, "this one, without a filter"),
            );
        }
    }
}

/// Granted views that read a column which is masked for the same people: the agent drops such a grant.
fn exposed_by_views(policies: &[CheckedPolicy<'_>], sink: &mut Sink) {
    for policy in policies {
        for found in policy.grants.iter().flat_map(|grant| &grant.on) {
            for view in found.covers.iter().copied().filter(|relation| is_view(relation)) {
                let Some((column, mask)) = masked_read(policy, view, policies) else { continue };
                let message = format!(
                    "the view `{}` reads `{}.{}`, which is masked for these subjects",
                    view.name, column.relation, column.column
                );
                let mut diagnostic = rule::MASKED_COLUMN_EXPOSED_BY_VIEW
                    .at(found.at, message)
                    .label(mask.at, "masked here")
                    .help("the view would not be granted; grant its tables, or a view without that column");
                if found.pattern.literal().is_none() {
                    diagnostic.severity = Severity::Warning;
                }
                sink.push(diagnostic);
            }
        }
    }
}

fn is_view(relation: &Relation) -> bool {
    matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView)
}

fn masked_read<'p, 'v>(
    policy: &CheckedPolicy<'_>,
    view: &'v Relation,
    policies: &'p [CheckedPolicy<'_>],
) -> Option<(&'v ColumnRef, &'p CheckedMask<'p>)> {
    let masks = policies.iter().filter(|other| together(&policy.policy.subjects, &other.policy.subjects));
    for mask in masks.flat_map(|other| &other.masks) {
        let patterns = || mask.on.iter().map(|found| &found.pattern);
        let read = view
            .reads
            .iter()
            .find(|read| patterns().any(|pattern| pattern.matches(&read.relation, &read.column)));
        if let Some(read) = read {
            return Some((read, mask));
        }
    }
    None
}

/// Whether some of the subjects of the first certainly are subjects of the second.
pub(super) fn together(granted: &Subjects, masked: &Subjects) -> bool {
    masked.everyone
        || !granted.groups.is_disjoint(&masked.groups)
        || !granted.users.is_disjoint(&masked.users)
}
