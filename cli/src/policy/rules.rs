//! `daam policy rule`: what a rule finds, why, and how to do it right.

use crate::error::CliError;
use crate::output;
use clap::Args;
use daam_compiler::rule;
use daam_diagnostic::suggest;
use std::process::ExitCode;

/// Options of `daam policy rule`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy rule DAAM203
  daam policy rule unknown-column
  daam policy rule")]
pub struct RuleArgs {
    /// A code or a name; without one all rules are listed.
    rule: Option<String>,
}

/// Runs it.
pub fn run(args: &RuleArgs) -> Result<ExitCode, CliError> {
    let Some(wanted) = &args.rule else {
        for rule in rule::all() {
            output::line(format!("{}  {:<8} {}", rule.code, rule.severity, rule.code.slug));
        }
        return Ok(ExitCode::SUCCESS);
    };
    let Some(rule) = rule::find(wanted) else {
        let error = CliError::usage(format!("there is no rule `{wanted}`"));
        let near = suggest::did_you_mean(wanted, rule::all().map(|rule| rule.code.slug));
        return Err(error.remedy(near.unwrap_or_else(|| "`daam policy rule` lists them".to_owned())));
    };
    output::text_out(&rule.page());
    Ok(ExitCode::SUCCESS)
}
