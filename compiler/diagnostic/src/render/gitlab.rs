//! GitLab's code quality report: a list, each entry with a fingerprint that does not depend on lines.

use crate::code::Severity;
use crate::report::Report;
use serde_json::{Value, json};

/// The list GitLab compares between the branches of a merge request.
pub fn to_gitlab(report: &Report<'_>) -> Value {
    let entry = |finding: &crate::finding::Finding| {
        let found = &finding.diagnostic;
        let start = report.sources.position(found.at.source, found.at.span.start);
        let end = report.sources.position(found.at.source, found.at.span.end);
        json!({
            "description": format!("{}: {}", found.code, found.message),
            "check_name": found.code.slug,
            "fingerprint": finding.fingerprint,
            "severity": match found.severity {
                Severity::Error => "critical",
                Severity::Warning => "minor",
                Severity::Info => "info",
            },
            "location": {
                "path": report.path(found.at),
                "lines": { "begin": start.line, "end": end.line },
            },
        })
    };
    report.findings.iter().map(entry).collect()
}
