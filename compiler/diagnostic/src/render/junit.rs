//! JUnit XML, for test reports of pipelines: one case per file, failed where a finding is an error.

use crate::code::Severity;
use crate::diagnostic::Diagnostic;
use crate::source::SourceMap;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One test suite with a case for every file that has findings; without findings, one case that passed.
pub fn to_junit(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let mut files: BTreeMap<&str, Vec<&Diagnostic>> = BTreeMap::new();
    for found in diagnostics {
        files.entry(sources.path(found.at.source)).or_default().push(found);
    }
    if files.is_empty() {
        files.insert("project", Vec::new());
    }
    let failed = |found: &[&Diagnostic]| found.iter().any(|one| one.severity == Severity::Error);
    let failures = files.values().filter(|found| failed(found)).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites tests=\"{}\" failures=\"{failures}\">", files.len());
    let _ = writeln!(
        out,
        "  <testsuite name=\"daam policy check\" tests=\"{}\" failures=\"{failures}\">",
        files.len()
    );
    for (path, found) in files {
        let path = escaped(path);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::RuleCode;
    use crate::span::{Location, Span};

    #[test]
    fn a_file_with_an_error_fails_and_its_text_is_escaped() {
        let mut sources = SourceMap::new();
        let (a, b) = (sources.add("a<b>.yaml", "x"), sources.add("c.yaml", "x"));
        let code = RuleCode::new(203, "unknown-column");
        let at = |id| Location::new(id, Span::at(0));
        let found = [
            Diagnostic::new(code, Severity::Error, at(a), "no `</failure>\u{1}` here"),
            Diagnostic::new(code, Severity::Warning, at(b), "doubtful"),
        ];
        let xml = to_junit(&found, &sources);
        assert!(xml.contains("tests=\"2\" failures=\"1\""), "{xml}");
        assert!(xml.contains("name=\"a&lt;b&gt;.yaml\"><failure"), "{xml}");
        assert!(xml.contains("1:1: error DAAM203: no `&lt;/failure&gt;\u{fffd}` here</failure>"), "{xml}");
        assert!(xml.contains("<system-out>1:1: warning DAAM203: doubtful</system-out>"), "{xml}");
        assert!(to_junit(&[], &sources).contains("failures=\"0\""));
    }
}
