//! `daam policy rule`: what a rule finds, why, and how to do it right.

use crate::error::CliError;
use crate::output;
use clap::{Args, ValueEnum};
use daam_compiler::rule::{self, Rule, page};
use daam_diagnostic::suggest;
use serde_json::Value;
use std::process::ExitCode;

/// Options of `daam policy rule`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy rule
  daam policy rule DAAM203
  daam policy rule unknown-column --format json
  daam policy rule --all --format markdown")]
pub struct RuleArgs {
    /// A code or a name; without one all rules are listed.
    #[arg(conflicts_with = "all")]
    rule: Option<String>,
    /// Print the pages of all rules.
    #[arg(long)]
    all: bool,
    /// How to print it.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// How pages are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal.
    Text,
    /// For programs.
    Json,
    /// For a documentation site.
    Markdown,
}

/// Runs it.
pub fn run(args: &RuleArgs) -> Result<ExitCode, CliError> {
    match &args.rule {
        Some(wanted) => one(named(wanted)?, args.format),
        None if args.all => every(args.format),
        None => list(args.format),
    }
    Ok(ExitCode::SUCCESS)
}

fn named(wanted: &str) -> Result<&'static Rule, CliError> {
    rule::find(wanted).ok_or_else(|| {
        let error = CliError::usage(format!("there is no rule `{wanted}`"));
        let near = suggest::did_you_mean(wanted, rule::all().map(|rule| rule.code.slug));
        error.remedy(near.unwrap_or_else(|| "`daam policy rule` lists them".to_owned()))
    })
}

fn one(rule: &Rule, format: Format) {
    match format {
        Format::Text => output::text_out(&page::text(rule)),
        Format::Json => json(&page::json(rule)),
        Format::Markdown => output::text_out(&page::markdown(rule, 1)),
    }
}

fn every(format: Format) {
    match format {
        Format::Text => output::text_out(&page::text_reference()),
        Format::Json => json(&page::json_reference()),
        Format::Markdown => output::text_out(&page::reference()),
    }
}

fn list(format: Format) {
    match format {
        Format::Json => json(&page::json_reference()),
        Format::Text | Format::Markdown => {
            for rule in rule::all() {
                output::line(format!("{}  {:<8} {}", rule.code, rule.severity, rule.code.slug));
            }
        }
    }
}

fn json(value: &Value) {
    output::text_out(&format!("{value:#}\n"));
}
