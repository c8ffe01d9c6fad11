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

impl Statement {
    fn size(&self) -> usize {
        self.text.original.len().saturating_add(self.types.len())
    }
}

/// The name in `DEALLOCATE [PREPARE] name`, if the text is that and nothing else.
fn named(text: &str) -> Option<String> {
    let tokens = daam_sql::token::scan(text).ok()?;
    let words: Vec<_> = tokens.iter().filter(|token| !token.is_comment() && !token.is(text, ";")).collect();
    let name = match words.as_slice() {
        [first, name] if first.is(text, "deallocate") => name,
        [first, second, name] if first.is(text, "deallocate") && second.is(text, "prepare") => name,
        _ => return None,
    };
    // A keyword may be a name, too; it is one here, in lower case.
    name.stored_name(text).or_else(|| Some(name.text(text).to_ascii_lowercase()))
}

/// The client's prepared statements and portals, as far as the protocol tells of them.
#[derive(Debug, Default)]
pub(super) struct Names {
    statements: HashMap<Bytes, Arc<Statement>>,
    /// Bytes of their texts.
    bytes: usize,
    portals: HashMap<Bytes, Arc<Statement>>,
}

impl Names {
    /// Gives the name to a statement that is being parsed.
    pub(super) fn parse(&mut self, name: &[u8], statement: Statement) -> Parsed {
        let (name, now) = (Bytes::copy_from_slice(name), Arc::new(statement));
        let before = self.statements.insert(name.clone(), Arc::clone(&now));
        self.bytes = self.bytes.saturating_add(now.size());
        self.bytes = self.bytes.saturating_sub(before.as_ref().map_or(0, |before| before.size()));
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
                self.bytes = self.bytes.saturating_add(before.size()).saturating_sub(parsed.now.size());
                self.statements.insert(parsed.name.clone(), Arc::clone(before));
            }
            _ => self.close_statement(&parsed.name),
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
        let gone = self.statements.remove(name);
        self.bytes = self.bytes.saturating_sub(gone.map_or(0, |gone| gone.size()));
    }

    /// SQL's own way of forgetting was carried out: everything, or the one statement its text names.
    pub(super) fn deallocated(&mut self, tag: &[u8], text: &str) {
        match tag {
            b"DEALLOCATE ALL" | b"DISCARD ALL" => {
                self.statements.clear();
                self.bytes = 0;
            }
            b"DEALLOCATE" => {
                if let Some(name) = named(text) {
                    self.close_statement(name.as_bytes());
                }
            }
            _ => {}
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn portals(&self) -> usize {
        self.portals.len()
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
