//! Foreign keys whose two sides no longer meet because one of them is masked.

use super::CheckedPolicy;
use crate::preset;
use crate::rule;
use crate::tables::Tables;
use daam_catalog::{Catalog, ColumnRef};
use daam_diagnostic::Sink;
use daam_model::Mask;
use std::collections::{BTreeMap, BTreeSet};

type Pairs = BTreeMap<ColumnRef, BTreeSet<ColumnRef>>;

/// Masks on a column of a foreign key that do not keep equality on both sides.
pub(super) fn broken(policies: &[CheckedPolicy], catalog: &Catalog, tables: &Tables<'_>, sink: &mut Sink) {
    if policies.iter().all(|policy| policy.masks.is_empty()) {
        return;
    }
    let pairs = pairs(catalog);
    if pairs.is_empty() {
        return;
    }
    let hashed = hashed(policies, &pairs, tables);
    for mask in policies.iter().flat_map(|policy| &policy.masks) {
        for found in &mask.on {
            let met = found.columns(tables).find_map(|(relation, column)| {
                let column = ColumnRef { relation: relation.name.clone(), column: column.name.clone() };
                let other = pairs
                    .get(&column)?
                    .iter()
                    .find(|other| mask.with != Mask::Hash || !hashed.contains(*other))?;
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

/// Every column of a foreign key with those on the other side.
fn pairs(catalog: &Catalog) -> Pairs {
    let mut pairs = Pairs::new();
    for relation in catalog.relations.values() {
        for key in &relation.foreign_keys {
            for (column, referenced) in key.columns.iter().zip(&key.referenced) {
                let one = ColumnRef { relation: relation.name.clone(), column: column.clone() };
                let other = ColumnRef { relation: key.references.clone(), column: referenced.clone() };
                pairs.entry(one.clone()).or_default().insert(other.clone());
                pairs.entry(other).or_default().insert(one);
            }
        }
    }
    pairs
}

/// Columns of foreign keys that some rule hashes.
fn hashed(policies: &[CheckedPolicy], pairs: &Pairs, tables: &Tables<'_>) -> BTreeSet<ColumnRef> {
    policies
        .iter()
        .flat_map(|policy| &policy.masks)
        .filter(|mask| mask.with == Mask::Hash)
        .flat_map(|mask| &mask.on)
        .flat_map(|found| found.columns(tables))
        .map(|(relation, column)| ColumnRef { relation: relation.name.clone(), column: column.name.clone() })
        .filter(|column| pairs.contains_key(column))
        .collect()
}
