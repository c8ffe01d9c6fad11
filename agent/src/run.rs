//! `daam-agent run`: read the configuration, become somebody, look at the database, listen, and keep it all up.
//!
//! Order matters: nothing listens before the catalogue is read and the orphans of an earlier run are swept, and the
//! ready file is written last. At the end sessions are told why, given a moment to remove their roles, and only then
//! does the process go.

mod background;
mod setup;
mod shutdown;

use crate::admin::{Admin, AdminConfig, AgentTag};
use crate::audit::Audit;
use crate::audit::upload::{HeldSender, Signer, Uploader};
use crate::authorities::AuthorityStore;
use crate::bundle_store::BundleStore;
use crate::config::Config;
use crate::context::ProxyContext;
use crate::health::{self, Health};
use crate::keeper::Keeper;
use crate::link::{Link, unix_now};
use crate::papers::Papers;
use crate::quiesce::{self, Holds};
use crate::reload::Reload;
use crate::renewal::Renewal;
use crate::sessions::Registry;
use crate::tunnel;
use crate::upkeep::Upkeep;
use crate::upstream::UpstreamConfig;
use background::Background;
use daam_api::link::FromAgent;
use daam_tunnel::{ListenConfig, Listener};
use setup::Identity;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

/// How long sessions may take to end.
const DRAIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);
const FAREWELL: &str = "the agent is shutting down";
const OUTBOX: usize = 4096;
const EVENTS: usize = 1024;

/// What the command line says.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The configuration file; without one, variables say everything.
    pub config: Option<PathBuf>,
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
    let config = Config::load(options.config.as_deref()).map_err(RunError::at("read the configuration"))?;
    for used in &config.variables {
        let (setting, variable, over_the_file) = (used.key, used.variable, used.overrides);
        tracing::info!(setting, variable, over_the_file, "a setting comes from the environment");
    }
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
    listener: Arc<Listener>,
    audit: Audit,
}

impl Running {
    async fn stop(self) {
        tracing::info!("shutting down");
        drop(self.accepting);
        self.sessions.terminate_all(FAREWELL);
        // Sessions take leave of their clients first; then the tunnels, which clients may hold open without any.
        let idle = async {
            while self.sessions.count() > 0 {
                tokio::time::sleep(POLL).await;
            }
        };
        if tokio::time::timeout(DRAIN, idle).await.is_err() {
            tracing::warn!("some sessions do not end and are cut off");
        }
        self.listener.close(FAREWELL).await;
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("some sessions did not end in time; their roles are swept at the next start");
        }
        self.audit.stop().await;
        drop(self.background);
    }
}

async fn start(config: Config, options: &RunOptions) -> Result<Running, RunError> {
    let upstream = setup::upstream(&config)?;
    let (identity, authorities) = setup::identity(&config).await?;
    let audit = setup::audit(&config, &identity)?;
    let admin = connect(&upstream, &identity).await?;
    let core = Core::start(&config, &identity, &upstream).await?;
    let listener = Arc::new(listen(&identity, &authorities).await?);
    listener.set_revoked(core.keeper.revoked());
    listener.set_away(identity.agent.away);
    let (events, reported) = mpsc::channel(EVENTS);
    let (holds, drift): (Arc<Holds>, Arc<Notify>) = Default::default();
    let context = Arc::new(ProxyContext {
        admin: admin.clone(),
        state: core.keeper.watch(),
        database: identity.agent.database.clone(),
        upstream: upstream.clone(),
        sessions: core.sessions.clone(),
        holds: holds.clone(),
        drift: drift.clone(),
        linger: config.linger,
        hash_key: setup::hash_key(&identity.agent)?,
        audit: audit.clone(),
        events,
    });
    let mut background = Background::default();
    serve_quiesce(core.quiesce(holds.clone(), upstream), &identity.agent.state_dir, &mut background);
    let papers = Arc::new(Papers::new(listener.clone(), identity.credentials.clone(), authorities));
    background.spawn(core.renewal(&identity, &papers).run());
    let health =
        serve_health(identity.agent.health, core.health(holds.clone(), &audit), &mut background).await?;
    background.reload_on_signal(core.reload(&config))?;
    background.sweep(admin);
    background.keep_time(core.keeper.clone());
    background.look(core.upkeep.clone(), core.keeper.clone(), core.outbox.clone(), drift);
    background.forward_events(reported, core.keeper.clone(), core.outbox.clone());
    let sessions = core.sessions.clone();
    let (holding, held) = watch::channel(None);
    background.spawn(core.uploader(&config, &identity, &audit, held).run());
    let (link, outgoing) = core.link(&identity, (listener.clone(), papers), holding);
    background.spawn(link.run(outgoing));
    let tasks = TaskTracker::new();
    let mut accepting = Background::default();
    let tunnel = listener.local_addr();
    accepting.spawn(tunnel::accept(Arc::clone(&listener), context, tasks.clone()));
    tracing::info!(%tunnel, %health, "ready");
    if let Some(path) = &options.ready_file {
        setup::write_ready(path, tunnel, health)?;
    }
    Ok(Running { sessions, tasks, background, accepting, listener, audit })
}

/// The admin connection, with the orphans of an earlier run swept.
async fn connect(upstream: &UpstreamConfig, identity: &Identity) -> Result<Admin, RunError> {
    let tag = AgentTag::new(&identity.credentials.agent_id, &identity.agent.database);
    let tls = upstream.tls().map_err(RunError::at("use the DSN's TLS settings"))?;
    let config = AdminConfig { upstream: upstream.tokio_postgres().clone(), tls, tag };
    let (admin, facts) = Admin::start(config).await.map_err(RunError::at("connect to the database"))?;
    let (database, role, server) = (facts.database, facts.role, facts.server.0);
    tracing::info!(database, role, server, "connected to the database");
    background::log_sweep(&admin.sweep().await.map_err(RunError::at("sweep orphaned roles"))?);
    Ok(admin)
}

/// The desired state and what hangs on it.
struct Core {
    keeper: Arc<Keeper>,
    upkeep: Arc<Upkeep>,
    sessions: Arc<Registry>,
    connected: Arc<AtomicBool>,
    patterns: Arc<Mutex<Vec<String>>>,
    certificate_end: Arc<AtomicI64>,
    confirmed: Arc<AtomicU64>,
    outbox: mpsc::Sender<FromAgent>,
    outgoing: mpsc::Receiver<FromAgent>,
}

impl Core {
    async fn start(
        config: &Config,
        identity: &Identity,
        upstream: &UpstreamConfig,
    ) -> Result<Self, RunError> {
        let (outbox, outgoing) = mpsc::channel(OUTBOX);
        let state_dir = identity.agent.state_dir.clone();
        let database = identity.agent.database.clone();
        let store = BundleStore::open(state_dir.clone(), identity.trust.clone(), database)
            .map_err(RunError::at("open the bundle store"))?;
        let scope = config.upstream.scope.clone();
        let keeper = Keeper::start(store, scope, state_dir, outbox.clone(), unix_now())
            .map_err(RunError::at("start from what is stored"))?;
        let keeper = Arc::new(keeper);
        let upkeep = Arc::new(Upkeep::new(upstream.clone(), keeper.clone()));
        upkeep.refresh().await.map_err(RunError::at("introspect the database"))?;
        Ok(Self {
            keeper,
            upkeep,
            sessions: Arc::new(Registry::new()),
            connected: Arc::default(),
            patterns: Arc::new(Mutex::new(config.upstream.patterns.clone())),
            certificate_end: Arc::new(AtomicI64::new(identity.certificate_end())),
            confirmed: Arc::default(),
            outbox,
            outgoing,
        })
    }

    fn health(&self, holds: Arc<Holds>, audit: &Audit) -> Health {
        Health {
            keeper: self.keeper.clone(),
            sessions: self.sessions.clone(),
            holds,
            connected: self.connected.clone(),
            patterns: self.patterns.clone(),
            certificate_end: self.certificate_end.clone(),
            upkeep: self.upkeep.clone(),
            audit: audit.clone(),
            audit_confirmed: self.confirmed.clone(),
        }
    }

    fn uploader(
        &self,
        config: &Config,
        identity: &Identity,
        audit: &Audit,
        held: watch::Receiver<Option<crate::audit::upload::Held>>,
    ) -> Uploader {
        Uploader {
            dir: setup::audit_dir(config, &identity.agent),
            state: audit.state(),
            upload: config.audit.settings.upload,
            signer: Signer::of(&identity.credentials),
            keeper: self.keeper.clone(),
            outbox: self.outbox.clone(),
            held,
            confirmed: self.confirmed.clone(),
        }
    }

    fn quiesce(&self, holds: Arc<Holds>, upstream: UpstreamConfig) -> quiesce::Service {
        quiesce::Service {
            holds,
            keeper: self.keeper.clone(),
            upkeep: self.upkeep.clone(),
            sessions: self.sessions.clone(),
            upstream,
        }
    }

    fn renewal(&self, identity: &Identity, papers: &Arc<Papers>) -> Renewal {
        Renewal {
            agent: identity.agent.clone(),
            control_plane: identity.control_plane.clone(),
            papers: Arc::clone(papers),
            not_after: self.certificate_end.clone(),
        }
    }

    fn reload(&self, config: &Config) -> Reload {
        Reload {
            path: config.path.clone(),
            started: config.written.clone(),
            keeper: self.keeper.clone(),
            upkeep: self.upkeep.clone(),
            sessions: self.sessions.clone(),
            patterns: self.patterns.clone(),
            outbox: self.outbox.clone(),
        }
    }

    fn link(
        self,
        identity: &Identity,
        (listener, papers): (Arc<Listener>, Arc<Papers>),
        held: HeldSender,
    ) -> (Link, mpsc::Receiver<FromAgent>) {
        let link = Link {
            url: identity.control_plane.url.clone(),
            token: identity.credentials.link_token.clone(),
            addresses: identity.agent.advertise.clone(),
            keeper: self.keeper,
            upkeep: self.upkeep,
            listener,
            papers,
            relays: watch::Sender::default(),
            sessions: self.sessions,
            connected: self.connected,
            held,
        };
        (link, self.outgoing)
    }
}

async fn listen(identity: &Identity, authorities: &AuthorityStore) -> Result<Listener, RunError> {
    daam_tunnel::listen(ListenConfig {
        bind: identity.agent.listen,
        cert_pem: identity.credentials.certificate_pem.clone(),
        key_pem: Zeroizing::new(identity.credentials.key_pem.expose().to_owned()),
        reset_secret: Zeroizing::new(identity.credentials.first_key_pem.expose().to_owned()),
        ca_pem: authorities.believed().to_pem(),
        org: identity.credentials.org.clone(),
        database: identity.agent.database.clone(),
        tcp: daam_tunnel::TcpSettings::default(),
    })
    .await
    .map_err(RunError::at("listen for the tunnel"))
}

/// Without its socket the agent does everything else.
fn serve_quiesce(service: quiesce::Service, state_dir: &Path, background: &mut Background) {
    match quiesce::Service::bind(state_dir) {
        Ok(listener) => {
            let state_dir = state_dir.to_owned();
            background.spawn(async move { service.run(listener, &state_dir).await });
        }
        Err(error) => tracing::error!(%error, "the control socket cannot be opened; `quiesce` is not served"),
    }
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
