//! What is held by anybody: a mask or restriction matters to whoever has access by any policy.

use super::Holding;
use daam_catalog::{Catalog, ColumnRef, RelationName};
use daam_model::Verb;
use std::collections::BTreeSet;

/// What the members of all classes reach between them.
#[derive(Debug, Default)]
pub struct Reached {
    /// Verbs on relations.
    pub verbs: BTreeSet<(RelationName, Verb)>,
    /// Columns that are read, directly or by a view.
    pub columns: BTreeSet<ColumnRef>,
    /// Relations read through a view somebody may read.
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
            for read in catalog.relation(relation).into_iter().flat_map(|relation| &relation.reads) {
                self.columns.insert(read.clone());
            }
            self.viewed.extend(
                catalog.relation(relation).into_iter().flat_map(daam_catalog::Relation::sources).cloned(),
            );
        }
    }
}
