//! What a request in flight was for.

use super::checked::Checked;
use super::names::Step;
use super::trail::Ticket;
use daam_catalog::RelationName;
use daam_pgwire::Report;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Kept in the pipeline with every request sent to the database.
#[derive(Debug, Clone)]
pub(super) struct Note {
    pub(super) purpose: Purpose,
    /// The text it runs, for error positions.
    pub(super) text: Option<Arc<Checked>>,
    /// What it does to the names of statements and portals.
    pub(super) step: Option<Step>,
    /// It is in a batch of the agent's own, so that its failure is not an answer to anything of the client's.
    pub(super) apart: bool,
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
    /// Ours: something that belongs to the client's next statement, which fails as it does.
    First,
    /// Ours: something whose result does not matter.
    Quiet,
}

impl Note {
    pub(super) fn of(purpose: Purpose) -> Self {
        Self { purpose, text: None, step: None, apart: false, notices: false, ticket: None }
    }

    pub(super) fn client() -> Self {
        Self::of(Purpose::Client)
    }

    pub(super) fn with_text(text: Arc<Checked>) -> Self {
        Self { text: Some(text), ..Self::client() }
    }

    pub(super) fn step(self, step: Step) -> Self {
        Self { step: Some(step), ..self }
    }

    /// Whether the client waits for its replies.
    pub(super) fn is_clients(&self) -> bool {
        matches!(self.purpose, Purpose::Client | Purpose::Refused(_))
    }
}
