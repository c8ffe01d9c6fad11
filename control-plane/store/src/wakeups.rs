//! Wake-ups between servers over one PostgreSQL. A wake-up says whose data changed and nothing else; one can get lost,
//! so listeners read versions again from time to time. On SQLite there is one server, and nobody to wake.

use crate::StoreError;
use crate::db::Db;
use sqlx::postgres::PgListener;

const CHANNEL: &str = "daam_changed";
/// PostgreSQL only, so not among the statements both engines prepare.
const NOTIFY: &str = "SELECT pg_notify('daam_changed', $1)";

/// What other servers changed.
#[derive(Debug)]
pub struct Wakeups(PgListener);

/// One wake-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wakeup {
    /// This organization's data changed; its slug.
    Organization(String),
    /// The connection was away, and wake-ups may have been lost.
    Everything,
}

impl Db {
    /// Tells other servers that this organization's data changed.
    pub async fn announce(&self, org: &str) -> Result<(), StoreError> {
        let Some(pool) = self.postgres() else { return Ok(()) };
        sqlx::query(NOTIFY).bind(org).execute(pool).await.map(drop).map_err(StoreError::query)
    }

    /// Listens for other servers; `None` if there can be none.
    pub async fn wakeups(&self) -> Result<Option<Wakeups>, StoreError> {
        let Some(pool) = self.postgres() else { return Ok(None) };
        let mut listener = PgListener::connect_with(pool).await.map_err(StoreError::query)?;
        listener.listen(CHANNEL).await.map_err(StoreError::query)?;
        Ok(Some(Wakeups(listener)))
    }
}

impl Wakeups {
    /// The next one.
    pub async fn next(&mut self) -> Result<Wakeup, StoreError> {
        let received = self.0.try_recv().await.map_err(StoreError::query)?;
        Ok(received.map_or(Wakeup::Everything, |told| Wakeup::Organization(told.payload().to_owned())))
    }
}
