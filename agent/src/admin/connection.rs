//! One connection of the agent's own role, with the warnings PostgreSQL sends beside its answers.
//!
//! Role and grant statements run inside [`Connection::locked`]: one transaction under the advisory lock that all
//! agents of the database share, committed only when no warning says that a GRANT granted less than asked.

use super::AdminError;
use super::command::UpstreamFacts;
use daam_catalog::ServerVersion;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The two halves of the advisory lock key: "daam" and "role" in ASCII.
const LOCK: (i32, i32) = (0x6461_616d, 0x726f_6c65);

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    notices: Arc<Mutex<Vec<DbError>>>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    pub(super) async fn open(
        config: &Config,
        tls: Option<&rustls::ClientConfig>,
    ) -> Result<Self, AdminError> {
        let notices = Arc::new(Mutex::new(Vec::new()));
        let (client, driver) = if let Some(tls) = tls {
            let connector = MakeRustlsConnect::new(tls.clone());
            let (client, connection) = config.connect(connector).await.map_err(AdminError::Unreachable)?;
            (client, tokio::spawn(drive(connection, notices.clone())))
        } else {
            let (client, connection) = config.connect(NoTls).await.map_err(AdminError::Unreachable)?;
            (client, tokio::spawn(drive(connection, notices.clone())))
        };
        let this = Self { client, notices, driver };
        // `search_path` decides how types print; the admin connection must not meet user objects by accident.
        this.client
            .batch_execute(
                "SET search_path = pg_catalog; SET synchronous_commit = off; SET statement_timeout = '30s'; \
                 SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '30s'",
            )
            .await
            .map_err(|source| AdminError::Refused { doing: "set up the admin connection", source })?;
        Ok(this)
    }

    pub(super) async fn facts(&self) -> Result<UpstreamFacts, AdminError> {
        let row = self
            .client
            .query_one(
                "SELECT current_setting('server_version_num')::int4, current_database()::text, current_user::text, \
                 has_database_privilege('public', current_database(), 'CONNECT'), \
                 has_database_privilege('public', current_database(), 'TEMPORARY')",
                &[],
            )
            .await
            .map_err(|source| AdminError::Refused { doing: "describe itself", source })?;
        Ok(UpstreamFacts {
            server: ServerVersion(u32::try_from(row.get::<_, i32>(0)).unwrap_or(0)),
            database: row.get(1),
            role: row.get(2),
            public_connect: row.get(3),
            public_temporary: row.get(4),
        })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Anybody can take an advisory lock. Developers' sessions that hold ours, or wait for it, for whatever reason, would
    /// keep everybody else out and themselves from being changed: they are ended.
    async fn evict(&self) {
        const SQL: &str = "SELECT a.usename::text, pg_terminate_backend(l.pid) FROM pg_locks l \
             JOIN pg_stat_activity a ON a.pid = l.pid \
             WHERE l.locktype = 'advisory' AND l.classid = $1::int4::oid AND l.objid = $2::int4::oid \
             AND l.objsubid = 2 AND a.usename LIKE 'daam\\_s\\_%' AND pg_has_role(a.usesysid, 'MEMBER')";
        match self.client.query(SQL, &[&LOCK.0, &LOCK.1]).await {
            Ok(rows) => {
                for row in &rows {
                    let role: String = row.get(0);
                    tracing::warn!(role, "a session took the lock of the agents and was ended");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the holders of the agents' lock could not be looked up");
            }
        }
    }

    /// Begins a transaction that holds the lock. No agent holds it for long.
    async fn begin(&self) -> Result<(), tokio_postgres::Error> {
        let mut refused = None;
        for patience in ["1s", "2s", "10s"] {
            let begin = format!(
                "BEGIN; SET LOCAL lock_timeout = '{patience}'; SELECT pg_advisory_xact_lock({}, {}); \
                 SET LOCAL lock_timeout = '10s'",
                LOCK.0, LOCK.1
            );
            match self.client.batch_execute(&begin).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    self.roll_back().await;
                    let taken = error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE);
                    refused = Some(error);
                    if !taken {
                        break;
                    }
                    self.evict().await;
                }
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Runs statements in one transaction under the lock; all or nothing.
    pub(super) async fn locked(&self, doing: &'static str, statements: &[String]) -> Result<(), AdminError> {
        let refused = |source| AdminError::Refused { doing, source };
        self.take_notices();
        self.begin().await.map_err(refused)?;
        let mut batch = String::new();
        for statement in statements {
            batch.push_str(statement);
            batch.push_str(";\n");
        }
        if let Err(error) = self.client.batch_execute(&batch).await {
            self.roll_back().await;
            return Err(refused(error));
        }
        if let Some(warning) = self.take_notices().into_iter().find(granted_less) {
            self.roll_back().await;
            return Err(AdminError::MissingRight { warning: warning.message().to_owned() });
        }
        self.client.batch_execute("COMMIT").await.map_err(refused)
    }

    async fn roll_back(&self) {
        if let Err(error) = self.client.batch_execute("ROLLBACK").await {
            tracing::debug!(%error, "rollback after a failed role statement failed");
        }
    }

    fn take_notices(&self) -> Vec<DbError> {
        std::mem::take(&mut *self.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn granted_less(notice: &DbError) -> bool {
    *notice.code() == SqlState::WARNING_PRIVILEGE_NOT_GRANTED
}

async fn drive<S, T>(mut connection: tokio_postgres::Connection<S, T>, notices: Arc<Mutex<Vec<DbError>>>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    // A notice arrives before the answer it belongs to, so it is stored before the caller sees that answer.
    while let Some(message) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
        match message {
            Ok(AsyncMessage::Notice(notice)) => {
                notices.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the admin connection broke");
                return;
            }
        }
    }
}
