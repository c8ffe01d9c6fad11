//! Workflow annotations: worst first, at most ten errors and ten warnings, then one line that counts the rest
//! (the service shows no more and drops the others silently).

use crate::code::Severity;
use crate::diagnostic::Diagnostic;
use crate::report::Report;
use std::fmt::Write as _;

const PER_LEVEL: usize = 10;

/// One `::error …` or `::warning …` line per finding.
pub fn to_annotations(report: &Report<'_>) -> String {
    let mut out = String::new();
    let mut shown = 0_usize;
    for (severity, level) in [(Severity::Error, "error"), (Severity::Warning, "warning")] {
        let findings = report.findings.iter().map(|finding| &finding.diagnostic);
        for found in findings.filter(|found| found.severity == severity).take(PER_LEVEL) {
            shown += 1;
            annotate(report, level, found, &mut out);
        }
    }
    let hidden = report.findings.len().saturating_sub(shown);
    if hidden > 0 {
        let _ = writeln!(out, "::notice::{hidden} more findings are in the summary of the job");
    }
    out
}

fn annotate(report: &Report<'_>, level: &str, found: &Diagnostic, out: &mut String) {
    let start = report.sources.position(found.at.source, found.at.span.start);
    let end = report.sources.position(found.at.source, found.at.span.end);
    // The service takes columns only where the place is within one line.
    let columns = if start.line == end.line {
        format!(",col={},endColumn={}", start.column, end.column)
    } else {
        String::new()
    };
    let help = found.help.as_deref().map(|help| format!("\n{help}")).unwrap_or_default();
    let _ = writeln!(
        out,
        "::{level} file={},line={},endLine={}{columns},title={}::{}",
        property(&report.path(found.at)),
        start.line,
        end.line,
        property(&format!("{} {}", found.code, found.code.slug)),
        data(&format!("{}{help}", found.message)),
    );
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
