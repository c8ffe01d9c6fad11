//! JUnit XML, for test reports of pipelines: one case per file, failed where a finding is an error.

use crate::code::Severity;
use crate::diagnostic::Diagnostic;
use crate::report::Report;
use crate::source::SourceMap;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One test suite of that name with a case for every file that has findings; without findings, one case that passed.
pub fn to_junit(report: &Report<'_>, suite: &str) -> String {
    let sources = report.sources;
    let mut files: BTreeMap<String, Vec<&Diagnostic>> = BTreeMap::new();
    for finding in report.findings {
        files.entry(report.path(finding.diagnostic.at)).or_default().push(&finding.diagnostic);
    }
    if files.is_empty() {
        files.insert("project".to_owned(), Vec::new());
    }
    let failed = |found: &[&Diagnostic]| found.iter().any(|one| one.severity == Severity::Error);
    let failures = files.values().filter(|found| failed(found)).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites tests=\"{}\" failures=\"{failures}\">", files.len());
    let _ = writeln!(
        out,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\">",
        escaped(suite),
        files.len()
    );
    for (path, found) in files {
        let path = escaped(&path);
        let lines: String = found.iter().map(|one| line(one, sources)).collect();
        let lines = escaped(lines.trim_end());
        let case = format!("<testcase classname=\"daam\" name=\"{path}\">");
        let _ = match found.as_slice() {
            [] => writeln!(out, "    <testcase classname=\"daam\" name=\"{path}\"/>"),
            some if failed(some) => writeln!(
                out,
                "    {case}<failure message=\"{} findings\">{lines}</failure></testcase>",
                some.len()
            ),
            _ => writeln!(out, "    {case}<system-out>{lines}</system-out></testcase>"),
        };
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn line(found: &Diagnostic, sources: &SourceMap) -> String {
    let at = sources.position(found.at.source, found.at.span.start);
    format!("{}:{}: {} {}: {}\n", at.line, at.column, found.severity, found.code, found.message)
}

/// Text that cannot end the element or attribute it stands in; characters XML has no place for are replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
