//! Restrictions on partitions and child tables, which a query of the parent would pass by.

use super::project::together;
use super::{CheckedPolicy, Database};
use crate::rule;
use crate::tables::Tables;
use daam_catalog::{Catalog, Relation, RelationName};
use daam_diagnostic::{Severity, Sink};
use std::collections::BTreeSet;

/// Grants on a parent whose child is restricted for the same people and the same verb, without that restriction.
pub(crate) fn bypassed(policies: &[CheckedPolicy], database: &Database<'_>, sink: &mut Sink) {
    let Some(catalog) = database.catalog else { return };
    for policy in policies {
        for (grant, model) in policy.grants.iter().zip(&policy.policy.grants) {
            let Some(restrict) = &model.restrict else { continue };
            for found in &grant.on {
                for child in found.relations(database.tables).filter(|relation| !relation.parents.is_empty())
                {
                    let parents = ancestors(child, catalog);
                    let open =
                        open_parent(policies, policy, &parents, (&model.allow, restrict), database.tables);
                    let Some((parent, at, literal)) = open else { continue };
                    let message = format!(
                        "the restriction on `{}` does not hold for its rows in `{parent}`, which the same people may read",
                        child.name
                    );
                    let mut diagnostic = rule::PARTITION_OR_CHILD_BYPASS
                        .at(found.at, message)
                        .label(at, "granted here, without the restriction")
                        .help(format!(
                            "write the restriction on `{parent}`; it reaches every partition and child"
                        ));
                    if found.pattern.literal().is_none() && !literal {
                        diagnostic.severity = Severity::Warning;
                    }
                    sink.push(diagnostic);
                }
            }
        }
    }
}

type Open<'a> = (&'a RelationName, daam_diagnostic::Location, bool);

fn open_parent<'a>(
    policies: &'a [CheckedPolicy],
    restricted: &CheckedPolicy,
    parents: &BTreeSet<&RelationName>,
    (verbs, restrict): (&BTreeSet<daam_model::Verb>, &str),
    tables: &'a Tables<'a>,
) -> Option<Open<'a>> {
    let held = policies.iter().filter(|other| together(&other.policy.subjects, &restricted.policy.subjects));
    for other in held.clone() {
        for (grant, model) in other.grants.iter().zip(&other.policy.grants) {
            if model.allow.is_disjoint(verbs) {
                continue;
            }
            for found in &grant.on {
                let parent = found.relations(tables).find(|relation| parents.contains(&relation.name));
                let Some(parent) = parent else { continue };
                // The same words on the parent, by whomever, hold over every grant of it.
                let covered = policies
                    .iter()
                    .filter(|policy| together(&other.policy.subjects, &policy.policy.subjects));
                let same = covered.flat_map(|policy| &policy.policy.grants).any(|grant| {
                    grant.restrict.as_deref() == Some(restrict)
                        && verbs.is_subset(&grant.allow)
                        && grant.on.iter().any(|pattern| pattern.matches(&parent.name))
                });
                if !same {
                    return Some((&parent.name, found.at, found.pattern.literal().is_some()));
                }
            }
        }
    }
    None
}

fn ancestors<'a>(child: &'a Relation, catalog: &'a Catalog) -> BTreeSet<&'a RelationName> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&RelationName> = child.parents.iter().collect();
    while let Some(name) = open.pop() {
        if *name != child.name && found.insert(name) {
            open.extend(catalog.relation(name).into_iter().flat_map(|relation| &relation.parents));
        }
    }
    found
}
