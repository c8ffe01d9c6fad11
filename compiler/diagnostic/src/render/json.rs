//! The stable machine form.
//!
//! `version` is 1; fields may be added later, never given another meaning.

use crate::diagnostic::{Fix, Label};
use crate::finding::Finding;
use crate::report::{Report, Silenced};
use crate::source::SourceMap;
use crate::span::Location;
use serde_json::{Value, json};

/// `{"version":1,"diagnostics":[…],"waived":[…]}`. Paths are those of the project.
pub fn to_json(report: &Report<'_>) -> Value {
    let diagnostics: Vec<Value> = report.findings.iter().map(|finding| item(report, finding)).collect();
    let waived: Vec<Value> = report.silenced.iter().map(|one| waived(report, one)).collect();
    json!({ "version": 1, "diagnostics": diagnostics, "waived": waived })
}

fn item(report: &Report<'_>, finding: &Finding) -> Value {
    let (found, sources) = (&finding.diagnostic, report.sources);
    json!({
        "code": found.code.to_string(),
        "slug": found.code.slug,
        "severity": found.severity.as_str(),
        "message": found.message,
        "help": found.help,
        "file": sources.path(found.at.source),
        "span": span(found.at, sources),
        "related": found.labels.iter().map(|one| related(one, sources)).collect::<Vec<_>>(),
        "fixes": found.fixes.iter().map(|one| fix(one, sources)).collect::<Vec<_>>(),
        "subject": found.subject,
        "fingerprint": finding.fingerprint,
        "docs_url": report.docs_url(found.code),
    })
}

/// The finding as any other, and who silenced it.
fn waived(report: &Report<'_>, silenced: &Silenced) -> Value {
    let mut value = item(report, &silenced.finding);
    if let Some(fields) = value.as_object_mut() {
        let by = json!({
            "by": if silenced.in_source { "comment" } else { "waiver" },
            "reason": silenced.reason,
            "owner": silenced.owner,
            "until": silenced.until,
            "file": report.sources.path(silenced.at.source),
            "span": span(silenced.at, report.sources),
        });
        fields.insert("waived".to_owned(), by);
    }
    value
}

fn span(at: Location, sources: &SourceMap) -> Value {
    let place = |offset| {
        let position = sources.position(at.source, offset);
        json!({ "line": position.line, "column": position.column })
    };
    json!({ "start": place(at.span.start), "end": place(at.span.end) })
}

fn related(label: &Label, sources: &SourceMap) -> Value {
    json!({
        "file": sources.path(label.at.source),
        "span": span(label.at, sources),
        "message": label.text,
    })
}

fn fix(fix: &Fix, sources: &SourceMap) -> Value {
    let edits: Vec<Value> = fix
        .edits
        .iter()
        .map(|edit| {
            json!({
                "file": sources.path(edit.at.source),
                "span": span(edit.at, sources),
                "text": edit.text,
            })
        })
        .collect();
    json!({ "applicability": fix.applicability.as_str(), "title": fix.title(sources), "edits": edits })
}
