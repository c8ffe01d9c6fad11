//! `daam connect`, `daam psql` and `daam run`: a local endpoint for one database, and who uses it.

use crate::client;
use crate::credentials::{IdentityStore, Login};
use crate::error::{CliError, Doing as _, Exit};
use crate::home::Home;
use crate::link::{Link, LinkConfig};
use crate::local::{Endpoint, Listen};
use crate::output;
use clap::Args;
use daam_tunnel::PathPreference;
use std::ffi::OsString;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// How to reach a database.
#[derive(Debug, Args)]
pub struct Way {
    /// Listen on 127.0.0.1 with a random password instead of a private Unix socket.
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "0", require_equals = true)]
    tcp: Option<u16>,
    /// Go through a relay even if the agent can be reached directly.
    #[arg(long)]
    relay: bool,
}

impl Way {
    /// The kind of socket.
    pub fn listen(&self) -> Listen {
        self.tcp.map_or(Listen::Socket, Listen::Tcp)
    }

    /// The path.
    pub fn prefer(&self) -> PathPreference {
        if self.relay { PathPreference::Relay } else { PathPreference::Auto }
    }
}

/// Options of `daam connect`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam connect shop
  daam connect shop --tcp          # for clients that cannot use a Unix socket
  daam connect shop --tcp=15432    # on a fixed port")]
pub struct ConnectArgs {
    /// The database, as `daam databases` lists it.
    database: String,
    #[command(flatten)]
    way: Way,
}

/// Options of `daam psql`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam psql shop
  daam psql shop -- -c 'select count(*) from orders'")]
pub struct PsqlArgs {
    /// The database, as `daam databases` lists it.
    database: String,
    #[command(flatten)]
    way: Way,
    /// Arguments for psql.
    #[arg(last = true, value_name = "PSQL ARGS")]
    arguments: Vec<OsString>,
}

/// Options of `daam run`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam run shop -- pg_dump --schema-only
  daam run shop --tcp -- ./manage.py runserver

The program finds PGHOST, PGPORT, PGUSER, PGDATABASE and DATABASE_URL set (PGPASSWORD too with --tcp).
Its exit code is passed on.")]
pub struct RunArgs {
    /// The database, as `daam databases` lists it.
    database: String,
    #[command(flatten)]
    way: Way,
    /// The program and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Opens the endpoint, prints its address, stays until interrupted.
pub async fn connect(args: ConnectArgs) -> Result<(), CliError> {
    let (endpoint, link) = endpoint(&args.database, &args.way).await?;
    // Reach the agent now, so that a refusal is seen here and not by the first client.
    let path = link.tunnel().await?.path();
    output::line(endpoint.address().url());
    output::progress(format!("connected ({path}); press Ctrl-C to end"));
    let mut terminate = signal(SignalKind::terminate()).doing("watch for signals")?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.doing("watch for signals")?,
        _ = terminate.recv() => {}
    }
    drop(endpoint);
    link.close().await;
    Ok(())
}

/// Runs psql.
pub async fn psql(args: PsqlArgs) -> Result<Exit, CliError> {
    let (endpoint, link) = endpoint(&args.database, &args.way).await?;
    link.tunnel().await?;
    let exit = client::psql(endpoint.address(), &args.arguments).await;
    endpoint.close().await;
    link.close().await;
    exit
}

/// Runs a program.
pub async fn run(args: RunArgs) -> Result<Exit, CliError> {
    let (endpoint, link) = endpoint(&args.database, &args.way).await?;
    link.tunnel().await?;
    let exit = program(&endpoint, &args.command).await;
    endpoint.close().await;
    link.close().await;
    exit
}

/// Runs `command[0]` with the rest as arguments.
pub async fn program(endpoint: &Endpoint, command: &[OsString]) -> Result<Exit, CliError> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(CliError::usage("no command given").remedy("write it after `--`"));
    };
    client::run(endpoint.address(), program, arguments).await
}

async fn endpoint(database: &str, way: &Way) -> Result<(Endpoint, Arc<Link>), CliError> {
    let home = Home::find()?;
    let login = Login::load(&home)?;
    let config = LinkConfig {
        plane: login.control_plane()?,
        org: login.org,
        database: database.to_owned(),
        device: login.device,
        prefer: way.prefer(),
    };
    let link = Arc::new(Link::new(config, IdentityStore::of_login(&home)));
    let endpoint = Endpoint::open(way.listen(), &login.email, Arc::clone(&link)).await?;
    Ok((endpoint, link))
}
