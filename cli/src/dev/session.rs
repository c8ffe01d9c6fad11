//! `daam dev psql` and `daam dev run`: as some person, through the real path.

use super::person::Person;
use super::state::StateDir;
use crate::client;
use crate::connect::{Way, program};
use crate::error::{CliError, Exit};
use crate::home::Home;
use crate::link::Link;
use crate::local::Endpoint;
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// Which sandbox, as whom, which way.
#[derive(Debug, Args)]
struct Target {
    #[command(flatten)]
    person: Person,
    #[command(flatten)]
    way: Way,
    /// The sandbox's state directory; by default the running one's.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// Options of `daam dev psql`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam dev psql --as sam@acme.test --groups support --attr region=eu
  daam dev psql --as sam@acme.test --relay -- -c 'select * from customers limit 3'

Groups and attributes are kept in the sandbox's directory: the next call may leave them out.")]
pub struct PsqlArgs {
    #[command(flatten)]
    target: Target,
    /// Arguments for psql.
    #[arg(last = true, value_name = "PSQL ARGS")]
    arguments: Vec<OsString>,
}

/// Options of `daam dev run`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam dev run --as sam@acme.test --groups support -- pg_dump --schema-only
  daam dev run --as sam@acme.test --tcp -- sh -c 'echo $DATABASE_URL; sleep 600'")]
pub struct RunArgs {
    #[command(flatten)]
    target: Target,
    /// The program and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs psql.
pub async fn psql(args: PsqlArgs) -> Result<Exit, CliError> {
    let (endpoint, link) = args.target.open().await?;
    let exit = client::psql(endpoint.address(), &args.arguments).await;
    endpoint.close().await;
    link.close().await;
    exit
}

/// Runs a program.
pub async fn run(args: RunArgs) -> Result<Exit, CliError> {
    let (endpoint, link) = args.target.open().await?;
    let exit = program(&endpoint, &args.command).await;
    endpoint.close().await;
    link.close().await;
    exit
}

impl Target {
    async fn open(&self) -> Result<(Endpoint, Arc<Link>), CliError> {
        let state = StateDir::find(&Home::find()?, self.state.as_deref())?;
        let facts = state.facts()?;
        let link = Arc::new(self.person.link(&state, &facts, self.way.prefer()).await?);
        // Reach the agent before the program starts: a refusal is clearer here.
        link.tunnel().await?;
        let endpoint = Endpoint::open(self.way.listen(), self.person.email(), Arc::clone(&link)).await?;
        Ok((endpoint, link))
    }
}
