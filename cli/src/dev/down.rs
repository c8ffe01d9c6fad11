//! `daam dev down`: ends the running sandbox and waits until it is gone.

use super::state::StateDir;
use crate::error::{CliError, Doing as _};
use crate::home::Home;
use crate::output;
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const POLL: Duration = Duration::from_millis(25);
const DEADLINE: Duration = Duration::from_secs(45);

/// Options of `daam dev down`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  daam dev down")]
pub struct DownArgs {
    /// The sandbox's state directory; by default the running one's.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// Asks it to end; tidies up after one that was killed.
pub async fn run(args: &DownArgs) -> Result<(), CliError> {
    let state = StateDir::find(&Home::find()?, args.state.as_deref())?;
    if state.is_free()? {
        // Folders of a sandbox have ordinary names: in any other directory they are somebody's own.
        if state.stored_facts()?.is_none() {
            return Err(CliError::usage(format!("there is no sandbox in `{}`", state.dir().display()))
                .remedy("`daam dev down` without --state ends the one that runs"));
        }
        state.remove_left_overs();
        state.remove();
        output::progress("no sandbox was running");
        return Ok(());
    }
    let facts = state.stored_facts()?;
    let pid = facts.and_then(|facts| Pid::from_raw(facts.pid)).ok_or_else(|| {
        CliError::usage("the sandbox has not said which process it is")
            .remedy("it has only just been started: try again")
    })?;
    kill_process(pid, Signal::TERM).doing("ask the sandbox to end")?;
    let start = Instant::now();
    while !state.is_free()? {
        if start.elapsed() > DEADLINE {
            return Err(CliError::usage("the sandbox did not end in time")
                .remedy(format!("look at process {}", pid.as_raw_nonzero())));
        }
        sleep(POLL).await;
    }
    output::line("the sandbox has ended");
    Ok(())
}
