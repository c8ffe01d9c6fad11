//! Prints what filters may use of `pg_catalog` on one server version; `ci/builtin` makes `builtin/catalog.txt` of it.

use std::io::Write as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = daam_postgres::Cluster::for_test()?;
    let dsn = cluster.superuser_dsn("postgres");
    let (client, connection) = tokio_postgres::connect(&dsn, tokio_postgres::NoTls).await?;
    let running = tokio::spawn(connection);
    let names: Vec<&str> = daam_sql::filter::callable().collect();
    let mut out = std::io::stdout().lock();
    for row in client.query(include_str!("../builtin/query.sql"), &[&names]).await? {
        writeln!(out, "{}", row.get::<_, String>(0))?;
    }
    drop(client);
    running.await??;
    Ok(())
}
