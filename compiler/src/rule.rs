//! The one list of rules: number, name, default severity, and the page `daam policy rule` prints.
//!
//! A number is never reused. A *locked* rule guards exposure and can never be waived inline. Codes, documentation
//! and findings cannot drift apart, because a finding can only be made from its rule.

mod document;
mod filter;
mod grant;
mod mask;
mod name;
mod request;

pub use document::*;
pub use filter::*;
pub use grant::*;
pub use mask::*;
pub use name::*;
pub use request::*;

use daam_diagnostic::{Diagnostic, Location, RuleCode, Severity};

/// A rule and its documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Number and name.
    pub code: RuleCode,
    /// Severity unless the finding says otherwise.
    pub severity: Severity,
    /// Whether it can never be waived inline.
    pub locked: bool,
    /// What it finds and why that is bad.
    pub docs: &'static str,
    /// An example that breaks it.
    pub bad: &'static str,
    /// The same, right.
    pub good: &'static str,
}

impl Rule {
    const fn error(number: u16, slug: &'static str, docs: &'static str) -> Self {
        let code = RuleCode::new(number, slug);
        Self { code, severity: Severity::Error, locked: false, docs, bad: "", good: "" }
    }

    const fn warning(number: u16, slug: &'static str, docs: &'static str) -> Self {
        Self { severity: Severity::Warning, ..Self::error(number, slug, docs) }
    }

    const fn info(number: u16, slug: &'static str, docs: &'static str) -> Self {
        Self { severity: Severity::Info, ..Self::error(number, slug, docs) }
    }

    const fn locked(self) -> Self {
        Self { locked: true, ..self }
    }

    const fn example(self, bad: &'static str, good: &'static str) -> Self {
        Self { bad, good, ..self }
    }

    /// A finding of this rule.
    pub fn at(&self, at: Location, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(self.code, self.severity, at, message)
    }

    /// The page of this rule, as Markdown.
    pub fn page(&self) -> String {
        let locked = if self.locked { ", cannot be waived inline" } else { "" };
        let mut page = format!(
            "# {} {}\n\nDefault: {}{locked}.\n\n{}\n",
            self.code, self.code.slug, self.severity, self.docs
        );
        for (title, text) in [("Refused", self.bad), ("Accepted", self.good)] {
            if !text.is_empty() {
                page.push_str("\n## ");
                page.push_str(title);
                page.push_str("\n\n```yaml\n");
                page.push_str(text);
                page.push_str("\n```\n");
            }
        }
        page
    }
}

/// Finds a rule by `DAAM203`, `203` or `unknown-column`.
pub fn find(text: &str) -> Option<&'static Rule> {
    let upper = text.trim().to_ascii_uppercase();
    let number = upper.strip_prefix("DAAM").unwrap_or(&upper).parse::<u16>().ok();
    all().find(|rule| Some(rule.code.number) == number || rule.code.slug.eq_ignore_ascii_case(text.trim()))
}

/// Every rule, by number.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    [DOCUMENT_RULES, NAME_RULES, MASK_RULES, FILTER_RULES, GRANT_RULES, REQUEST_RULES]
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
