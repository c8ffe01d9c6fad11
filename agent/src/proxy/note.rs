//! What a request in flight was for, and the statements behind names.

use super::checked::Checked;
use super::trail::Ticket;
use bytes::Bytes;
use daam_catalog::RelationName;
use daam_pgwire::Report;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Kept in the pipeline with every request sent to the database.
#[derive(Debug, Clone)]
pub(super) struct Note {
    pub(super) purpose: Purpose,
    /// The text it runs, for error positions.
    pub(super) text: Option<Arc<Checked>>,
    /// The name a `Parse` gave away, and what had it before.
    pub(super) parsed: Option<Parsed>,
    /// What to tell the client with it.
    pub(super) notices: bool,
    /// What the audit knows it by.
    pub(super) ticket: Option<Ticket>,
}

/// Whose request it is.
#[derive(Debug, Clone)]
pub(super) enum Purpose {
    /// The client's; replies go to it.
    Client,
    /// The client's, but refused: a text that fails stands in its place, and this is the error it gets.
    Refused(Arc<Report>),
    /// Ours: the views of these tables. Its last message says so.
    Activate(Arc<BTreeSet<RelationName>>),
    /// Ours: the current schemas.
    Path,
    /// Ours: something whose result does not matter.
    Quiet,
}

impl Note {
    pub(super) fn of(purpose: Purpose) -> Self {
        Self { purpose, text: None, parsed: None, notices: false, ticket: None }
    }

    pub(super) fn client() -> Self {
        Self::of(Purpose::Client)
    }

    pub(super) fn with_text(text: Arc<Checked>) -> Self {
        Self { text: Some(text), ..Self::client() }
    }

    /// Whether the client waits for its replies.
    pub(super) fn is_clients(&self) -> bool {
        matches!(self.purpose, Purpose::Client | Purpose::Refused(_))
    }
}

/// A `Parse` in flight.
#[derive(Debug, Clone)]
pub(super) struct Parsed {
    pub(super) name: Bytes,
    pub(super) before: Option<Arc<Statement>>,
    pub(super) now: Arc<Statement>,
}

/// A prepared statement.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub(super) text: Arc<Checked>,
    /// Its parameter types as the client gave them.
    pub(super) types: Bytes,
}

/// The client's prepared statements and portals, as far as the protocol tells of them.
#[derive(Debug, Default)]
pub(super) struct Names {
    statements: HashMap<Bytes, Arc<Statement>>,
    portals: HashMap<Bytes, Arc<Statement>>,
}

impl Names {
    /// Gives the name to a statement that is being parsed.
    pub(super) fn parse(&mut self, name: &[u8], statement: Statement) -> Parsed {
        let (name, now) = (Bytes::copy_from_slice(name), Arc::new(statement));
        let before = self.statements.insert(name.clone(), Arc::clone(&now));
        Parsed { name, before, now }
    }

    /// The `Parse` failed or was skipped.
    pub(super) fn parse_failed(&mut self, parsed: &Parsed) {
        let current = self.statements.get(&parsed.name);
        if !current.is_some_and(|current| Arc::ptr_eq(current, &parsed.now)) {
            return;
        }
        // An unnamed statement is gone even when its successor fails.
        match &parsed.before {
            Some(before) if !parsed.name.is_empty() => {
                self.statements.insert(parsed.name.clone(), Arc::clone(before));
            }
            _ => {
                self.statements.remove(&parsed.name);
            }
        }
    }

    /// Binds a portal; what it will run, if it is known.
    pub(super) fn bind(&mut self, portal: &[u8], statement: &[u8]) {
        match self.statements.get(statement) {
            Some(found) => self.portals.insert(Bytes::copy_from_slice(portal), Arc::clone(found)),
            None => self.portals.remove(portal),
        };
    }

    pub(super) fn statement(&self, name: &[u8]) -> Option<Arc<Statement>> {
        self.statements.get(name).cloned()
    }

    pub(super) fn portal(&self, name: &[u8]) -> Option<Arc<Statement>> {
        self.portals.get(name).cloned()
    }

    pub(super) fn close_statement(&mut self, name: &[u8]) {
        self.statements.remove(name);
    }

    pub(super) fn close_portal(&mut self, name: &[u8]) {
        self.portals.remove(name);
    }

    /// The transaction is over, and its portals with it.
    pub(super) fn transaction_ended(&mut self) {
        self.portals.clear();
    }

    pub(super) fn count(&self) -> usize {
        self.statements.len()
    }
}
