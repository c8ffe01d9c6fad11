//! One line per finding, for logs and for editors that read `path:line:column: message`.

use super::text;
use crate::diagnostic::{Applicability, Diagnostic};
use crate::report::Report;
use std::fmt::Write as _;

/// A line per finding and one that counts them.
pub fn to_concise(report: &Report<'_>) -> String {
    let mut out = String::new();
    for finding in report.findings {
        let found = &finding.diagnostic;
        let _ = writeln!(
            out,
            "{}: {} {} {}: {}{}",
            text::place(found.at, report.sources),
            found.severity,
            found.code,
            found.code.slug,
            one_line(&found.message),
            mark(found)
        );
    }
    out.push_str(&text::count(report.findings.iter().map(|finding| &finding.diagnostic)));
    out.push('\n');
    out
}

/// Whether `--fix` or `--unsafe-fixes` can repair it.
fn mark(found: &Diagnostic) -> &'static str {
    let has = |wanted| found.fixes.iter().any(|fix| fix.applicability == wanted);
    if has(Applicability::Safe) {
        " [--fix]"
    } else if has(Applicability::Unsafe) {
        " [--unsafe-fixes]"
    } else {
        ""
    }
}

/// Text of a policy cannot begin a line of its own.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
