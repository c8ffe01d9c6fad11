//! The `daam-relay` program: enrol, announce the address, forward until told to stop.
//!
//! Refuses to start when the control plane refuses the enrolment token; waits for one that is away.

use anyhow::Context;
use clap::{Parser, Subcommand};
use daam_identity::ticket::TicketVerifier;
use daam_relay::control::{ControlPlane, write_private};
use daam_relay::forward::Forwarder;
use daam_relay::limits::Limits;
use daam_relay::serve::RelaySocket;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};

/// How often the control plane is told our address again, so that one restored from a backup learns it.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(300);

/// Forwards tunnel packets between developers and agents that cannot reach each other.
#[derive(Debug, Parser)]
#[command(name = "daam-relay", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Enrol if needed, then forward until stopped.
    Serve(Serve),
}

#[derive(Debug, clap::Args)]
struct Serve {
    /// UDP address to forward on.
    #[arg(long)]
    listen: SocketAddr,
    /// Address others reach it at, `host:port`; the listening address if absent.
    #[arg(long)]
    advertise: Option<String>,
    /// The control plane's URL.
    #[arg(long)]
    control_plane: String,
    /// File with the one-time enrolment token; read only while not enrolled.
    #[arg(long)]
    enrolment_token_file: PathBuf,
    /// Directory for what enrolment gave.
    #[arg(long)]
    state_dir: PathBuf,
    /// A name for people.
    #[arg(long, default_value = "relay")]
    name: String,
    /// Write `{"address":"…"}` here once forwarding.
    #[arg(long)]
    ready_file: Option<PathBuf>,
    /// Stop when standard input ends.
    #[arg(long)]
    exit_on_stdin_close: bool,
}

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(std::io::stderr).init();
    let Command::Serve(arguments) = Arguments::parse().command;
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(run(arguments));
    // Not waited for: a read of standard input cannot be cancelled.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Serve) -> anyhow::Result<()> {
    let exit_on_stdin_close = arguments.exit_on_stdin_close;
    tokio::select! {
        served = serve(arguments) => served,
        stopped = stop(exit_on_stdin_close) => {
            tracing::info!("stopping");
            stopped
        }
    }
}

async fn serve(arguments: Serve) -> anyhow::Result<()> {
    let control = ControlPlane::new(&arguments.control_plane)?;
    let socket = RelaySocket::bind(arguments.listen)
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let local = socket.local_addr().context("no listening address")?.to_string();
    let enrolment =
        control.enrolment(&arguments.name, &arguments.enrolment_token_file, &arguments.state_dir).await?;
    let verifier = TicketVerifier::from_base64(&enrolment.ticket_key)?;
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).context("no randomness from the operating system")?;
    let forwarder = Forwarder::new(&enrolment.org, verifier, secret, Limits::default());
    let advertised = arguments.advertise.unwrap_or_else(|| local.clone());
    let ready = async {
        control.announce(&enrolment, &advertised).await.with_context(|| {
            let state = arguments.state_dir.display();
            format!(
                "cannot announce our address; if this relay was removed there, empty `{state}` to enrol again"
            )
        })?;
        tracing::info!(id = enrolment.id, org = enrolment.org, address = advertised, "forwarding");
        if let Some(path) = &arguments.ready_file {
            let text = serde_json::json!({ "address": local }).to_string();
            write_private(path, &text).with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        loop {
            tokio::time::sleep(ANNOUNCE_EVERY).await;
            if let Err(error) = control.announce(&enrolment, &advertised).await {
                // Sessions go on: the control plane decides who may come, not who may stay.
                tracing::error!(%error, "our address was not taken");
            }
        }
    };
    tokio::select! {
        ended = socket.forward(forwarder) => ended.context("the socket failed"),
        refused = ready => refused,
    }
}

/// Returns when the process should end.
async fn stop(exit_on_stdin_close: bool) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = stdin_closed(), if exit_on_stdin_close => {}
    }
    Ok(())
}

async fn stdin_closed() {
    let mut stdin = tokio::io::stdin();
    let mut buffer = [0; 64];
    // A read error means that nobody can be watching any more, as the end of input does.
    while stdin.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}
