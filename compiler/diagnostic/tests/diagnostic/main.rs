//! What reports promise to those who read them.

#[cfg(test)]
mod formats;
#[cfg(test)]
mod sarif;

use daam_diagnostic::{
    Applicability, Diagnostic, Edit, Finding, Fix, Location, RuleCode, Severity, Silenced, SourceMap, Span,
    identify,
};

const COLUMN: RuleCode = RuleCode::new(203, "unknown-column");
const KEY: RuleCode = RuleCode::new(103, "unknown-key");

/// Findings of every severity, with characters that mean something to some format.
fn run() -> (SourceMap, Vec<Finding>) {
    let mut sources = SourceMap::new();
    let text = "é: 'x' # <b>|\nmaks: 1\n";
    let a = sources.add("a b/é,x:y.yaml", text);
    let b = sources.add("policies/b.yaml", "kind: policy\n");
    let at = |start, end| Location::new(a, Span::new(start, end));
    let hostile = "no column `</failure>|::error::%0A\u{1}]]>\n@everyone`";
    let fix = Fix {
        applicability: Applicability::Safe,
        edits: vec![Edit { at: at(4, 7), text: "\"x\"".to_owned() }],
    };
    let mut first = Diagnostic::new(COLUMN, Severity::Error, at(4, 7), hostile).about("policy:a/masks");
    first.fixes.push(fix);
    let found = vec![
        first.clone().label(Location::new(b, Span::new(0, 4)), "also here").help("did you mean `y`?"),
        first,
        Diagnostic::new(KEY, Severity::Warning, at(16, 20), "no key `maks`")
            .replace(Applicability::Unsafe, "masks"),
        Diagnostic::new(KEY, Severity::Info, at(0, 999), "whole file"),
    ];
    let findings = identify(found, &sources);
    (sources, findings)
}

/// The same finding waived and silenced by a comment.
fn silenced(finding: &Finding) -> Vec<Silenced> {
    let waiver = Silenced {
        finding: finding.clone(),
        in_source: false,
        at: finding.diagnostic.at,
        reason: "until the migration".to_owned(),
        owner: Some("security@acme.test".to_owned()),
        until: Some("2027-03-31".to_owned()),
    };
    vec![Silenced { in_source: true, owner: None, until: None, ..waiver.clone() }, waiver]
}

/// As many equal findings as wanted.
fn many(count: usize, severity: Severity) -> (SourceMap, Vec<Finding>) {
    let mut sources = SourceMap::new();
    let at = Location::new(sources.add("a.yaml", "x"), Span::at(0));
    let one = Diagnostic::new(COLUMN, severity, at, "no column `x`");
    let findings = identify(vec![one; count], &sources);
    (sources, findings)
}
