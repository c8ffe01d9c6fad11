//! Tables a policy filters by a column, next to tables with that column that it does not filter.

use crate::check::{CheckedPolicy, Filters};
use crate::rule;
use crate::tables::Tables;
use daam_catalog::{Identifier, Relation, RelationName};
use daam_diagnostic::{Location, Sink};
use daam_model::Verb;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn report(policies: &[CheckedPolicy], tables: &Tables<'_>, sink: &mut Sink) {
    let restricted = restricted(policies, tables);
    let mut known = Filters::default();
    let grants = policies.iter().flat_map(|policy| &policy.policy.grants);
    known.learn(grants.flat_map(|grant| grant.rows.iter().chain(&grant.restrict)).map(String::as_str));
    for policy in policies {
        let filters = filters(policy, &known);
        if filters.is_empty() {
            continue;
        }
        let with_rows =
            policy.grants.iter().zip(&policy.policy.grants).filter(|(_, grant)| grant.rows.is_some());
        let filtered: BTreeSet<_> =
            with_rows.flat_map(|(grant, _)| grant.relations(tables).map(|relation| &relation.name)).collect();
        for (checked, model) in policy.grants.iter().zip(&policy.policy.grants) {
            if !checked.allow.contains(&Verb::Select) || model.rows.is_some() || model.restrict.is_some() {
                continue;
            }
            for found in &checked.on {
                let relations = found.relations(tables);
                let others =
                    relations.filter(|one| !filtered.contains(&one.name) && !restricted.contains(&one.name));
                // A primary key names the row itself, not whose row it is.
                let open = others
                    .flat_map(|one| one.columns.iter().map(move |column| (one, &column.name)))
                    .find(|(one, column)| filters.contains_key(*column) && !one.primary_key.contains(column));
                if let Some((relation, column)) = open {
                    tell(policy, (relation, column), found.at, &filters, sink);
                }
            }
        }
    }
}

fn tell(
    policy: &CheckedPolicy,
    (relation, column): (&Relation, &Identifier),
    at: Location,
    filters: &BTreeMap<Identifier, Location>,
    sink: &mut Sink,
) {
    let message = format!(
        "`{}` has `{column}`, by which the policy `{}` filters other relations, and is granted whole",
        relation.name, policy.name.value
    );
    let mut diagnostic = rule::SIBLING_TABLES_FILTERED
        .at(at, message)
        .help("give this grant the same `rows`, or silence the finding with a reason if every row is meant")
        .about(format!("relation:{}", relation.name));
    if let Some(filter) = filters.get(column) {
        diagnostic = diagnostic.label(*filter, "filtered here");
    }
    sink.push(diagnostic);
}

/// Columns that the policy compares with something about the subject, and a grant that does.
fn filters(policy: &CheckedPolicy, known: &Filters) -> BTreeMap<Identifier, Location> {
    let mut out = BTreeMap::new();
    for (checked, model) in policy.grants.iter().zip(&policy.policy.grants) {
        for text in model.rows.iter().chain(&model.restrict) {
            let Ok(filter) = known.read(text) else { continue };
            if filter.attributes().is_empty() {
                continue;
            }
            for used in filter.columns() {
                out.insert(used.name, checked.at);
            }
        }
    }
    out
}

/// Relations with a filter that holds over every policy.
fn restricted<'a>(policies: &[CheckedPolicy], tables: &'a Tables<'a>) -> BTreeSet<&'a RelationName> {
    let grants = policies.iter().flat_map(|policy| &policy.grants).filter(|grant| grant.restricts);
    grants.flat_map(|grant| grant.relations(tables).map(|relation| &relation.name)).collect()
}
