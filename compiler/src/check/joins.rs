//! Foreign keys whose two sides no longer meet because one of them is masked.

use super::CheckedPolicy;
use super::covered::Covered;
use crate::preset;
use crate::rule;
use crate::tables::Tables;
use daam_catalog::{Catalog, ColumnRef};
use daam_diagnostic::Sink;
use daam_model::Mask;
use std::collections::{BTreeMap, BTreeSet};

/// Every column of a foreign key with those on the other side.
#[derive(Debug, Default)]
pub(crate) struct Pairs(BTreeMap<ColumnRef, BTreeSet<ColumnRef>>);

impl Pairs {
    /// Those of a catalogue.
    pub(crate) fn of(catalog: Option<&Catalog>) -> Self {
        let mut pairs: BTreeMap<ColumnRef, BTreeSet<ColumnRef>> = BTreeMap::new();
        for relation in catalog.into_iter().flat_map(|catalog| catalog.relations.values()) {
            for key in &relation.foreign_keys {
                for (column, referenced) in key.columns.iter().zip(&key.referenced) {
                    let one = ColumnRef { relation: relation.name.clone(), column: column.clone() };
                    let other = ColumnRef { relation: key.references.clone(), column: referenced.clone() };
                    pairs.entry(one.clone()).or_default().insert(other.clone());
                    pairs.entry(other).or_default().insert(one);
                }
            }
        }
        Self(pairs)
    }

    /// Columns of foreign keys that a policy hashes, once for every rule.
    pub(crate) fn hashed(&self, policy: &CheckedPolicy, tables: &Tables<'_>) -> Vec<ColumnRef> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let masks = policy.masks.iter().filter(|mask| mask.with == Mask::Hash);
        let columns = masks.flat_map(|mask| &mask.on).flat_map(|found| found.columns(tables));
        let columns = columns.map(|(relation, column)| ColumnRef {
            relation: relation.name.clone(),
            column: column.name.clone(),
        });
        columns.filter(|column| self.0.contains_key(column)).collect()
    }
}

/// Masks on a column of a foreign key that do not keep equality on both sides.
pub(crate) fn broken(
    policy: &CheckedPolicy,
    pairs: &Pairs,
    hashed: &Covered<ColumnRef>,
    tables: &Tables<'_>,
    sink: &mut Sink,
) {
    if pairs.0.is_empty() {
        return;
    }
    for mask in &policy.masks {
        for found in &mask.on {
            let met = found.columns(tables).find_map(|(relation, column)| {
                let column = ColumnRef { relation: relation.name.clone(), column: column.name.clone() };
                let other = pairs
                    .0
                    .get(&column)?
                    .iter()
                    .find(|other| mask.with != Mask::Hash || !hashed.contains(other))?;
                Some((column, other))
            });
            let Some((column, other)) = met else { continue };
            let message = format!(
                "`{}` on `{}.{}` breaks joins with `{}.{}`, which the foreign key between them invites",
                preset::written(&mask.with),
                column.relation,
                column.column,
                other.relation,
                other.column
            );
            sink.push(
                rule::MASK_BREAKS_JOIN
                    .at(found.at, message)
                    .help("`hash` on both columns keeps equal values equal"),
            );
        }
    }
}
