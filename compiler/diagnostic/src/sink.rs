//! Collects findings and gives them back in an order of its own.
//!
//! Order: file path, place, code, message. It depends on the findings alone, so two runs over the same files in
//! another order print the same. Exact repetitions are dropped.

use crate::code::Severity;
use crate::diagnostic::Diagnostic;
use crate::source::{SourceId, SourceMap};
use std::collections::BTreeSet;

/// Where passes report to.
#[derive(Debug, Clone, Default)]
pub struct Sink {
    found: Vec<Diagnostic>,
}

impl Sink {
    /// An empty sink.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    /// How many findings there are so far; compare two values to see whether a pass reported anything.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether any finding is an error.
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// The sources something is wrong with so far.
    pub fn sources_with_errors(&self) -> BTreeSet<SourceId> {
        let errors = self.found.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
        errors.map(|diagnostic| diagnostic.at.source).collect()
    }

    /// Whether an error was pushed after there were `before` findings.
    pub fn errors_since(&self, before: usize) -> bool {
        self.found.iter().skip(before).any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Takes several findings.
    pub fn extend(&mut self, found: impl IntoIterator<Item = Diagnostic>) {
        self.found.extend(found);
    }

    /// All findings in the order they were made.
    pub fn into_found(self) -> Vec<Diagnostic> {
        self.found
    }

    /// All findings in stable order.
    pub fn into_sorted(self, sources: &SourceMap) -> Vec<Diagnostic> {
        let mut found = self.found;
        found.sort_by(|a, b| key(a, sources).cmp(&key(b, sources)));
        found.dedup();
        found
    }
}

fn key<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> (&'a str, crate::span::Span, u16, &'a str) {
    let at = diagnostic.at;
    (sources.path(at.source), at.span, diagnostic.code.number, &diagnostic.message)
}
