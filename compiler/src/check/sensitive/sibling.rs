//! Tables a policy filters by a column, next to tables with that column that it does not filter.

use crate::check::CheckedPolicy;
use crate::check::covered::Covered;
use crate::rule;
use crate::tables::{RelationId, Tables};
use daam_catalog::{Identifier, Relation};
use daam_diagnostic::{Location, Sink};
use daam_model::Verb;
use std::collections::{BTreeMap, BTreeSet};

/// Reports what one policy leaves open. `restricted` are the relations with a filter that holds over every policy.
pub(crate) fn siblings(
    policy: &CheckedPolicy,
    restricted: &Covered<RelationId>,
    tables: &Tables<'_>,
    sink: &mut Sink,
) {
    let filters = filters(policy);
    if filters.is_empty() {
        return;
    }
    let with_rows = policy.grants.iter().zip(&policy.policy.grants).filter(|(_, grant)| grant.rows.is_some());
    let filtered: BTreeSet<RelationId> =
        with_rows.flat_map(|(grant, _)| grant.on.iter().flat_map(|found| &found.covers)).copied().collect();
    for (checked, model) in policy.grants.iter().zip(&policy.policy.grants) {
        if !checked.allow.contains(&Verb::Select) || model.rows.is_some() || model.restrict.is_some() {
            continue;
        }
        for found in &checked.on {
            let others = found.covers.iter().filter(|id| !filtered.contains(id) && !restricted.contains(id));
            // A primary key names the row itself, not whose row it is.
            let open = others
                .filter_map(|id| tables.relation(*id))
                .flat_map(|one| one.columns.iter().map(move |column| (one, &column.name)))
                .find(|(one, column)| filters.contains_key(*column) && !one.primary_key.contains(column));
            if let Some((relation, column)) = open {
                tell(policy, (relation, column), found.at, &filters, sink);
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
fn filters(policy: &CheckedPolicy) -> BTreeMap<Identifier, Location> {
    let grants = policy.grants.iter();
    grants.flat_map(|grant| grant.by_subject.iter().map(|name| (name.clone(), grant.at))).collect()
}

/// The relations a policy restricts, once for every grant.
pub(crate) fn restricted_by(policy: &CheckedPolicy) -> impl Iterator<Item = &RelationId> {
    let grants = policy.grants.iter().filter(|grant| grant.restricts);
    grants.flat_map(|grant| &grant.on).flat_map(|found| &found.covers)
}
