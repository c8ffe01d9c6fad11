//! `daam dev up`: starts everything, publishes the project, stays until told to end, leaves nothing behind.

use super::children::Child;
use super::fabric;
use super::plane;
use super::project::{self, ProjectFacts};
use super::state::{Facts, OwnedState, RELAY_CERTIFICATE, StateDir};
use super::upstream::{self, Upstream};
use crate::control_plane::ControlPlane;
use crate::error::{CliError, Doing as _};
use crate::home::{Home, write_private};
use crate::output;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};

/// Options of `daam dev up`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam dev up --project policy-examples/shop --seed schema.sql --seed data.sql
  daam dev up --upstream postgresql://daam_agent:…@localhost/shop

Without --upstream a private PostgreSQL is started; its data lives as long as the sandbox. Ctrl-C ends it.")]
pub struct UpArgs {
    /// The policy project: a directory with `daam.yaml`.
    #[arg(long, value_name = "DIR", default_value = ".")]
    project: PathBuf,
    /// The project's database to serve, if it has several.
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// SQL to run in the database first; several in order.
    #[arg(long, value_name = "FILE.sql")]
    seed: Vec<PathBuf>,
    /// Serve this server instead of a private one.
    #[arg(long, value_name = "DSN")]
    upstream: Option<String>,
    /// Directory of `postgres` and `initdb`.
    #[arg(long, value_name = "DIR", conflicts_with = "upstream")]
    postgres_bin: Option<PathBuf>,
    /// Where keys, configuration and logs are kept while it runs.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Written as JSON when everything is ready.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// What the ready file says.
#[derive(Debug, Serialize)]
struct Ready<'a> {
    control_plane: &'a str,
    agent_health: &'a str,
    relay: &'a str,
    upstream: &'a str,
    state: &'a Path,
}

#[derive(Debug, Deserialize)]
struct Announced {
    address: String,
}

#[derive(Debug, Deserialize)]
struct AgentAnnounced {
    health: String,
}

/// Starts a sandbox and waits for its end.
pub async fn run(args: UpArgs) -> Result<(), CliError> {
    let mut interrupt = signal(SignalKind::interrupt()).doing("watch for signals")?;
    let mut terminate = signal(SignalKind::terminate()).doing("watch for signals")?;
    let mut hangup = signal(SignalKind::hangup()).doing("watch for signals")?;
    let home = Home::find()?;
    let project = project::facts(&args.project, args.database.as_deref())?;
    let mut owned = OwnedState::take(&home, args.state.as_deref())?;
    let mut running = Running::default();
    let ended = tokio::select! {
        failed = sandbox(&args, &project, owned.state(), &mut running) => failed,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        _ = hangup.recv() => Ok(()),
    };
    if ended.is_err() && args.state.is_some() {
        owned.keep_logs();
    }
    if let Some(file) = &args.ready_file {
        drop(std::fs::remove_file(file));
    }
    output::progress("ending the sandbox");
    running.stop().await;
    ended
}

/// What a sandbox is made of that lives only as long as a piece of work.
#[derive(Debug, Clone, Default)]
pub struct Passing {
    /// The policy project.
    pub project: PathBuf,
    /// The project's database to serve.
    pub database: String,
    /// SQL to run in the database first.
    pub seed: Vec<PathBuf>,
    /// Serve this server instead of a private one.
    pub upstream: Option<String>,
    /// Directory of `postgres` and `initdb`.
    pub postgres_bin: Option<PathBuf>,
}

/// Starts a sandbox that no other command finds, does the work, and ends it.
pub async fn during<T>(
    passing: Passing,
    work: impl AsyncFnOnce(&StateDir, &Facts, &str) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let Passing { project, database, seed, upstream, postgres_bin } = passing;
    let database = Some(database);
    let args = UpArgs { project, database, seed, upstream, postgres_bin, state: None, ready_file: None };
    let project = project::facts(&args.project, args.database.as_deref())?;
    let apart = tempfile::tempdir().doing("make a directory for the sandbox")?;
    let owned = OwnedState::take(&Home::at(apart.path()), None)?;
    let mut running = Running::default();
    let done = tokio::select! {
        done = async {
            let started = start(&args, &project, owned.state(), &mut running).await?;
            work(owned.state(), &started.facts, &started.outside_dsn).await
        } => done,
        _ = tokio::signal::ctrl_c() => Err(CliError::usage("interrupted")),
    };
    running.stop().await;
    done
}

/// What has to be stopped. Dropping it kills what is left.
#[derive(Debug, Default)]
struct Running {
    upstream: Option<Upstream>,
    control_plane: Option<Child>,
    relay: Option<Child>,
    agent: Option<Child>,
}

impl Running {
    /// The agent first: it tidies up its roles at the server.
    async fn stop(self) {
        if let Some(agent) = self.agent {
            agent.stop().await;
        }
        let others = [self.relay, self.control_plane].into_iter().flatten().map(Child::stop);
        futures_util::future::join_all(others).await;
        // Stopping the server blocks for a moment.
        drop(tokio::task::spawn_blocking(move || drop(self.upstream)).await);
    }

    /// Resolves when the agent ends by itself. Without relay or control plane the sandbox goes on: enforcement does
    /// not depend on them, and how that looks is worth trying.
    async fn agent_ended(&mut self) -> CliError {
        loop {
            let error = tokio::select! {
                error = ended(self.agent.as_mut()) => return error,
                error = ended(self.relay.as_mut()) => {
                    self.relay = None;
                    error
                }
                error = ended(self.control_plane.as_mut()) => {
                    self.control_plane = None;
                    error
                }
            };
            output::failure(&error.remedy("the sandbox goes on without it; `daam dev down` ends the rest"));
        }
    }
}

async fn ended(child: Option<&mut Child>) -> CliError {
    match child {
        Some(child) => child.ended().await,
        None => std::future::pending().await,
    }
}

/// A sandbox that enforces the policies.
struct Started {
    facts: Facts,
    relay: String,
    agent_health: String,
    outside_dsn: String,
    serial: u64,
}

async fn sandbox(
    args: &UpArgs,
    project: &ProjectFacts,
    state: &StateDir,
    running: &mut Running,
) -> Result<(), CliError> {
    let Started { facts, relay, agent_health, outside_dsn, serial } =
        start(args, project, state, running).await?;
    let ready = Ready {
        control_plane: &facts.control_plane,
        agent_health: agent_health.trim_end_matches('/'),
        relay: &relay,
        upstream: &outside_dsn,
        state: state.dir(),
    };
    if let Some(file) = &args.ready_file {
        write_private(file, serde_json::to_string(&ready).doing("write the ready file")?)?;
    }
    output::progress(format!(
        "ready: database `{}`, policy {serial}; try `daam dev psql --as you@example.test --groups …`; Ctrl-C ends it",
        facts.database
    ));
    Err(running.agent_ended().await)
}

async fn start(
    args: &UpArgs,
    project: &ProjectFacts,
    state: &StateDir,
    running: &mut Running,
) -> Result<Started, CliError> {
    let mut facts = Facts {
        pid: i32::try_from(std::process::id()).unwrap_or_default(),
        control_plane: String::new(),
        org: String::new(),
        database: project.database.clone(),
        project: project.dir.clone(),
        cluster: None,
    };
    state.store_facts(&facts)?;
    let (upstream, plane) = tokio::try_join!(start_upstream(args, project), start_control_plane(state))?;
    let outside_dsn = upstream.outside_dsn.clone();
    facts.cluster = upstream.cluster.as_ref().map(|cluster| cluster.directory().to_owned());
    write_private(&state.path("dsn"), &upstream.agent_dsn)?;
    running.upstream = Some(upstream);
    running.control_plane = Some(plane.child);
    state.store_facts(&facts)?;

    output::progress("starting relay and agent");
    plane::trust(state, &plane.admin, &plane.org).await?;
    let relay = start_relay(state, &plane.admin, &plane.url, running).await?;
    let agent_health = start_agent(state, &plane.admin, (&plane.url, project), running).await?;
    facts.org.clone_from(&plane.org);
    facts.control_plane.clone_from(&plane.url);
    output::progress("publishing the policies");
    let serial = fabric::publish(state, &facts, &plane.admin).await?;
    state.store_facts(&facts)?;
    let agent_health = format!("http://{agent_health}/");
    Ok(Started { facts, relay, agent_health, outside_dsn, serial })
}

struct StartedPlane {
    child: Child,
    admin: ControlPlane,
    url: String,
    org: String,
}

async fn start_upstream(args: &UpArgs, project: &ProjectFacts) -> Result<Upstream, CliError> {
    if let Some(dsn) = &args.upstream {
        return upstream::given(dsn, &args.seed).await;
    }
    output::progress("starting PostgreSQL");
    upstream::private(args.postgres_bin.clone(), &project.database, &args.seed).await
}

async fn start_control_plane(state: &StateDir) -> Result<StartedPlane, CliError> {
    let arguments = words(&["serve", "--listen", "127.0.0.1:0", "--data-dir"], &state.path("control-plane"));
    let mut child = Child::start("control-plane", state, &arguments)?;
    let announced: Announced = child.ready().await?;
    let url = format!("http://{}", announced.address);
    let (admin, org) = plane::bootstrap(state, &url).await?;
    Ok(StartedPlane { child, admin, url, org })
}

async fn start_relay(
    state: &StateDir,
    admin: &ControlPlane,
    url: &str,
    running: &mut Running,
) -> Result<String, CliError> {
    let token = plane::enrolment(state, admin, "relay", None).await?;
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])
        .doing("make a certificate for the relay")?;
    let (certificate, key) = (state.path(RELAY_CERTIFICATE), state.path("relay-key.pem"));
    write_private(&certificate, made.cert.pem())?;
    write_private(&key, made.signing_key.serialize_pem())?;
    let mut arguments = words(
        &["serve", "--listen", "127.0.0.1:0", "--control-plane", url, "--state-dir"],
        &state.path("relay"),
    );
    arguments.extend([OsString::from("--enrolment-token-file"), token.into()]);
    arguments.extend([OsString::from("--tls-cert"), certificate.into()]);
    arguments.extend([OsString::from("--tls-key"), key.into()]);
    let relay = running.relay.insert(Child::start("relay", state, &arguments)?);
    Ok(relay.ready::<Announced>().await?.address)
}

async fn start_agent(
    state: &StateDir,
    admin: &ControlPlane,
    (url, project): (&str, &ProjectFacts),
    running: &mut Running,
) -> Result<String, CliError> {
    plane::enrolment(state, admin, "agent", Some(&project.database)).await?;
    let config = state.path("agent.yaml");
    write_private(&config, agent_config(state, url, project, &free_udp_address()?))?;
    let agent = running.agent.insert(Child::start("agent", state, &words(&["run", "--config"], &config))?);
    Ok(agent.ready::<AgentAnnounced>().await?.health)
}

/// What is advertised is configured, so the port has to be known before the agent has it.
fn free_udp_address() -> Result<String, CliError> {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").doing("find a free port")?;
    Ok(socket.local_addr().doing("find a free port")?.to_string())
}

/// JSON is YAML; written this way no name needs thinking about quotes.
fn agent_config(state: &StateDir, url: &str, project: &ProjectFacts, listen: &str) -> String {
    let mut upstream = serde_json::json!({ "dsn_file": state.path("dsn") });
    if let (Some(scope), Some(fields)) = (&project.scope, upstream.as_object_mut()) {
        fields.insert("scope".to_owned(), serde_json::json!(scope));
    }
    let config = serde_json::json!({
        "agent": {
            "name": "sandbox",
            "database": project.database,
            "listen": listen,
            "advertise": [listen],
            "state_dir": state.path("agent"),
            "health": "127.0.0.1:0",
        },
        "control_plane": { "url": url, "enrolment_token_file": state.path("enrolment").join("agent") },
        "trust": { "file": state.path("trust.json"), "identity_ca": state.path("identity-ca.pem") },
        "upstream": upstream,
    });
    format!("{config:#}\n")
}

fn words(words: &[&str], last: &Path) -> Vec<OsString> {
    words.iter().map(OsString::from).chain([last.as_os_str().to_owned()]).collect()
}
