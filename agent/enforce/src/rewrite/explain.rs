//! EXPLAIN of what reads tables of which the session does not see all rows.
//!
//! ANALYZE counts the rows a filter removed, and estimates come from statistics over every row: how often a value stands
//! in hidden rows could be read off them. So ANALYZE is refused there, and estimates are left out; the plan itself is
//! shown. An object of the session's own, or a prepared statement, may stand for such a table.

use super::name::{self, Meaning};
use super::walk::Walker;
use super::{Refusal, refuse};
use crate::plan::{ProtectedTable, ViewKind, view_name};
use daam_sql::Node;

/// What is said when estimates are left out.
const WITHOUT_ESTIMATES: &str =
    "the plan is shown without estimates: they would tell of rows your row filter hides";

impl Walker<'_> {
    pub(crate) fn explain(&mut self, node: &Node) -> Result<(), Refusal> {
        self.wrapped(node)?;
        let Some(object) = self.partly_seen.take() else { return Ok(()) };
        if node.children("options").any(|option| option.text("defname") == "analyze" && is_on(option)) {
            let message =
                format!("`EXPLAIN ANALYZE` is not possible on {object}: it counts the rows you do not see");
            return Err(refuse::unsupported(message, "use `explain` without `analyze`"));
        }
        let costs = node.children("options").filter(|option| option.text("defname") == "costs").last();
        if costs.is_none_or(is_on) {
            self.notices.insert(WITHOUT_ESTIMATES.to_owned());
            self.without_costs(node)?;
        }
        Ok(())
    }

    /// Notes that the statement reads or writes a protected table.
    pub(crate) fn meets(&mut self, table: &ProtectedTable) {
        if table.is_filtered() {
            self.partly_seen = Some(format!("`{}`", table.name));
        }
    }

    /// Notes that the statement reads or writes something that is not in the catalogue.
    pub(crate) fn meets_own(&mut self, relation: &Node) {
        if !matches!(name::of(self.ctx, relation), Meaning::Temporary | Meaning::Bare) {
            return;
        }
        let own = relation.text("relname");
        let kinds = [ViewKind::Read, ViewKind::Write, ViewKind::Insert, ViewKind::Delete, ViewKind::Copy];
        let stands_for =
            |table: &&ProtectedTable| kinds.iter().any(|kind| view_name(*kind, &table.name) == own);
        match self.ctx.plan.protected().values().find(stands_for) {
            Some(table) => self.meets(table),
            None if self.ctx.plan.hides_rows() => {
                self.partly_seen = Some(format!("`{own}`, which may read a table with a row filter"));
            }
            None => {}
        }
    }

    /// Notes that the statement runs what SQL's PREPARE prepared.
    pub(crate) fn meets_prepared(&mut self) {
        if self.ctx.plan.hides_rows() {
            self.partly_seen = Some("a prepared statement".to_owned());
        }
    }

    fn without_costs(&mut self, node: &Node) -> Result<(), Refusal> {
        let lost = || refuse::confused("its options are not where they should be");
        let (start, _) = self.statement_range.ok_or_else(lost)?;
        let word = self.tokens.iter().position(|token| token.start >= start && !token.is_comment());
        let word = word.ok_or_else(lost)?;
        let mut at = self.tokens.next(word).ok_or_else(lost)?;
        let is = |at: usize, text: &str| self.tokens.get(at).is_some_and(|token| token.is(self.sql, text));
        let listed = node.children("options").next().is_some() && is(at, "(");
        let edit = if listed {
            // No option has parentheses of its own.
            while !is(at, ")") {
                at = self.tokens.next(at).ok_or_else(lost)?;
            }
            self.tokens.get(at).map(|token| (token.start, token.start, ", COSTS OFF"))
        } else if is(at, "verbose") {
            self.tokens.get(at).map(|token| (token.start, token.end, "(VERBOSE, COSTS OFF)"))
        } else {
            self.tokens.get(word).map(|token| (token.end, token.end, " (COSTS OFF)"))
        };
        let (start, end, text) = edit.ok_or_else(lost)?;
        self.edit(start, end, text);
        Ok(())
    }
}

/// Whether an option is on, as far as that is certain: what is not plainly off counts as on.
fn is_on(option: &Node) -> bool {
    option.child("arg").is_none_or(|value| {
        let word = value.text("sval").to_ascii_lowercase();
        let off = word == "off" || word == "false" || (value.is("Integer") && value.number("ival") == 0);
        !off
    })
}
