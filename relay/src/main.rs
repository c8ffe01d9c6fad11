//! The `daam-relay` program: enrol, announce the address, forward until told to stop.
//!
//! Refuses to start when the control plane refuses the enrolment token; waits for one that is away.

use anyhow::Context;
use clap::{Parser, Subcommand};
use daam_diagnostic::log;
use daam_identity::ticket::TicketVerifier;
use daam_relay::acme::{Keeper, Settings, USUAL_DIRECTORY};
use daam_relay::control::{ControlPlane, write_private};
use daam_relay::forward::Forwarder;
use daam_relay::limits::Limits;
use daam_relay::serve::{Beside, RelaySocket, Snapshot, TcpEvent};
use daam_relay::tls_files::TlsFiles;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

/// How often the control plane is told our address again, so that one restored from a backup learns it.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(300);
/// Less would not carry a handshake.
const LEAST_RATE: u64 = 100_000;
/// Packets from TCP peers waiting to be forwarded.
const TCP_EVENTS: usize = 1024;

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
    #[command(after_help = "Examples:
  daam-relay serve --listen 0.0.0.0:443 --also-udp 0.0.0.0:3478 --advertise relay.example.com:443 --control-plane https://daam.example.com \\
    --enrolment-token-file token --state-dir /var/lib/daam-relay \\
    --tls-cert fullchain.pem --tls-key privkey.pem --metrics 127.0.0.1:9464
  daam-relay serve --listen 0.0.0.0:443 --advertise relay.example.com:443 --control-plane https://daam.example.com \
    --enrolment-token-file token --state-dir /var/lib/daam-relay --acme --acme-contact ops@example.com

SIGTERM tells every peer to move to another relay, waits until they did (at most --drain seconds), then ends.
A second SIGTERM, or SIGINT, ends at once.")]
    Serve(Serve),
}

#[derive(Debug, clap::Args)]
struct Serve {
    /// UDP address to forward on; TCP, too, if there is a certificate.
    #[arg(long)]
    listen: SocketAddr,
    /// A second UDP address; peers of a relay announced on port 443 also try port 3478, where networks that block the
    /// first (because HTTP/3 uses it) often let a call through.
    #[arg(long, value_name = "ADDR")]
    also_udp: Option<SocketAddr>,
    /// TLS certificate chain (PEM) for peers that only get through by TCP; read again when it changes.
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Get the certificate from this ACME server (Let's Encrypt if no URL is given) and keep it new; by this you agree to
    /// the server's terms. It must find the name of --advertise on TCP port 443 here.
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = USUAL_DIRECTORY,
        require_equals = true, conflicts_with = "tls_cert", requires = "advertise")]
    acme: Option<String>,
    /// An e-mail address the ACME server may write to.
    #[arg(long, value_name = "EMAIL", requires = "acme")]
    acme_contact: Option<String>,
    /// The authority (PEM) of a private ACME server's own certificate.
    #[arg(long, value_name = "FILE", requires = "acme")]
    acme_ca: Option<PathBuf>,
    /// Serve `/metrics` (Prometheus) and `/healthz` over HTTP here.
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
    /// On SIGTERM, give peers so long to move to another relay.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    drain: u64,
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
    /// Carry at most so many bytes per second for one tunnel, whatever its ticket says.
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().ticket_bytes_per_second,
        value_parser = clap::value_parser!(u64).range(LEAST_RATE..))]
    client_rate: u64,
    /// Carry at most so many bytes per second for one agent, whatever its ticket says.
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().agent_bytes_per_second,
        value_parser = clap::value_parser!(u64).range(LEAST_RATE..))]
    agent_rate: u64,
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
    if let Err(error) = log::start(std::env::var_os("DAAM_LOG"), "info") {
        let said = writeln!(std::io::stderr(), "error: {error}");
        drop(said);
        return ExitCode::FAILURE;
    }
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
    let (leave, leaving) = watch::channel(false);
    tokio::select! {
        served = serve(arguments, leaving) => served,
        stopped = stop(exit_on_stdin_close, leave) => {
            tracing::info!("stopping");
            stopped
        }
    }
}

async fn serve(arguments: Serve, leaving: watch::Receiver<bool>) -> anyhow::Result<()> {
    let control = ControlPlane::new(&arguments.control_plane)?;
    // What cannot be ordered is said before anything is waited for.
    let ordered = arguments.acme.as_deref().map(|directory| Keeper::new(ordered(&arguments, directory)));
    let keeper = ordered.transpose()?;
    let (socket, tcp_socket) = bind(&arguments)?;
    let local = socket.local_addr().context("no listening address")?.to_string();
    let enrolment =
        control.enrolment(&arguments.name, &arguments.enrolment_token_file, &arguments.state_dir).await?;
    let advertised = arguments.advertise.clone().unwrap_or_else(|| local.clone());
    let verifier = TicketVerifier::from_base64(&enrolment.ticket_key, &advertised)?;
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).context("no randomness from the operating system")?;
    let limits = Limits {
        ticket_bytes_per_second: arguments.client_rate,
        agent_bytes_per_second: arguments.agent_rate,
        ..Limits::default()
    };
    let forwarder = Forwarder::new(&enrolment.org, verifier, secret, limits.clone());
    let (events, beside) = mpsc::channel(TCP_EVENTS);
    let (snapshots, seen) = watch::channel(Snapshot::default());
    let beside = Beside::new(beside, snapshots, leaving, Duration::from_secs(arguments.drain));
    let _beside = [tcp(&arguments, (tcp_socket, keeper), &limits, events)?, metrics(&arguments, seen).await?];
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
        ended = socket.forward_with(forwarder, beside) => ended.context("the socket failed"),
        refused = ready => refused,
    }
}

/// UDP and, if there is a certificate, TCP on the same port.
fn bind(arguments: &Serve) -> anyhow::Result<(RelaySocket, Option<std::net::TcpListener>)> {
    let at = |addr: SocketAddr| format!("cannot listen on {addr}");
    let (mut udp, mut tcp) = (arguments.listen, None);
    if arguments.tls_cert.is_some() || arguments.acme.is_some() {
        let listener = std::net::TcpListener::bind(arguments.listen)
            .with_context(|| format!("{} for TCP", at(arguments.listen)))?;
        udp = listener.local_addr().context("no listening address")?;
        tcp = Some(listener);
    }
    let socket = RelaySocket::bind(udp).with_context(|| at(udp))?;
    let socket = match arguments.also_udp {
        Some(second) => socket.also(second).with_context(|| at(second))?,
        None => socket,
    };
    Ok((socket, tcp))
}

/// Takes peers over TCP, if there is a certificate.
fn tcp(
    arguments: &Serve,
    (listener, keeper): (Option<std::net::TcpListener>, Option<Keeper>),
    limits: &Limits,
    events: mpsc::Sender<TcpEvent>,
) -> anyhow::Result<Option<AbortOnDropHandle<()>>> {
    let Some(listener) = listener else { return Ok(None) };
    let files = match (&arguments.tls_cert, &arguments.tls_key, &keeper) {
        (Some(certificate), Some(key), _) => Arc::new(TlsFiles::open(certificate, key)?),
        (_, _, Some(keeper)) => keeper.files(),
        _ => return Ok(None),
    };
    listener.set_nonblocking(true).context("cannot listen for TCP")?;
    let listener = tokio::net::TcpListener::from_std(listener).context("cannot listen for TCP")?;
    let limits = limits.clone();
    let kept = Arc::clone(&files);
    let keeping = async move {
        match keeper {
            Some(keeper) => keeper.keep().await,
            None => kept.watch().await,
        }
    };
    Ok(Some(AbortOnDropHandle::new(tokio::spawn(async move {
        tokio::select! {
            () = daam_relay::tcp::accept(listener, files, &limits, events) => {}
            () = keeping => {}
        }
    }))))
}

/// What to ask an ACME server for.
fn ordered(arguments: &Serve, directory: &str) -> Settings {
    let announced = arguments.advertise.as_deref().unwrap_or_default();
    let name = announced.rsplit_once(':').map_or(announced, |(name, _)| name).trim_matches(['[', ']']);
    Settings {
        directory: directory.to_owned(),
        contact: arguments.acme_contact.clone(),
        authority: arguments.acme_ca.clone(),
        name: name.to_owned(),
        state: arguments.state_dir.clone(),
    }
}

async fn metrics(
    arguments: &Serve,
    snapshots: watch::Receiver<Snapshot>,
) -> anyhow::Result<Option<AbortOnDropHandle<()>>> {
    let Some(at) = arguments.metrics else { return Ok(None) };
    let listener = tokio::net::TcpListener::bind(at)
        .await
        .with_context(|| format!("cannot listen on {at} for metrics"))?;
    Ok(Some(AbortOnDropHandle::new(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, daam_relay::metrics::router(snapshots)).await {
            tracing::error!(%error, "metrics are not served any more");
        }
    }))))
}

/// Returns when the process should end at once; a request to terminate makes the relay leave by itself.
async fn stop(exit_on_stdin_close: bool, leave: watch::Sender<bool>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    loop {
        tokio::select! {
            _ = terminate.recv() => {
                if leave.send_replace(true) {
                    return Ok(());
                }
            }
            _ = interrupt.recv() => return Ok(()),
            () = stdin_closed(), if exit_on_stdin_close => return Ok(()),
        }
    }
}

async fn stdin_closed() {
    let mut stdin = tokio::io::stdin();
    let mut buffer = [0; 64];
    // A read error means that nobody can be watching any more, as the end of input does.
    while stdin.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}
