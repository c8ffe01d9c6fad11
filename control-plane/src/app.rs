//! What every handler has: the store, the vault, the clock, and the hub that wakes agent links.

use crate::base::Base;
use crate::bootstrap_token::BootstrapToken;
use crate::briefing::Briefings;
use crate::clock::Clock;
use crate::directory::Directories;
use crate::hub::Hub;
use crate::link::{Roll, Seats};
use crate::mail::Mailer;
use crate::metrics::Metrics;
use crate::oidc::{JobKeys, Outbound};
use crate::rates::{RateConfig, Rates};
use crate::readiness::Readiness;
use crate::saml::Checks;
use crate::signed::SignedBefore;
use crate::traffic::Traffic;
use crate::vault::Vault;
use daam_store::{Db, TenantScope};
use daam_tls_files::CertificateFiles;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The running control plane.
#[derive(Debug)]
pub struct App {
    db: Db,
    vault: Vault,
    clock: Clock,
    began_at: i64,
    hub: Hub,
    bootstrap: Mutex<Option<BootstrapToken>>,
    base: OnceLock<Base>,
    outbound: Outbound,
    job_keys: JobKeys,
    traffic: Traffic,
    rates: Rates,
    seats: Arc<Seats>,
    directories: Directories,
    briefings: Briefings,
    roll: Arc<Roll>,
    checkpoint_file: Option<PathBuf>,
    saml_checks: Checks,
    signed_before: SignedBefore,
    mailer: Option<Mailer>,
    outbox: Notify,
    stop: CancellationToken,
    readiness: Readiness,
    metrics: Metrics,
    tls_files: OnceLock<Arc<CertificateFiles>>,
}

impl App {
    pub(crate) fn new(
        (db, vault): (Db, Vault),
        clock: Clock,
        bootstrap: Option<BootstrapToken>,
        (outbound, mailer, checkpoint_file): (Outbound, Option<Mailer>, Option<PathBuf>),
        traffic: Traffic,
    ) -> Self {
        Self {
            db,
            vault,
            began_at: clock.now(),
            clock,
            hub: Hub::default(),
            bootstrap: Mutex::new(bootstrap),
            base: OnceLock::new(),
            outbound,
            job_keys: JobKeys::default(),
            traffic,
            rates: Rates::new(RateConfig::default(), false),
            seats: Arc::default(),
            directories: Directories::default(),
            briefings: Briefings::default(),
            roll: Arc::default(),
            mailer,
            outbox: Notify::new(),
            checkpoint_file,
            saml_checks: Checks::default(),
            signed_before: SignedBefore::default(),
            stop: CancellationToken::new(),
            readiness: Readiness::default(),
            metrics: Metrics::default(),
            tls_files: OnceLock::new(),
        }
    }

    /// With these for how often somebody may ask.
    pub(crate) fn limited(self, rates: Rates) -> Self {
        Self { rates, ..self }
    }

    /// Stopped by this.
    pub(crate) fn stopped_by(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    /// Whether requests can be answered.
    pub(crate) fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// What is counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The certificate it is served by, if that comes from files.
    pub(crate) fn tls_files(&self) -> Option<&Arc<CertificateFiles>> {
        self.tls_files.get()
    }

    pub(crate) fn served_by(&self, files: Arc<CertificateFiles>) {
        // Said once, where the server starts.
        drop(self.tls_files.set(files));
    }

    /// That remembers below a data directory what it signed.
    pub(crate) fn remembering(self, data_dir: &Path) -> Self {
        Self { signed_before: SignedBefore::below(data_dir), ..self }
    }

    /// What was signed of audits.
    pub(crate) fn signed_before(&self) -> &SignedBefore {
        &self.signed_before
    }

    /// What organizations' agents are told of people.
    pub(crate) fn directories(&self) -> &Directories {
        &self.directories
    }

    /// What the links of an organization share.
    pub(crate) fn briefings(&self) -> &Briefings {
        &self.briefings
    }

    /// Who is linked here.
    pub(crate) fn roll(&self) -> &Arc<Roll> {
        &self.roll
    }

    /// The links there are.
    pub(crate) fn seats(&self) -> &Arc<Seats> {
        &self.seats
    }

    /// How often somebody may ask.
    pub(crate) fn rates(&self) -> &Rates {
        &self.rates
    }

    /// Asks addresses that tenants name.
    pub(crate) fn outbound(&self) -> &Outbound {
        &self.outbound
    }

    /// What those say of their keys.
    pub(crate) fn job_keys(&self) -> &JobKeys {
        &self.job_keys
    }

    /// Where checkpoints of the audit are added for somebody else to keep.
    pub(crate) fn checkpoint_file(&self) -> Option<&Path> {
        self.checkpoint_file.as_deref()
    }

    /// Where messages of identity providers are looked at.
    pub(crate) fn saml_checks(&self) -> &Checks {
        &self.saml_checks
    }

    /// Writes letters, if the operator named a mail server.
    pub(crate) fn mailer(&self) -> Option<&Mailer> {
        self.mailer.as_ref()
    }

    /// Told when there may be something to deliver.
    pub(crate) fn outbox(&self) -> &Notify {
        &self.outbox
    }

    /// How much a relay carries for whom.
    pub(crate) fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Where people reach us. Said once, when it is known where we listen.
    pub(crate) fn base(&self) -> &Base {
        self.base.get_or_init(|| Base::local(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)), false))
    }

    pub(crate) fn reached_at(&self, base: Base) {
        // Whoever asked before was told the default; there is one server, so nobody did.
        drop(self.base.set(base));
    }

    /// The store.
    pub fn db(&self) -> &Db {
        &self.db
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.vault
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Wakes the links of an organization, here and at other servers over the same database.
    pub(crate) async fn changed(&self, scope: &TenantScope) {
        self.changed_in(scope.org()).await;
    }

    /// The same, of an organization by its slug.
    pub(crate) async fn changed_in(&self, org: &str) {
        self.hub.wake(org);
        if let Err(error) = self.db.announce(org).await {
            // The change is stored; other servers find it with their next tick.
            tracing::warn!(%error, "could not tell other servers of a change");
        }
    }

    /// Cancelled when the server stops.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Since when this server runs, seconds since 1970.
    pub(crate) fn began_at(&self) -> i64 {
        self.began_at
    }

    pub(crate) fn is_bootstrap_token(&self, presented: &str) -> bool {
        let token = self.bootstrap.lock().unwrap_or_else(PoisonError::into_inner);
        token.as_ref().is_some_and(|token| token.matches(presented))
    }

    pub(crate) fn forget_bootstrap_token(&self) {
        let used = self.bootstrap.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(token) = used {
            token.forget();
        }
    }
}
