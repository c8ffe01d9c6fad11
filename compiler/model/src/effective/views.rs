//! Views read with their owner's rights, past every mask and filter of the subject.
//!
//! So a view that reads something hidden from the subject is not granted at all: which of its columns shows
//! the hidden value cannot be told from outside. Nor is one that calls a function with rights of its own, unless the
//! function is granted too: nobody knows what such a function reads. The refusal is recorded for `explain`.

use super::grants::Granted;
use super::masks::Masks;
use super::rows::ancestors;
use super::{RefusedGrant, RefusedReason, RelationAccess};
use crate::policy::Verb;
use daam_catalog::{Catalog, Relation, RelationKind, RelationName};
use std::collections::{BTreeMap, BTreeSet};

/// Drops the grants on views that would show hidden values or rows.
pub(super) fn refuse(granted: &mut Granted, masks: &Masks<'_>, catalog: &Catalog) {
    let families = families(catalog);
    let mut dropped = Vec::new();
    for (name, access) in &granted.relations {
        let Some(relation) = catalog.relation(name) else { continue };
        if !matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView) {
            continue;
        }
        if let Some(reason) = reason(relation, access, granted, masks, &families) {
            dropped.push((name.clone(), reason));
        }
    }
    for (name, reason) in dropped {
        let Some(access) = granted.relations.remove(&name) else { continue };
        granted.refused.extend(access.origins.into_iter().map(|origin| RefusedGrant {
            relation: name.clone(),
            reason: reason.clone(),
            origin,
        }));
    }
}

fn reason(
    view: &Relation,
    access: &RelationAccess,
    granted: &Granted,
    masks: &Masks<'_>,
    families: &BTreeMap<RelationName, BTreeSet<RelationName>>,
) -> Option<RefusedReason> {
    if let Some(read) = view.reads.iter().find(|read| masks.hides(read)) {
        return Some(RefusedReason::ReadsMasked(read.clone()));
    }
    if let Some(function) = view.calls.iter().find(|function| !granted.functions.contains(*function)) {
        return Some(RefusedReason::CallsFunction(function.clone()));
    }
    // A filter on a verb the view does not pass on hides nothing from who may read every row.
    let passes_on = |verb: &Verb| *verb == Verb::Select || access.verbs.contains_key(verb);
    let filtered = |relation: &RelationName| {
        let restricted = granted.refused.iter().any(|refused| {
            let by_child =
                matches!(&refused.reason, RefusedReason::ChildRestricted(verb, _) if passes_on(verb));
            by_child && refused.relation == *relation
        });
        let alone = granted.restricted.iter().any(|(name, verb)| name == relation && passes_on(verb));
        restricted
            || alone
            || granted.relations.get(relation).is_some_and(|read| read.rows.keys().any(passes_on))
    };
    view.sources().find_map(|read| {
        let family = families.get(read).into_iter().flatten();
        std::iter::once(read)
            .chain(family)
            .find(|relation| filtered(relation))
            .map(|relation| RefusedReason::ReadsFiltered(relation.clone()))
    })
}

/// For every relation that has any: its ancestors and descendants, which share rows with it.
fn families(catalog: &Catalog) -> BTreeMap<RelationName, BTreeSet<RelationName>> {
    let mut families: BTreeMap<RelationName, BTreeSet<RelationName>> = BTreeMap::new();
    for (name, _) in catalog.relations.iter().filter(|(_, relation)| !relation.parents.is_empty()) {
        for ancestor in ancestors(name, catalog) {
            families.entry(name.clone()).or_default().insert(ancestor.clone());
            families.entry(ancestor).or_default().insert(name.clone());
        }
    }
    families
}
