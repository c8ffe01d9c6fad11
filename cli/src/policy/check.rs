//! `daam policy check`: everything that is wrong, in all files, in one run.

use super::project::ProjectArgs;
use super::report::{ReportArgs, verdict};
use crate::error::{CliError, Exit};
use crate::output;
use clap::Args;
use std::process::ExitCode;

/// Options of `daam policy check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy check
  daam policy check --project policy-examples/shop --report text --report json=findings.json
  daam policy check --report github --report sarif=daam.sarif --strict

Exit codes: 0 no errors, 1 errors found, 2 no verdict, 3 no policies, 4 schema lock missing or not usable.")]
pub struct CheckArgs {
    #[command(flatten)]
    project: ProjectArgs,
    #[command(flatten)]
    report: ReportArgs,
    /// Treat warnings as errors.
    #[arg(long)]
    strict: bool,
    /// Do not fail when there is nothing to check.
    #[arg(long)]
    allow_empty: bool,
}

/// Runs it.
pub fn run(args: &CheckArgs) -> Result<ExitCode, CliError> {
    let checked = args.project.check()?;
    args.report.write(&checked)?;
    match verdict(&checked, args.strict) {
        None => Ok(ExitCode::SUCCESS),
        Some(Exit::NoInputs) if args.allow_empty => Ok(ExitCode::SUCCESS),
        Some(Exit::NoInputs) => {
            output::progress("no policies were found; `databases.<name>.policies` in daam.yaml names them");
            Ok(Exit::NoInputs.into())
        }
        Some(exit) => Ok(exit.into()),
    }
}
