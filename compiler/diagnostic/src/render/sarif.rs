//! SARIF 2.1.0, for code scanning services.
//!
//! One run; paths are relative, columns count Unicode code points, lines count from one. A finding keeps its
//! fingerprint when lines above it change. Of more than 5 000 results the service would drop the rest silently, so
//! they are left out here and the run says so.

use crate::code::{RuleCode, Severity};
use crate::diagnostic::Diagnostic;
use crate::source::SourceMap;
use crate::span::Location;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

const MAX_RESULTS: usize = 5_000;
const ROOT: &str = "PROJECTROOT";

/// A whole SARIF log.
pub fn to_sarif(diagnostics: &[Diagnostic], sources: &SourceMap, version: &str) -> Value {
    let rules: BTreeSet<RuleCode> = diagnostics.iter().map(|found| found.code).collect();
    let rules: Vec<RuleCode> = rules.into_iter().collect();
    let mut seen = BTreeMap::new();
    let results: Vec<Value> = diagnostics
        .iter()
        .take(MAX_RESULTS)
        .map(|found| result(found, sources, &fingerprint(found, sources, &mut seen)))
        .collect();
    let hidden = diagnostics.len().saturating_sub(MAX_RESULTS);
    let notices: Vec<Value> = (hidden > 0)
        .then(|| {
            let text = format!("{hidden} more findings were left out");
            json!({ "level": "warning", "message": { "text": text } })
        })
        .into_iter()
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "daam",
                "version": version,
                "rules": rules.iter().map(rule).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { ROOT: { "description": { "text": "the directory of daam.yaml" } } },
            "invocations": [{ "executionSuccessful": true, "toolExecutionNotifications": notices }],
            "results": results,
        }],
    })
}

fn rule(code: &RuleCode) -> Value {
    json!({
        "id": code.to_string(),
        "name": code.slug,
        "shortDescription": { "text": code.slug },
        "help": { "text": format!("daam policy rule {code}") },
    })
}

/// Equal findings are told apart by their order.
fn fingerprint(found: &Diagnostic, sources: &SourceMap, seen: &mut BTreeMap<String, usize>) -> String {
    let base = found.fingerprint(sources);
    let count = seen.entry(base.clone()).or_insert(0);
    *count += 1;
    if *count == 1 { base } else { format!("{base}:{count}") }
}

fn result(found: &Diagnostic, sources: &SourceMap, fingerprint: &str) -> Value {
    let text = match &found.help {
        Some(help) => format!("{}\n{help}", found.message),
        None => found.message.clone(),
    };
    let related: Vec<Value> = found
        .labels
        .iter()
        .map(|label| {
            let mut place = location(label.at, sources);
            if let Some(fields) = place.as_object_mut() {
                fields.insert("message".to_owned(), json!({ "text": label.text }));
            }
            place
        })
        .collect();
    json!({
        "ruleId": found.code.to_string(),
        "level": match found.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "note",
        },
        "message": { "text": text },
        "locations": [location(found.at, sources)],
        "relatedLocations": related,
        "partialFingerprints": { "daam/v1": fingerprint },
    })
}

fn location(at: Location, sources: &SourceMap) -> Value {
    let start = sources.position(at.source, at.span.start);
    let end = sources.position(at.source, at.span.end);
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(sources.path(at.source)), "uriBaseId": ROOT },
        "region": {
            "startLine": start.line,
            "startColumn": start.column,
            "endLine": end.line,
            "endColumn": end.column,
        },
    } })
}

/// A path as a relative URI reference.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::Span;

    fn log(prefix: &str) -> Value {
        let mut sources = SourceMap::new();
        let id = sources.add("a b/é.yaml", format!("{prefix}é: x\n"));
        let at = Location::new(id, Span::new(prefix.len() + 4, prefix.len() + 5));
        let code = RuleCode::new(203, "unknown-column");
        let one = Diagnostic::new(code, Severity::Error, at, "no column").help("did you mean `y`?");
        let other = one.clone().label(at, "here");
        to_sarif(&[one, other], &sources, "1")
    }

    #[test]
    fn places_count_code_points_and_paths_are_uris() {
        let log = log("");
        let result = &log["runs"][0]["results"][0];
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%20b/%C3%A9.yaml");
        assert_eq!(
            place["region"],
            json!({ "startLine": 1, "startColumn": 4, "endLine": 1, "endColumn": 5 })
        );
        assert_eq!(log["runs"][0]["tool"]["driver"]["rules"].as_array().map(Vec::len), Some(1));
        assert_eq!(result["message"]["text"], "no column\ndid you mean `y`?");
    }

    #[test]
    fn fingerprints_survive_moved_lines_and_differ_from_each_other() {
        let prints = |log: &Value| {
            let results = log["runs"][0]["results"].as_array().cloned().unwrap_or_default();
            results.iter().map(|one| one["partialFingerprints"]["daam/v1"].to_string()).collect::<Vec<_>>()
        };
        let (here, below) = (prints(&log("")), prints(&log("# a\n\n")));
        assert_eq!(here, below);
        assert_ne!(here.first(), here.last());
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let mut sources = SourceMap::new();
        let id = sources.add("a.yaml", "x");
        let code = RuleCode::new(1, "x");
        let one = Diagnostic::new(code, Severity::Info, Location::new(id, Span::at(0)), "x");
        let log = to_sarif(&vec![one; MAX_RESULTS + 2], &sources, "1");
        assert_eq!(log["runs"][0]["results"].as_array().map(Vec::len), Some(MAX_RESULTS));
        let notice = &log["runs"][0]["invocations"][0]["toolExecutionNotifications"][0];
        assert_eq!(notice["message"]["text"], "2 more findings were left out");
    }
}
