//! What tests and diffs say, as findings: the formats pipelines and report services read are written once, for those.
//!
//! Only places are known, not the texts they are in. So a source here is as many empty lines as it takes.

use daam_compiler::diff::{Diff, Direction};
use daam_diagnostic::render::{github, gitlab, junit, sarif};
use daam_diagnostic::{
    Diagnostic, Finding, Location, Report, RuleCode, RuleText, Severity, SourceMap, Span, identify,
};
use std::collections::BTreeMap;

/// An expectation of a test that does not hold.
pub(super) const TEST_FAILED: RuleCode = RuleCode::new(901, "test-failed");
const WIDENED: RuleCode = RuleCode::new(911, "access-widened");
const LOST: RuleCode = RuleCode::new(912, "access-lost");

/// Something to say of a line of a file.
pub(super) struct Said {
    pub(super) code: RuleCode,
    pub(super) severity: Severity,
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) subject: String,
    pub(super) message: String,
}

/// How findings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Sarif,
    Github,
    Gitlab,
    Junit,
}

/// The findings in that form; `prefix` leads from the root of the repository to the project.
pub(super) fn in_form(said: Vec<Said>, form: Form, prefix: &str) -> String {
    let mut lengths: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &said {
        let length = lengths.entry(&one.file).or_default();
        *length = (*length).max(one.line);
    }
    let mut sources = SourceMap::new();
    let ids: BTreeMap<String, _> = lengths
        .into_iter()
        .map(|(file, length)| (file.to_owned(), sources.add(file, "\n".repeat(length))))
        .collect();
    let diagnostics = said.into_iter().filter_map(|one| {
        let at = Location::new(*ids.get(&one.file)?, Span::at(one.line.saturating_sub(1)));
        Some(Diagnostic::new(one.code, one.severity, at, one.message).about(one.subject))
    });
    let findings: Vec<Finding> = identify(diagnostics.collect(), &sources);
    let rules = rules();
    let known = Report::new(&findings, &sources);
    let report = Report { rules: &rules, prefix, version: env!("CARGO_PKG_VERSION"), ..known };
    match form {
        Form::Sarif => format!("{}\n", sarif::to_sarif(&report)),
        Form::Github => github::to_annotations(&report),
        Form::Gitlab => format!("{}\n", gitlab::to_gitlab(&report)),
        Form::Junit => junit::to_junit(&report, "daam policy diff"),
    }
}

/// The changes of a diff, each at the first clause behind it; what has none is said of `daam.yaml`.
pub(super) fn changes(diffs: &[Diff]) -> Vec<Said> {
    let mut said = Vec::new();
    for diff in diffs {
        for change in &diff.changes {
            let (code, severity) = match change.direction {
                Direction::Widened | Direction::MayWiden => (WIDENED, Severity::Warning),
                Direction::Lost => (LOST, Severity::Info),
                Direction::Neutral => continue,
            };
            let origin = change.origins.iter().find(|origin| !origin.file.is_empty());
            let place = origin.map(|origin| (origin.file.clone(), usize::try_from(origin.line).unwrap_or(1)));
            let (file, line) = place.unwrap_or_else(|| (daam_compiler::PROJECT_FILE.to_owned(), 1));
            let who = [change.who.as_str(), change.when.as_str(), change.what.as_str()];
            let who: Vec<&str> = who.into_iter().filter(|part| !matches!(*part, "" | "standing")).collect();
            let what = format!("`{}` {}", diff.database, who.join(" "));
            let message = if change.before.is_empty() {
                format!("{}: {what}: {}", change.direction.as_str(), change.after)
            } else {
                format!("{}: {what}: {} → {}", change.direction.as_str(), change.before, change.after)
            };
            said.push(Said { code, severity, file, line, subject: what, message });
        }
    }
    said
}

fn rules() -> [RuleText; 3] {
    [
        (TEST_FAILED, Severity::Error, "An expectation of a test case does not hold."),
        (WIDENED, Severity::Warning, "Somebody can do or see more than before, or it cannot be ruled out."),
        (LOST, Severity::Info, "Somebody can do or see less than before."),
    ]
    .map(|(code, severity, summary)| RuleText {
        code,
        severity,
        summary: summary.to_owned(),
        page: summary.to_owned(),
    })
}
