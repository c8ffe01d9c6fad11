//! COPY: a view cannot be copied, a query can.

use super::name::NameAt;
use super::walk::Walker;
use super::{Refusal, StatementClass, refuse};
use crate::plan::{Access, ProtectedTable, ViewKind, can_be_copied_into, copied_columns, qualified_view};
use daam_catalog::{Identifier, RelationKind, RelationName};
use daam_model::Verb;
use daam_sql::{Node, quote};

impl Walker<'_> {
    pub(crate) fn copy(&mut self, node: &Node) -> Result<(), Refusal> {
        if !node.text("filename").is_empty() || node.flag("is_program") {
            let message = "files and programs of the server cannot be copied from or to";
            return Err(refuse::denied(message, Some("use `stdin`, `stdout`, or `\\copy`")));
        }
        if let Some(query) = node.child("query") {
            return self.statement(query);
        }
        let from = node.flag("is_from");
        if from {
            self.class.set(StatementClass::COPY_IN);
        }
        if let Some(condition) = node.child("where_clause") {
            self.field(node, "where_clause", condition)?;
        }
        let Some(relation) = node.child("relation") else { return Ok(()) };
        let Some(name) = self.known(relation)? else { return Ok(()) };
        let plan = self.ctx.plan;
        let verb = if from { Verb::Insert } else { Verb::Select };
        let access = plan.access(&name);
        if !access.verbs().is_some_and(|verbs| verbs.contains_key(&verb)) {
            return Err(self.at(relation, refuse::relation(plan, &name, Some(verb))));
        }
        match access {
            Access::Protected(table) if from => self.copy_in(node, relation, &name, table),
            Access::Protected(table) => self.copy_out(node, relation, &name, table),
            Access::Direct(_) | Access::None => Ok(()),
        }
    }

    /// Into the view that stands for the table; see `plan::copy_in`.
    fn copy_in(
        &mut self,
        node: &Node,
        relation: &Node,
        name: &RelationName,
        table: &ProtectedTable,
    ) -> Result<(), Refusal> {
        if !can_be_copied_into(table) {
            let message = format!("`COPY ... FROM` into `{name}` is not possible, because it is a view");
            return Err(self.at(relation, refuse::unsupported(message, "use insert")));
        }
        let columns = copied_columns(table);
        let listed = node.children("attlist").map(|column| column.text("sval"));
        if let Some(other) = listed.into_iter().find(|it| !columns.iter().any(|known| known.as_str() == *it))
        {
            let message =
                format!("column `{other}` of `{name}` cannot be copied into: it is not granted to you");
            let granted: Vec<String> = columns.iter().map(|known| format!("`{known}`")).collect();
            let hint = format!("you may copy into {}", granted.join(", "));
            return Err(self.at(relation, refuse::denied(message, Some(&hint))));
        }
        let freeze = node.children("options").any(|option| option.text("defname") == "freeze");
        if freeze {
            let message =
                format!("`COPY ... FREEZE` is not possible on `{name}`, because you see it through a view");
            return Err(self.at(relation, refuse::unsupported(message, "leave `freeze` out")));
        }
        let NameAt { start, end, .. } = self.named_at(relation)?;
        self.class.set(StatementClass::WRITES);
        self.activate.insert(name.clone());
        self.copies.insert(name.clone());
        self.edit(start, end, qualified_view(ViewKind::Copy, name));
        Ok(())
    }

    fn copy_out(
        &mut self,
        node: &Node,
        relation: &Node,
        name: &RelationName,
        table: &ProtectedTable,
    ) -> Result<(), Refusal> {
        if table.has_children && table.kind == RelationKind::Table {
            let message = format!("`COPY {name}` is not possible: it has children");
            return Err(self.at(relation, refuse::unsupported(message, "use `copy (select ...) to`")));
        }
        let lost = || refuse::confused("the copied table is not where it should be");
        let NameAt { start, first, mut closing, .. } = self.named_at(relation)?;
        let before = self.tokens.previous(first).and_then(|at| self.tokens.get(at));
        if before.is_some_and(|token| token.is(self.sql, "binary")) {
            let message = "`COPY BINARY` is not possible on a table you see through a view";
            return Err(self.at(relation, refuse::unsupported(message, "use `with (format binary)`")));
        }
        let listed: Vec<&str> = node.children("attlist").map(|column| column.text("sval")).collect();
        if !listed.is_empty() {
            // The list has no nested parentheses: it ends with the first closing one.
            while !self.tokens.get(closing).ok_or_else(lost)?.is(self.sql, ")") {
                closing = self.tokens.next(closing).ok_or_else(lost)?;
            }
        }
        let end = self.tokens.get(closing).ok_or_else(lost)?.end;
        let columns: Vec<String> = if listed.is_empty() {
            // COPY leaves generated columns out.
            let base = self.ctx.catalog.relation(name).ok_or_else(lost)?;
            let stored = base
                .columns
                .iter()
                .filter(|column| !matches!(column.generated, daam_catalog::Generated::From(_)));
            stored
                .map(|column| &column.name)
                .filter(|column| table.reads(column))
                .map(Identifier::quoted)
                .collect()
        } else {
            listed.into_iter().map(quote::identifier).collect()
        };
        let view = qualified_view(ViewKind::Read, name);
        let alias = name.name.quoted();
        self.activate.insert(name.clone());
        self.edit(start, end, format!("(SELECT {} FROM {view} AS {alias})", columns.join(", ")));
        Ok(())
    }
}
