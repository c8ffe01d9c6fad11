//! `daam-agent run`: read the configuration, become somebody, look at the database, listen, and keep it all up.
//!
//! Order matters: nothing listens before the catalogue is read and the orphans of an earlier run are swept, and the
//! ready file is written last. At the end sessions are told why, given a moment to remove their roles, and only then
//! does the process go.

mod background;
mod setup;
mod shutdown;

use crate::admin::{Admin, AdminConfig, AgentTag};
use crate::bundle_store::BundleStore;
use crate::config::Config;
use crate::context::ProxyContext;
use crate::health::{self, Health};
use crate::keeper::Keeper;
use crate::link::{Link, unix_now};
use crate::reload::Reload;
use crate::sessions::Registry;
use crate::tunnel;
use crate::upkeep::Upkeep;
use background::Background;
use daam_tunnel::{ListenConfig, Listener};
use setup::Identity;
use std::error::Error;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

/// How long sessions may take to end.
const DRAIN: Duration = Duration::from_secs(10);
const OUTBOX: usize = 4096;
const EVENTS: usize = 1024;

/// What the command line says.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The configuration file.
    pub config: PathBuf,
    /// Where to say that the agent is ready.
    pub ready_file: Option<PathBuf>,
    /// Whether the end of standard input ends the agent.
    pub exit_on_stdin_close: bool,
}

/// Why the agent did not start.
#[derive(Debug, thiserror::Error)]
#[error("could not {doing}")]
pub struct RunError {
    doing: &'static str,
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

impl RunError {
    pub(crate) fn at<E: Into<Box<dyn Error + Send + Sync>>>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self { doing, source: source.into() }
    }
}

/// Runs until told to stop.
pub async fn run(options: RunOptions) -> Result<(), RunError> {
    let config = Config::load(&options.config).map_err(RunError::at("read the configuration"))?;
    let mut stop = shutdown::Stop::install(options.exit_on_stdin_close)
        .map_err(RunError::at("install signal handlers"))?;
    let agent = tokio::select! {
        started = start(config, &options) => started?,
        () = stop.requested() => return Ok(()),
    };
    stop.requested().await;
    agent.stop().await;
    Ok(())
}

/// A running agent.
struct Running {
    sessions: Arc<Registry>,
    tasks: TaskTracker,
    background: Background,
    accepting: Background,
}

impl Running {
    async fn stop(self) {
        tracing::info!("shutting down");
        drop(self.accepting);
        self.sessions.terminate_all("the agent is shutting down");
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("some sessions did not end in time; their roles are swept at the next start");
        }
        drop(self.background);
    }
}

async fn start(config: Config, options: &RunOptions) -> Result<Running, RunError> {
    let upstream = setup::upstream(&config)?;
    let identity = setup::identity(&config).await?;
    let tag = AgentTag::new(&identity.credentials.agent_id, &identity.agent.database);
    let tls = upstream.tls().map_err(RunError::at("use the DSN's TLS settings"))?;
    let admin = AdminConfig { upstream: upstream.tokio_postgres().clone(), tls, tag };
    let (admin, facts) = Admin::start(admin).await.map_err(RunError::at("connect to the database"))?;
    tracing::info!(
        database = facts.database,
        role = facts.role,
        server = facts.server.0,
        "connected to the database"
    );
    background::log_sweep(&admin.sweep().await.map_err(RunError::at("sweep orphaned roles"))?);

    let (outbox, outgoing) = mpsc::channel(OUTBOX);
    let state_dir = identity.agent.state_dir.clone();
    let store = BundleStore::open(state_dir.clone(), identity.trust.clone(), identity.agent.database.clone())
        .map_err(RunError::at("open the bundle store"))?;
    let scope = config.upstream.scope.clone();
    let keeper = Arc::new(Keeper::start(store, scope, state_dir, outbox.clone(), unix_now()));
    let upkeep = Arc::new(Upkeep::new(upstream.clone(), keeper.clone()));
    upkeep.refresh().await.map_err(RunError::at("introspect the database"))?;

    let listener = Arc::new(listen(&identity).await?);
    listener.set_revoked(keeper.revoked());
    let sessions = Arc::new(Registry::new());
    let (events, reported) = mpsc::channel(EVENTS);
    let context = Arc::new(ProxyContext {
        admin: admin.clone(),
        state: keeper.watch(),
        database: identity.agent.database.clone(),
        upstream,
        sessions: sessions.clone(),
        linger: config.linger,
        hash_key: setup::hash_key(&identity.agent.state_dir)?,
        events,
    });
    let connected = Arc::new(AtomicBool::new(false));
    let patterns = Arc::new(Mutex::new(config.upstream.patterns.clone()));
    let health = Health {
        keeper: keeper.clone(),
        sessions: sessions.clone(),
        connected: connected.clone(),
        patterns: patterns.clone(),
    };
    let mut background = Background::default();
    let health_address = serve_health(identity.agent.health, health, &mut background).await?;
    let reload = Reload {
        path: config.path.clone(),
        keeper: keeper.clone(),
        upkeep: upkeep.clone(),
        patterns,
        outbox: outbox.clone(),
    };
    background.reload_on_signal(reload)?;
    background.regularly(admin, upkeep.clone(), keeper.clone(), outbox.clone());
    background.forward_events(reported, keeper.clone(), outbox);
    let link = Link {
        url: identity.control_plane.url.clone(),
        token: identity.credentials.link_token.clone(),
        addresses: identity.agent.advertise.clone(),
        keeper,
        upkeep,
        listener: listener.clone(),
        sessions: sessions.clone(),
        connected,
    };
    background.spawn(link.run(outgoing));
    let tasks = TaskTracker::new();
    let mut accepting = Background::default();
    let tunnel = listener.local_addr();
    accepting.spawn(tunnel::accept(listener, context, tasks.clone()));
    tracing::info!(%tunnel, health = %health_address, "ready");
    if let Some(path) = &options.ready_file {
        setup::write_ready(path, tunnel, health_address)?;
    }
    Ok(Running { sessions, tasks, background, accepting })
}

async fn listen(identity: &Identity) -> Result<Listener, RunError> {
    daam_tunnel::listen(ListenConfig {
        bind: identity.agent.listen,
        cert_pem: identity.credentials.certificate_pem.clone(),
        key_pem: Zeroizing::new(identity.credentials.key_pem.expose().to_owned()),
        ca_pem: identity.ca_pem.clone(),
        org: identity.credentials.org.clone(),
        database: identity.agent.database.clone(),
    })
    .await
    .map_err(RunError::at("listen for the tunnel"))
}

async fn serve_health(
    address: std::net::SocketAddr,
    health: Health,
    background: &mut Background,
) -> Result<std::net::SocketAddr, RunError> {
    let listener = tokio::net::TcpListener::bind(address).await.map_err(RunError::at("listen for health"))?;
    let bound = listener.local_addr().map_err(RunError::at("listen for health"))?;
    background.spawn(async move {
        if let Err(error) = axum::serve(listener, health::router(health)).await {
            tracing::error!(%error, "health is not served any more");
        }
    });
    Ok(bound)
}
