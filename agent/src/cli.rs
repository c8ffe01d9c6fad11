//! The command line of `daam-agent`.

mod audit;
mod configuration;
mod introspect;

use crate::config::Config;
use crate::config::environment::Environment;
use crate::doctor;
use crate::output;
use crate::quiesce::{Ask, Ended, quiesce};
use crate::run::{self, RunOptions};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Wrong usage; 1 and 2 have meanings of their own.
const USAGE: u8 = 64;
const FAILED: u8 = 1;
const FINDINGS: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  daam-agent introspect --config /etc/daam-agent/config.yaml
  daam-agent introspect --config /etc/daam-agent/config.yaml --diff
  daam-agent doctor --config /etc/daam-agent/config.yaml
  daam-agent run --config /etc/daam-agent/config.yaml
  daam-agent quiesce --config /etc/daam-agent/config.yaml public.users -- psql -f migration.sql
  daam-agent config check --config /etc/daam-agent/config.yaml
  daam-agent audit verify --config /etc/daam-agent/config.yaml
  daam-agent audit show --config /etc/daam-agent/config.yaml --refused --last 20

Send SIGHUP to a running agent to reload `upstream.scope`.

Environment: every setting has a variable, such as DAAM_UPSTREAM_SCOPE='[public.users]'; `daam-agent config reference`
lists them. DAAM_AGENT_CONFIG stands for --config, DAAM_LOG filters the log. Any other DAAM_ name that no program of daam
reads is an error.

Exit status: 0 success, 1 failure (a configuration or environment that is refused included), 2 drift or findings
(introspect --diff, doctor, audit verify), 64 wrong usage of the command line.";

const QUIESCE_EXAMPLES: &str = "\
Examples:
  daam-agent quiesce --config agent.yaml public.users -- psql service=shop -f drop-column.sql
  daam-agent quiesce --config agent.yaml 'public.*' --wait 2m --end-sessions -- flyway migrate";

/// Enforces daam policies in front of one PostgreSQL database.
#[derive(Debug, Parser)]
#[command(name = "daam-agent", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent until it is told to stop.
    Run(RunArgs),
    /// Print the database's relations as a `scope:` block, or compare them with the configured scope.
    ///
    /// Reads the database directly: no running agent is needed, the control plane is not contacted and nothing is
    /// written to disk. The output is not filtered by the scope.
    ///
    /// Exit status: 0 success and no drift, 1 the database could not be read, 2 drift (only with --diff).
    Introspect(IntrospectArgs),
    /// List what is open in the database beside the policies, with the SQL that closes each hole.
    ///
    /// Exit status: 0 nothing found, 1 the database could not be read, 2 something was found.
    Doctor(DoctorArgs),
    /// Run a migration while no session has a view of some tables.
    ///
    /// Asks the agent that runs with this configuration, over a socket in its state directory, so use it on the same
    /// machine and as the agent's user. Sessions give the views of these tables back with their transactions; when no
    /// view and no lock of any session is left, COMMAND runs. Statements that need a masked or row-filtered one of
    /// the tables wait meanwhile, and are refused with 55P03 after `--patience`. When COMMAND has ended the agent
    /// looks at the database again before it lets sessions go on. Partitions, parents and views of the tables are
    /// held with them.
    ///
    /// Exit status: that of COMMAND; 1 if it was not run.
    #[command(after_help = QUIESCE_EXAMPLES)]
    Quiesce(QuiesceArgs),
    /// Check or show what the agent recorded.
    Audit(audit::AuditArgs),
    /// Check a configuration, or print the reference of all settings.
    Config(configuration::ConfigArgs),
}

impl Command {
    /// Whether it has nothing to read although it must.
    fn lacks_configuration(&self, environment: &Environment) -> bool {
        let given = match self {
            Self::Run(args) => &args.config,
            Self::Introspect(args) => &args.config,
            Self::Doctor(args) => &args.config,
            Self::Quiesce(args) => &args.config,
            Self::Config(args) => match args.given() {
                Some(given) => given,
                None => return false,
            },
            Self::Audit(_) => return false,
        };
        given.config.is_none() && environment.is_empty()
    }
}

#[derive(Debug, Args)]
struct Given {
    /// The configuration file; not needed where `DAAM_` variables say everything.
    #[arg(long, env = "DAAM_AGENT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    config: Given,
    /// Write the addresses to this file (JSON) once the agent is ready.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Stop when standard input ends.
    #[arg(long)]
    exit_on_stdin_close: bool,
}

#[derive(Debug, Args)]
struct IntrospectArgs {
    #[command(flatten)]
    config: Given,
    /// Show relations the scope does not cover (+) and patterns that match nothing (-).
    #[arg(long)]
    diff: bool,
    /// What to print.
    #[arg(long, value_enum, default_value = "scope", conflicts_with = "diff")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A `scope:` block to paste into the configuration.
    Scope,
    /// The whole catalogue as one JSON document.
    Json,
    /// The files of a schema lock, as a JSON object from file name to text.
    Lock,
    /// What the database's own grants give to whom, as one JSON document.
    Grants,
}

#[derive(Debug, Args)]
struct DoctorArgs {
    #[command(flatten)]
    config: Given,
}

#[derive(Debug, Args)]
struct QuiesceArgs {
    #[command(flatten)]
    config: Given,
    /// How long open transactions that use the tables may take to end.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    wait: Duration,
    /// How long statements that need the tables wait before they are refused.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    patience: Duration,
    /// End sessions that still use the tables after `--wait`.
    #[arg(long)]
    end_sessions: bool,
    /// Tables, as the scope's patterns name them.
    #[arg(required = true, value_name = "TABLE")]
    tables: Vec<String>,
    /// What to run.
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

fn duration(text: &str) -> Result<Duration, String> {
    crate::duration::parse(text).ok_or_else(|| "expected a time such as `500ms`, `30s` or `2m`".to_owned())
}

/// Reads the command line and does what it says.
pub async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { 0 };
            // Nothing better can be done when the terminal itself is gone.
            error.print().unwrap_or_default();
            return ExitCode::from(code);
        }
    };
    let environment = match Environment::of_process() {
        Ok(environment) => environment,
        Err(error) => return finish(Err(error)),
    };
    if cli.command.lacks_configuration(&environment) {
        output::complain(
            "error: no configuration; give `--config FILE`, or set the `DAAM_` variables instead",
        );
        return ExitCode::from(USAGE);
    }
    match cli.command {
        Command::Run(args) => {
            let options = RunOptions {
                config: args.config.config,
                ready_file: args.ready_file,
                exit_on_stdin_close: args.exit_on_stdin_close,
            };
            finish(run::run(options).await.map(|()| 0))
        }
        Command::Introspect(args) => finish(introspect(&args).await),
        Command::Doctor(args) => finish(examine(&args).await),
        Command::Quiesce(args) => finish(quiesced(args).await),
        Command::Audit(args) => finish(audit::run(args)),
        Command::Config(args) => finish(configuration::run(&args)),
    }
}

async fn introspect(args: &IntrospectArgs) -> Result<u8, Failure> {
    let (config, upstream) = look(&args.config)?;
    if args.format == Format::Grants {
        let grants = crate::upkeep::privileges(&upstream).await?;
        output::print(&introspect::pretty(&grants));
        return Ok(0);
    }
    let full = crate::upkeep::introspect(&upstream).await?;
    if args.diff {
        let diff = introspect::diff(&full, &config.upstream);
        output::print(&diff.text);
        return Ok(if diff.text.is_empty() { 0 } else { FINDINGS });
    }
    output::print(&match args.format {
        Format::Scope => introspect::scope_block(&full),
        Format::Json => introspect::json(&full),
        Format::Lock => introspect::lock(&full, &today()),
        Format::Grants => String::new(),
    });
    Ok(0)
}

async fn examine(args: &DoctorArgs) -> Result<u8, Failure> {
    let (config, upstream) = look(&args.config)?;
    let findings = doctor::examine(&upstream, &config.upstream.scope).await?;
    output::print(&doctor::render(&findings));
    Ok(if findings.is_empty() { 0 } else { FINDINGS })
}

async fn quiesced(args: QuiesceArgs) -> Result<u8, Failure> {
    let config = Config::load(args.config.config.as_deref())?;
    let agent = config.agent.ok_or("`agent` is missing in the configuration")?;
    let QuiesceArgs { wait, patience, end_sessions, tables, command, .. } = args;
    let ask = Ask { tables, wait, patience, end_sessions };
    let ended = quiesce(&agent.state_dir, &ask, &command).await?;
    match ended.hold {
        Ended::Released => Ok(ended.status),
        Ended::StillHeld(reason) => {
            output::complain(&format!(
                "error: the command has ended with status {}, and its tables stay held: the agent cannot read the \
                 schema ({reason}); sessions may use them again as soon as it can, nothing needs to be repeated",
                ended.status
            ));
            Ok(if ended.status == 0 { FAILED } else { ended.status })
        }
        Ended::Lost => {
            output::complain(
                "warning: the agent went away while the command ran; its sessions ended with it",
            );
            Ok(ended.status)
        }
    }
}

/// The day it is, for the lock.
fn today() -> String {
    let day = time::OffsetDateTime::now_utc().date();
    format!("{:04}-{:02}-{:02}", day.year(), u8::from(day.month()), day.day())
}

type Failure = Box<dyn Error + Send + Sync>;

fn look(given: &Given) -> Result<(Config, crate::upstream::UpstreamConfig), Failure> {
    let config = Config::load(given.config.as_deref())?;
    let dsn = crate::config::read_secret(&config.upstream.dsn_file)?;
    let upstream = crate::upstream::UpstreamConfig::parse(dsn.expose())?;
    Ok((config, upstream))
}

fn finish<E: Into<Failure>>(result: Result<u8, E>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let error = error.into();
            output::complain(&format!("error: {error}"));
            let mut cause = error.source();
            while let Some(source) = cause {
                output::complain(&format!("  because: {source}"));
                cause = source.source();
            }
            ExitCode::from(FAILED)
        }
    }
}
