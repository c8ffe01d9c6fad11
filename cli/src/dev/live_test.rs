//! `daam dev test`: the project's tests that name SQL, asked of the sandbox as the person each names.
//!
//! `daam policy test` decides what can be decided without a server; a case with `sql` and `returns` needs real rows.
//! Each case takes the real path, so it also tests the agent. The published policies are what is tested: publish
//! edits first. Cases that assume an active access request are left out, as the sandbox grants none.

use super::live::Stage;
use super::state::StateDir;
use crate::error::{CliError, Exit};
use crate::home::Home;
use crate::output;
use clap::Args;
use std::path::PathBuf;

/// Options of `daam dev test`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam dev test
  daam dev publish && daam dev test

`daam policy test --live` starts a sandbox of its own and asks about every other expectation too.")]
pub struct TestArgs {
    /// The sandbox's state directory; by default the running one's.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// Asks every case.
pub async fn run(args: &TestArgs) -> Result<Exit, CliError> {
    let state = StateDir::find(&Home::find()?, args.state.as_deref())?;
    let facts = state.facts()?;
    let sandbox = Stage { state: &state, facts: &facts, outside: None };
    let database = sandbox.compiled().await?;
    let wanted = database.scenarios.iter().filter(|case| case.live.is_some() && case.requests().is_empty());
    let (mut passed, mut failed) = (0_usize, 0_usize);
    for case in wanted {
        let replayed = sandbox.replay(&database, case, false).await?;
        if replayed.failures.is_empty() {
            passed += 1;
            output::line(format!("ok      {}", case.name));
        } else {
            failed += 1;
            output::line(format!("FAILED  {}", case.name));
        }
        for (_, message) in replayed.failures {
            output::line(format!("        {message}"));
        }
    }
    if passed + failed == 0 {
        return Err(CliError::new(Exit::NoInputs, "no test of the project names `sql`")
            .remedy("`daam policy test` runs the other tests"));
    }
    output::line(format!("{passed} passed, {failed} failed"));
    Ok(if failed == 0 { Exit::Passed(0) } else { Exit::Findings })
}
