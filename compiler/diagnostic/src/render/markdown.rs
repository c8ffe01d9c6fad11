//! Markdown, for summaries of pipelines and comments on pull requests: at most 60 000 characters, worst first.

use super::text;
use crate::diagnostic::Diagnostic;
use crate::finding::Finding;
use crate::report::Report;
use std::fmt::Write as _;

const LIMIT: usize = 60_000;
/// Room kept for the line that counts what was left out.
const RESERVED: usize = 200;

/// A heading, a count, and a list by file.
pub fn to_markdown(report: &Report<'_>) -> String {
    let count = text::count(report.findings.iter().map(|finding| &finding.diagnostic));
    let mut out = format!("### Policy check\n\n{count}\n");
    if report.findings.is_empty() {
        return out;
    }
    out.push_str("\n| | rule | where | what |\n|---|---|---|---|\n");
    let mut size = out.chars().count();
    let mut hidden = 0_usize;
    for finding in report.by_severity() {
        let line = row(report, finding);
        let length = line.chars().count();
        // Once something is left out, all that follows is: what is shown is always the worst.
        if hidden > 0 || size + length > LIMIT - RESERVED {
            hidden += 1;
        } else {
            size += length;
            out.push_str(&line);
        }
    }
    if hidden > 0 {
        let _ = writeln!(out, "\n{hidden} more findings did not fit; `daam policy check` shows them all.");
    }
    out
}

fn row(report: &Report<'_>, finding: &Finding) -> String {
    let found = &finding.diagnostic;
    let at = report.sources.position(found.at.source, found.at.span.start);
    let code = match report.docs_url(found.code) {
        Some(url) => format!("[{}]({url})", found.code),
        None => found.code.to_string(),
    };
    format!(
        "| {} | {code} {} | {} | {} |\n",
        found.severity,
        found.code.slug,
        cell(&format!("`{}:{}`", report.path(found.at).replace('`', "'"), at.line)),
        cell(&sentence(found))
    )
}

fn sentence(found: &Diagnostic) -> String {
    match &found.help {
        Some(help) => format!("{}; {help}", found.message),
        None => found.message.clone(),
    }
}

/// Text of a policy can neither end its cell nor become markup: what is not in backticks is ours.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' => out.push_str("\\|"),
            '<' => out.push_str("&lt;"),
            '@' => out.push_str("@\u{200b}"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
