//! The control plane's program: read the command line, start, announce, run until told to stop.

use anyhow::Context as _;
use clap::Parser as _;
use daam_api::v1::Bootstrap;
use daam_control_plane::args::{Admin, Authority, Cli, Command, CreateOrganization, Data, Serve, SignInLink};
use daam_control_plane::server::AuthorityChange;
use daam_control_plane::{Config, Server, Transport, backup, server};
use daam_diagnostic::log;
use std::future::pending;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = log::start(std::env::var_os("DAAM_LOG"), "info") {
        let said = writeln!(io::stderr(), "error: {error}");
        drop(said);
        return ExitCode::FAILURE;
    }
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(async {
        match command {
            Command::Serve(serve) => run_server(&serve).await,
            Command::CreateOrganization(create) => create_organization(&create).await,
            Command::Admin(Admin::SignInLink(wanted)) => sign_in_link(&wanted).await,
            Command::Admin(Admin::Authority(asked)) => authority(&asked).await,
            Command::Backup(asked) => Ok(backup::backup(&config(&asked.data), &asked.out).await?),
            Command::Restore(asked) => restore(&config(&asked.data), &asked.from).await,
        }
    })
}

async fn restore(config: &Config, from: &Path) -> anyhow::Result<()> {
    if let Some(aside) = backup::restore(config, from).await? {
        tracing::warn!(
            to = %aside.display(),
            "what this server remembered of audits it signed was moved aside, because it is later than the backup"
        );
    }
    Ok(())
}

async fn run_server(serve: &Serve) -> anyhow::Result<()> {
    let mut term = signal(SignalKind::terminate()).context("listen for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for signals")?;
    let server = Server::start(&serve.config()).await?;
    let address = server.address();
    tracing::info!(%address, "listening");
    if let Some(file) = &serve.ready_file {
        announce(file, address).with_context(|| format!("write the ready file `{}`", file.display()))?;
    }
    let stdin = serve.exit_on_stdin_close.then(stdin_closed);
    let drain = Duration::from_secs(serve.drain);
    let until = async move {
        tokio::select! {
            _ = term.recv() => drain,
            _ = interrupt.recv() => Duration::ZERO,
            Some(_) = async { Some(stdin?.await) } => Duration::ZERO,
        }
    };
    server.run(until, asked_again()).await.context("serve")
}

/// From when this is first waited for.
async fn asked_again() {
    let (Ok(mut term), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
}

async fn create_organization(create: &CreateOrganization) -> anyhow::Result<()> {
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = create.data.config(nowhere, Transport::Loopback);
    let request = Bootstrap { organization: create.name.clone(), admin_email: create.admin_email.clone() };
    let made = server::create_organization(&config, &request).await?;
    writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&made)?).context("write the answer")
}

async fn sign_in_link(wanted: &SignInLink) -> anyhow::Result<()> {
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
    let config = wanted.data.config(nowhere, Transport::Loopback);
    let link = server::recovery_link(&config, (&wanted.org, &wanted.email, wanted.forget_passkeys)).await?;
    let (email, org) = (&wanted.email, &wanted.org);
    let link =
        link.with_context(|| format!("there is no enabled member `{email}` in an organization `{org}`"))?;
    writeln!(io::stdout(), "{link}").context("write the answer")
}

async fn authority(asked: &Authority) -> anyhow::Result<()> {
    let change = match asked {
        Authority { begin: true, .. } => AuthorityChange::Begin,
        Authority { retire: true, force, .. } => AuthorityChange::Retire { force: *force },
        _ => AuthorityChange::Nothing,
    };
    let list = server::authorities(&config(&asked.data), &asked.org, change).await?;
    writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&list)?).context("write the answer")
}

/// Of what does not listen.
fn config(data: &Data) -> Config {
    data.config(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Transport::Loopback)
}

/// Written beside and renamed, so that a reader never sees half of it.
fn announce(file: &Path, address: SocketAddr) -> io::Result<()> {
    let beside = file.with_extension("part");
    std::fs::write(&beside, format!("{}\n", serde_json::json!({ "address": address.to_string() })))?;
    std::fs::rename(beside, file)
}

/// A thread of its own, because a blocked read of standard input would hold up the runtime's end.
fn stdin_closed() -> oneshot::Receiver<()> {
    let (send, closed) = oneshot::channel();
    std::thread::spawn(move || {
        let mut ignored = [0_u8; 256];
        let mut stdin = io::stdin().lock();
        while matches!(stdin.read(&mut ignored), Ok(1..)) {}
        let _ = send.send(());
    });
    closed
}
