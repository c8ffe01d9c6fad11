//! How fast the tunnel is beside what people use instead, in one run on one machine: `ci/bench-tunnel`.
//!
//! Every way carries the same: first a little protocol of its own, a question of 64 bytes and its answer and bytes in bulk,
//! then PostgreSQL's, `select 1` and `COPY`. The ways take turns, three rounds each; the middle one of each figure is
//! shown. Client, agent, relay and servers share this machine's cores, so figures are for comparing within one run only.

mod cpu;
mod peers;
mod sql;
mod world;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use world::{Way, World};

pub(crate) const QUESTION: usize = 64;
pub(crate) const CHUNK: usize = 64 * 1024;
const ROUNDS: usize = 3;
const PINGS: usize = 2000;
const BYTES: [&str; 7] =
    ["TCP", "TCP + TLS 1.3", "ssh -L", "daam direct", "daam direct-tcp", "daam relay", "daam relay-tcp"];
const SQL: [&str; 8] = [
    "TCP",
    "TCP + TLS 1.3",
    "ssh -L",
    "pgbouncer",
    "daam direct",
    "daam direct-tcp",
    "daam relay",
    "daam relay-tcp",
];

pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// What is measured of a way.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figures {
    /// Until the first answer: of the first stream, and of a second one.
    pub(crate) cold: Duration,
    pub(crate) warm: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) megabytes_per_second: f64,
    pub(crate) cpu_seconds_per_gib: f64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let megabytes: u32 = std::env::args().nth(1).map_or(Ok(256), |text| text.parse())?;
    let world = World::start().await?;
    let bytes = table("64 bytes there and back, bytes in bulk", &BYTES, &world, megabytes).await?;
    table("`select 1` and `COPY`", &SQL, &world, megabytes).await?;
    targets(&bytes)?;
    let mut times = Vec::new();
    for _ in 0..20 {
        times.push(world.time_to_direct().await?);
    }
    let middle = |n: usize| {
        let mut each: Vec<Duration> = times.iter().filter_map(|time| time.get(n)).copied().collect();
        each.sort_unstable();
        each.get(each.len() / 2).copied().unwrap_or_default()
    };
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "\nup over a relay after {:.1?}, direct after {:.1?} (middle of 20)",
        middle(0),
        middle(1)
    )?;
    Ok(())
}

async fn table(
    what: &str,
    names: &[&'static str],
    world: &World,
    megabytes: u32,
) -> anyhow::Result<BTreeMap<&'static str, Figures>> {
    let mut rounds: BTreeMap<&str, Vec<Figures>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for name in names {
            match one(name, world, megabytes, what.starts_with('`')).await {
                Ok(figures) => rounds.entry(name).or_default().push(figures),
                Err(error) => writeln!(std::io::stderr(), "{name}: not measured: {error:#}")?,
            }
        }
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "| {what} | first answer, cold | warm | p50 | p99 | bulk | CPU of all parties |")?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    let mut middles = BTreeMap::new();
    for name in names {
        let Some(rounds) = rounds.get(name) else { continue };
        let Figures { cold, warm, p50, p99, megabytes_per_second, cpu_seconds_per_gib } = middle(rounds);
        writeln!(
            out,
            "| {name} | {cold:.1?} | {warm:.1?} | {p50:.0?} | {p99:.0?} | {megabytes_per_second:.0} MB/s | {cpu_seconds_per_gib:.1} s/GiB |"
        )?;
        middles.insert(*name, middle(rounds));
    }
    writeln!(out)?;
    Ok(middles)
}

fn middle(rounds: &[Figures]) -> Figures {
    let time = |of: fn(&Figures) -> Duration| {
        let mut all: Vec<Duration> = rounds.iter().map(of).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    let number = |of: fn(&Figures) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(of).collect();
        all.sort_unstable_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    Figures {
        cold: time(|round| round.cold),
        warm: time(|round| round.warm),
        p50: time(|round| round.p50),
        p99: time(|round| round.p99),
        megabytes_per_second: number(|round| round.megabytes_per_second),
        cpu_seconds_per_gib: number(|round| round.cpu_seconds_per_gib),
    }
}

async fn one(name: &str, world: &World, megabytes: u32, sql: bool) -> anyhow::Result<Figures> {
    let (way, started) = world.open(name).await?;
    if sql {
        sql::measure(&way, started, world, megabytes).await
    } else {
        measure(&way, started, megabytes).await
    }
}

/// What the figures are wanted to be.
fn targets(found: &BTreeMap<&str, Figures>) -> anyhow::Result<()> {
    let of = |name: &str| found.get(name).copied().unwrap_or_default();
    let (tls, ssh, direct, relay) = (of("TCP + TLS 1.3"), of("ssh -L"), of("daam direct"), of("daam relay"));
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "ping p50, direct : TLS      {:.2}  (wanted: 1.3 at most)",
        direct.p50.as_secs_f64() / tls.p50.as_secs_f64()
    )?;
    writeln!(
        out,
        "bulk, direct : ssh -L       {:.2}  (wanted: 1 at least)",
        direct.megabytes_per_second / ssh.megabytes_per_second
    )?;
    let hop = relay.p50.saturating_sub(direct.p50);
    writeln!(
        out,
        "ping p50, relay - direct    {hop:.0?}  (wanted: a relay's hop and 0.1 ms at most; the hop is below)"
    )?;
    Ok(())
}

async fn measure(way: &Way<'_>, started: Instant, megabytes: u32) -> anyhow::Result<Figures> {
    let mut stream = way.stream().await?;
    ask(&mut stream).await?;
    let cold = started.elapsed();
    let again = Instant::now();
    ask(&mut way.stream().await?).await?;
    let warm = again.elapsed();
    let mut waits = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        let asked = Instant::now();
        ask(&mut stream).await?;
        waits.push(asked.elapsed());
    }
    let mut left = u64::from(megabytes) * 1_000_000;
    let before = cpu::spent()?;
    stream.write_all(b"b").await?;
    stream.write_all(&left.to_be_bytes()).await?;
    stream.flush().await?;
    let began = Instant::now();
    let mut buffer = vec![0; CHUNK];
    while left > 0 {
        let count = stream.read(&mut buffer).await?;
        anyhow::ensure!(count > 0, "the other side ended");
        left = left.saturating_sub(u64::try_from(count)?);
    }
    Ok(figures([cold, warm], waits, (megabytes, began.elapsed()), cpu::spent()?.saturating_sub(before)))
}

pub(crate) fn figures(
    [cold, warm]: [Duration; 2],
    mut waits: Vec<Duration>,
    (megabytes, took): (u32, Duration),
    cpu: Duration,
) -> Figures {
    waits.sort_unstable();
    let at = |percent: usize| waits.get(waits.len() * percent / 100).copied().unwrap_or_default();
    Figures {
        cold,
        warm,
        p50: at(50),
        p99: at(99),
        megabytes_per_second: f64::from(megabytes) / took.as_secs_f64(),
        cpu_seconds_per_gib: cpu.as_secs_f64() / (f64::from(megabytes) / 1_073.741_824),
    }
}

async fn ask(stream: &mut Box<dyn Io>) -> anyhow::Result<()> {
    let mut question = [7; QUESTION + 1];
    question[0] = b'p';
    stream.write_all(&question).await?;
    stream.flush().await?;
    let mut answer = [0; QUESTION];
    stream.read_exact(&mut answer).await?;
    Ok(())
}
