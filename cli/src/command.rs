//! The command line: what is asked for, and the exit code.

use crate::error::{CliError, Doing as _, Exit};
use crate::{audit, connect, console, databases, dev, doctor, login, lsp, output, policy, request, status};
use clap::{Parser, Subcommand};
use daam_diagnostic::log;
use std::process::ExitCode;
use std::time::Duration;

const BLOCKING_DEADLINE: Duration = Duration::from_secs(30);

/// Connects people to PostgreSQL under signed policies, without database credentials.
#[derive(Debug, Parser)]
#[command(
    name = "daam",
    version,
    arg_required_else_help = true,
    after_help = "Examples:
  daam login --control-plane https://daam.example.com
  daam psql shop
  daam run shop -- pg_dump --schema-only
  daam dev up --project policy-examples/shop --seed policy-examples/shop/schema.sql

Exit codes: 0 ok, 1 findings or denied, 2 wrong use or failure, 3 nothing matched, 4 schema lock missing or stale,
10 changed, 11 widened, 12 lost, 20 signature refused, 21 rollback or fork, 22 expired, 70 internal fault.
`daam psql`, `daam run` and their `dev` forms pass on the exit code of the program they run."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sign in to a control plane.
    Login(login::LoginArgs),
    /// Open the control plane's console in your browser.
    Console(console::ConsoleArgs),
    /// List the databases you can connect to.
    Databases(databases::DatabasesArgs),
    /// Open a local endpoint for a database and keep it open.
    Connect(connect::ConnectArgs),
    /// Run psql on a database.
    Psql(connect::PsqlArgs),
    /// Run a program with a database's connection in its environment.
    Run(connect::RunArgs),
    /// Show which way each open session goes, and why not a better one.
    Status(status::StatusArgs),
    /// Try every way to a database and say what to do where one fails.
    Doctor(doctor::DoctorArgs),
    /// Ask for access that is not held by default.
    #[command(subcommand)]
    Request(request::RequestCommand),
    /// List requests: yours, those that wait for you, or everybody's.
    Requests(request::RequestsArgs),
    /// Approve somebody's request.
    Approve(request::ApproveArgs),
    /// Deny somebody's request.
    Deny(request::DenyArgs),
    /// Check, test, build, sign and publish policies.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// The schema lock policies are checked against.
    #[command(subcommand)]
    Schema(policy::SchemaCommand),
    /// The keys whose signatures agents accept.
    #[command(subcommand)]
    Trust(policy::TrustCommand),
    /// The organization's audit: search it, take it out, check that nobody changed it.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Serve an editor: findings, hovers, completion and quick fixes for policies.
    Lsp(lsp::LspArgs),
    /// A sandbox on this machine: control plane, relay, agent, PostgreSQL and your policies.
    #[command(subcommand)]
    Dev(dev::DevCommand),
}

/// Reads the command line and obeys it.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            drop(error.print());
            return if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    // A fault of ours has said where it is already; its number is that of the table.
    let Ok(result) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| start(cli))) else {
        return Exit::Internal.into();
    };
    match result {
        Ok(_) if output::was_lost() => {
            output::failure(&CliError::usage("the answer could not be written to standard output"));
            Exit::Usage.into()
        }
        Ok(code) => code,
        Err(error) => {
            output::failure(&error);
            error.exit().into()
        }
    }
}

fn start(cli: Cli) -> Result<ExitCode, CliError> {
    log::start(std::env::var_os("DAAM_LOG"), "error").map_err(|error| CliError::usage(error.to_string()))?;
    // A second installation would fail; there is only this one.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().doing("start")?;
    let result = runtime.block_on(obey(cli.command));
    // A server that is being started on another thread must not be left behind.
    runtime.shutdown_timeout(BLOCKING_DEADLINE);
    result
}

async fn obey(command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Login(args) => login::run(args).await.map(|()| ExitCode::SUCCESS),
        Command::Console(args) => console::run(&args).await.map(|()| ExitCode::SUCCESS),
        Command::Databases(args) => databases::run(args).await.map(|()| ExitCode::SUCCESS),
        Command::Connect(args) => connect::connect(args).await.map(|()| ExitCode::SUCCESS),
        Command::Psql(args) => connect::psql(args).await.map(ExitCode::from),
        Command::Run(args) => connect::run(args).await.map(ExitCode::from),
        Command::Status(args) => status::run(args).await.map(|()| ExitCode::SUCCESS),
        Command::Doctor(args) => doctor::run(args).await.map(ExitCode::from),
        Command::Request(command) => request::run(command).await.map(|()| ExitCode::SUCCESS),
        Command::Requests(args) => request::list(&args).await.map(|()| ExitCode::SUCCESS),
        Command::Approve(args) => request::approve(&args).await.map(|()| ExitCode::SUCCESS),
        Command::Deny(args) => request::deny(&args).await.map(|()| ExitCode::SUCCESS),
        Command::Policy(command) => policy::run(command).await,
        Command::Schema(command) => policy::run_schema(command).await,
        Command::Trust(command) => policy::run_trust(&command).await,
        Command::Audit(command) => audit::run(command).await,
        Command::Lsp(args) => lsp::run(&args).await,
        Command::Dev(command) => dev::run(command).await.map(ExitCode::from),
    }
}
