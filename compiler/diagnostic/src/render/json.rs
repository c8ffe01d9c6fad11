//! The stable machine form.
//!
//! `version` is 1; fields may be added later, never given another meaning.

use crate::diagnostic::{Fix, Label};
use crate::report::Report;
use crate::source::SourceMap;
use crate::span::Location;
use serde_json::{Value, json};

/// `{"version":1,"diagnostics":[…]}`. Paths are those of the project.
pub fn to_json(report: &Report<'_>) -> Value {
    let sources = report.sources;
    let list: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            let found = &finding.diagnostic;
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
        })
        .collect();
    json!({ "version": 1, "diagnostics": list })
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
