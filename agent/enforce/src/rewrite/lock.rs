//! LOCK TABLE … IN ACCESS SHARE MODE: what a dump begins with.
//!
//! PostgreSQL wants the right to read the whole table for it. Where the session has it column by column, a cursor that
//! reads no row takes the same lock until the same end.

use super::name::{self, Meaning};
use super::walk::Walker;
use super::{Refusal, refuse};
use crate::plan::Access;
use daam_model::Verb;
use daam_sql::Node;

/// `AccessShareLock`.
const ACCESS_SHARE: i64 = 1;
const CURSOR: &str = "\"daam:lock\"";

impl Walker<'_> {
    /// Whether the statement was dealt with.
    pub(crate) fn shared_lock(&mut self, node: &Node) -> Result<bool, Refusal> {
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
        let lost = || refuse::confused("a statement is not where it should be");
        let (start, end) = self.statement_range.ok_or_else(lost)?;
        self.edit(
            start,
            end,
            format!("DECLARE {CURSOR} CURSOR FOR {}; CLOSE {CURSOR}", reads.join(" UNION ALL ")),
        );
        Ok(true)
    }
}
