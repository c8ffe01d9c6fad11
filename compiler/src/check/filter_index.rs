//! Filters that PostgreSQL can only evaluate row by row: a large table, and no index begins with a column they compare.

use super::Database;
use super::filter::place;
use crate::rule;
use crate::syntax::decode::Spanned;
use daam_catalog::{Identifier, Relation, RowClass};
use daam_diagnostic::Sink;
use daam_sql::Filter;
use std::collections::BTreeSet;

/// Reports the first large relation the filter has no index for; one finding a filter is enough.
pub(super) fn unindexed(
    filter: &Filter,
    text: &Spanned<String>,
    relations: &[&Relation],
    database: &Database<'_>,
    sink: &mut Sink,
) {
    let uses = filter.columns();
    let Some(first) = uses.first() else { return };
    let columns: BTreeSet<&Identifier> = uses.iter().map(|used| &used.name).collect();
    // Views and foreign tables have no indexes of their own, and a partitioned table those of its partitions.
    let searched = |relation: &&&Relation| relation.size == RowClass::Large && !relation.indexes.is_empty();
    let lacks = |relation: &&&Relation| {
        !relation.indexes.iter().any(|index| index.first().is_some_and(|column| columns.contains(column)))
    };
    let Some(relation) = relations.iter().filter(searched).find(lacks) else { return };
    let names: Vec<String> = columns.iter().map(|column| format!("`{column}`")).collect();
    let message = format!(
        "every query reads all of `{}`, which is large: no index of it begins with {}",
        relation.name,
        names.join(" or ")
    );
    sink.push(
        rule::FILTER_UNINDEXED
            .at(place(database.sources, text, first.offset), message)
            .help(format!("create an index, e.g. on `{}` (`{}`)", relation.name, first.name)),
    );
}
