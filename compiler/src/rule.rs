//! The one list of rules: number, name, default severity, and the page `daam policy rule` prints.
//!
//! A number is never reused. Codes, documentation and findings cannot drift apart, because a finding can only be
//! made from its rule, and the examples of a rule are run as tests. [`Nature`] says what may silence a rule.

mod document;
pub mod example;
mod exposure;
mod filter;
mod grant;
mod mask;
mod name;
mod opening;
pub mod page;
mod pattern;
mod request;
mod silence;
mod steered;
mod unused;

pub use document::*;
pub use exposure::*;
pub use filter::*;
pub use grant::*;
pub use mask::*;
pub use name::*;
pub use opening::*;
pub use pattern::*;
pub use request::*;
pub use silence::*;
pub use steered::*;
pub use unused::{NOT_RULES, NotARule};

use daam_diagnostic::{Applicability, Diagnostic, Location, RuleCode, Severity};

/// How far a project may change what a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Its level may be set under `lint.levels`, and a comment with a reason may silence one finding.
    Free,
    /// It guards exposure: only a waiver in `daam.yaml`, with owner, reason and end, silences a finding.
    Locked,
    /// The policy would not mean what it says: nothing silences it, the cause has to be put right.
    Fixed,
}

impl Nature {
    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Locked => "locked",
            Self::Fixed => "fixed",
        }
    }
}

/// A rule and its documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Number and name.
    pub code: RuleCode,
    /// Severity unless the finding or the project says otherwise.
    pub severity: Severity,
    /// What may silence it.
    pub nature: Nature,
    /// Whether findings may come with a change that puts them right, and how far that can be trusted.
    pub fix: Option<Applicability>,
    /// What it finds and why that is bad.
    pub docs: &'static str,
    /// An example that breaks it, see [`example`].
    pub bad: &'static str,
    /// The same, right.
    pub good: &'static str,
    /// Other rules the bad example cannot help breaking.
    pub also: &'static [u16],
    /// The command that shows it, where files alone cannot; the examples are then for reading only.
    pub shown_by: Option<&'static str>,
}

impl Rule {
    const fn error(number: u16, slug: &'static str, docs: &'static str) -> Self {
        Self {
            code: RuleCode::new(number, slug),
            severity: Severity::Error,
            nature: Nature::Free,
            fix: None,
            docs,
            bad: "",
            good: "",
            also: &[],
            shown_by: None,
        }
    }

    const fn warning(number: u16, slug: &'static str, docs: &'static str) -> Self {
        Self { severity: Severity::Warning, ..Self::error(number, slug, docs) }
    }

    const fn info(number: u16, slug: &'static str, docs: &'static str) -> Self {
        Self { severity: Severity::Info, ..Self::error(number, slug, docs) }
    }

    const fn locked(self) -> Self {
        Self { nature: Nature::Locked, ..self }
    }

    const fn fixed(self) -> Self {
        Self { nature: Nature::Fixed, ..self }
    }

    const fn fix(self, fix: Applicability) -> Self {
        Self { fix: Some(fix), ..self }
    }

    /// Other rules the bad example cannot help breaking.
    #[must_use]
    pub const fn also(self, also: &'static [u16]) -> Self {
        Self { also, ..self }
    }

    /// The command that shows it, where files alone cannot.
    #[must_use]
    pub const fn shown_by(self, command: &'static str) -> Self {
        Self { shown_by: Some(command), ..self }
    }

    const fn example(self, bad: &'static str, good: &'static str) -> Self {
        Self { bad, good, ..self }
    }

    /// A finding of this rule.
    pub fn at(&self, at: Location, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(self.code, self.severity, at, message)
    }
}

/// Whether a finding leaves open what the policies mean. Errors about exposure do not: they could be waived.
pub(crate) fn leaves_open(found: &Diagnostic) -> bool {
    let exposes = of(found.code).is_some_and(|rule| rule.nature == Nature::Locked);
    found.severity == Severity::Error && !exposes
}

/// The rule of a code, if it is one of ours.
pub fn of(code: RuleCode) -> Option<&'static Rule> {
    all().find(|rule| rule.code == code)
}

/// Finds a rule by `DAAM203`, `203` or `unknown-column`.
pub fn find(text: &str) -> Option<&'static Rule> {
    let upper = text.trim().to_ascii_uppercase();
    let number = upper.strip_prefix("DAAM").unwrap_or(&upper).parse::<u16>().ok();
    all().find(|rule| Some(rule.code.number) == number || rule.code.slug.eq_ignore_ascii_case(text.trim()))
}

/// Every rule, by number.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    [
        DOCUMENT_RULES,
        SILENCE_RULES,
        NAME_RULES,
        PATTERN_RULES,
        MASK_RULES,
        FILTER_RULES,
        STEERED_RULES,
        GRANT_RULES,
        EXPOSURE_RULES,
        REQUEST_RULES,
        OPENING_RULES,
    ]
    .into_iter()
    .flatten()
    .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_in_order() {
        let numbers: Vec<u16> = all().map(|rule| rule.code.number).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        let mut slugs: Vec<&str> = all().map(|rule| rule.code.slug).collect();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), numbers.len());
    }

    #[test]
    fn every_rule_has_a_page_with_examples() {
        for rule in all() {
            assert!(rule.docs.len() > 40, "{} has no documentation", rule.code);
            assert!(!rule.bad.is_empty() && !rule.good.is_empty(), "{} has no example", rule.code);
        }
    }

    #[test]
    fn a_rule_is_found_by_code_number_and_name() {
        for text in ["DAAM203", "daam203", "203", "unknown-column"] {
            assert_eq!(find(text).map(|rule| rule.code.number), Some(203), "{text}");
        }
        assert_eq!(find("nothing"), None);
    }
}
