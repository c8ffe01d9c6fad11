//! Which rules count, and from which severity on they fail.

use crate::error::CliError;
use clap::{Args, ValueEnum};
use daam_compiler::rule;
use daam_diagnostic::{Diagnostic, Finding, RuleCode, Severity, suggest};

/// What is looked at.
#[derive(Debug, Args)]
pub(super) struct SelectionArgs {
    /// Only these rules: codes, names, or beginnings of codes such as `DAAM4`.
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    select: Vec<String>,
    /// Not these rules; what is both selected and ignored is ignored.
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    ignore: Vec<String>,
    /// From which severity on findings fail.
    #[arg(long, value_name = "LEVEL", default_value = "error")]
    fail_level: FailLevel,
    /// The same as `--fail-level warning`.
    #[arg(long, conflicts_with = "fail_level")]
    strict: bool,
}

/// From which severity on findings fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailLevel {
    /// Errors.
    Error,
    /// Errors and warnings.
    Warning,
    /// Everything.
    Info,
    /// Nothing.
    Never,
}

impl SelectionArgs {
    /// Refuses names no rule has: a slip would otherwise select nothing and look like success.
    pub(super) fn validate(&self) -> Result<(), CliError> {
        for written in self.select.iter().chain(&self.ignore) {
            if !rule::all().any(|rule| matches(written, rule.code)) {
                let error =
                    CliError::usage(format!("`{written}` is neither a rule nor the beginning of codes"));
                let near = suggest::did_you_mean(written, rule::all().map(|rule| rule.code.slug));
                return Err(error.remedy(near.unwrap_or_else(|| "`daam policy rule` lists them".to_owned())));
            }
        }
        Ok(())
    }

    /// Whether a finding is looked at.
    pub(super) fn takes(&self, found: &Diagnostic) -> bool {
        let any = |list: &[String]| list.iter().any(|written| matches(written, found.code));
        (self.select.is_empty() || any(&self.select)) && !any(&self.ignore)
    }

    /// Whether one of these findings fails the check.
    pub(super) fn fails(&self, findings: &[Finding]) -> bool {
        let worst = match self.fail_level {
            FailLevel::Error if self.strict => Severity::Warning,
            FailLevel::Error => Severity::Error,
            FailLevel::Warning => Severity::Warning,
            FailLevel::Info => Severity::Info,
            FailLevel::Never => return false,
        };
        // Severities are ordered worst first.
        findings.iter().any(|finding| finding.diagnostic.severity <= worst)
    }
}

fn matches(written: &str, code: RuleCode) -> bool {
    let written = written.trim();
    let digits = written.to_ascii_uppercase();
    let prefix = digits
        .strip_prefix("DAAM")
        .is_some_and(|digits| !digits.is_empty() && format!("{:03}", code.number).starts_with(digits));
    prefix || code.slug.eq_ignore_ascii_case(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_selected_by_code_name_and_beginning() {
        let code = RuleCode::new(403, "filter-unknown-column");
        for written in ["DAAM403", "daam403", "DAAM4", "DAAM40", "filter-unknown-column", " DAAM403"] {
            assert!(matches(written, code), "{written}");
        }
        for written in ["DAAM5", "DAAM", "4", "filter", "DAAM4031", ""] {
            assert!(!matches(written, code), "{written}");
        }
    }
}
