//! SARIF 2.1.0, for code scanning services.
//!
//! One run; paths are relative to the root of the repository, columns count Unicode code points, lines count from
//! one. Of more than 5 000 results the service would drop the rest silently, so they are left out here, the least
//! severe first, and the run says so.

use crate::code::{RuleCode, Severity};
use crate::diagnostic::{Applicability, Edit, Fix};
use crate::finding::Finding;
use crate::report::{Report, Silenced};
use crate::span::Location;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

const MAX_RESULTS: usize = 5_000;
const ROOT: &str = "%SRCROOT%";

/// A whole SARIF log.
pub fn to_sarif(report: &Report<'_>) -> Value {
    let silenced = || report.silenced.iter().map(|silenced| &silenced.finding);
    let codes: BTreeSet<RuleCode> =
        report.findings.iter().chain(silenced()).map(|finding| finding.diagnostic.code).collect();
    let index: BTreeMap<RuleCode, usize> = codes.iter().copied().zip(0..).collect();
    let results: Vec<Value> = report
        .by_severity()
        .into_iter()
        .map(|finding| result(report, finding, &index))
        .chain(report.silenced.iter().map(|one| suppressed(report, one, &index)))
        .take(MAX_RESULTS)
        .collect();
    let hidden = (report.findings.len() + report.silenced.len()).saturating_sub(MAX_RESULTS);
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
                "semanticVersion": report.version,
                "rules": codes.iter().map(|code| rule(report, *code)).collect::<Vec<_>>(),
            } },
            "automationDetails": { "id": format!("daam/{}", report.prefix) },
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { ROOT: { "description": { "text": "the root of the repository" } } },
            "invocations": [{ "executionSuccessful": true, "toolExecutionNotifications": notices }],
            "results": results,
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn rule(report: &Report<'_>, code: RuleCode) -> Value {
    let mut fields = Map::new();
    fields.insert("id".to_owned(), json!(code.to_string()));
    fields.insert("name".to_owned(), json!(code.slug));
    fields.insert("shortDescription".to_owned(), json!({ "text": code.slug }));
    match report.rules.iter().find(|rule| rule.code == code) {
        Some(known) => {
            fields.insert("fullDescription".to_owned(), json!({ "text": known.summary }));
            fields.insert("help".to_owned(), json!({ "text": known.page, "markdown": known.page }));
            fields.insert("defaultConfiguration".to_owned(), json!({ "level": level(known.severity) }));
        }
        None => drop(
            fields.insert("help".to_owned(), json!({ "text": format!("see `daam policy rule {code}`") })),
        ),
    }
    if let Some(url) = report.docs_url(code) {
        fields.insert("helpUri".to_owned(), json!(url));
    }
    Value::Object(fields)
}

fn result(report: &Report<'_>, finding: &Finding, index: &BTreeMap<RuleCode, usize>) -> Value {
    let found = &finding.diagnostic;
    let text = match &found.help {
        Some(help) => format!("{}\n{help}", found.message),
        None => found.message.clone(),
    };
    let related: Vec<Value> = found
        .labels
        .iter()
        .map(|label| {
            let mut place = location(report, label.at);
            if let Some(fields) = place.as_object_mut() {
                fields.insert("message".to_owned(), json!({ "text": label.text }));
            }
            place
        })
        .collect();
    let mut place = location(report, found.at);
    if let (Some(fields), false) = (place.as_object_mut(), found.subject.is_empty()) {
        fields.insert("logicalLocations".to_owned(), json!([{ "fullyQualifiedName": found.subject }]));
    }
    let fixes: Vec<Value> = found
        .fixes
        .iter()
        .filter(|fix| fix.applicability != Applicability::Display)
        .map(|one| fix(report, one))
        .collect();
    json!({
        "ruleId": found.code.to_string(),
        "ruleIndex": index.get(&found.code),
        "level": level(found.severity),
        "message": { "text": text },
        "locations": [place],
        "relatedLocations": related,
        "partialFingerprints": { "daam/v1": finding.fingerprint },
        "fixes": fixes,
    })
}

/// A result that needs no attention, and why.
fn suppressed(report: &Report<'_>, silenced: &Silenced, index: &BTreeMap<RuleCode, usize>) -> Value {
    let mut value = result(report, &silenced.finding, index);
    let mut why = silenced.reason.clone();
    if let Some(owner) = &silenced.owner {
        let _ = write!(why, " ({owner})");
    }
    if let Some(until) = &silenced.until {
        let _ = write!(why, " until {until}");
    }
    if let Some(fields) = value.as_object_mut() {
        let suppression = json!({
            "kind": if silenced.in_source { "inSource" } else { "external" },
            "status": "accepted",
            "justification": why,
            "location": location(report, silenced.at),
        });
        fields.insert("suppressions".to_owned(), json!([suppression]));
    }
    value
}

fn fix(report: &Report<'_>, fix: &Fix) -> Value {
    let mut files: BTreeMap<String, Vec<&Edit>> = BTreeMap::new();
    for edit in &fix.edits {
        files.entry(report.path(edit.at)).or_default().push(edit);
    }
    let changes: Vec<Value> = files
        .into_iter()
        .map(|(path, edits)| {
            let replacements: Vec<Value> = edits
                .into_iter()
                .map(|edit| {
                    json!({
                        "deletedRegion": region(report, edit.at),
                        "insertedContent": { "text": edit.text },
                    })
                })
                .collect();
            json!({ "artifactLocation": artifact(&path), "replacements": replacements })
        })
        .collect();
    let text = format!("{} ({})", fix.title(report.sources), fix.applicability.as_str());
    json!({ "description": { "text": text }, "artifactChanges": changes })
}

fn location(report: &Report<'_>, at: Location) -> Value {
    json!({ "physicalLocation": {
        "artifactLocation": artifact(&report.path(at)),
        "region": region(report, at),
    } })
}

fn artifact(path: &str) -> Value {
    json!({ "uri": uri(path), "uriBaseId": ROOT })
}

fn region(report: &Report<'_>, at: Location) -> Value {
    let start = report.sources.position(at.source, at.span.start);
    let end = report.sources.position(at.source, at.span.end);
    json!({
        "startLine": start.line,
        "startColumn": start.column,
        "endLine": end.line,
        "endColumn": end.column,
    })
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
