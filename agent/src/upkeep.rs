//! Keeping the catalogue true: introspection at start, on request, on SIGHUP and regularly.
//!
//! One introspection at a time, each on a connection of its own. A failure keeps the last catalogue.

use crate::introspect::{FullCatalog, IntrospectError};
use crate::keeper::Keeper;
use crate::upstream::UpstreamConfig;
use std::sync::Arc;
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
    Ok(Connected { client, _driver: AbortOnDropHandle::new(driver) })
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

/// Re-reads the catalogue for the keeper.
#[derive(Debug)]
pub struct Upkeep {
    upstream: UpstreamConfig,
    keeper: Arc<Keeper>,
    turn: Mutex<()>,
}

impl Upkeep {
    /// For one database.
    pub fn new(upstream: UpstreamConfig, keeper: Arc<Keeper>) -> Self {
        Self { upstream, keeper, turn: Mutex::new(()) }
    }

    /// Introspects and publishes; true if something in scope changed.
    pub async fn refresh(&self) -> Result<bool, UpkeepError> {
        let _turn = self.turn.lock().await;
        let full = introspect(&self.upstream).await?;
        Ok(self.keeper.set_catalog(full))
    }
}
