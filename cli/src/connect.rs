//! `daam connect`, `daam psql` and `daam run`: a local endpoint for one database, and who uses it.

use crate::client;
use crate::credentials::{IdentityStore, Login};
use crate::error::{CliError, Doing as _, Exit};
use crate::home::Home;
use crate::link::{Link, LinkConfig};
use crate::local::{Endpoint, Listen, Tool};
use crate::output;
use crate::status;
use clap::{Args, ValueEnum};
use daam_tunnel::{PathPreference, TcpSettings, Tunnel};
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How to reach a database.
#[derive(Debug, Args)]
pub struct Way {
    /// Listen on 127.0.0.1 with a random password instead of a private Unix socket.
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "0", require_equals = true)]
    tcp: Option<u16>,
    /// Which way to take; `auto` uses the best that works and changes it while you work.
    #[arg(long, value_enum, default_value_t = Path::Auto)]
    path: Path,
    /// Short for `--path relay`.
    #[arg(long, conflicts_with = "path")]
    relay: bool,
}

/// What `--path` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Path {
    /// The best that works.
    Auto,
    /// Only straight to the agent, over UDP if it passes.
    Direct,
    /// Only straight to the agent, inside TLS on TCP.
    DirectTcp,
    /// Only through relays, over UDP if it passes.
    Relay,
    /// Only through relays, inside TLS on TCP.
    RelayTcp,
}

impl Way {
    /// The kind of socket.
    pub fn listen(&self) -> Listen {
        self.tcp.map_or(Listen::Socket, Listen::Tcp)
    }

    /// The path.
    pub fn prefer(&self) -> PathPreference {
        match self.path {
            _ if self.relay => PathPreference::Relay,
            Path::Auto => PathPreference::Auto,
            Path::Direct => PathPreference::Direct,
            Path::DirectTcp => PathPreference::DirectTcp,
            Path::Relay => PathPreference::Relay,
            Path::RelayTcp => PathPreference::RelayTcp,
        }
    }
}

/// Options of `daam connect`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam connect shop
  daam connect shop --tcp          # for clients that cannot use a Unix socket
  daam connect shop --tcp=15432    # on a fixed port
  daam connect shop --path relay-tcp
  daam connect shop --tcp --print jdbc

The session goes on when the network changes, a relay dies or a better way appears; what is used now is printed here
and by `daam status`. Your certificate is renewed while it runs; it ends when your sign-in does.")]
pub struct ConnectArgs {
    /// The database, as `daam databases` lists it.
    database: String,
    #[command(flatten)]
    way: Way,
    /// Print the address as this tool wants it told, instead of a URL.
    #[arg(long, value_enum, value_name = "TOOL", default_value_t = Tool::Url)]
    print: Tool,
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
    let told = endpoint.address().told_to(args.print)?;
    // Reach the agent now, so that a refusal is seen here and not by the first client.
    let path = link.tunnel().await?.path();
    output::line(told);
    output::progress(format!("connected ({path}); press Ctrl-C to end"));
    let shown = status::serve(&Home::find()?, "connect", &link);
    let mut terminate = signal(SignalKind::terminate()).doing("watch for signals")?;
    let ended = tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.doing("watch for signals"),
        _ = terminate.recv() => Ok(()),
        error = keep(&link) => Err(error),
    };
    drop((endpoint, shown));
    link.close().await;
    ended
}

/// Tells of every change of path, and makes a new tunnel when one ended, ever more slowly. Returns when the sign-in
/// has ended or was taken away.
async fn keep(link: &Link) -> CliError {
    let mut wait = FIRST_WAIT;
    loop {
        let tunnel = match link.tunnel().await {
            Ok(tunnel) => tunnel,
            Err(error) if error.is_final() => {
                output::progress("your sign-in has ended, and this session with it");
                return error;
            }
            Err(error) => {
                output::progress(format!("{}; trying again in {} s", error.sentence(), wait.as_secs()));
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
                continue;
            }
        };
        wait = FIRST_WAIT;
        let reason = tell_changes(&tunnel).await;
        drop(tunnel);
        output::progress(format!("the connection to the agent ended: {reason}; connecting again"));
        tokio::time::sleep(FIRST_WAIT).await;
    }
}

/// Until the tunnel ends; says why.
async fn tell_changes(tunnel: &Tunnel) -> String {
    let mut paths = tunnel.paths();
    let mut told = tunnel.path();
    let telling = async {
        while paths.changed().await.is_ok() {
            let now = tunnel.path();
            if now != told {
                output::progress(format!("path: {told} -> {now}"));
                told = now;
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        reason = tunnel.closed() => reason,
        () = telling => String::new(),
    }
}

/// Runs psql.
pub async fn psql(args: PsqlArgs) -> Result<Exit, CliError> {
    let (endpoint, link) = endpoint(&args.database, &args.way).await?;
    link.tunnel().await?;
    let _shown = status::serve(&Home::find()?, "psql", &link);
    let exit = client::psql(endpoint.address(), &args.arguments).await;
    endpoint.close().await;
    link.close().await;
    exit
}

/// Runs a program.
pub async fn run(args: RunArgs) -> Result<Exit, CliError> {
    let (endpoint, link) = endpoint(&args.database, &args.way).await?;
    link.tunnel().await?;
    let _shown = status::serve(&Home::find()?, "run", &link);
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
        tcp: TcpSettings::default(),
    };
    let link = Arc::new(Link::new(config, IdentityStore::of_login(&home)));
    let endpoint = Endpoint::open(way.listen(), &login.email, Arc::clone(&link)).await?;
    Ok((endpoint, link))
}
