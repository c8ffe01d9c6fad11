//! The stable machine form.
//!
//! `version` is 1; fields may be added later, never given another meaning.

use crate::diagnostic::{Diagnostic, Fix};
use crate::source::SourceMap;
use crate::span::Location;
use serde_json::{Value, json};

/// `{"version":1,"diagnostics":[…]}`.
pub fn to_json(diagnostics: &[Diagnostic], sources: &SourceMap) -> Value {
    let list: Vec<Value> = diagnostics
        .iter()
        .map(|diagnostic| {
            json!({
                "code": diagnostic.code.to_string(),
                "slug": diagnostic.code.slug,
                "severity": diagnostic.severity.as_str(),
                "message": diagnostic.message,
                "help": diagnostic.help,
                "file": sources.path(diagnostic.at.source),
                "span": span(diagnostic.at, sources),
                "fixes": diagnostic.fixes.iter().map(|found| fix(found, sources)).collect::<Vec<_>>(),
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
    json!({ "applicability": fix.applicability.as_str(), "edits": edits })
}
