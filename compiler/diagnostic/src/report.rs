//! What renderers get: findings with their texts, and what is known about the rules behind them.

use crate::code::{RuleCode, Severity};
use crate::finding::Finding;
use crate::source::SourceMap;
use crate::span::Location;

/// What a rule says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleText {
    /// Number and name.
    pub code: RuleCode,
    /// Severity unless a finding says otherwise.
    pub severity: Severity,
    /// What it finds and why that is bad.
    pub summary: String,
    /// Its page, as Markdown.
    pub page: String,
}

/// A finding somebody answers for instead of putting it right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silenced {
    /// What was found.
    pub finding: Finding,
    /// Whether a comment beside it says so; otherwise it is a waiver of the project.
    pub in_source: bool,
    /// Where that stands.
    pub at: Location,
    /// Why.
    pub reason: String,
    /// Who answers for it, if that is said.
    pub owner: Option<String>,
    /// The last day it holds, if there is one.
    pub until: Option<String>,
}

/// Everything a report shows.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// The findings, in the order of their run.
    pub findings: &'a [Finding],
    /// Findings that were silenced: formats for machines list them apart.
    pub silenced: &'a [Silenced],
    /// The texts they point into.
    pub sources: &'a SourceMap,
    /// Rules; those without findings are passed over.
    pub rules: &'a [RuleText],
    /// What leads from the root of the repository to the project: empty, or with a slash at its end.
    pub prefix: &'a str,
    /// Where the pages of rules are published, if anywhere; a rule's code comes after it.
    pub docs: Option<&'a str>,
    /// The version of the program.
    pub version: &'a str,
}

impl<'a> Report<'a> {
    /// A report of findings, with nothing known about rules.
    pub fn new(findings: &'a [Finding], sources: &'a SourceMap) -> Self {
        Self { findings, silenced: &[], sources, rules: &[], prefix: "", docs: None, version: "" }
    }

    /// The path of a place from the root of the repository.
    pub fn path(&self, at: Location) -> String {
        format!("{}{}", self.prefix, self.sources.path(at.source))
    }

    /// Where the page of a rule is published.
    pub fn docs_url(&self, code: RuleCode) -> Option<String> {
        self.docs.map(|base| format!("{}/{code}", base.trim_end_matches('/')))
    }

    /// How many findings there are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.diagnostic.severity == severity).count()
    }

    /// Worst first, otherwise in their order.
    pub fn by_severity(&self) -> Vec<&'a Finding> {
        let mut sorted: Vec<&Finding> = self.findings.iter().collect();
        sorted.sort_by_key(|finding| finding.diagnostic.severity);
        sorted
    }
}
