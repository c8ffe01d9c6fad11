//! From a checked configuration to a listening server, and back down: links are told, requests finish, and after a
//! deadline the rest is dropped.

use crate::app::App;
use crate::authorities;
use crate::base::Base;
use crate::bootstrap_token::{BootstrapToken, BootstrapTokenError};
use crate::clock::Clock;
use crate::delivery;
use crate::evidence;
use crate::link;
use crate::mail::{MailConfig, MailError, Mailer};
use crate::metrics;
use crate::oidc::Outbound;
use crate::otlp;
use crate::problem::Refusal;
use crate::rates::{RateConfig, Rates};
use crate::readiness::Front;
use crate::routes::{self, router};
use crate::serve::{Limits, serve};
use crate::tls::{TlsError, TlsListener, server_config};
use crate::traffic::Traffic;
use crate::vault::{Vault, VaultError};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse as _;
use daam_api::v1::{AuthorityList, Bootstrap, Bootstrapped};
use daam_store::{Db, Secret, StoreError, Wakeup};
use daam_tls_files::CertificateFiles;
use std::fs::DirBuilder;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tower_http::catch_panic::CatchPanicLayer;

/// Connections of one address to an HTTPS server without a proxy.
const SHARE: usize = 512;
const DRAIN: Duration = Duration::from_secs(5);
/// How long the operator's link for somebody lives.
const RECOVERY_SECONDS: i64 = 3600;
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// How clients reach the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// Plain HTTP, on loopback only.
    Loopback,
    /// Plain HTTP, because a proxy in front does TLS.
    BehindTlsProxy,
    /// HTTPS by PEM files.
    Tls {
        /// The certificate chain.
        cert: PathBuf,
        /// The private key.
        key: PathBuf,
    },
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Keys, the bootstrap token, and the embedded database.
    pub data_dir: PathBuf,
    /// A PostgreSQL URL instead of the embedded database.
    pub database_url: Option<String>,
    /// How clients reach it.
    pub transport: Transport,
    /// Where people reach it, if that is not where it listens.
    pub public_url: Option<Base>,
    /// Whether identity providers may be inside the operator's own network.
    pub private_providers: bool,
    /// Where signed checkpoints of the audit are added, one per line.
    pub checkpoint_file: Option<PathBuf>,
    /// The mail server, if letters are to be sent.
    pub mail: Option<MailConfig>,
    /// How much a relay carries for whom.
    pub traffic: Traffic,
    /// How often somebody may ask.
    pub rates: RateConfig,
    /// Where metrics are served, if they are.
    pub metrics: Option<SocketAddr>,
    /// Tells the time.
    pub clock: Clock,
}

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Tokens would cross the network in the clear.
    #[error(
        "refusing to listen on `{0}` without TLS: tokens would cross the network in the clear; allowed are a loopback address, --tls-cert with --tls-key, or --behind-tls-proxy if a proxy in front does TLS"
    )]
    Exposed(SocketAddr),
    /// The data directory.
    #[error("could not create the data directory `{path}`")]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The store.
    #[error("could not open the store")]
    Store(#[from] StoreError),
    /// The key file is missing although there are keys.
    #[error("could not open the key file")]
    Vault(#[from] VaultError),
    /// The bootstrap token.
    #[error("could not prepare the bootstrap token")]
    Bootstrap(#[from] BootstrapTokenError),
    /// TLS.
    #[error("could not set up TLS")]
    Tls(#[from] TlsError),
    /// A key file without its database.
    #[error(
        "there is a key file `{key_file}` and no database `{db_file}`: was it moved? allowed are the database back in its place, or a data directory without a key file for a new installation"
    )]
    NoDatabase {
        /// The key file.
        key_file: PathBuf,
        /// The database.
        db_file: PathBuf,
    },
    /// Listening.
    #[error("could not listen on `{address}`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// No way to ask identity providers.
    #[error("could not set up the client that asks identity providers")]
    Outbound(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The mail server.
    #[error("could not set up mail")]
    Mail(#[from] MailError),
    /// An organization could not be created.
    #[error("could not create the organization: {0}")]
    Create(String),
    /// What the operator asked for was not done.
    #[error("{0}")]
    Refused(String),
}

/// A running server. Dropping it stops it at once.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    metrics: Option<SocketAddr>,
    app: Arc<App>,
    task: AbortOnDropHandle<()>,
    /// What may end at any moment.
    beside: Vec<AbortOnDropHandle<()>>,
    delivering: AbortOnDropHandle<()>,
    exporting: AbortOnDropHandle<()>,
    recording: AbortOnDropHandle<()>,
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Serves what the front has.
fn answer(
    config: &Config,
    (listener, address): (TcpListener, SocketAddr),
    front: &Front,
    stop: &CancellationToken,
) -> Result<(AbortOnDropHandle<()>, Option<Arc<CertificateFiles>>), StartError> {
    let (router, stop) = (front.router(), stop.clone());
    Ok(match &config.transport {
        Transport::Tls { cert, key } => {
            let files = Arc::new(CertificateFiles::open(cert, key).map_err(TlsError::from)?);
            let listener = TlsListener::new(listener, address, server_config(&files)?);
            // Whoever connects is who they seem to be here, so that one of them cannot take every place.
            let limits = Limits { share: SHARE, ..Limits::default() };
            let serving = tokio::spawn(serve(listener, router, stop, limits));
            (AbortOnDropHandle::new(serving), Some(files))
        }
        Transport::Loopback | Transport::BehindTlsProxy => {
            let serving = tokio::spawn(serve(listener, router, stop, Limits::default()));
            (AbortOnDropHandle::new(serving), None)
        }
    })
}

impl Server {
    /// Listens, opens everything, and begins to answer. Whoever asks in between is told that it is starting.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        if config.transport == Transport::Loopback && !config.listen.ip().is_loopback() {
            return Err(StartError::Exposed(config.listen));
        }
        let (listener, address) = listen(config.listen).await?;
        let measured = match config.metrics {
            Some(at) => Some(listen(at).await?),
            None => None,
        };
        let (front, stop) = (Front::default(), CancellationToken::new());
        let (task, files) = answer(config, (listener, address), &front, &stop)?;
        let app = open(config, true).await?.stopped_by(stop);
        let tls = matches!(config.transport, Transport::Tls { .. });
        app.reached_at(config.public_url.clone().unwrap_or_else(|| Base::local(address, tls)));
        if let Some(files) = &files {
            app.served_by(Arc::clone(files));
        }
        let app = Arc::new(app);
        let service = router(&app).layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            Refusal::internal("answer a request", &io::Error::other("a handler panicked")).into_response()
        }));
        front.open(service.layer(from_fn_with_state(Arc::clone(&app), metrics::measure)));
        let metrics = measured.as_ref().map(|(_, address)| *address);
        let mut beside = vec![AbortOnDropHandle::new(tokio::spawn(listen_to_others(Arc::clone(&app))))];
        beside.push(AbortOnDropHandle::new(tokio::spawn(evidence::look_after(Arc::clone(&app)))));
        beside.extend(
            files.map(|files| AbortOnDropHandle::new(tokio::spawn(async move { files.watch().await }))),
        );
        if let Some((listener, _)) = measured {
            let (router, stop) = (metrics::router(Arc::clone(&app)), app.stop().clone());
            let serving = serve(listener, router, stop, Limits::default());
            beside.push(AbortOnDropHandle::new(tokio::spawn(serving)));
        }
        let delivering = AbortOnDropHandle::new(tokio::spawn(delivery::run(Arc::clone(&app))));
        let exporting = AbortOnDropHandle::new(tokio::spawn(otlp::run(Arc::clone(&app))));
        let recording = AbortOnDropHandle::new(tokio::spawn(link::keep_the_roll(Arc::clone(&app))));
        Ok(Self { address, metrics, app, task, beside, delivering, exporting, recording })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics are, if they are served.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Says at `/readyz` that it is about to stop, and goes on serving.
    pub fn drain(&self) {
        self.app.readiness().drain();
    }

    /// What it serves from.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Does at once what is done at the start and every five minutes: signs and shortens audits, and goes on with changes
    /// of certificate authorities.
    pub async fn look_after(&self) {
        evidence::round(&self.app).await;
    }

    /// Ends when the server ended by itself, or after `until` and an orderly stop. Where `until` says for how long, it is
    /// announced before; `at_once` cuts that short.
    pub async fn run(
        mut self,
        until: impl Future<Output = Duration>,
        at_once: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let drain = tokio::select! {
            ended = &mut self.task => return ended.map_err(io::Error::other),
            drain = until => drain,
        };
        if !drain.is_zero() {
            self.drain();
            tracing::info!(seconds = drain.as_secs(), "not ready any more; stopping after this");
            tokio::select! {
                ended = &mut self.task => return ended.map_err(io::Error::other),
                () = tokio::time::sleep(drain) => {}
                () = at_once => {}
            }
        }
        tracing::info!("stopping");
        self.stop().await;
        Ok(())
    }

    /// Tells every link, lets running requests finish, and closes the store.
    pub async fn stop(mut self) {
        self.app.stop().cancel();
        if tokio::time::timeout(DRAIN, &mut self.task).await.is_err() {
            tracing::warn!("some connections did not end within 5 seconds and were dropped");
        }
        drop(self.task);
        drop(self.beside);
        // Whatever is on its way is claimed and comes again.
        drop(tokio::time::timeout(DRAIN, &mut self.delivering).await);
        drop(self.delivering);
        drop(tokio::time::timeout(DRAIN, &mut self.exporting).await);
        drop(self.exporting);
        drop(tokio::time::timeout(DRAIN, &mut self.recording).await);
        drop(self.recording);
        drop(tokio::time::timeout(DRAIN, self.app.db().close()).await);
    }
}

/// Passes on what other servers over the same database changed.
async fn listen_to_others(app: Arc<App>) {
    while !app.stop().is_cancelled() {
        if let Err(error) = pass_on(&app).await {
            tracing::warn!(%error, "not hearing other servers; trying again");
        }
        tokio::select! {
            () = app.stop().cancelled() => {}
            () = tokio::time::sleep(LISTEN_AGAIN) => app.hub().wake_all(),
        }
    }
}

async fn pass_on(app: &App) -> Result<(), StoreError> {
    let Some(mut wakeups) = app.db().wakeups().await? else {
        app.stop().cancelled().await;
        return Ok(());
    };
    loop {
        let wakeup = tokio::select! {
            () = app.stop().cancelled() => return Ok(()),
            wakeup = wakeups.next() => wakeup?,
        };
        match wakeup {
            Wakeup::Organization(org) => app.hub().wake(&org),
            Wakeup::Everything => app.hub().wake_all(),
        }
    }
}

/// Creates a further organization beside a running or stopped server. For the operator on the command line.
pub async fn create_organization(config: &Config, request: &Bootstrap) -> Result<Bootstrapped, StartError> {
    let app = open(config, false).await?;
    app.reached_at(config.public_url.clone().unwrap_or_else(|| Base::local(config.listen, false)));
    let made = routes::make_organization(&app, request).await;
    app.db().close().await;
    made.map_err(|refusal| StartError::Create(refusal.to_string()))
}

/// A link for somebody who lost every way in, after removing their passkeys if `forget`; `None` if there is no such
/// enabled member. For the operator.
pub async fn recovery_link(
    config: &Config,
    (org, email, forget): (&str, &str, bool),
) -> Result<Option<String>, StartError> {
    let app = open(config, false).await?;
    app.reached_at(config.public_url.clone().unwrap_or_else(|| Base::local(config.listen, false)));
    let ends = app.now().saturating_add(RECOVERY_SECONDS);
    let link = recovered(&app, (org, &email.to_ascii_lowercase(), forget), ends).await;
    app.db().close().await;
    Ok(link?.map(|secret| app.base().link(secret)))
}

/// What the operator wants of an organization's certificate authorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorityChange {
    /// To see them.
    Nothing,
    /// A new one.
    Begin,
    /// To be rid of the old one.
    Retire {
        /// Whatever stands on it.
        force: bool,
    },
}

/// Changes an organization's certificate authorities, and lists them. For the operator; a server that runs beside tells agents
/// within seconds.
pub async fn authorities(
    config: &Config,
    org: &str,
    change: AuthorityChange,
) -> Result<AuthorityList, StartError> {
    let app = open(config, false).await?;
    let changed = async {
        let missing =
            || Refusal::missing("organization.unknown", format!("there is no organization `{org}`"));
        let scope = app.db().operators_scope(org).await?.ok_or_else(missing)?;
        match change {
            AuthorityChange::Nothing => authorities::list(&app, &scope).await,
            AuthorityChange::Begin => authorities::begin(&app, &scope).await,
            AuthorityChange::Retire { force } => authorities::retire(&app, &scope, force).await,
        }
    };
    let changed = changed.await;
    app.db().close().await;
    changed.map_err(|refusal| StartError::Refused(refusal.to_string()))
}

async fn recovered(
    app: &App,
    (org, email, forget): (&str, &str, bool),
    ends: i64,
) -> Result<Option<Secret>, StoreError> {
    if forget {
        let gone = app.db().forget_passkeys(org, email, app.now()).await?;
        tracing::info!(gone, "passkeys were removed");
    }
    app.db().recovery_link(org, email, (app.now(), ends)).await
}

pub(crate) async fn open(config: &Config, serving: bool) -> Result<App, StartError> {
    let failed = |source| StartError::DataDir { path: config.data_dir.clone(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(&config.data_dir).map_err(failed)?;
    let key_file = config.data_dir.join("keys.key");
    let db_file = config.data_dir.join("daam.db");
    let is_here = |file: &Path| file.try_exists().map_err(failed);
    if config.database_url.is_none() && !is_here(&db_file)? && is_here(&key_file)? {
        return Err(StartError::NoDatabase { key_file, db_file });
    }
    let db = match &config.database_url {
        Some(url) => Db::open_postgres(url).await?,
        None if serving => Db::open_sqlite(&db_file).await?,
        None => Db::open_sqlite_beside(&db_file).await?,
    };
    // A new key file beside a database with sealed keys would only hide that the right one is missing.
    let has_organization = db.has_organization().await?;
    let vault = Vault::load(&key_file, !has_organization)?;
    if let Some((place, sealed)) = db.some_sealed_key().await? {
        vault.open(&place, &sealed)?;
    }
    let bootstrap = if has_organization || !serving {
        None
    } else {
        let token = BootstrapToken::load_or_create(&config.data_dir)?;
        tracing::info!(file = %token.path().display(), "no organization yet; `POST /v1/bootstrap` takes the token in this file");
        Some(token)
    };
    if serving && db.is_exclusive() {
        db.forget_links().await?;
    }
    let outbound =
        Outbound::new(config.private_providers).map_err(|error| StartError::Outbound(Box::new(error)))?;
    let mailer = config.mail.as_ref().map(Mailer::new).transpose()?;
    let outward = (outbound, mailer, config.checkpoint_file.clone());
    let rates = Rates::new(config.rates, config.transport == Transport::BehindTlsProxy);
    let app = App::new((db, vault), config.clock.clone(), bootstrap, outward, config.traffic);
    Ok(app.limited(rates).remembering(&config.data_dir))
}
