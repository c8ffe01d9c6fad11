//! Findings about one thing of one file, shared for as long as the thing stays what it is.
//!
//! Two of them that are the same list (not merely equal ones) need no second look: that is how a check after an edit
//! knows which files have the findings they had.

use daam_diagnostic::{Diagnostic, Severity, Sink, SourceId};
use std::sync::Arc;

/// What was found about something; mostly nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found(Option<Arc<[Diagnostic]>>);

impl Found {
    /// The findings one by one.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.as_deref().unwrap_or_default().iter()
    }

    /// The file they are in.
    pub(crate) fn source(&self) -> Option<SourceId> {
        self.iter().next().map(|found| found.at.source)
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether both are one list.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        }
    }

    /// The old list if it says the same.
    pub(crate) fn or_old(self, old: &Self) -> Self {
        if self.0 == old.0 { old.clone() } else { self }
    }

    /// Whether any is an error.
    pub(crate) fn has_errors(&self) -> bool {
        self.iter().any(|found| found.severity == Severity::Error)
    }
}

impl From<Vec<Diagnostic>> for Found {
    fn from(found: Vec<Diagnostic>) -> Self {
        Self((!found.is_empty()).then(|| Arc::from(found)))
    }
}

impl From<Sink> for Found {
    fn from(sink: Sink) -> Self {
        Self::from(sink.into_found())
    }
}
