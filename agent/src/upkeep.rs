//! Keeping the catalogue true: introspection at start, on request, on SIGHUP and regularly.
//!
//! One introspection at a time, each on a connection of its own. A failure keeps the last catalogue. In between a cheap
//! query tells every two seconds whether anything changed.

mod drift;

use crate::introspect::{FullCatalog, IntrospectError};
use crate::keeper::Keeper;
use crate::upstream::UpstreamConfig;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::AbortOnDropHandle;

/// Why the catalogue is not newer.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// TLS settings.
    #[error("the TLS settings of the DSN cannot be used")]
    Tls(#[source] rustls::Error),
    /// No connection.
    #[error("could not connect to the database")]
    Connect(#[source] tokio_postgres::Error),
    /// Introspection.
    #[error(transparent)]
    Introspect(#[from] IntrospectError),
}

/// A connection and the task that drives it.
#[derive(Debug)]
pub struct Connected {
    /// The connection.
    pub client: Client,
    _driver: AbortOnDropHandle<()>,
}

/// Connects as the agent's own role.
pub async fn connect(upstream: &UpstreamConfig) -> Result<Connected, UpkeepError> {
    let config = upstream.tokio_postgres();
    let (client, driver) = if let Some(tls) = upstream.tls().map_err(UpkeepError::Tls)? {
        let (client, connection) =
            config.connect(MakeRustlsConnect::new(tls)).await.map_err(UpkeepError::Connect)?;
        (client, tokio::spawn(log_end(connection)))
    } else {
        let (client, connection) = config.connect(NoTls).await.map_err(UpkeepError::Connect)?;
        (client, tokio::spawn(log_end(connection)))
    };
    let connected = Connected { client, _driver: AbortOnDropHandle::new(driver) };
    // A migration may hold locks for long; a look that waits for one keeps its snapshot from being let go meanwhile.
    connected.client.batch_execute("SET lock_timeout = '2s'").await.map_err(UpkeepError::Connect)?;
    Ok(connected)
}

async fn log_end(connection: impl Future<Output = Result<(), tokio_postgres::Error>>) {
    if let Err(error) = connection.await {
        tracing::debug!(%error, "an introspection connection broke");
    }
}

/// Reads the catalogue once.
pub async fn introspect(upstream: &UpstreamConfig) -> Result<FullCatalog, UpkeepError> {
    let mut connected = connect(upstream).await?;
    Ok(FullCatalog::read(&mut connected.client).await?)
}

/// What the database's own grants give to whom; for local output only.
pub async fn privileges(upstream: &UpstreamConfig) -> Result<serde_json::Value, UpkeepError> {
    let connected = connect(upstream).await?;
    Ok(crate::introspect::privileges::read(&connected.client).await?)
}

/// Re-reads the catalogue for the keeper.
#[derive(Debug)]
pub struct Upkeep {
    upstream: UpstreamConfig,
    keeper: Arc<Keeper>,
    turn: Mutex<()>,
    drift: Mutex<Drift>,
    reach: Reach,
}

/// Whether the database answers.
#[derive(Debug, Default)]
struct Reach {
    failing: AtomicBool,
    /// Since when an answer is outstanding.
    asked: std::sync::Mutex<Option<Instant>>,
}

/// An answer that takes longer is none.
const SILENCE: Duration = Duration::from_secs(15);

impl Reach {
    fn ask(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn answered<T>(&self, answer: &Result<T, UpkeepError>) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.failing.store(answer.is_err(), Ordering::Relaxed);
    }

    fn is_there(&self) -> bool {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        !self.failing.load(Ordering::Relaxed) && asked.is_none_or(|asked| asked.elapsed() < SILENCE)
    }
}

/// The standing connection of the cheap query and its last answer.
#[derive(Debug, Default)]
struct Drift {
    connected: Option<Connected>,
    seen: Option<String>,
}

impl Upkeep {
    /// For one database.
    pub fn new(upstream: UpstreamConfig, keeper: Arc<Keeper>) -> Self {
        Self { upstream, keeper, turn: Mutex::new(()), drift: Mutex::default(), reach: Reach::default() }
    }

    /// Introspects and publishes; true if something in scope changed.
    pub async fn refresh(&self) -> Result<bool, UpkeepError> {
        let _turn = self.turn.lock().await;
        let full = introspect(&self.upstream).await?;
        Ok(self.keeper.set_catalog(full))
    }

    /// Introspects if a definition has changed since the last call; true if something in scope is different now.
    pub async fn refresh_if_changed(&self) -> Result<bool, UpkeepError> {
        self.reach.ask();
        let now = self.fingerprint().await;
        self.reach.answered(&now);
        let now = now?;
        if self.drift.lock().await.seen.as_ref() == Some(&now) {
            return Ok(false);
        }
        // Read after the fingerprint, so a change in between is seen by the next call.
        let changed = self.refresh().await?;
        self.drift.lock().await.seen = Some(now);
        Ok(changed)
    }

    /// Whether the database answered when it was asked last, a few seconds ago at most.
    pub fn reaches_database(&self) -> bool {
        self.reach.is_there()
    }

    async fn fingerprint(&self) -> Result<String, UpkeepError> {
        let mut drift = self.drift.lock().await;
        let connected = match drift.connected.take().filter(|connected| !connected.client.is_closed()) {
            Some(connected) => connected,
            None => connect(&self.upstream).await?,
        };
        let fingerprint = drift::fingerprint(&connected.client).await;
        drift.connected = Some(connected);
        Ok(fingerprint.map_err(|source| IntrospectError::Query { what: "definitions", source })?)
    }
}
