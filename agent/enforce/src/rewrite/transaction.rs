//! The modes of transactions: who may write, and when a transaction that only reads gets its views.
//!
//! In a transaction that only reads no view can be created, so they are made before it becomes one. Its isolation level
//! and whether it is deferrable must be said before any query, the agent's own too: `SET TRANSACTION` with both is taken
//! apart. Where the policy lets a session read only, asking for anything else is refused.

use super::walk::Walker;
use super::{Refusal, StatementClass, refuse};
use daam_sql::Node;

const READ_ONLY: &str = "transaction_read_only";

impl Walker<'_> {
    pub(crate) fn transaction(&mut self, node: &Node) -> Result<(), Refusal> {
        self.class.set(StatementClass::TRANSACTION);
        self.modes(node, "options")?;
        match node.choice("kind") {
            "TRANS_STMT_PREPARE" | "TRANS_STMT_COMMIT_PREPARED" | "TRANS_STMT_ROLLBACK_PREPARED" => {
                let message =
                    "two-phase commit is not possible here: the transaction would outlive the session";
                Err(refuse::denied(message, Some("use `commit`")))
            }
            _ => Ok(()),
        }
    }

    /// `SET TRANSACTION`, or what it is for the session.
    pub(crate) fn set_transaction(&mut self, node: &Node) -> Result<(), Refusal> {
        self.modes(node, "args")?;
        let of_this_one = node.text("name").eq_ignore_ascii_case("transaction");
        if !of_this_one || self.class.multi() || self.ctx.plan.protected().is_empty() {
            return Ok(());
        }
        let Some(reads) = node.children("args").filter(|mode| is_read_only(mode)).last() else {
            return Ok(());
        };
        let first: Vec<String> = node.children("args").filter_map(mode_said_first).collect();
        if first.is_empty() {
            return Ok(());
        }
        let lost = || refuse::confused("a statement is not where it should be");
        let (start, end) = self.statement_range.ok_or_else(lost)?;
        let reads = if is_on(reads) { "READ ONLY" } else { "READ WRITE" };
        self.modes = Some(format!("SET TRANSACTION {}", first.join(", ")));
        self.edit(start, end, format!("SET TRANSACTION {reads}"));
        Ok(())
    }

    fn modes(&mut self, node: &Node, field: &str) -> Result<(), Refusal> {
        for mode in node.children(field).filter(|mode| is_read_only(mode)) {
            self.class.set(StatementClass::READ_ONLY);
            if !is_on(mode) && self.only_reads() {
                return Err(self.at(node, refuse::only_reads()));
            }
        }
        Ok(())
    }

    /// Settings go back to what the session began with, perhaps under another policy: before anything else runs, the
    /// agent says again what the present one says.
    pub(crate) fn resets(&mut self, node: &Node) -> Result<(), Refusal> {
        self.class.set(StatementClass::SEARCH_PATH);
        self.class.set(StatementClass::READ_ONLY);
        if self.only_reads() && self.class.multi() {
            let message = "settings are reset by a statement of their own in sessions that only read";
            return Err(self.at(node, refuse::denied(message, Some("send the other statements separately"))));
        }
        Ok(())
    }

    /// The policy lets the session read only.
    pub(crate) fn only_reads(&self) -> bool {
        self.ctx.plan.limits().read_only == Some(true)
    }
}

fn is_read_only(mode: &Node) -> bool {
    mode.text("defname") == READ_ONLY
}

fn is_on(mode: &Node) -> bool {
    mode.child("arg").and_then(|value| value.child("ival")).is_some_and(|on| on.number("ival") != 0)
}

/// A mode that must be said before any query, as it is written.
fn mode_said_first(mode: &Node) -> Option<String> {
    match mode.text("defname") {
        "transaction_isolation" => {
            let level = mode.child("arg")?.child("sval")?.text("sval").to_ascii_uppercase();
            Some(format!("ISOLATION LEVEL {level}"))
        }
        "transaction_deferrable" if is_on(mode) => Some("DEFERRABLE".to_owned()),
        "transaction_deferrable" => Some("NOT DEFERRABLE".to_owned()),
        _ => None,
    }
}
