//! The part of a schema that has a bearing on one relation.
//!
//! Masks and filters pass along views and partitions only, so a question about one relation needs no others: on a
//! schema of thousands of tables the answer is found in a few.

use daam_catalog::{Catalog, RelationName};
use std::collections::{BTreeMap, BTreeSet};

/// The relations with everything they share rows with or are read by, directly or not, and of functions those that
/// decide whether a view among them is granted.
pub fn around<'a>(catalog: &'a Catalog, relations: impl IntoIterator<Item = &'a RelationName>) -> Catalog {
    cut(catalog, kin(catalog, relations))
}

/// The names of the relations and of all they share rows with or are read by. One that was asked for stays, also where
/// the catalogue does not have it.
pub(crate) fn kin<'a>(
    catalog: &'a Catalog,
    relations: impl IntoIterator<Item = &'a RelationName>,
) -> BTreeSet<&'a RelationName> {
    let mut near: BTreeMap<&RelationName, Vec<&RelationName>> = BTreeMap::new();
    for (name, found) in &catalog.relations {
        for other in found.parents.iter().chain(found.sources()) {
            near.entry(name).or_default().push(other);
            near.entry(other).or_default().push(name);
        }
    }
    let mut seen: BTreeSet<&RelationName> = relations.into_iter().collect();
    let mut open: Vec<&RelationName> = seen.iter().copied().collect();
    while let Some(name) = open.pop() {
        for other in near.get(name).into_iter().flatten() {
            if seen.insert(other) {
                open.push(other);
            }
        }
    }
    seen
}

/// The part of a catalogue that these relations make up, with the functions that decide whether a view among them is
/// granted.
pub(crate) fn cut<'a>(catalog: &Catalog, names: impl IntoIterator<Item = &'a RelationName>) -> Catalog {
    let relations: BTreeMap<_, _> = names
        .into_iter()
        .filter_map(|name| catalog.relations.get_key_value(name))
        .map(|(name, found)| (name.clone(), found.clone()))
        .collect();
    let called = relations.values().flat_map(|found| &found.calls);
    let functions = called.filter_map(|name| catalog.functions.get_key_value(name));
    Catalog {
        functions: functions.map(|(name, found)| (name.clone(), found.clone())).collect(),
        relations,
        server: catalog.server,
        ..Catalog::default()
    }
}
