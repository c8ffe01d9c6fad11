//! INSERT, UPDATE, DELETE and MERGE: the view that is written, and the masked columns that are read beside it.

use super::name;
use super::walk::Walker;
use super::{Refusal, StatementClass, refuse};
use crate::plan::{Access, ProtectedTable, ViewKind, masked_name, qualified_view};
use daam_catalog::{Relation, RelationName};
use daam_model::Verb;
use daam_sql::{Node, quote};
use std::collections::BTreeSet;

/// The protected relation a statement writes, seen from inside the statement.
#[derive(Debug, Clone)]
pub(crate) struct Target<'a> {
    pub(crate) alias: String,
    pub(crate) table: &'a ProtectedTable,
    /// In a subquery a bare name may belong to the subquery's own tables.
    qualified_only: bool,
    hidden: bool,
    /// The names RETURNING has for the row before and after.
    rows: [String; 2],
}

impl Target<'_> {
    /// Takes the names `RETURNING WITH (OLD AS o, NEW AS n)` gives.
    pub(crate) fn name_rows(&mut self, clause: &Node) {
        let [old, new] = &mut self.rows;
        for option in clause.children("options") {
            let named = if option.choice("option") == "RETURNING_OPTION_OLD" { &mut *old } else { &mut *new };
            option.text("value").clone_into(named);
        }
    }

    /// Whether a qualifier means the written row.
    pub(crate) fn is_named(&self, qualifier: &str) -> bool {
        qualifier == self.alias || self.rows.iter().any(|name| name == qualifier)
    }

    /// Whether a qualified name means the written relation.
    pub(crate) fn is_table(&self, schema: &Node, table: &Node) -> bool {
        let name = &self.table.name;
        schema.text("sval") == name.schema.as_str()
            && table.text("sval") == name.name.as_str()
            && self.alias == name.name.as_str()
    }

    /// Goes into a subquery: its own tables may take the target's name.
    pub(crate) fn enter(&mut self, select: &Node) {
        self.qualified_only = true;
        let taken = select.children("from_clause").any(|item| names(item, &self.alias));
        self.hidden |= taken;
        for row in &mut self.rows {
            if select.children("from_clause").any(|item| names(item, row)) {
                row.clear();
            }
        }
    }
}

/// Whether a FROM item, or an item joined in it, has that name.
fn names(item: &Node, alias: &str) -> bool {
    match item.kind() {
        "RangeVar" => name::alias(item) == alias,
        "JoinExpr" => {
            item.child("alias").is_some_and(|own| own.text("aliasname") == alias)
                || item
                    .each_child()
                    .any(|(field, side)| matches!(field, "larg" | "rarg") && names(side, alias))
        }
        _ => item.child("alias").is_some_and(|own| own.text("aliasname") == alias),
    }
}

impl<'a> Walker<'a> {
    pub(crate) fn write(&mut self, node: &Node) -> Result<(), Refusal> {
        let outer = self.target.take();
        let result = self.with(node, |walker| walker.write_inside(node));
        self.target = outer;
        result
    }

    fn write_inside(&mut self, node: &Node) -> Result<(), Refusal> {
        let target = match node.child("relation") {
            Some(relation) => self.written(node, relation)?,
            None => None,
        };
        for (field, child) in node.each_child() {
            match field {
                "with_clause" | "relation" => {}
                // The values of SET and the rows to insert read raw columns or none: PostgreSQL decides.
                "target_list" | "select_stmt" | "from_clause" | "using_clause" | "source_relation"
                | "cols" => {
                    self.target = None;
                    self.field(node, field, child)?;
                }
                "on_conflict_clause" => self.conflict(node, child, target.as_ref())?,
                "merge_when_clauses" => {
                    self.target.clone_from(&target);
                    self.merge_clause(child)?;
                }
                "returning_clause" => {
                    self.target.clone_from(&target);
                    self.returning(node, child)?;
                }
                _ => {
                    self.target.clone_from(&target);
                    self.field(node, field, child)?;
                }
            }
        }
        self.target = None;
        Ok(())
    }

    /// Checks and replaces the relation that is written.
    fn written(&mut self, node: &Node, relation: &Node) -> Result<Option<Target<'a>>, Refusal> {
        let verbs = verbs(node);
        let plan = self.ctx.plan;
        if relation.text("relname") == "pg_settings" {
            let message = "settings cannot be changed through `pg_settings` here";
            return Err(self.at(relation, refuse::denied(message, Some("use `set`"))));
        }
        let Some(name) = self.known(relation)? else {
            // Something of the session's own, and perhaps a view of a protected table.
            self.class.set(StatementClass::WRITES);
            self.meets_own(relation);
            return Ok(None);
        };
        let access = plan.access(&name);
        for verb in &verbs {
            if !access.verbs().is_some_and(|granted| granted.contains_key(verb)) {
                return Err(self.at(relation, refuse::relation(plan, &name, Some(*verb))));
            }
        }
        let Access::Protected(table) = access else {
            if self.fires_others(&name) {
                self.class.set(StatementClass::FIRES);
            }
            return Ok(None);
        };
        if !relation.flag("inh") && table.has_children {
            let message = format!("`only` is not possible on `{name}`: it has partitions or children");
            return Err(self.at(relation, refuse::unsupported(message, "leave `only` out")));
        }
        self.class.set(StatementClass::WRITES);
        self.meets(table);
        let view = self.view(node, relation, table, &verbs)?;
        self.activate.insert(name.clone());
        self.replace(relation, &qualified_view(view, &name), None)?;
        let alias = name::alias(relation).to_owned();
        let others = |field: &str| matches!(field, "from_clause" | "using_clause" | "source_relation");
        let row = |name: &str| {
            let taken = node.each_child().any(|(field, item)| others(field) && names(item, name));
            let meant = self.ctx.catalog.server.major() >= 18 && !taken;
            if meant { name.to_owned() } else { String::new() }
        };
        let rows = [row("old"), row("new")];
        Ok(Some(Target { alias, table, qualified_only: false, hidden: false, rows }))
    }

    /// Whether a write can reach, by keys that refer to the table or by triggers of it, a relation with triggers of whose
    /// rows not everything is seen.
    fn fires_others(&self, written: &RelationName) -> bool {
        let relations = &self.ctx.catalog.relations;
        let hidden = |name: &RelationName| !matches!(self.ctx.plan.access(name), Access::Direct(table) if table.verbs().contains_key(&Verb::Select));
        if relations.get(written).is_some_and(|relation| relation.triggers) {
            return relations.values().any(|relation| relation.triggers && hidden(&relation.name));
        }
        let mut reached = BTreeSet::from([written]);
        let mut open = vec![written];
        while let Some(name) = open.pop() {
            let refers =
                |relation: &&Relation| relation.foreign_keys.iter().any(|key| key.references == *name);
            for relation in relations.values().filter(refers) {
                if relation.triggers && hidden(&relation.name) {
                    return true;
                }
                if reached.insert(&relation.name) {
                    open.push(&relation.name);
                }
            }
        }
        false
    }

    fn view(
        &self,
        node: &Node,
        relation: &Node,
        table: &ProtectedTable,
        verbs: &[Verb],
    ) -> Result<ViewKind, Refusal> {
        let name = &table.name;
        let filtered = "the rows you may see are filtered";
        if node.is("MergeStmt") && self.ctx.catalog.server.major() < 17 {
            let message = format!(
                "`MERGE` into `{name}` needs PostgreSQL 17 or later, because you see it through a view"
            );
            return Err(self.at(relation, refuse::unsupported(message, "use insert, update and delete")));
        }
        let mut kinds = verbs.iter().map(|verb| table.view_for(*verb));
        let kind = kinds.next().unwrap_or(ViewKind::Write);
        if kinds.any(|other| other != kind) {
            let message = format!("one `MERGE` cannot do all of this to `{name}`: {filtered}");
            return Err(self.at(relation, refuse::unsupported(message, "use separate statements")));
        }
        Ok(kind)
    }

    fn conflict(&mut self, node: &Node, clause: &Node, target: Option<&Target<'a>>) -> Result<(), Refusal> {
        let updates = clause.choice("action") == "ONCONFLICT_UPDATE";
        if let (Some(target), Some(infer)) = (target, clause.child("infer")) {
            self.arbiter(clause, infer, target.table)?;
        }
        if let Some(target) = target
            && updates
        {
            let name: &RelationName = &target.table.name;
            if target.table.is_filtered() {
                let message = format!(
                    "`ON CONFLICT DO UPDATE` is not possible on `{name}`: the rows you may see are filtered"
                );
                let hint = "use `on conflict do nothing`, or a separate update";
                return Err(self.at(clause, refuse::unsupported(message, hint)));
            }
            self.excluded(clause, target.table)?;
        } else if updates && let Some(relation) = node.child("relation") {
            self.needs(relation, Verb::Update)?;
        }
        for (field, child) in clause.each_child() {
            self.target = (field == "where_clause").then(|| target.cloned()).flatten();
            self.field(clause, field, child)?;
        }
        Ok(())
    }

    /// PostgreSQL finds constraints by name only on tables, and asks for the right to read the columns of an index.
    fn arbiter(&self, clause: &Node, infer: &Node, table: &ProtectedTable) -> Result<(), Refusal> {
        if !infer.text("conname").is_empty() {
            let message = format!(
                "`ON CONFLICT ON CONSTRAINT` is not possible on `{}`, because you see it through a view",
                table.name
            );
            let hint = "name the columns of the constraint, or leave both out with `do nothing`";
            return Err(self.at(clause, refuse::unsupported(message, hint)));
        }
        let mut columns = infer.children("index_elems").map(|element| element.text("name"));
        if let Some(column) = columns.find(|column| table.is_masked(column)) {
            let message = format!(
                "`ON CONFLICT ({column})` is not possible on `{}`: PostgreSQL asks for the right to read `{column}`, \
                 which is masked for you",
                table.name
            );
            let hint = "use `on conflict do nothing` without columns, or a key that is not masked";
            return Err(self.at(clause, refuse::denied(message, Some(hint))));
        }
        Ok(())
    }

    /// Refuses a write the policy does not grant on a relation that is written directly.
    fn needs(&self, relation: &Node, verb: Verb) -> Result<(), Refusal> {
        let name::Meaning::Known(known) = name::of(self.ctx, relation) else { return Ok(()) };
        let granted = self.ctx.plan.access(&known).verbs().is_some_and(|verbs| verbs.contains_key(&verb));
        if granted {
            Ok(())
        } else {
            Err(self.at(relation, refuse::relation(self.ctx.plan, &known, Some(verb))))
        }
    }

    fn excluded(&self, node: &Node, table: &ProtectedTable) -> Result<(), Refusal> {
        if let Some(["excluded", column]) =
            node.is("ColumnRef").then(|| node.strings("fields")).flatten().as_deref()
            && table.is_masked(column)
        {
            let message = format!(
                "`excluded.{column}` cannot be used: PostgreSQL asks for the right to read `{column}`, which is masked for you"
            );
            return Err(self.at(node, refuse::denied(message, Some("use a parameter or a constant instead"))));
        }
        node.each_child().try_for_each(|(_, child)| self.excluded(child, table))
    }

    fn merge_clause(&mut self, clause: &Node) -> Result<(), Refusal> {
        let target = self.target.clone();
        for (field, child) in clause.each_child() {
            self.target = (field == "condition").then(|| target.clone()).flatten();
            self.field(clause, field, child)?;
        }
        self.target = target;
        Ok(())
    }

    /// Points a reference to a masked column of the written relation at its masked form. Says whether it did.
    pub(crate) fn masked_column(&mut self, node: &Node, parts: &[&str]) -> Result<bool, Refusal> {
        let Some(target) = self.target.clone().filter(|target| !target.hidden) else { return Ok(false) };
        let (Some(column), qualifier) = (parts.last(), parts.iter().rev().nth(1)) else { return Ok(false) };
        let meant = match qualifier {
            None => !target.qualified_only,
            Some(qualifier) => target.is_named(qualifier),
        };
        if !meant || !target.table.is_masked(column) {
            return Ok(false);
        }
        let lost = || refuse::confused("a column is not where it should be");
        let first = node.location().and_then(|start| self.tokens.at(start)).ok_or_else(lost)?;
        let closing = self.tokens.end_of_name(self.sql, first, parts.len()).ok_or_else(lost)?;
        let begin = match parts.len().checked_sub(1) {
            Some(before) if before > 0 => {
                let dot =
                    self.tokens.end_of_name(self.sql, first, before).and_then(|at| self.tokens.next(at));
                dot.and_then(|dot| self.tokens.next(dot)).ok_or_else(lost)?
            }
            _ => first,
        };
        let (begin, end) =
            (self.tokens.get(begin).ok_or_else(lost)?, self.tokens.get(closing).ok_or_else(lost)?);
        self.edit(begin.start, end.end, quote::identifier(&masked_name(column)));
        Ok(true)
    }
}

/// What a statement does to its target.
fn verbs(node: &Node) -> Vec<Verb> {
    match node.kind() {
        "InsertStmt" => vec![Verb::Insert],
        "UpdateStmt" => vec![Verb::Update],
        "DeleteStmt" => vec![Verb::Delete],
        _ => {
            let clauses = node.children("merge_when_clauses");
            let mut verbs: Vec<Verb> = clauses
                .filter_map(|clause| match clause.choice("command_type") {
                    "CMD_INSERT" => Some(Verb::Insert),
                    "CMD_UPDATE" => Some(Verb::Update),
                    "CMD_DELETE" => Some(Verb::Delete),
                    _ => None,
                })
                .collect();
            verbs.sort_unstable();
            verbs.dedup();
            verbs
        }
    }
}
