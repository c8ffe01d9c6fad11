//! LOCK TABLE … IN ACCESS SHARE MODE: what a dump begins with.
//!
//! PostgreSQL wants the right to read the whole table for it. Where the session has it column by column, a cursor that
//! reads no row takes the same lock until the same end: before the statement, which then locks a catalogue that everybody
//! may lock this way, or between others of one text in its place. Where the session has it through a view, the view is locked, and
//! with it PostgreSQL locks the table behind it.

use super::name::{self, Meaning, NameAt};
use super::walk::Walker;
use super::{Refusal, refuse};
use crate::plan::{Access, ViewKind, qualified_view};
use daam_model::Verb;
use daam_sql::Node;

/// `AccessShareLock`.
const ACCESS_SHARE: i64 = 1;
const CURSOR: &str = "\"daam:lock\"";

impl Walker<'_> {
    pub(crate) fn lock(&mut self, node: &Node) -> Result<(), Refusal> {
        if self.shared_lock(node)? {
            return Ok(());
        }
        let weak = node.number("mode") == ACCESS_SHARE;
        node.children("relations").try_for_each(|relation| self.lock_one(relation, weak))
    }

    /// Whether the statement was dealt with.
    fn shared_lock(&mut self, node: &Node) -> Result<bool, Refusal> {
        if node.number("mode") != ACCESS_SHARE {
            return Ok(false);
        }
        let mut reads = Vec::new();
        let mut by_column = false;
        for relation in node.children("relations") {
            let Meaning::Known(known) = name::of(self.ctx, relation) else { return Ok(false) };
            let Access::Direct(table) = self.ctx.plan.access(&known) else { return Ok(false) };
            if !table.verbs().contains_key(&Verb::Select) {
                return Ok(false);
            }
            by_column |= table.by_column;
            let only = if relation.flag("inh") { "" } else { "ONLY " };
            reads.push(format!("SELECT 1 FROM {only}{}", known.quoted()));
        }
        if !by_column {
            return Ok(false);
        }
        let cursor = format!("DECLARE {CURSOR} CURSOR FOR {}", reads.join(" UNION ALL "));
        let close = format!("CLOSE {CURSOR}");
        if !self.class.multi() {
            self.ahead.extend([cursor, close]);
            for relation in node.children("relations") {
                let at = self.named_at(relation)?;
                self.edit(at.start, at.end, "pg_catalog.pg_class");
            }
            return Ok(true);
        }
        let lost = || refuse::confused("a statement is not where it should be");
        let (start, end) = self.statement_range.ok_or_else(lost)?;
        self.edit(start, end, format!("{cursor}; {close}"));
        Ok(true)
    }

    fn lock_one(&mut self, relation: &Node, weak: bool) -> Result<(), Refusal> {
        let plan = self.ctx.plan;
        let Some(name) = self.known(relation)? else { return Ok(()) };
        match plan.access(&name) {
            Access::Direct(_) => Ok(()),
            Access::None => Err(self.at(relation, refuse::relation(plan, &name, None))),
            Access::Protected(table) if weak && table.verbs().contains_key(&Verb::Select) => {
                let NameAt { start, end, .. } = self.named_at(relation)?;
                self.activate.insert(name.clone());
                self.edit(start, end, qualified_view(ViewKind::Read, &name));
                Ok(())
            }
            Access::Protected(_) => {
                let message = format!(
                    "`LOCK TABLE` in this mode is not possible on `{name}`, because you see it through a view"
                );
                let hint = "use `lock table ... in access share mode`, or `select ... for update`";
                Err(self.at(relation, refuse::unsupported(message, hint)))
            }
        }
    }
}
