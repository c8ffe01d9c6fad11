//! The compiler's answers in the words of the protocol.

use super::place::Unit;
use daam_compiler::editor::{Completion, CompletionKind};
use daam_diagnostic::{Applicability, Diagnostic as Finding, Location, Severity, SourceMap};
use std::path::Path;
use tower_lsp_server::ls_types::{
    CodeAction, CodeActionKind, CompletionItem, CompletionItemKind, CompletionTextEdit, Diagnostic,
    DiagnosticRelatedInformation, DiagnosticSeverity, Location as Place, NumberOrString, TextEdit, Uri,
    WorkspaceEdit,
};

/// Who speaks, in the list of problems.
const SOURCE: &str = "daam";

/// Where the project is, and how its editor counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) root: &'a Path,
    pub(super) unit: Unit,
}

impl Frame<'_> {
    pub(super) fn uri(&self, path: &str) -> Option<Uri> {
        Uri::from_file_path(self.root.join(path))
    }

    pub(super) fn place(&self, sources: &SourceMap, at: Location) -> Option<Place> {
        let range = self.unit.range(sources.text(at.source), at.span);
        Some(Place { uri: self.uri(sources.path(at.source))?, range })
    }

    /// A finding with what would be right, and the other places it is about.
    pub(super) fn diagnostic(&self, found: &Finding, sources: &SourceMap) -> Diagnostic {
        let help = found.help.iter().map(|help| format!("\nhelp: {help}"));
        let message = std::iter::once(found.message.clone()).chain(help).collect::<Vec<_>>().concat();
        let related = found.labels.iter().filter_map(|label| {
            let location = self.place(sources, label.at)?;
            Some(DiagnosticRelatedInformation { location, message: label.text.clone() })
        });
        Diagnostic {
            range: self.unit.range(sources.text(found.at.source), found.at.span),
            severity: Some(match found.severity {
                Severity::Error => DiagnosticSeverity::ERROR,
                Severity::Warning => DiagnosticSeverity::WARNING,
                Severity::Info => DiagnosticSeverity::INFORMATION,
            }),
            code: Some(NumberOrString::String(format!("{} {}", found.code, found.code.slug))),
            source: Some(SOURCE.to_owned()),
            message,
            related_information: Some(related.collect()),
            ..Diagnostic::default()
        }
    }

    /// The repairs of a finding.
    pub(super) fn repairs(&self, found: &Finding, sources: &SourceMap) -> Vec<CodeAction> {
        let action = |fix: &daam_diagnostic::Fix| {
            let mut changes = std::collections::HashMap::new();
            for edit in &fix.edits {
                let place = self.place(sources, edit.at)?;
                let edits: &mut Vec<TextEdit> = changes.entry(place.uri).or_default();
                edits.push(TextEdit { range: place.range, new_text: edit.text.clone() });
            }
            let shown: Vec<&str> = fix.edits.iter().map(|edit| edit.text.trim()).collect();
            let remark = if fix.applicability == Applicability::Safe { "" } else { " (check what it gives)" };
            Some(CodeAction {
                title: match shown.join(" … ").as_str() {
                    "" => format!("remove `{}`{remark}", sources.slice(found.at).trim()),
                    text => format!("change to `{text}`{remark}"),
                },
                kind: Some(CodeActionKind::QUICKFIX),
                diagnostics: Some(vec![self.diagnostic(found, sources)]),
                edit: Some(WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() }),
                is_preferred: Some(fix.applicability == Applicability::Safe),
                ..CodeAction::default()
            })
        };
        let offered = found.fixes.iter().filter(|fix| fix.applicability != Applicability::Display);
        offered.filter_map(action).collect()
    }

    pub(super) fn completion(&self, proposal: Completion, text: &str) -> CompletionItem {
        let range = self.unit.range(text, proposal.replace);
        CompletionItem {
            kind: Some(match proposal.kind {
                CompletionKind::Key => CompletionItemKind::PROPERTY,
                CompletionKind::Word => CompletionItemKind::ENUM_MEMBER,
                CompletionKind::Schema => CompletionItemKind::MODULE,
                CompletionKind::Relation => CompletionItemKind::CLASS,
                CompletionKind::Column => CompletionItemKind::FIELD,
                CompletionKind::Function => CompletionItemKind::FUNCTION,
                CompletionKind::Group => CompletionItemKind::CONSTANT,
                CompletionKind::Database => CompletionItemKind::FILE,
                CompletionKind::Attribute => CompletionItemKind::VARIABLE,
                CompletionKind::Policy => CompletionItemKind::REFERENCE,
            }),
            filter_text: Some(proposal.label.clone()),
            label: proposal.label,
            detail: Some(proposal.detail).filter(|detail| !detail.is_empty()),
            text_edit: Some(CompletionTextEdit::Edit(TextEdit { range, new_text: proposal.insert })),
            ..CompletionItem::default()
        }
    }
}
