//! Sensitive columns somebody reads in clear, told by what let them.

use super::{Classified, masks::Masks};
use crate::check::CheckedPolicy;
use crate::resolve::Reach;
use crate::rule::{self, Rule};
use crate::sensitive::{Certainty, Class, Classification};
use crate::tables::Tables;
use daam_catalog::{Identifier, Relation, RelationName};
use daam_diagnostic::{Diagnostic, Location, Severity, Sink};
use daam_model::Verb;
use std::collections::{BTreeMap, BTreeSet};

/// A column a policy grants `select` on.
#[derive(Debug, Clone, Copy)]
struct Granted<'a> {
    at: Location,
    relation: &'a Relation,
    /// Whether it was reached by a pattern and never named.
    unnamed: bool,
}

pub(super) fn report(
    policies: &[CheckedPolicy],
    reach: Reach<'_>,
    classified: &Classified<'_>,
    masks: &Masks<'_>,
    sink: &mut Sink,
) {
    // What a file with errors masks is not known yet: a slip in a mask would be told twice.
    let unclear = sink.sources_with_errors();
    for policy in policies.iter().filter(|policy| !unclear.contains(&policy.at.source)) {
        let granted = granted(policy, classified, reach.tables());
        let clear: BTreeMap<_, _> = granted
            .iter()
            .map(|(key, granted)| (key, masks.clear_for(policy, (granted.relation, key.1))))
            .filter(|(_, who)| !who.is_empty())
            .collect();
        for ((name, column), who) in &clear {
            let Some(granted) = granted.get(&(*name, *column)) else { continue };
            // A partition shows what its parent shows; told once.
            let by_parent =
                granted.relation.parents.iter().any(|parent| clear.contains_key(&(parent, *column)));
            let found = classified.of_relation(name).find(|(known, _)| known == column);
            let Some((_, found)) = found.filter(|_| !by_parent) else { continue };
            let sql = reach.catalog.relation(name).and_then(|relation| relation.column(column));
            let preset = sql.map_or("redact", |column| found.class.preset(column.data_type.class));
            sink.push(finding(policy, granted, column, (found, preset), who));
        }
    }
}

type Columns<'a> = BTreeMap<(&'a RelationName, &'a Identifier), Granted<'a>>;

fn granted<'a>(policy: &CheckedPolicy, classified: &Classified<'a>, tables: &'a Tables<'a>) -> Columns<'a> {
    let mut out: Columns<'a> = BTreeMap::new();
    for (checked, model) in policy.grants.iter().zip(&policy.policy.grants) {
        if !checked.allow.contains(&Verb::Select) {
            continue;
        }
        let only = model.columns.get(&Verb::Select);
        for found in &checked.on {
            let unnamed = found.pattern.literal().is_none() && only.is_none();
            for relation in found.relations(tables) {
                let columns = classified.of_relation(&relation.name).map(|(column, _)| column);
                for column in columns.filter(|column| only.is_none_or(|only| only.contains(*column))) {
                    let new = Granted { at: found.at, relation, unnamed };
                    let slot = out.entry((&relation.name, column)).or_insert(new);
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
pub(super) fn unclassified(
    policies: &[CheckedPolicy],
    classified: &Classified<'_>,
    at: Location,
    tables: &Tables<'_>,
    sink: &mut Sink,
) {
    let mut open: BTreeMap<&RelationName, BTreeSet<&Identifier>> = BTreeMap::new();
    for policy in policies {
        for (checked, model) in policy.grants.iter().zip(&policy.policy.grants) {
            if !checked.allow.contains(&Verb::Select) {
                continue;
            }
            let only = model.columns.get(&Verb::Select);
            for relation in checked.relations(tables) {
                let columns = relation.columns.iter().map(|column| &column.name);
                let readable = columns.filter(|column| only.is_none_or(|only| only.contains(*column)));
                let unknown = readable.filter(|column| !classified.is_known(&relation.name, column));
                open.entry(&relation.name).or_default().extend(unknown);
            }
        }
    }
    for (relation, columns) in open.into_iter().filter(|(_, columns)| !columns.is_empty()) {
        let names: Vec<&str> = columns.iter().map(|column| column.as_str()).collect();
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
