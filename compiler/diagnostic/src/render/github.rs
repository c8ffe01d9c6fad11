//! Workflow annotations: worst first, at most ten errors and ten warnings, then one line that counts the rest
//! (the service shows no more and drops the others silently).

use crate::code::Severity;
use crate::diagnostic::Diagnostic;
use crate::source::SourceMap;
use std::fmt::Write as _;

const PER_LEVEL: usize = 10;

/// One `::error …` or `::warning …` line per finding.
pub fn to_annotations(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let mut out = String::new();
    let mut hidden = 0_usize;
    for (severity, level) in
        [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Info, "notice")]
    {
        for (index, found) in diagnostics.iter().filter(|found| found.severity == severity).enumerate() {
            if index >= PER_LEVEL {
                hidden += 1;
                continue;
            }
            let start = sources.position(found.at.source, found.at.span.start);
            let end = sources.position(found.at.source, found.at.span.end);
            let help = found.help.as_deref().map(|help| format!("\n{help}")).unwrap_or_default();
            let _ = writeln!(
                out,
                "::{level} file={},line={},col={},endLine={},endColumn={},title={}::{}",
                property(sources.path(found.at.source)),
                start.line,
                start.column,
                end.line,
                end.column,
                property(&format!("{} {}", found.code, found.code.slug)),
                data(&format!("{}{help}", found.message)),
            );
        }
    }
    if hidden > 0 {
        let _ = writeln!(out, "::notice::{hidden} more findings are in the log");
    }
    out
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
