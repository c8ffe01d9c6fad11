//! Which masked columns a statement names.
//!
//! By names alone, and rather too many than too few: a column counts if its name is written anywhere, and every masked
//! column of a table counts where the text says *all of it* (`*`, `TABLE t`, `NATURAL JOIN`, the row as a value, an
//! `INSERT` or `COPY` without a list). What a prepared statement reads is counted where it is prepared.

use crate::plan::SessionPlan;
use daam_catalog::{Identifier, RelationName};
use daam_sql::Node;
use std::collections::BTreeSet;

/// The masked columns of these protected tables that the text names.
pub fn masked_columns(
    sql: &str,
    plan: &SessionPlan,
    tables: &BTreeSet<RelationName>,
) -> BTreeSet<(RelationName, Identifier)> {
    let protected = || tables.iter().filter_map(|name| Some((name, plan.protected().get(name)?)));
    if !protected().any(|(_, table)| table.columns.iter().any(|column| column.mask.is_some())) {
        return BTreeSet::new();
    }
    daam_sql::with_depth(sql, || named(sql, plan, tables)).unwrap_or_default()
}

fn named(
    sql: &str,
    plan: &SessionPlan,
    tables: &BTreeSet<RelationName>,
) -> BTreeSet<(RelationName, Identifier)> {
    let protected = || tables.iter().filter_map(|name| Some((name, plan.protected().get(name)?)));
    // A text that cannot be read was refused long before.
    let statements = daam_sql::parse(sql).unwrap_or_default();
    let mut said = Said::default();
    let mut open: Vec<&Node> = statements.iter().collect();
    while let Some(node) = open.pop() {
        said.hear(node);
        open.extend(node.each_child().map(|(_, child)| child));
    }
    let all = said.all || said.values.intersection(&said.tables).next().is_some();
    protected()
        .flat_map(|(name, table)| table.columns.iter().map(move |column| (name, column)))
        .filter(|(_, column)| column.mask.is_some())
        .filter(|(_, column)| all || said.names.contains(column.name.as_str()))
        .map(|(name, column)| (name.clone(), column.name.clone()))
        .collect()
}

#[derive(Default)]
struct Said<'a> {
    names: BTreeSet<&'a str>,
    /// Last names of what stands where a column stands.
    values: BTreeSet<&'a str>,
    /// Tables and what they are called here: one of these as a value is the whole row.
    tables: BTreeSet<&'a str>,
    all: bool,
}

impl<'a> Said<'a> {
    fn hear(&mut self, node: &'a Node) {
        match node.kind() {
            "ColumnRef" => {
                self.all |= node.children("fields").any(|part| part.is("A_Star"));
                self.values.extend(node.children("fields").last().map(|part| part.text("sval")));
            }
            "String" => drop(self.names.insert(node.text("sval"))),
            "ResTarget" => drop(self.names.insert(node.text("name"))),
            "RangeVar" => drop(self.tables.insert(node.text("relname"))),
            "Alias" => drop(self.tables.insert(node.text("aliasname"))),
            "JoinExpr" => self.all |= node.flag("is_natural"),
            "InsertStmt" => self.all |= !node.has("cols"),
            "CopyStmt" => self.all |= node.has("relation") && !node.has("attlist"),
            _ => {}
        }
    }
}
