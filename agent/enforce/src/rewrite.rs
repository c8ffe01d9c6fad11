//! Statements, pointed at the session's views.
//!
//! The text is parsed by PostgreSQL's parser, every node is walked, and only the tokens that name a protected
//! relation (or a masked column of a written one) are replaced; everything else stays byte for byte. The kinds of
//! statement are a closed list. Refused, each with what would be allowed: relations and functions no policy
//! grants, anything that would create or change permanent objects, roles and privileges, server files, and the
//! constructs views cannot carry.

mod cast;
mod copy;
mod created;
mod effect;
mod explain;
mod function;
mod lock;
mod name;
mod operator;
pub(crate) mod refuse;
mod returning;
mod statement;
mod statistics;
mod target;
mod transaction;
mod walk;

pub use cast::numbered_types;
pub use effect::Effect;
pub use function::runs_text;

use crate::edit::{Edit, EditMap};
use crate::plan::SessionPlan;
use daam_catalog::{Catalog, Identifier, RelationName};
use daam_sql::token;
use std::collections::BTreeSet;
use std::sync::Arc;
use walk::Walker;

/// Columns every table has and no view does.
pub(crate) const SYSTEM_COLUMNS: [&str; 6] = ["cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"];

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
    pub(crate) const SEARCH_PATH: u16 = 1;
    pub(crate) const DISCARDS_TEMP: u16 = 1 << 1;
    pub(crate) const COPY_IN: u16 = 1 << 2;
    pub(crate) const MULTI: u16 = 1 << 3;
    pub(crate) const TRANSACTION: u16 = 1 << 4;
    pub(crate) const READ_ONLY: u16 = 1 << 5;
    pub(crate) const WRITES: u16 = 1 << 6;
    pub(crate) const EXECUTES: u16 = 1 << 7;
    pub(crate) const FIRES: u16 = 1 << 8;
    pub(crate) const MAKES: u16 = 1 << 9;

    pub(crate) fn set(&mut self, bit: u16) {
        self.bits |= bit;
    }

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

    /// It may write a protected table: what triggers say about the rows is not for the session.
    pub fn may_write_protected(self) -> bool {
        self.has(Self::WRITES) || self.has(Self::EXECUTES)
    }

    /// It writes what is seen as it is, from where triggers of what is not can be fired.
    pub fn may_fire_others(self) -> bool {
        self.has(Self::FIRES)
    }

    /// It may make something that the session has from then on: a temporary table, view, function or type.
    pub fn makes(self) -> bool {
        self.has(Self::MAKES)
    }

    /// It runs what SQL's PREPARE prepared.
    pub fn executes(self) -> bool {
        self.has(Self::EXECUTES)
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
    /// Tables that are copied into: what that goes through must exist, too (`copy_call`).
    pub copies: BTreeSet<RelationName>,
    /// What its transaction must hear before any query, the one that makes the views too.
    pub modes: Option<String>,
    /// Statements that have to run before it, in its transaction.
    pub before: Vec<String>,
    /// What the client should be told.
    pub notices: Vec<String>,
    /// What it does to the session.
    pub class: StatementClass,
    /// What each statement of the text to send does to names and transactions.
    pub effects: Arc<[Effect]>,
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
///
/// The result is checked by reading it once more: nothing in it may need rewriting.
pub fn rewrite(sql: &str, ctx: &RewriteContext<'_>) -> Result<Rewritten, Refusal> {
    daam_sql::with_depth(sql, || checked(sql, ctx))
        .unwrap_or_else(|| Err(refuse::confused("reading it failed")))
        .map_err(|refusal| refuse::completed(refusal, ctx.plan))
}

fn checked(sql: &str, ctx: &RewriteContext<'_>) -> Result<Rewritten, Refusal> {
    let first = pass(sql, ctx, false)?;
    let activate = first.activated(ctx);
    let edits = EditMap::new(first.edits).ok_or_else(|| refuse::confused("its parts overlap"))?;
    let text = edits.apply(sql).ok_or_else(|| refuse::confused("a name does not end where it should"))?;
    let mut effects = first.effects;
    if !edits.is_empty() {
        let second = pass(&text, ctx, true).map_err(|refusal| refuse::confused(&refusal.message))?;
        if !second.edits.is_empty() || !second.activate.is_empty() {
            return Err(refuse::confused("a protected table is left in it"));
        }
        // One statement may have become two.
        effects = second.effects;
    }
    Ok(Rewritten {
        sql: text,
        edits,
        activate,
        copies: first.copies,
        modes: first.modes,
        before: first.before,
        notices: first.notices,
        class: first.class,
        effects,
    })
}

/// What one reading of a text found.
struct Pass {
    edits: Vec<Edit>,
    activate: BTreeSet<RelationName>,
    copies: BTreeSet<RelationName>,
    modes: Option<String>,
    before: Vec<String>,
    notices: Vec<String>,
    class: StatementClass,
    effects: Arc<[Effect]>,
}

impl Pass {
    /// What EXECUTE reads was decided when the statement was prepared, perhaps long ago: it gets every view.
    fn activated(&self, ctx: &RewriteContext<'_>) -> BTreeSet<RelationName> {
        let every = ctx.plan.protected().keys().filter(|_| self.class.has(StatementClass::EXECUTES));
        self.activate.iter().chain(every).cloned().collect()
    }
}

/// `again`: the text has been rewritten, and is read to see that nothing is left.
fn pass(sql: &str, ctx: &RewriteContext<'_>, again: bool) -> Result<Pass, Refusal> {
    let statements = daam_sql::parse(sql).map_err(|error| refuse::unreadable(sql, &error))?;
    let tokens = token::scan(sql).map_err(|error| refuse::unreadable(sql, &error))?;
    let mut walker = Walker::new(sql, &tokens, ctx);
    walker.filtered = again.then_some(statistics::NAME);
    if statements.len() > 1 {
        walker.class.set(StatementClass::MULTI);
    }
    for statement in &statements {
        walker.top(statement)?;
    }
    if walker.runs_text.get() {
        walker.class.set(StatementClass::MAKES);
    }
    Ok(Pass {
        edits: walker.edits,
        activate: walker.activate,
        copies: walker.copies,
        modes: walker.modes,
        before: walker.ahead,
        notices: walker.notices.into_iter().collect(),
        class: walker.class,
        effects: statements.iter().map(Effect::of).collect(),
    })
}
