//! Request ceilings: checked as the policy of a request for all of them, and against policies and one another.

use super::policy::policy;
use super::{CheckedPolicy, Database};
use crate::rule;
use crate::syntax::policy::WrittenPolicy;
use daam_diagnostic::{Location, Sink};
use daam_model::{Ceiling, Verb};
use std::collections::BTreeMap;

/// One ceiling, by itself.
pub(crate) fn ceiling(written: &WrittenPolicy, database: &Database<'_>, sink: &mut Sink) -> CheckedPolicy {
    let checked = policy(written, database, sink);
    masks_above_nothing(&checked, database, sink);
    checked
}

/// The ceilings of one database, sorted by name. `named` says where a policy of a name is.
pub(crate) fn ceilings<'c>(
    checked: impl Iterator<Item = &'c CheckedPolicy>,
    named: impl Fn(&str) -> Option<Location>,
    sink: &mut Sink,
) -> Vec<Ceiling> {
    let mut places: BTreeMap<&str, Location> = BTreeMap::new();
    let mut found = Vec::new();
    for checked in checked {
        let name = checked.name.value.as_str();
        if let Some(earlier) = places.insert(name, checked.name.at).or_else(|| named(name)) {
            sink.push(
                rule::DUPLICATE_POLICY_NAME
                    .at(checked.name.at, format!("something else of this database is called `{name}` too"))
                    .label(earlier, "here")
                    .help("approvals, audit and `explain` refer to the name; give each its own")
                    .about(format!("request-ceiling:{name}")),
            );
        }
        found.extend(model(checked));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// A mask over columns that cannot be asked for.
fn masks_above_nothing(ceiling: &CheckedPolicy, database: &Database<'_>, sink: &mut Sink) {
    let readable = |relation: &daam_catalog::Relation| {
        let reading = ceiling.grants.iter().filter(|grant| grant.allow.contains(&Verb::Select));
        reading
            .flat_map(|grant| grant.relations(database.tables))
            .any(|granted| granted.name == relation.name)
    };
    for found in ceiling.masks.iter().flat_map(|mask| &mask.on) {
        if !found.columns(database.tables).any(|(relation, _)| readable(relation)) {
            let message = format!("nothing `{}` covers can be asked for to `select`", found.pattern);
            sink.push(rule::MASK_NOT_GRANTED.at(found.at, message));
        }
    }
}

/// Nothing where the terms were refused.
fn model(checked: &CheckedPolicy) -> Option<Ceiling> {
    let policy = &checked.policy;
    Some(Ceiling {
        terms: policy.request.clone()?,
        name: policy.name.clone(),
        description: policy.description.clone(),
        who: policy.subjects.clone(),
        grants: policy.grants.clone(),
        masks: policy.masks.clone(),
        origin: policy.origin.clone(),
    })
}
