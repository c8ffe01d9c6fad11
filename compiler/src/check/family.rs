//! Restrictions on partitions and child tables, which a query of the parent would pass by.

use super::CheckedPolicy;
use super::by_person::ByPerson;
use super::project::together;
use crate::rule;
use crate::tables::{RelationId, Tables};
use daam_catalog::{Relation, RelationName};
use daam_diagnostic::{Location, Severity, Sink};
use daam_model::Verb;
use std::collections::{BTreeMap, BTreeSet};

/// Relations that have children.
#[derive(Debug, Default)]
pub(crate) struct Parents(BTreeSet<RelationId>);

impl Parents {
    /// Those of a catalogue.
    pub(crate) fn of(tables: &Tables<'_>) -> Self {
        let names = tables.iter().flat_map(|relation| &relation.parents);
        Self(names.filter_map(|name| tables.find(name)).collect())
    }

    /// Whether a policy grants, or restricts, any of them.
    pub(crate) fn covered(&self, policy: &CheckedPolicy) -> bool {
        let covers = policy.grants.iter().flat_map(|grant| &grant.on).flat_map(|found| &found.covers);
        !self.0.is_empty() && covers.into_iter().any(|id| self.0.contains(id))
    }
}

/// Whether a policy restricts a relation that has parents: only such policies can have a finding.
pub(crate) fn concerns(policy: &CheckedPolicy, tables: &Tables<'_>) -> bool {
    let restricts = policy.grants.iter().filter(|grant| grant.restricts);
    restricts.flat_map(|grant| grant.relations(tables)).any(|relation| !relation.parents.is_empty())
}

/// The policies that grant relations with children, in their order, by whom they are for.
#[derive(Debug)]
pub(crate) struct Family<'p> {
    policies: Vec<&'p CheckedPolicy>,
    by_person: ByPerson<'p>,
}

impl<'p> Family<'p> {
    /// Those of these that do.
    pub(crate) fn of(policies: impl Iterator<Item = &'p CheckedPolicy>, parents: &Parents) -> Self {
        let policies: Vec<&CheckedPolicy> = policies.filter(|policy| parents.covered(policy)).collect();
        let by_person = ByPerson::of(policies.iter().map(|policy| &policy.policy.subjects));
        Self { policies, by_person }
    }

    /// Those for people the policy is certainly for too.
    fn held(&self, restricted: &CheckedPolicy) -> Vec<&'p CheckedPolicy> {
        let subjects = &restricted.policy.subjects;
        if subjects.everyone {
            return self.policies.clone();
        }
        self.by_person
            .sharing(subjects)
            .into_iter()
            .filter_map(|place| self.policies.get(place))
            .copied()
            .collect()
    }

    /// Whether the same words restrict the parent for everyone the grant is for.
    fn restricts(
        &self,
        other: &CheckedPolicy,
        parent: &RelationName,
        words: &str,
        verbs: &BTreeSet<Verb>,
    ) -> bool {
        let covered = self.by_person.certain(&other.policy.subjects).into_iter();
        let covered = covered.filter_map(|place| self.policies.get(place));
        let covered = covered.filter(|policy| together(&other.policy.subjects, &policy.policy.subjects));
        covered.flat_map(|policy| &policy.policy.grants).any(|grant| {
            grant.restrict.as_deref() == Some(words)
                && verbs.is_subset(&grant.allow)
                && grant.on.iter().any(|pattern| pattern.matches(parent))
        })
    }
}

/// Grants on a parent whose child is restricted for the same people and the same verb, without that restriction.
pub(crate) fn bypassed(policy: &CheckedPolicy, family: &Family<'_>, tables: &Tables<'_>, sink: &mut Sink) {
    let held = family.held(policy);
    for (grant, model) in policy.grants.iter().zip(&policy.policy.grants) {
        let Some(restrict) = &model.restrict else { continue };
        // Most children have the same parents as the one before.
        let mut known: BTreeMap<BTreeSet<&RelationName>, Option<Open<'_>>> = BTreeMap::new();
        for found in &grant.on {
            for child in found.relations(tables).filter(|relation| !relation.parents.is_empty()) {
                let parents = ancestors(child, tables);
                let open = *known.entry(parents).or_insert_with_key(|parents| {
                    open_parent(&held, parents, (&model.allow, restrict), family, tables)
                });
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

type Open<'a> = (&'a RelationName, Location, bool);

fn open_parent<'a>(
    held: &[&CheckedPolicy],
    parents: &BTreeSet<&RelationName>,
    (verbs, restrict): (&BTreeSet<Verb>, &str),
    family: &Family<'_>,
    tables: &'a Tables<'a>,
) -> Option<Open<'a>> {
    for other in held {
        for (grant, model) in other.grants.iter().zip(&other.policy.grants) {
            if model.allow.is_disjoint(verbs) {
                continue;
            }
            for found in &grant.on {
                let parent = found.relations(tables).find(|relation| parents.contains(&relation.name));
                let Some(parent) = parent else { continue };
                // The same words on the parent, by whomever, hold over every grant of it.
                if !family.restricts(other, &parent.name, restrict, verbs) {
                    return Some((&parent.name, found.at, found.pattern.literal().is_some()));
                }
            }
        }
    }
    None
}

fn ancestors<'a>(child: &'a Relation, tables: &'a Tables<'a>) -> BTreeSet<&'a RelationName> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&RelationName> = child.parents.iter().collect();
    while let Some(name) = open.pop() {
        if *name != child.name && found.insert(name) {
            let relation = tables.find(name).and_then(|id| tables.relation(id));
            open.extend(relation.into_iter().flat_map(|relation| &relation.parents));
        }
    }
    found
}
