//! `daam policy test`: the project's own expectations, evaluated as the agent would.

use super::project::ProjectArgs;
use super::report::require_clean;
use crate::error::{CliError, Exit};
use crate::output;
use clap::Args;
use daam_compiler::scenario;
use std::process::ExitCode;

/// Options of `daam policy test`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy test
  daam policy test --project policy-examples/shop --filter support

Cases with `sql:` need real rows and are run by `daam dev`; here they count as skipped.
Exit codes: 0 all hold, 1 one failed or the project has errors, 3 no test matched.")]
pub struct TestArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// Only cases whose name contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
}

/// Runs it.
pub fn run(args: &TestArgs) -> Result<ExitCode, CliError> {
    let checked = args.project.check()?;
    require_clean(&checked)?;
    let (mut passed, mut failed, mut skipped) = (0_usize, 0_usize, 0_usize);
    for (name, database) in &checked.databases {
        for case in &database.scenarios {
            if !args.filter.as_ref().is_none_or(|filter| case.name.contains(filter.as_str())) {
                continue;
            }
            let failures = scenario::run(database, case);
            if !failures.is_empty() {
                failed += 1;
                output::line(format!("FAILED  {name}: {}", case.name));
                for failure in failures {
                    let at = checked.sources.position(failure.at.source, failure.at.span.start);
                    let path = checked.sources.path(failure.at.source);
                    output::line(format!("        {path}:{}:{}: {}", at.line, at.column, failure.message));
                }
            } else if case.live {
                skipped += 1;
                output::line(format!("skipped {name}: {} (needs real rows)", case.name));
            } else {
                passed += 1;
                output::line(format!("ok      {name}: {}", case.name));
            }
        }
    }
    output::line(format!("{passed} passed, {failed} failed, {skipped} skipped"));
    if failed > 0 {
        return Ok(Exit::Findings.into());
    }
    if passed == 0 {
        output::progress("no test was run; `databases.<name>.tests` in daam.yaml names them");
        return Ok(Exit::NoInputs.into());
    }
    Ok(ExitCode::SUCCESS)
}
