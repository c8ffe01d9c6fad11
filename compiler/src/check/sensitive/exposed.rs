//! Sensitive columns somebody reads in clear, told by what let them.

use super::{Classified, masks::Masks};
use crate::check::CheckedPolicy;
use crate::rule::{self, Rule};
use crate::sensitive::{Certainty, Class, Classification};
use crate::tables::{RelationId, Tables};
use daam_catalog::{Column, Identifier, Relation, RelationName};
use daam_diagnostic::{Diagnostic, Location, Severity, Sink};
use daam_model::Verb;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// A sensitive column a policy grants `select` on.
#[derive(Debug, Clone, Copy)]
struct Granted<'a> {
    at: Location,
    relation: &'a Relation,
    column: &'a Column,
    found: &'a Classification,
    /// Whether it was reached by a pattern and never named.
    unnamed: bool,
}

/// Reports what one policy shows.
pub(crate) fn exposed(
    policy: &CheckedPolicy,
    classified: &Classified,
    masks: &Masks<'_>,
    tables: &Tables<'_>,
    sink: &mut Sink,
) {
    let granted = granted(policy, classified, tables);
    let clear: BTreeMap<_, _> = granted
        .iter()
        .map(|(key, granted)| (*key, masks.clear_for(policy, (granted.relation, key.1))))
        .filter(|(_, who)| !who.is_empty())
        .collect();
    for ((name, column), who) in &clear {
        let Some(granted) = granted.get(&(*name, *column)) else { continue };
        // A partition shows what its parent shows; told once.
        let by_parent = granted.relation.parents.iter().any(|parent| clear.contains_key(&(parent, *column)));
        if by_parent {
            continue;
        }
        let preset = granted.found.class.preset(granted.column.data_type.class);
        sink.push(finding(policy, granted, column, (granted.found, preset), who));
    }
}

type Columns<'a> = BTreeMap<(&'a RelationName, &'a Identifier), Granted<'a>>;

fn granted<'a>(policy: &CheckedPolicy, classified: &'a Classified, tables: &'a Tables<'a>) -> Columns<'a> {
    let mut out: Columns<'a> = BTreeMap::new();
    for (checked, model) in policy.grants.iter().zip(&policy.policy.grants) {
        if !checked.allow.contains(&Verb::Select) {
            continue;
        }
        let only = model.columns.get(&Verb::Select);
        for resolved in &checked.on {
            let unnamed = resolved.pattern.literal().is_none() && only.is_none();
            for id in resolved.covers.iter().copied() {
                for (position, found) in classified.of_relation(id) {
                    let Some((relation, column)) = tables.column(id.column(position)) else { continue };
                    if only.is_some_and(|only| !only.contains(&column.name)) {
                        continue;
                    }
                    let new = Granted { at: resolved.at, relation, column, found, unnamed };
                    let slot = out.entry((&relation.name, &column.name)).or_insert(new);
                    if slot.unnamed && !unnamed {
                        *slot = new;
                    }
                }
            }
        }
    }
    out
}

fn finding(
    policy: &CheckedPolicy,
    granted: &Granted<'_>,
    column: &Identifier,
    (found, preset): (&Classification, &str),
    who: &[String],
) -> Diagnostic {
    let rule = rule_of(policy, granted, found.class);
    let name = format!("{}.{column}", granted.relation.name);
    let seems = if found.certainty == Certainty::Declared { "it holds" } else { "it seems to hold" };
    let how = if granted.unnamed { "a wildcard of the policy" } else { "the policy" };
    let message = format!(
        "{how} `{}` shows `{name}` in clear to {}; {seems} {}",
        policy.name.value,
        who.join(", "),
        found.class.noun()
    );
    let remedy = if column.as_str().contains('.') {
        "no mask can name a column with a dot in its name: leave it out of `columns: { select: […] }`"
            .to_owned()
    } else {
        format!("mask it:\n  - on: {name}\n    with: {preset}")
    };
    let help = format!(
        "{}; {remedy}\nor, in `daam.yaml`, say under `classification` what it holds, or waive this finding",
        found.evidence
    );
    let mut diagnostic = rule.at(granted.at, message).help(help).about(format!("column:{name}"));
    if found.certainty == Certainty::Likely {
        diagnostic.severity = Severity::Warning;
    }
    diagnostic
}

fn rule_of(policy: &CheckedPolicy, granted: &Granted<'_>, class: Class) -> &'static Rule {
    if policy.policy.subjects.everyone {
        &rule::SENSITIVE_TO_BROAD_GROUP
    } else if !granted.unnamed {
        &rule::SENSITIVE_COLUMN_UNMASKED
    } else if class == Class::Secret {
        &rule::SECRET_CLASS_UNDER_WILDCARD
    } else {
        &rule::WILDCARD_GAINED_SENSITIVE_COLUMN
    }
}

/// In strict projects: readable columns nobody said anything about, one finding a relation.
pub(crate) fn unclassified<'p>(
    policies: impl Iterator<Item = &'p CheckedPolicy>,
    classified: &Classified,
    at: Location,
    tables: &Tables<'_>,
    sink: &mut Sink,
) {
    let mut open: BTreeMap<RelationId, BTreeSet<usize>> = BTreeMap::new();
    // Relations granted whole: nothing can be added to them.
    let mut whole: HashSet<RelationId> = HashSet::new();
    for policy in policies {
        for (checked, model) in policy.grants.iter().zip(&policy.policy.grants) {
            if !checked.allow.contains(&Verb::Select) {
                continue;
            }
            let only = model.columns.get(&Verb::Select);
            for id in checked.on.iter().flat_map(|found| &found.covers).copied() {
                if whole.contains(&id) {
                    continue;
                }
                if only.is_none() {
                    whole.insert(id);
                }
                let Some(relation) = tables.relation(id) else { continue };
                let columns = relation.columns.iter().enumerate();
                let readable = columns.filter(|(_, one)| only.is_none_or(|only| only.contains(&one.name)));
                let unknown = readable.map(|(position, _)| position);
                let unknown = unknown.filter(|position| !classified.is_known(id.column(*position)));
                open.entry(id).or_default().extend(unknown);
            }
        }
    }
    for (id, columns) in open.into_iter().filter(|(_, columns)| !columns.is_empty()) {
        let Some(relation) = tables.relation(id) else { continue };
        let names: BTreeSet<&str> = columns
            .into_iter()
            .filter_map(|position| relation.columns.get(position))
            .map(|column| column.name.as_str())
            .collect();
        let names: Vec<&str> = names.into_iter().collect();
        let relation = &relation.name;
        let message =
            format!("nobody said what `{relation}` holds in {}", crate::syntax::decode::list(&names));
        sink.push(
            rule::UNCLASSIFIED_NEW_COLUMN
                .at(at, message)
                .help(format!("e.g. `classification: [{{ on: \"{relation}.*\", is: none, reason: … }}]`"))
                .about(format!("relation:{relation}")),
        );
    }
}
