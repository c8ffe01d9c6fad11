//! What is held by anybody: a mask or restriction matters to whoever has access by any policy.

use super::Holding;
use daam_catalog::{Catalog, ColumnRef, Relation, RelationName};
use daam_model::Verb;
use std::collections::BTreeSet;

/// What the members of all classes reach between them.
#[derive(Debug, Default)]
pub struct Reached {
    /// Verbs on relations.
    pub verbs: BTreeSet<(RelationName, Verb)>,
    /// Columns that are read, directly or by a view.
    pub columns: BTreeSet<ColumnRef>,
    /// Relations whose filters or restrictions have a say elsewhere: a view somebody may read reads them, or they
    /// are parents or children of what somebody reaches.
    pub viewed: BTreeSet<RelationName>,
}

impl Reached {
    /// Adds what one class holds.
    pub fn add(&mut self, holding: &Holding, catalog: &Catalog) {
        for ((relation, verb), access) in &holding.access {
            self.verbs.insert((relation.clone(), *verb));
            if *verb == Verb::Select {
                self.columns.extend(
                    access
                        .columns
                        .keys()
                        .map(|column| ColumnRef { relation: relation.clone(), column: column.clone() }),
                );
            }
            let found = catalog.relation(relation);
            for read in found.into_iter().flat_map(|relation| &relation.reads) {
                self.columns.insert(read.clone());
            }
            self.viewed.extend(found.into_iter().flat_map(Relation::sources).cloned());
            // What filters a parent filters its children, for whoever reaches those by another policy.
            for parent in found.into_iter().flat_map(|relation| ancestors(relation, catalog)) {
                if !holding.has(parent, *verb) {
                    self.viewed.insert(parent.clone());
                }
            }
        }
    }

    /// Once everything is added: a restriction of a child takes its parent away, and filters of both close views
    /// over either.
    pub fn close(&mut self, catalog: &Catalog) {
        let held: BTreeSet<RelationName> = self.verbs.iter().map(|(relation, _)| relation.clone()).collect();
        let read = self.viewed.clone();
        for (name, relation) in &catalog.relations {
            for parent in ancestors(relation, catalog) {
                if held.contains(parent) || read.contains(parent) {
                    self.viewed.insert(name.clone());
                }
                if read.contains(name) {
                    self.viewed.insert(parent.clone());
                }
            }
        }
    }
}

/// Every relation this one is a partition or child of, directly or not.
pub(super) fn ancestors<'a>(relation: &'a Relation, catalog: &'a Catalog) -> BTreeSet<&'a RelationName> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&RelationName> = relation.parents.iter().collect();
    while let Some(name) = open.pop() {
        if *name != relation.name && found.insert(name) {
            open.extend(catalog.relation(name).into_iter().flat_map(|relation| &relation.parents));
        }
    }
    found
}
