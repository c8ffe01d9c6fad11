//! Rules that compare clauses of several policies of one database.

use super::{CheckedMask, CheckedPolicy, Database, joins, writes};
use crate::preset::written;
use crate::rule;
use crate::tables::{ColumnId, RelationId, Tables};
use daam_catalog::{Column, ColumnRef, Relation, RelationKind};
use daam_diagnostic::{Diagnostic, Severity, Sink};
use daam_model::{EffectiveMask, Subjects, Verb};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// All of them.
pub(crate) fn compare(policies: &[CheckedPolicy], database: &Database<'_>, sink: &mut Sink) {
    duplicate_names(policies, sink);
    conflicting_masks(policies, database.tables, sink);
    let readable = granted(policies, Verb::Select);
    masks_not_granted(policies, &readable, sink);
    writes_without_select(policies, &readable, database.tables, sink);
    for policy in policies {
        shadowed(policy, sink);
        writes::standing(policy, database, sink);
    }
    writes::masked(policies, database.tables, sink);
    if let Some(catalog) = database.catalog {
        joins::broken(policies, catalog, database.tables, sink);
    }
    exposed_by_views(policies, database.tables, sink);
}

fn duplicate_names(policies: &[CheckedPolicy], sink: &mut Sink) {
    let mut first: BTreeMap<&str, &CheckedPolicy> = BTreeMap::new();
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

fn granted(policies: &[CheckedPolicy], verb: Verb) -> HashSet<RelationId> {
    policies
        .iter()
        .flat_map(|policy| &policy.grants)
        .filter(|grant| grant.allow.contains(&verb))
        .flat_map(|grant| grant.on.iter().flat_map(|found| &found.covers).copied())
        .collect()
}

/// One finding per rule and other mask its columns have, naming the winner. A rule is compared with the first of each
/// mask only: with all of them, a project of a thousand such rules would have a million findings.
fn conflicting_masks(policies: &[CheckedPolicy], tables: &Tables<'_>, sink: &mut Sink) {
    let rules: Vec<&CheckedMask> = policies.iter().flat_map(|policy| &policy.masks).collect();
    // The first rule of every mask of a column.
    let mut firsts: HashMap<ColumnId, Vec<usize>> = HashMap::new();
    let mut told = BTreeSet::new();
    for (second, b) in rules.iter().enumerate() {
        for id in b.on.iter().flat_map(|found| &found.covers).copied() {
            let firsts = firsts.entry(id).or_default();
            let mut known = false;
            for first in &*firsts {
                let Some(a) = rules.get(*first) else { continue };
                if a.with == b.with {
                    known = true;
                } else if told.insert((*first, second)) {
                    let column = tables.column(id);
                    sink.extend(column.map(|(relation, column)| conflict(a, b, relation, column)));
                }
            }
            if !known {
                firsts.push(second);
            }
        }
    }
}

fn conflict(a: &CheckedMask, b: &CheckedMask, relation: &Relation, column: &Column) -> Diagnostic {
    let winner = EffectiveMask::new(a.with.clone()).join(&EffectiveMask::new(b.with.clone()));
    let message = format!(
        "`{}.{}` is masked with `{}` here and `{}` elsewhere; who both apply to sees `{}`",
        relation.name,
        column.name,
        written(&b.with),
        written(&a.with),
        written(winner.mask())
    );
    rule::CONFLICTING_MASKS.at(b.at, message).label(a.at, "the other rule")
}

fn masks_not_granted(policies: &[CheckedPolicy], readable: &HashSet<RelationId>, sink: &mut Sink) {
    for found in policies.iter().flat_map(|policy| &policy.masks).flat_map(|mask| &mask.on) {
        let any = found.covers.iter().any(|column| readable.contains(&column.relation()));
        if !any {
            let message = format!("no policy grants `select` on anything `{}` covers", found.pattern);
            sink.push(rule::MASK_NOT_GRANTED.at(found.at, message));
        }
    }
}

fn writes_without_select(
    policies: &[CheckedPolicy],
    readable: &HashSet<RelationId>,
    tables: &Tables<'_>,
    sink: &mut Sink,
) {
    for grant in policies.iter().flat_map(|policy| &policy.grants) {
        let writes = grant.allow.iter().find(|verb| matches!(verb, Verb::Update | Verb::Delete));
        let Some(verb) = writes else { continue };
        let unread = grant.on.iter().flat_map(|found| &found.covers).find(|id| !readable.contains(id));
        if let Some(relation) = unread.and_then(|id| tables.relation(*id)) {
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
fn shadowed(policy: &CheckedPolicy, sink: &mut Sink) {
    if policy.grants.len() < 2 {
        return;
    }
    let covers: Vec<BTreeSet<RelationId>> = policy
        .grants
        .iter()
        .map(|grant| grant.on.iter().flat_map(|found| &found.covers).copied().collect())
        .collect();
    for (index, (narrow, covered)) in policy.grants.iter().zip(&covers).enumerate() {
        if narrow.on.is_empty() || narrow.allow.is_empty() || narrow.restricts {
            continue;
        }
        let wider = policy.grants.iter().zip(&covers).enumerate().find(|(other, (wide, names))| {
            let contains = wide.whole
                && covered.is_subset(names)
                && narrow.allow.iter().all(|verb| wide.allow.contains(verb));
            // Of two equal grants only the later one is shadowed.
            let equal = narrow.whole && *names == covered && wide.allow.len() == narrow.allow.len();
            *other != index && contains && (!equal || *other < index)
        });
        if let Some((_, (wide, _))) = wider {
            sink.push(
                rule::SHADOWED_GRANT
                    .at(narrow.at, "another grant of this policy already allows all of this")
                    .label(wide.at, "this one, without a filter"),
            );
        }
    }
}

/// Granted views that read a column which is masked for the same people: the agent drops such a grant.
fn exposed_by_views(policies: &[CheckedPolicy], tables: &Tables<'_>, sink: &mut Sink) {
    let audiences = Audiences::of(policies);
    for policy in policies {
        for found in policy.grants.iter().flat_map(|grant| &grant.on) {
            for view in found.relations(tables).filter(|relation| is_view(relation)) {
                let Some((column, mask)) = masked_read(view, policies, &audiences.with(policy)) else {
                    continue;
                };
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

/// Policies that mask something, by whom they apply to.
#[derive(Debug, Default)]
pub(super) struct Audiences<'a> {
    everyone: BTreeSet<usize>,
    groups: BTreeMap<&'a str, Vec<usize>>,
    users: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Audiences<'a> {
    pub(super) fn of(policies: &'a [CheckedPolicy]) -> Self {
        let mut audiences = Self::default();
        for (index, policy) in policies.iter().enumerate().filter(|(_, policy)| !policy.masks.is_empty()) {
            let subjects = &policy.policy.subjects;
            if subjects.everyone {
                audiences.everyone.insert(index);
            }
            for group in &subjects.groups {
                audiences.groups.entry(group).or_default().push(index);
            }
            for user in &subjects.users {
                audiences.users.entry(user).or_default().push(index);
            }
        }
        audiences
    }

    /// Those that certainly apply to some of the subjects of this one.
    pub(super) fn with(&self, policy: &CheckedPolicy) -> BTreeSet<usize> {
        let subjects = &policy.policy.subjects;
        let groups = subjects.groups.iter().filter_map(|group| self.groups.get(group.as_str()));
        let users = subjects.users.iter().filter_map(|user| self.users.get(user.as_str()));
        groups.chain(users).flatten().chain(&self.everyone).copied().collect()
    }
}

fn masked_read<'p, 'v>(
    view: &'v Relation,
    policies: &'p [CheckedPolicy],
    together: &BTreeSet<usize>,
) -> Option<(&'v ColumnRef, &'p CheckedMask)> {
    let masks = together.iter().filter_map(|index| policies.get(*index));
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
