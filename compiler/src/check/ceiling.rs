//! Request ceilings: checked as the policy of a request for all of them, and against policies and one another.

use super::policy::policy;
use super::{CheckedPolicy, Database};
use crate::load::Documents;
use crate::rule;
use crate::syntax::decode::Spanned;
use daam_diagnostic::{Location, Sink};
use daam_model::{Ceiling, Verb};
use std::collections::BTreeMap;

/// The ceilings of one database, sorted by name.
pub(crate) fn ceilings(database: &Database<'_>, documents: &Documents, sink: &mut Sink) -> Vec<Ceiling> {
    let of_database = |name: &Spanned<String>, written: &Spanned<String>| {
        (written.value == database.name).then(|| name.clone())
    };
    let mut names: BTreeMap<String, Location> = documents
        .policies
        .iter()
        .filter_map(|written| of_database(&written.name, &written.database))
        .map(|name| (name.value, name.at))
        .collect();
    let mut found = Vec::new();
    for written in documents.ceilings.iter().filter(|written| written.database.value == database.name) {
        let checked = policy(written, database, sink);
        let name = checked.name.value.clone();
        if let Some(earlier) = names.insert(name.clone(), checked.name.at) {
            sink.push(
                rule::DUPLICATE_POLICY_NAME
                    .at(checked.name.at, format!("something else of this database is called `{name}` too"))
                    .label(earlier, "here")
                    .help("approvals, audit and `explain` refer to the name; give each its own")
                    .about(format!("request-ceiling:{name}")),
            );
        }
        masks_above_nothing(&checked, database, sink);
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
fn model(checked: CheckedPolicy) -> Option<Ceiling> {
    let policy = checked.policy;
    Some(Ceiling {
        terms: policy.request?,
        name: policy.name,
        description: policy.description,
        who: policy.subjects,
        grants: policy.grants,
        masks: policy.masks,
        origin: policy.origin,
    })
}
