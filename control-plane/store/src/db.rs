//! The two engines behind one value. Writing starts only in [`Db::write_tx`]: on SQLite a transaction that begins by
//! reading and then writes fails under load, so a write transaction takes the lock when it begins.

use crate::StoreError;
use crate::measures::PoolUse;
use crate::reach::{self, ActsAs, Reach};
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{
    Connection as _, PgConnection, PgPool, Postgres, Row as _, Sqlite, SqliteConnection, SqlitePool,
    postgres::PgPoolOptions,
};
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const SQLITE_CONNECTIONS: u32 = 8;
const POSTGRES_CONNECTIONS: u32 = 16;

/// PostgreSQL only. A transaction began before the statement that asks, unless the statement is all of it.
const OUTSIDE: &str = "SELECT pg_catalog.now() = pg_catalog.statement_timestamp()";

const ALIVE: &str = "SELECT 1";

const APPLIED: &str = "SELECT COUNT(*) FROM _sqlx_migrations";

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

/// The control plane's database.
#[derive(Debug, Clone)]
pub struct Db(Engine);

#[derive(Debug, Clone)]
enum Engine {
    /// The lock file is held as long as any clone lives; none beside a server that holds it.
    Sqlite(SqlitePool, #[expect(dead_code, reason = "held for its lock")] Option<Arc<File>>),
    Pg(PgPool),
}

/// A transaction. Dropping it undoes it.
pub(crate) enum Tx {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Pg(sqlx::Transaction<'static, Postgres>),
}

/// Runs one statement on whichever engine the transaction is of:
/// `run!(tx, execute SQL, binds…)` counts rows, `run!(tx, optional: Row, SQL, binds…)` and `run!(tx, all: Row, SQL, …)` read.
/// `; each LIST` binds what a list has behind the others.
macro_rules! run {
    (@on $tx:expr, $c:ident => $query:expr) => {
        match $tx {
            $crate::db::Tx::Sqlite($c) => $query,
            $crate::db::Tx::Pg($c) => $query,
        }
        .map_err($crate::StoreError::query)
    };
    ($tx:expr, execute $sql:expr $(, $bind:expr)*; each $binds:expr) => {
        run!(@on $tx, c => {
            let query = sqlx::query($sql)$(.bind($bind))*;
            let query = $binds.into_iter().fold(query, |query, bind| query.bind(bind));
            query.execute(&mut **c).await.map(|done| done.rows_affected())
        })
    };
    ($tx:expr, execute $sql:expr $(, $bind:expr)* $(,)?) => {
        run!(@on $tx, c => sqlx::query($sql)$(.bind($bind))*.execute(&mut **c).await.map(|done| done.rows_affected()))
    };
    ($tx:expr, optional: $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        run!(@on $tx, c => sqlx::query_as::<_, $row>($sql)$(.bind($bind))*.fetch_optional(&mut **c).await)
    };
    ($tx:expr, all: $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        run!(@on $tx, c => sqlx::query_as::<_, $row>($sql)$(.bind($bind))*.fetch_all(&mut **c).await)
    };
}
pub(crate) use run;

/// Declares a module's statements and lists them for the test that prepares each.
macro_rules! statements {
    ($($name:ident = $sql:literal;)*) => {
        $(const $name: &str = $sql;)*
        pub(crate) const ALL: &[(&str, &str)] = &[$((concat!(module_path!(), "::", stringify!($name)), $name)),*];
    };
}
pub(crate) use statements;

impl Db {
    /// Opens (creating if needed) the embedded file and brings its schema up to date. The file is locked for as long
    /// as the value lives.
    pub async fn open_sqlite(file: &Path) -> Result<Self, StoreError> {
        let lock = lock(&file.with_extension("lock"))?;
        only_ours(file)?;
        let pool = pool(file, true).await?;
        MIGRATIONS.run(&pool).await.map_err(not_migrated)?;
        Ok(Self(Engine::Sqlite(pool, Some(Arc::new(lock)))))
    }

    /// The same for a moment's work of the operator: beside a server that is running, if it is of this version.
    pub async fn open_sqlite_beside(file: &Path) -> Result<Self, StoreError> {
        match Self::open_sqlite(file).await {
            Err(StoreError::Busy(_)) => {}
            opened => return opened,
        }
        let pool = pool(file, false).await?;
        let applied =
            sqlx::query_as::<_, (i64,)>(APPLIED).fetch_one(&pool).await.map_err(StoreError::query)?;
        if i64::try_from(MIGRATIONS.iter().count()) != Ok(applied.0) {
            return Err(StoreError::OtherVersion);
        }
        Ok(Self(Engine::Sqlite(pool, None)))
    }

    /// Copies an embedded database that may be in use, as it is at one moment, to a place where nothing is.
    pub async fn copy_sqlite(file: &Path, to: &Path) -> Result<(), StoreError> {
        only_ours(to)?;
        let pool = pool(file, false).await?;
        let to = to.to_str().ok_or(StoreError::Decode("path"))?;
        sqlx::query("VACUUM INTO $1").bind(to).execute(&pool).await.map_err(StoreError::query)?;
        pool.close().await;
        Ok(())
    }

    /// Connects to PostgreSQL and brings the schema, and the walls between tenants, up to date under an advisory lock.
    pub async fn open_postgres(url: &str) -> Result<Self, StoreError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(StoreError::Url);
        }
        let mut connection = PgConnection::connect(url).await.map_err(StoreError::Open)?;
        reach::migrating(&mut connection).await?;
        MIGRATIONS.run(&mut connection).await.map_err(not_migrated)?;
        let who = reach::put_up(&mut connection).await?;
        connection.close().await.map_err(StoreError::Open)?;
        let pool = serving(url, who).await.map_err(StoreError::Open)?;
        let mut connection = pool.acquire().await.map_err(StoreError::Open)?;
        if !reach::holds(&mut connection).await? {
            return Err(StoreError::AboveRows);
        }
        drop(connection);
        Ok(Self(Engine::Pg(pool)))
    }

    /// Whether this process is the only one that can have this database open.
    pub fn is_exclusive(&self) -> bool {
        matches!(self.0, Engine::Sqlite(..))
    }

    pub(crate) fn postgres(&self) -> Option<&PgPool> {
        match &self.0 {
            Engine::Sqlite(..) => None,
            Engine::Pg(pool) => Some(pool),
        }
    }

    /// Whether it answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match &self.0 {
            Engine::Sqlite(pool, _) => sqlx::query(ALIVE).execute(pool).await.map(drop),
            Engine::Pg(pool) => sqlx::query(ALIVE).execute(pool).await.map(drop),
        }
        .map_err(StoreError::query)
    }

    /// How its connections are used.
    pub fn pool_use(&self) -> PoolUse {
        let used = |open, idle: usize, most| {
            let idle = u32::try_from(idle).unwrap_or(u32::MAX);
            PoolUse { open, idle, most }
        };
        match &self.0 {
            Engine::Sqlite(pool, _) => {
                used(pool.size(), pool.num_idle(), pool.options().get_max_connections())
            }
            Engine::Pg(pool) => used(pool.size(), pool.num_idle(), pool.options().get_max_connections()),
        }
    }

    /// Waits for running transactions and closes every connection.
    pub async fn close(&self) {
        match &self.0 {
            Engine::Sqlite(pool, _) => pool.close().await,
            Engine::Pg(pool) => pool.close().await,
        }
    }

    /// Asks the engine to parse a statement without running it.
    pub async fn prepare(&self, sql: &'static str) -> Result<(), StoreError> {
        use sqlx::{Executor as _, SqlSafeStr as _};
        match &self.0 {
            Engine::Sqlite(pool, _) => {
                let mut connection = pool.acquire().await.map_err(StoreError::query)?;
                connection.prepare(sql.into_sql_str()).await.map(drop).map_err(StoreError::query)
            }
            Engine::Pg(pool) => {
                let mut connection = pool.acquire().await.map_err(StoreError::query)?;
                connection.prepare(sql.into_sql_str()).await.map(drop).map_err(StoreError::query)
            }
        }
    }

    /// One consistent view of the data, as far as it reaches.
    pub(crate) async fn read_tx<'a>(&self, to: impl Into<Reach<'a>>) -> Result<Tx, StoreError> {
        let to = to.into();
        match &self.0 {
            // Named, so that it fails where there is a transaction already, rather than nest and see what that one saw.
            Engine::Sqlite(pool, _) => {
                pool.begin_with("BEGIN DEFERRED").await.map(Tx::Sqlite).map_err(StoreError::query)
            }
            Engine::Pg(pool) => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                let mut tx = pool.begin_with(begin).await.map_err(StoreError::query)?;
                reach::set(&mut tx, to).await?;
                Ok(Tx::Pg(tx))
            }
        }
    }

    /// The only way to write.
    pub(crate) async fn write_tx<'a>(&self, to: impl Into<Reach<'a>>) -> Result<Tx, StoreError> {
        let to = to.into();
        match &self.0 {
            Engine::Sqlite(pool, _) => {
                pool.begin_with("BEGIN IMMEDIATE").await.map(Tx::Sqlite).map_err(StoreError::query)
            }
            Engine::Pg(pool) => {
                let mut tx = pool.begin().await.map_err(StoreError::query)?;
                reach::set(&mut tx, to).await?;
                Ok(Tx::Pg(tx))
            }
        }
    }
}

impl Tx {
    /// From now on it is about this: the organization of whoever arrived.
    pub(crate) async fn turn_to(&mut self, to: Reach<'_>) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Pg(tx) => reach::set(tx, to).await,
        }
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Pg(tx) => tx.commit().await,
        }
        .map_err(StoreError::query)
    }
}

/// Somebody else's newer schema is no failure of a migration.
fn not_migrated(error: MigrateError) -> StoreError {
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    match error {
        MigrateError::VersionMissing(found) if found > known => StoreError::Newer { found, known },
        error => StoreError::Migrate(error),
    }
}

async fn serving(url: &str, who: ActsAs) -> Result<PgPool, sqlx::Error> {
    PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .after_connect(move |connection, _| Box::pin(reach::act_as(connection, who)))
        .after_release(|connection, _| Box::pin(is_outside(connection)))
        .connect(url)
        .await
}

/// Whether a connection may be used again. Whoever hangs up while a transaction begins leaves it begun, and sqlx does not
/// count it: what the next one then begins is that same transaction, with the view of the data it had and what it may do.
async fn is_outside(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // One message: in the other protocol a statement is several, and its time is the last one's.
    sqlx::raw_sql(OUTSIDE).fetch_one(connection).await?.try_get(0)
}

async fn pool(file: &Path, create: bool) -> Result<SqlitePool, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(create)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        // What was acknowledged (a token's end, a certificate's record, a published bundle) outlives a power loss.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT);
    let connections = if create { SQLITE_CONNECTIONS } else { 1 };
    let pool = SqlitePoolOptions::new()
        .max_connections(connections)
        .after_release(|connection, _| Box::pin(is_clean(connection)));
    pool.connect_with(options).await.map_err(StoreError::Open)
}

/// Whether a connection may be used again. SQLite ends a transaction by itself where it must (a full disk, for one), and
/// sqlx goes on counting it: what it then begins is a savepoint, and the first reader's view would stay for ever, with
/// every token that ended since.
async fn is_clean(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // The undoing of a dropped transaction is still on its way; this comes after it.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// Creates the file readable by nobody else; SQLite gives its companions the same mode. Refused: one that others can read.
fn only_ours(path: &Path) -> Result<(), StoreError> {
    let created = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    let mode = created.and_then(|file| file.metadata()).map(|found| found.permissions().mode());
    let mode = mode.map_err(|source| StoreError::Lock { path: path.to_owned(), source })?;
    if mode & 0o077 != 0 {
        return Err(StoreError::Exposed(path.to_owned()));
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let failed = |source| StoreError::Lock { path: path.to_owned(), source };
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map_err(failed)?;
    // Whoever can open it can hold its lock.
    file.set_permissions(Permissions::from_mode(0o600)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Busy(path.with_extension("db"))),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_acknowledged_outlives_a_power_loss() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("daam.db");
        for create in [true, false] {
            let pool = pool(&file, create).await.unwrap();
            let (journal,): (String,) = sqlx::query_as("PRAGMA journal_mode").fetch_one(&pool).await.unwrap();
            let (level,): (i64,) = sqlx::query_as("PRAGMA synchronous").fetch_one(&pool).await.unwrap();
            // In the write-ahead mode anything below FULL leaves the last commits to the system's leisure.
            assert_eq!((journal.as_str(), level), ("wal", 2));
            pool.close().await;
        }
    }
}
