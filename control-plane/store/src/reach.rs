//! The second wall between tenants: what a transaction reaches on PostgreSQL, whatever its statements ask for.
//!
//! Every table with an `org_id` has row-level security, forced on its owner as well (`reach.sql`). A transaction says
//! at its beginning of which organization it is and gets that one's rows; without a word it gets none. Work that is of no
//! one organization says of which kind it is, and reaches the tables of that kind only: none of those with audits,
//! bundles, schemas or access. Refused: to serve as a database user who is above row-level security.

use crate::{StoreError, TenantScope};
use sqlx::{Connection as _, Executor as _, PgConnection, Postgres};

/// What a transaction is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach<'a> {
    /// One organization's rows.
    Org(&'a str),
    /// Somebody comes with a secret, a code or a person's sign-in, and it is not known yet to which organization.
    Arrival,
    /// What the server does for all: it delivers notices, signs audits, forgets links.
    Upkeep,
}

impl<'a> Reach<'a> {
    /// Organization and kind, as the policies read them.
    const fn settings(self) -> (&'a str, &'static str) {
        match self {
            Self::Org(id) => (id, ""),
            Self::Arrival => ("", "arrival"),
            Self::Upkeep => ("", "upkeep"),
        }
    }
}

impl<'a> From<&'a TenantScope> for Reach<'a> {
    fn from(scope: &'a TenantScope) -> Self {
        Self::Org(&scope.org_id)
    }
}

/// Whom connections of a superuser act as. It cannot sign in.
const SERVER: &str = "SET ROLE daam_control_plane";
const SET: &str = "SELECT set_config('daam.org', $1, true), set_config('daam.reach', $2, true)";
/// Migrations change rows of everybody.
const MIGRATING: &str = "SELECT set_config('daam.reach', 'migration', false)";
const IS_SUPERUSER: &str = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user";
const IS_WALLED: &str = "SELECT row_security_active('organizations') AND row_security_active('audit')";
const WALLS: &str = include_str!("reach.sql");
const SERVERS_ROLE: &str = include_str!("server_role.sql");

/// As whom connections act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActsAs {
    /// Whoever the URL names.
    Itself,
    /// A role made for it, because the URL names a superuser.
    Server,
}

/// Says what the transaction is about; it holds until its end.
pub(crate) async fn set(
    tx: &mut sqlx::Transaction<'static, Postgres>,
    reach: Reach<'_>,
) -> Result<(), StoreError> {
    let (org, kind) = reach.settings();
    sqlx::query(SET).bind(org).bind(kind).execute(&mut **tx).await.map(drop).map_err(StoreError::query)
}

/// For a connection that is going to migrate.
pub(crate) async fn migrating(connection: &mut PgConnection) -> Result<(), StoreError> {
    connection.execute(MIGRATING).await.map(drop).map_err(StoreError::query)
}

/// Puts up the walls that are missing, after the migrations; as whom the server's connections have to act.
pub(crate) async fn put_up(connection: &mut PgConnection) -> Result<ActsAs, StoreError> {
    let failed = StoreError::query;
    let mut tx = connection.begin().await.map_err(failed)?;
    sqlx::raw_sql(WALLS).execute(&mut *tx).await.map_err(failed)?;
    let (superuser,) =
        sqlx::query_as::<_, (bool,)>(IS_SUPERUSER).fetch_one(&mut *tx).await.map_err(failed)?;
    if superuser {
        sqlx::raw_sql(SERVERS_ROLE).execute(&mut *tx).await.map_err(failed)?;
    }
    tx.commit().await.map_err(failed)?;
    Ok(if superuser { ActsAs::Server } else { ActsAs::Itself })
}

/// For every connection that serves, before it does.
pub(crate) async fn act_as(connection: &mut PgConnection, who: ActsAs) -> Result<(), sqlx::Error> {
    if who == ActsAs::Server {
        connection.execute(SERVER).await?;
    }
    Ok(())
}

/// Whether the walls hold for this connection.
pub(crate) async fn holds(connection: &mut PgConnection) -> Result<bool, StoreError> {
    let row = sqlx::query_as::<_, (bool,)>(IS_WALLED).fetch_one(connection).await;
    row.map(|(walled,)| walled).map_err(StoreError::query)
}
