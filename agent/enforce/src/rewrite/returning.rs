//! RETURNING of a protected relation: masked forms under the columns' own names, and `*` spelled out.

use super::name;
use super::walk::Walker;
use super::{Refusal, refuse};
use crate::plan::{ProtectedTable, masked_name};
use daam_sql::{Node, quote};

impl Walker<'_> {
    pub(crate) fn returning(&mut self, statement: &Node, clause: &Node) -> Result<(), Refusal> {
        if let Some(target) = &mut self.target {
            target.name_rows(clause);
        }
        for option in clause.children("options") {
            self.field(clause, "options", option)?;
        }
        for item in clause.children("exprs") {
            self.returned(statement, item)?;
        }
        Ok(())
    }

    fn returned(&mut self, statement: &Node, item: &Node) -> Result<(), Refusal> {
        let (Some(target), Some(value)) = (self.target.clone(), item.child("val")) else {
            return self.children(item);
        };
        if !value.is("ColumnRef") {
            return self.children(item);
        }
        let parts: Vec<&Node> = value.children("fields").collect();
        match parts.as_slice() {
            [star] if star.is("A_Star") => {
                let list = self.all(statement, value, &target.alias, target.table)?;
                self.star(value, 1, &list)
            }
            [qualifier, star] if star.is("A_Star") && target.is_named(qualifier.text("sval")) => {
                self.star(value, 2, &columns(target.table, qualifier.text("sval")))
            }
            [schema, table, star] if star.is("A_Star") && target.is_table(schema, table) => {
                self.star(value, 3, &columns(target.table, &target.alias))
            }
            _ => {
                let before = self.edits.len();
                self.children(item)?;
                let name = parts.last().map_or("", |part| part.text("sval"));
                if item.text("name").is_empty() && self.edits.len() > before && target.table.is_masked(name) {
                    let end = self.edits.last().map_or(0, |edit| edit.end);
                    let end = self.behind_parentheses(value, parts.len()).unwrap_or(end);
                    self.edit(end, end, format!(" AS {}", quote::identifier(name)));
                }
                Ok(())
            }
        }
    }

    /// Where the outermost parentheses around a column end, if there are any.
    fn behind_parentheses(&self, column: &Node, parts: usize) -> Option<usize> {
        let first = self.tokens.at(column.location()?)?;
        let mut before = self.tokens.previous(first);
        let mut after = self.tokens.next(self.tokens.end_of_name(self.sql, first, parts)?);
        let mut end = None;
        while let (Some(opening), Some(closing)) = (before, after) {
            let (open, close) = (self.tokens.get(opening)?, self.tokens.get(closing)?);
            if !open.is(self.sql, "(") || !close.is(self.sql, ")") {
                break;
            }
            end = Some(close.end);
            before = self.tokens.previous(opening);
            after = self.tokens.next(closing);
        }
        end
    }

    /// What a bare `*` means: the target's columns and those of the other tables.
    fn all(
        &self,
        statement: &Node,
        star: &Node,
        alias: &str,
        table: &ProtectedTable,
    ) -> Result<String, Refusal> {
        let own = columns(table, alias);
        let mut others = Vec::new();
        for (_, item) in statement
            .each_child()
            .filter(|(field, _)| matches!(*field, "from_clause" | "using_clause" | "source_relation"))
        {
            let other = match item.kind() {
                "RangeVar" => name::alias(item),
                _ => item.child("alias").map_or("", |alias| alias.text("aliasname")),
            };
            if other.is_empty() {
                let message = "`returning *` cannot be expanded here";
                return Err(self.at(star, refuse::unsupported(message, "name the columns")));
            }
            others.push(format!("{}.*", quote::identifier(other)));
        }
        if statement.is("MergeStmt") {
            others.push(own);
        } else {
            others.insert(0, own);
        }
        Ok(others.join(", "))
    }

    fn star(&mut self, node: &Node, parts: usize, columns: &str) -> Result<(), Refusal> {
        let lost = || refuse::confused("a column is not where it should be");
        let start = node.location().ok_or_else(lost)?;
        let first = self.tokens.at(start).ok_or_else(lost)?;
        let closing = if parts == 1 { Some(first) } else { self.tokens.end_of_name(self.sql, first, parts) };
        let end = closing.and_then(|at| self.tokens.get(at)).ok_or_else(lost)?.end;
        self.edit(start, end, columns);
        Ok(())
    }
}

/// The readable columns of a written relation, masked ones under their own names.
fn columns(table: &ProtectedTable, alias: &str) -> String {
    let alias = quote::identifier(alias);
    let list: Vec<String> = table
        .columns()
        .iter()
        .filter(|column| table.reads(column.name()))
        .map(|column| {
            let name = column.name().quoted();
            if column.mask().is_none() {
                return format!("{alias}.{name}");
            }
            format!("{alias}.{} AS {name}", quote::identifier(&masked_name(column.name().as_str())))
        })
        .collect();
    list.join(", ")
}
