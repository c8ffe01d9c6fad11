//! The same through PostgreSQL's protocol: a real server, `select 1`, `COPY`.

use crate::world::{Way, World};
use crate::{Figures, PINGS, cpu, figures};
use futures_util::StreamExt as _;
use std::pin::pin;
use tokio::time::Instant;
use tokio_postgres::{Client, Config, NoTls};

async fn session(way: &Way<'_>, world: &World) -> anyhow::Result<Client> {
    let mut config = Config::new();
    config.user("postgres").dbname("postgres").password(world.cluster.superuser_password());
    let (client, connection) = config.connect_raw(way.stream().await?, NoTls).await?;
    tokio::spawn(async move { connection.await.unwrap_or_default() });
    client.simple_query("select 1").await?;
    Ok(client)
}

pub(crate) async fn measure(
    way: &Way<'_>,
    started: Instant,
    world: &World,
    megabytes: u32,
) -> anyhow::Result<Figures> {
    let client = session(way, world).await?;
    let cold = started.elapsed();
    let again = Instant::now();
    session(way, world).await?;
    let warm = again.elapsed();
    let mut waits = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        let asked = Instant::now();
        client.simple_query("select 1").await?;
        waits.push(asked.elapsed());
    }
    let (before, began) = (cpu::spent()?, Instant::now());
    let rows = u64::from(megabytes) * 125;
    let sql = format!("copy (select repeat('x', 7999) from generate_series(1, {rows})) to stdout");
    let mut bytes = pin!(client.copy_out(&sql).await?);
    let mut arrived = 0;
    while let Some(chunk) = bytes.next().await {
        arrived += chunk?.len();
    }
    anyhow::ensure!(u64::try_from(arrived)? == rows * 8000, "{arrived} bytes came");
    Ok(figures([cold, warm], waits, (megabytes, began.elapsed()), cpu::spent()?.saturating_sub(before)))
}
