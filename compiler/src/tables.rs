//! Relations and columns of a catalogue by number, so that what a policy covers can be kept without borrowing.
//!
//! A number means something for one catalogue only: whoever keeps numbers forgets them when the catalogue changes.

use daam_catalog::{Catalog, Column, Function, Relation, RelationName};

/// The place of a relation in its catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RelationId(usize);

/// The place of a column in its catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ColumnId {
    relation: RelationId,
    position: usize,
}

/// All relations of a catalogue in their order.
#[derive(Debug, Default)]
pub(crate) struct Tables<'a> {
    relations: Vec<&'a Relation>,
    functions: Vec<&'a Function>,
}

impl<'a> Tables<'a> {
    /// Those of a catalogue; of none, none.
    pub(crate) fn of(catalog: Option<&'a Catalog>) -> Self {
        Self {
            relations: catalog.into_iter().flat_map(|catalog| catalog.relations.values()).collect(),
            functions: catalog.into_iter().flat_map(|catalog| catalog.functions.values()).collect(),
        }
    }

    /// All of them in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a Relation> {
        self.relations.iter().copied()
    }

    /// The place of the relation of that name; a catalogue is sorted by name.
    pub(crate) fn find(&self, name: &RelationName) -> Option<RelationId> {
        self.relations.binary_search_by(|relation| relation.name.cmp(name)).ok().map(RelationId)
    }

    /// The relation at a place.
    pub(crate) fn relation(&self, id: RelationId) -> Option<&'a Relation> {
        self.relations.get(id.0).copied()
    }

    /// The function at a place of the catalogue's order.
    pub(crate) fn function(&self, place: usize) -> Option<&'a Function> {
        self.functions.get(place).copied()
    }

    /// The column at a place, with its relation.
    pub(crate) fn column(&self, id: ColumnId) -> Option<(&'a Relation, &'a Column)> {
        let relation = self.relation(id.relation)?;
        Some((relation, relation.columns.get(id.position)?))
    }
}

impl RelationId {
    /// The relation at that place of the catalogue's order.
    pub(crate) fn at(place: usize) -> Self {
        Self(place)
    }

    /// Its place in the catalogue's order.
    pub(crate) fn place(self) -> usize {
        self.0
    }

    /// Its column at that place.
    pub(crate) fn column(self, position: usize) -> ColumnId {
        ColumnId { relation: self, position }
    }
}

impl ColumnId {
    /// Its relation.
    pub(crate) fn relation(self) -> RelationId {
        self.relation
    }

    /// Its place in the relation.
    pub(crate) fn position(self) -> usize {
        self.position
    }
}
