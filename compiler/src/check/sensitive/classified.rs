//! What the columns of a database hold: what the team says, else what the catalogue suggests.

use crate::resolve::Reach;
use crate::rule;
use crate::sensitive::{Certainty, Classification, Facts, Table, classify_in};
use crate::syntax::classification::WrittenClassification;
use crate::tables::{ColumnId, RelationId};
use daam_catalog::{Column, Relation, TypeClass};
use daam_diagnostic::Sink;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What is known about the columns in scope.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Classified {
    /// By relation, and by the place of the column in it.
    flagged: BTreeMap<RelationId, BTreeMap<usize, Classification>>,
    decided: BTreeSet<ColumnId>,
}

impl Classified {
    /// Classifies every column once.
    pub(crate) fn of(reach: Reach<'_>, written: &[WrittenClassification], sink: &mut Sink) -> Self {
        let said = said(reach, written, sink);
        let mut classified = Self { flagged: BTreeMap::new(), decided: said.keys().copied().collect() };
        let mut harmless = HashSet::new();
        for (place, relation) in reach.tables.iter().enumerate() {
            let id = RelationId::at(place);
            if !reach.is_inside(id) {
                continue;
            }
            let table = Table::of(relation.name.name.as_str());
            let mut flagged = BTreeMap::new();
            for (position, column) in relation.columns.iter().enumerate() {
                let found = match said.get(&id.column(position)) {
                    Some(said) => said.class.clone(),
                    None => judged(relation, column, table, &mut harmless),
                };
                flagged.extend(found.map(|found| (position, found)));
            }
            if !flagged.is_empty() {
                classified.flagged.insert(id, flagged);
            }
        }
        classified
    }

    /// The sensitive columns of a relation, by their places in it.
    pub(crate) fn of_relation(&self, relation: RelationId) -> impl Iterator<Item = (usize, &Classification)> {
        self.flagged.get(&relation).into_iter().flatten().map(|(position, found)| (*position, found))
    }

    /// Whether somebody or something said what the column holds.
    pub(super) fn is_known(&self, column: ColumnId) -> bool {
        let flagged = self.flagged.get(&column.relation());
        flagged.is_some_and(|columns| columns.contains_key(&column.position()))
            || self.decided.contains(&column)
    }
}

/// Most columns of a database have names that many others have: what says nothing once says nothing again.
fn judged<'a>(
    relation: &'a Relation,
    column: &'a Column,
    table: Table,
    harmless: &mut HashSet<(&'a str, &'a str, Table)>,
) -> Option<Classification> {
    let facts = Facts::of(relation, column);
    let plain = facts.comment.is_none() && facts.label.is_none() && facts.class != TypeClass::Domain;
    let key = (facts.column, facts.sql, table);
    if plain && harmless.contains(&key) {
        return None;
    }
    let found = classify_in(&facts, table);
    if plain && found.is_none() {
        harmless.insert(key);
    }
    found
}

/// What an entry of `daam.yaml` says about one column.
struct Said {
    literal: bool,
    class: Option<Classification>,
}

fn said(reach: Reach<'_>, written: &[WrittenClassification], sink: &mut Sink) -> BTreeMap<ColumnId, Said> {
    let mut out: BTreeMap<ColumnId, Said> = BTreeMap::new();
    for entry in written {
        let found: Vec<_> = entry.on.iter().filter_map(|text| reach.columns(text, sink)).collect();
        for resolved in &found {
            let literal = resolved.pattern.relation().literal().is_some()
                && resolved.pattern.literal_column().is_some();
            let covers: Vec<_> = resolved.columns(reach.tables).collect();
            mismatch(entry, resolved.at, &covers, sink);
            for column in resolved.covers.iter().copied() {
                let class = entry.is.map(|class| Classification {
                    class,
                    certainty: Certainty::Declared,
                    evidence: "`daam.yaml` says so".to_owned(),
                });
                let new = Said { literal, class };
                // What names the column outright wins; of two that do, the one that protects it.
                let wins = out.get(&column).is_none_or(|old| {
                    (new.literal, new.class.is_some()) > (old.literal, old.class.is_some())
                });
                if wins {
                    out.insert(column, new);
                }
            }
        }
    }
    out
}

fn mismatch(
    entry: &WrittenClassification,
    at: daam_diagnostic::Location,
    covers: &[(&Relation, &Column)],
    sink: &mut Sink,
) {
    let Some(class) = entry.is else { return };
    let fits = |column: &Column| class.may_be(column.data_type.class, &column.data_type.sql);
    if let Some((relation, column)) = covers.iter().find(|(_, column)| !fits(column)) {
        let message = format!(
            "`{}.{}` cannot hold {}: its type is `{}`",
            relation.name,
            column.name,
            class.noun(),
            column.data_type.sql
        );
        sink.push(
            rule::CLASSIFICATION_TYPE_MISMATCH
                .at(at, message)
                .label(entry.at, "this class")
                .help("correct the class, or use `personal` for what has no class of its own")
                .about(format!("column:{}.{}", relation.name, column.name)),
        );
    }
}
