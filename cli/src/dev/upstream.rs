//! The sandbox's PostgreSQL: a private server with the seed in it, or somebody else's server.
//!
//! In a private server everything happens as on a customer's: the seed runs as a superuser that is not the
//! bootstrap one, then what it owns goes to `daam_owner`, and the agent gets `daam_agent`, which may create roles
//! and is a member of every role that owns tables, but is no superuser.

use crate::client::find_psql;
use crate::error::{CliError, Doing as _};
use daam_postgres::{Binaries, Cluster, find_binaries};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};

const SEED: &str = "daam_seed";
const OWNER: &str = "daam_owner";
const AGENT: &str = "daam_agent";

/// A seeded server and the ways to it.
#[derive(Debug)]
pub struct Upstream {
    /// The server, if it is ours; it ends with this value.
    pub cluster: Option<Cluster>,
    /// How the agent connects.
    pub agent_dsn: String,
    /// How a test looks at it from outside: as superuser, if the server is ours.
    pub outside_dsn: String,
}

/// Starts a private server with one database and seeds it.
pub async fn private(
    binaries: Option<PathBuf>,
    database: &str,
    seeds: &[PathBuf],
) -> Result<Upstream, CliError> {
    let (cluster, binaries) =
        tokio::task::spawn_blocking(move || start(binaries.as_deref())).await.doing("start PostgreSQL")??;
    let (seed_password, agent_password) = (random_word(), random_word());
    let superuser = client(&cluster.superuser_dsn("postgres")).await?;
    let name = quoted(database);
    run(&superuser, &format!("CREATE ROLE {SEED} LOGIN SUPERUSER PASSWORD '{seed_password}'")).await?;
    run(&superuser, &format!("CREATE DATABASE {name} OWNER {SEED}")).await?;
    seed(&cluster.dsn(SEED, &seed_password, database), Some(&binaries), seeds).await?;
    hand_over(&client(&cluster.superuser_dsn(database)).await?, &agent_password).await?;
    Ok(Upstream {
        agent_dsn: cluster.dsn(AGENT, &agent_password, database),
        outside_dsn: cluster.superuser_dsn(database),
        cluster: Some(cluster),
    })
}

/// Uses a server that is there, as the role the connection string names.
pub async fn given(dsn: &str, seeds: &[PathBuf]) -> Result<Upstream, CliError> {
    seed(dsn, None, seeds).await?;
    Ok(Upstream { cluster: None, agent_dsn: dsn.to_owned(), outside_dsn: dsn.to_owned() })
}

fn start(binaries: Option<&Path>) -> Result<(Cluster, Binaries), CliError> {
    let binaries = find_binaries(binaries).doing("find PostgreSQL")?;
    let cluster = Cluster::temporary(&binaries).doing("start PostgreSQL")?;
    Ok((cluster, binaries))
}

/// Runs each file with psql, which understands everything seed files contain.
async fn seed(dsn: &str, binaries: Option<&Binaries>, seeds: &[PathBuf]) -> Result<(), CliError> {
    if seeds.is_empty() {
        return Ok(());
    }
    let config: Config = dsn.parse().doing("understand the connection string")?;
    let beside = binaries.map(|found| found.dir.join("psql")).filter(|path| path.is_file());
    let psql = beside.or_else(find_psql).ok_or_else(|| {
        CliError::usage("`psql` is needed to run the seed and was not found")
            .remedy("install the package `postgresql-client`")
    })?;
    for file in seeds {
        let output = Command::new(&psql)
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"])
            .arg(file)
            .envs(libpq_variables(&config))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .doing(format_args!("run `{}`", psql.display()))?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(CliError::usage(format!("the seed `{}` failed", file.display())).detail(errors));
        }
    }
    Ok(())
}

/// The connection in variables rather than arguments, which every user of the machine could read.
fn libpq_variables(config: &Config) -> Vec<(&'static str, String)> {
    let mut variables = Vec::new();
    match config.get_hosts().first() {
        Some(Host::Tcp(host)) => variables.push(("PGHOST", host.clone())),
        Some(Host::Unix(dir)) => variables.push(("PGHOST", dir.to_string_lossy().into_owned())),
        None => {}
    }
    if let Some(port) = config.get_ports().first() {
        variables.push(("PGPORT", port.to_string()));
    }
    if let Some(user) = config.get_user() {
        variables.push(("PGUSER", user.to_owned()));
    }
    if let Some(password) = config.get_password() {
        variables.push(("PGPASSWORD", String::from_utf8_lossy(password).into_owned()));
    }
    if let Some(database) = config.get_dbname() {
        variables.push(("PGDATABASE", database.to_owned()));
    }
    variables
}

async fn hand_over(superuser: &Client, agent_password: &str) -> Result<(), CliError> {
    run(superuser, &format!("CREATE ROLE {OWNER} NOLOGIN")).await?;
    run(superuser, &format!("REASSIGN OWNED BY {SEED} TO {OWNER}")).await?;
    run(superuser, &format!("CREATE ROLE {AGENT} LOGIN CREATEROLE PASSWORD '{agent_password}'")).await?;
    run(superuser, &format!("GRANT {OWNER} TO {AGENT}")).await?;
    let owners = superuser.query(OTHER_OWNERS, &[&OWNER]).await.doing("look for owners of tables")?;
    for row in owners {
        let role: String = row.try_get(0).doing("look for owners of tables")?;
        run(superuser, &format!("GRANT {} TO {AGENT}", quoted(&role))).await?;
    }
    run(superuser, &format!("ALTER ROLE {SEED} NOLOGIN NOSUPERUSER")).await
}

/// Roles besides `$1` that own something a seed made.
const OTHER_OWNERS: &str = "
    SELECT rolname FROM pg_roles r
    WHERE NOT rolsuper AND rolname <> $1 AND r.oid >= 16384
      AND (EXISTS (SELECT FROM pg_class WHERE relowner = r.oid AND oid >= 16384)
        OR EXISTS (SELECT FROM pg_namespace WHERE nspowner = r.oid AND oid >= 16384)
        OR EXISTS (SELECT FROM pg_proc WHERE proowner = r.oid AND oid >= 16384))";

async fn run(client: &Client, sql: &str) -> Result<(), CliError> {
    client.batch_execute(sql).await.map_err(|error| {
        let words: Vec<&str> = sql.split(' ').take(2).collect();
        let said = error.as_db_error().map(|db| db.message().to_owned());
        let failure =
            CliError::usage(format!("could not prepare the sandbox's server (`{} …`)", words.join(" ")));
        match said {
            Some(said) => failure.because(said),
            None => failure.because(error),
        }
    })
}

async fn client(dsn: &str) -> Result<Client, CliError> {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await.doing("connect to PostgreSQL")?;
    // Ends when the client is dropped.
    drop(tokio::spawn(connection));
    Ok(client)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn random_word() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
