//! `daam dev publish`: the edited project, built, signed and pushed to the running sandbox.

use super::fabric;
use super::plane::admin;
use super::state::StateDir;
use crate::error::CliError;
use crate::home::Home;
use crate::output;
use clap::Args;
use std::path::PathBuf;

/// Options of `daam dev publish`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam dev publish
  daam dev publish --project ../policies")]
pub struct PublishArgs {
    /// Another project than the one the sandbox was started with.
    #[arg(long, value_name = "DIR")]
    project: Option<PathBuf>,
    /// The sandbox's state directory; by default the running one's.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// Publishes and waits until it is enforced.
pub async fn run(args: &PublishArgs) -> Result<(), CliError> {
    let state = StateDir::find(&Home::find()?, args.state.as_deref())?;
    let mut facts = state.facts()?;
    if let Some(project) = &args.project {
        facts.project.clone_from(project);
    }
    let admin = admin(&state, &facts)?;
    let serial = fabric::publish(&state, &facts, &admin).await?;
    output::line(format!("policy {serial} is enforced"));
    Ok(())
}
