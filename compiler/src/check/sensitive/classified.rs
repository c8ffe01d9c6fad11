//! What the columns of a database hold: what the team says, else what the catalogue suggests.

use crate::resolve::Reach;
use crate::rule;
use crate::sensitive::{Certainty, Classification, Facts, Table, classify_in};
use crate::syntax::classification::WrittenClassification;
use daam_catalog::{Column, Identifier, Relation, RelationName, TypeClass};
use daam_diagnostic::Sink;
use std::collections::{BTreeMap, BTreeSet, HashSet};

type Key<'a> = (&'a RelationName, &'a Identifier);

/// What is known about the columns in scope.
#[derive(Debug, Default)]
pub(crate) struct Classified<'a> {
    flagged: BTreeMap<&'a RelationName, BTreeMap<&'a Identifier, Classification>>,
    decided: BTreeSet<Key<'a>>,
}

impl<'a> Classified<'a> {
    /// Classifies every column once.
    pub(crate) fn of(reach: Reach<'a>, written: &[WrittenClassification], sink: &mut Sink) -> Self {
        let said = said(reach, written, sink);
        let mut classified = Self { flagged: BTreeMap::new(), decided: said.keys().copied().collect() };
        let mut harmless = HashSet::new();
        for relation in reach.catalog.relations.values().filter(|one| reach.scope.admits(&one.name)) {
            let table = Table::of(relation.name.name.as_str());
            let mut flagged = BTreeMap::new();
            for column in &relation.columns {
                let found = match said.get(&(&relation.name, &column.name)) {
                    Some(said) => said.class.clone(),
                    None => judged(relation, column, table, &mut harmless),
                };
                flagged.extend(found.map(|found| (&column.name, found)));
            }
            if !flagged.is_empty() {
                classified.flagged.insert(&relation.name, flagged);
            }
        }
        classified
    }

    /// The sensitive columns of a relation.
    pub(crate) fn of_relation(
        &self,
        relation: &RelationName,
    ) -> impl Iterator<Item = (&'a Identifier, &Classification)> {
        self.flagged.get(relation).into_iter().flatten().map(|(column, found)| (*column, found))
    }

    /// Whether somebody or something said what the column holds.
    pub(super) fn is_known(&self, relation: &RelationName, column: &Identifier) -> bool {
        let flagged = self.flagged.get(relation).is_some_and(|columns| columns.contains_key(column));
        flagged || self.decided.contains(&(relation, column))
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

fn said<'a>(reach: Reach<'a>, written: &[WrittenClassification], sink: &mut Sink) -> BTreeMap<Key<'a>, Said> {
    let mut out: BTreeMap<Key<'a>, Said> = BTreeMap::new();
    for entry in written {
        let found: Vec<_> = entry.on.iter().filter_map(|text| reach.columns(text, sink)).collect();
        for resolved in &found {
            let literal = resolved.pattern.relation().literal().is_some()
                && resolved.pattern.literal_column().is_some();
            let covers: Vec<_> = resolved.columns(reach.tables()).collect();
            mismatch(entry, resolved.at, &covers, sink);
            for (relation, column) in covers {
                let class = entry.is.map(|class| Classification {
                    class,
                    certainty: Certainty::Declared,
                    evidence: "`daam.yaml` says so".to_owned(),
                });
                let new = Said { literal, class };
                // What names the column outright wins; of two that do, the one that protects it.
                let wins = out.get(&(&relation.name, &column.name)).is_none_or(|old| {
                    (new.literal, new.class.is_some()) > (old.literal, old.class.is_some())
                });
                if wins {
                    out.insert((&relation.name, &column.name), new);
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
