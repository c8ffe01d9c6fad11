//! Statements, pointed at the session's views.

use crate::edit::EditMap;
use crate::plan::SessionPlan;
use daam_catalog::{Catalog, Identifier, RelationName};
use std::collections::BTreeSet;

/// What a statement is read against.
#[derive(Debug, Clone, Copy)]
pub struct RewriteContext<'a> {
    /// The session's plan.
    pub plan: &'a SessionPlan,
    /// The relations in scope.
    pub catalog: &'a Catalog,
    /// The session's schemas, in search order, without the implicit ones.
    pub search_path: &'a [Identifier],
}

/// What the proxy needs to know about a text beyond its SQL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatementClass {
    bits: u16,
}

impl StatementClass {
    const SEARCH_PATH: u16 = 1;
    const DISCARDS_TEMP: u16 = 1 << 1;
    const COPY_IN: u16 = 1 << 2;
    const MULTI: u16 = 1 << 3;
    const TRANSACTION: u16 = 1 << 4;
    const READ_ONLY: u16 = 1 << 5;

    fn has(self, bit: u16) -> bool {
        self.bits & bit != 0
    }

    /// It may change `search_path`.
    pub fn may_change_search_path(self) -> bool {
        self.has(Self::SEARCH_PATH)
    }

    /// `DISCARD ALL` or `DISCARD TEMP`: the session's functions and views are gone afterwards.
    pub fn discards_temp(self) -> bool {
        self.has(Self::DISCARDS_TEMP)
    }

    /// `COPY … FROM STDIN`.
    pub fn copy_in(self) -> bool {
        self.has(Self::COPY_IN)
    }

    /// More than one statement.
    pub fn multi(self) -> bool {
        self.has(Self::MULTI)
    }

    /// It begins, ends or divides a transaction.
    pub fn transaction_control(self) -> bool {
        self.has(Self::TRANSACTION)
    }

    /// It may make the transaction read-only, in which no view can be created: activate everything before.
    pub fn may_begin_read_only(self) -> bool {
        self.has(Self::READ_ONLY)
    }
}

/// A text that may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// The text to send.
    pub sql: String,
    /// How it differs from what the client wrote.
    pub edits: EditMap,
    /// Tables whose views must exist before it runs.
    pub activate: BTreeSet<RelationName>,
    /// What the client should be told.
    pub notices: Vec<String>,
    /// What it does to the session.
    pub class: StatementClass,
}

/// A text that must not be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The error code.
    pub sqlstate: &'static str,
    /// What was refused and why.
    pub message: String,
    /// Details.
    pub detail: Option<String>,
    /// What would be allowed.
    pub hint: Option<String>,
    /// 1-based position in characters of the original text.
    pub position: Option<usize>,
}

/// Reads a whole Query string or the text of one Parse.
pub fn rewrite(sql: &str, ctx: &RewriteContext<'_>) -> Result<Rewritten, Refusal> {
    let _ = (sql, ctx);
    Err(Refusal {
        sqlstate: "0A000",
        message: "statements cannot be checked yet".to_owned(),
        detail: None,
        hint: None,
        position: None,
    })
}
