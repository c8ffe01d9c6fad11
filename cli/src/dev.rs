//! `daam dev`: the whole fabric on this machine, for policy authors and for tests.
//!
//! `daam dev up` starts the real programs as children on loopback; the other commands find it through its state
//! directory ([`state`]) and take the real path: directory, certificate, tunnel, agent. The sandbox is not a
//! simulation and has no shortcuts; what is different is only that it holds every key itself.

pub mod children;
pub mod down;
pub mod fabric;
pub mod live;
pub mod live_test;
pub mod person;
pub mod plane;
pub mod project;
pub mod publish;
pub mod session;
pub mod state;
pub mod up;
pub mod upstream;

use crate::error::{CliError, Exit};
use clap::Subcommand;

/// Subcommands of `daam dev`.
#[derive(Debug, Subcommand)]
pub enum DevCommand {
    /// Start a sandbox and keep it running.
    Up(up::UpArgs),
    /// Run psql as some person.
    Psql(session::PsqlArgs),
    /// Run a program as some person.
    Run(session::RunArgs),
    /// Build, sign and push the edited project.
    Publish(publish::PublishArgs),
    /// Run the project's tests that need real rows.
    Test(live_test::TestArgs),
    /// End the running sandbox.
    Down(down::DownArgs),
}

/// Obeys one.
pub async fn run(command: DevCommand) -> Result<Exit, CliError> {
    match command {
        DevCommand::Up(args) => up::run(args).await.map(|()| Exit::Passed(0)),
        DevCommand::Psql(args) => session::psql(args).await,
        DevCommand::Run(args) => session::run(args).await,
        DevCommand::Publish(args) => publish::run(&args).await.map(|()| Exit::Passed(0)),
        DevCommand::Test(args) => live_test::run(&args).await,
        DevCommand::Down(args) => down::run(&args).await.map(|()| Exit::Passed(0)),
    }
}
