//! What one relay carries: memory of many idle sessions, and bytes per second of one core. Part of `ci/bench-tunnel`.
//!
//! The relay is a process of its own, so that its memory and CPU time are its own; packets come one by one, without the
//! batches a fast sender makes, so its capacity is rather better than what is shown.

mod over_tcp;

use anyhow::{Context, bail};
use daam_identity::ticket::{
    HeldTicket, TicketGrant, TicketRole, TicketSigner, TicketVerifier, TrafficClass,
};
use daam_relay::forward::Forwarder;
use daam_relay::limits::Limits;
use daam_relay::serve::{Beside, RelaySocket};
use daam_relay::tls_files::TlsFiles;
use daam_tunnel::wire::{Answer, Bind, FromRelay, Proof, challenge_bytes, data_header};
use rcgen::{CertifiedKey, KeyPair};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

const RELAY: &str = "relay.test:443";
const PER_TICKET: u32 = 16;
const PACKET: usize = 1200;
/// Sent before the other end is looked at, so that no buffer overflows.
const AT_ONCE: usize = 64;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["relay", key, directory] => relay(key, Path::new(directory)),
        [] => measure(10_000, 512),
        [sessions, megabytes] => measure(sessions.parse()?, megabytes.parse()?),
        _ => bail!("crowd [SESSIONS MEGABYTES]"),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn relay(key: &str, directory: &Path) -> anyhow::Result<()> {
    let many = 10_000_000;
    let limits = Limits {
        sessions: many,
        sessions_per_agent: many,
        sessions_per_network: many,
        binds_per_second: 10_000_000,
        provider_binds_per_second: 10_000_000,
        challenges_per_second: 10_000_000,
        ticket_bytes_per_second: u64::MAX,
        agent_bytes_per_second: u64::MAX,
        idle: Duration::from_secs(600),
        connections: many,
        connections_per_network: many,
        connections_per_provider: many,
        ..Limits::default()
    };
    let socket = RelaySocket::bind("127.0.0.1:0".parse()?)?;
    let files = Arc::new(TlsFiles::open(&directory.join("cert.pem"), &directory.join("key.pem"))?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (events, beside) = mpsc::channel(256);
    let (_leave, leaving) = watch::channel(false);
    let beside = Beside::new(beside, watch::Sender::default(), leaving, Duration::ZERO);
    let mut out = std::io::stdout();
    writeln!(out, "{} {}", socket.local_addr()?, listener.local_addr()?)?;
    out.flush()?;
    let forwarder = Forwarder::new("acme", TicketVerifier::from_base64(key, RELAY)?, [7; 32], limits.clone());
    let mut rest = Vec::new();
    let mut stdin = tokio::io::stdin();
    tokio::select! {
        ended = socket.forward_with(forwarder, beside) => ended.context("the socket failed"),
        () = daam_relay::tcp::accept(listener, files, &limits, events) => bail!("nothing is accepted"),
        _ = stdin.read_to_end(&mut rest) => Ok(()),
    }
}

struct Peer {
    socket: UdpSocket,
    relay: SocketAddr,
}

impl Peer {
    fn new(relay: SocketAddr) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(500)))?;
        Ok(Self { socket, relay })
    }

    fn ask(&self, bind: &Bind) -> anyhow::Result<Answer> {
        let mut buffer = [0; 2048];
        for _ in 0..10 {
            self.socket.send_to(&bind.encode(), self.relay)?;
            if let Ok(length) = self.socket.recv(&mut buffer)
                && let Some(FromRelay::Answer(answer)) = buffer.get(..length).and_then(FromRelay::read)
            {
                return Ok(answer);
            }
        }
        bail!("the relay does not answer")
    }

    fn bind(&self, ticket: &HeldTicket, instance: u64) -> anyhow::Result<u32> {
        let mut bind = Bind { instance, wanted: 0, ticket: ticket.presented().to_owned(), proof: None };
        let Answer::Challenge { cookie, .. } = self.ask(&bind)? else { bail!("no challenge") };
        bind.proof = Some(Proof { cookie, signature: ticket.prove(&challenge_bytes(&cookie, instance)) });
        match self.ask(&bind)? {
            Answer::Bound { session, .. } => Ok(session),
            other => bail!("not bound: {other:?}"),
        }
    }
}

fn ticket(signer: &TicketSigner, role: TicketRole) -> anyhow::Result<HeldTicket> {
    let grant = TicketGrant {
        org: "acme".to_owned(),
        role,
        agent_id: "bench".to_owned(),
        relay: RELAY.to_owned(),
        class: TrafficClass {
            bytes_per_second: u64::MAX,
            sessions: if role == TicketRole::Agent { u32::MAX } else { PER_TICKET },
        },
        expires: time::OffsetDateTime::now_utc().unix_timestamp() + 3600,
    };
    Ok(HeldTicket::parse(&signer.issue(&grant)?)?)
}

/// The relay's process, ended with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

impl Running {
    fn kibibytes(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// User and system time; a tick is a hundredth of a second on Linux.
    fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        let after = stat.rsplit_once(") ").context("no such process")?.1;
        let ticks: Vec<u64> = after.split(' ').skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
        Ok(Duration::from_millis(ticks.iter().sum::<u64>() * 10))
    }
}

/// A relay of its own, and where it takes packets and connections.
fn start(
    signer: &TicketSigner,
    made: &CertifiedKey<KeyPair>,
) -> anyhow::Result<(Running, SocketAddr, SocketAddr)> {
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("cert.pem"), made.cert.pem())?;
    std::fs::write(directory.path().join("key.pem"), made.signing_key.serialize_pem())?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["relay", &signer.public_base64()])
        .arg(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let said = child.stdout.take().context("no output")?;
    let running = Running(child);
    let mut line = String::new();
    BufReader::new(said).read_line(&mut line)?;
    let (at, tcp) = line.trim().split_once(' ').context("two addresses")?;
    Ok((running, at.parse()?, tcp.parse()?))
}

fn measure(sessions: u64, megabytes: u64) -> anyhow::Result<()> {
    let signer = TicketSigner::generate()?;
    let made = rcgen::generate_simple_self_signed(vec!["relay.test".to_owned()])?;
    let (running, at, tcp) = start(&signer, &made)?;
    let (agent, client) = (Peer::new(at)?, Peer::new(at)?);
    agent.bind(&ticket(&signer, TicketRole::Agent)?, 1)?;
    let before = running.kibibytes()?;
    let mut bound = Vec::new();
    let mut held = ticket(&signer, TicketRole::Client)?;
    for n in 0..sessions {
        if n > 0 && n.is_multiple_of(u64::from(PER_TICKET)) {
            held = ticket(&signer, TicketRole::Client)?;
        }
        bound.push(client.bind(&held, n)?);
    }
    let after = running.kibibytes()?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "| idle sessions | relay's memory | for each session |\n|---|---|---|")?;
    let each = after.saturating_sub(before) * 1024 / sessions.max(1);
    writeln!(out, "| {sessions} over UDP | {} MiB | {each} bytes |", after / 1024)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let open = runtime.block_on(over_tcp::sessions(sessions, tcp, made.cert.der(), &signer))?;
    let with_tcp = running.kibibytes()?;
    let each = with_tcp.saturating_sub(after) * 1024 / sessions.max(1);
    writeln!(out, "| {} over TCP beside them | {} MiB | {each} bytes |\n", open.len(), with_tcp / 1024)?;
    drop(open);
    let (direct, relayed) =
        (there_and_back(&agent, &client, None)?, there_and_back(&agent, &client, bound.first())?);
    writeln!(out, "| 64 bytes there and back over UDP | p50 |\n|---|---|")?;
    writeln!(out, "| straight | {direct:.0?} |\n| through the relay | {relayed:.0?} |\n")?;
    let (spent, began) = (running.cpu()?, Instant::now());
    let arrived = push(&agent, &client, &bound, megabytes * 1_000_000)?;
    let (wall, spent) = (began.elapsed(), running.cpu()?.saturating_sub(spent));
    let gigabits = f64::from(u32::try_from(arrived / 1000)?) * 8.0 / 1e6;
    writeln!(out, "| forwarded | in | relay's CPU | Gbit/s of one core |\n|---|---|---|---|")?;
    let per_core = gigabits / spent.as_secs_f64().max(0.01);
    writeln!(out, "| {} MB | {wall:.1?} | {spent:.1?} | {per_core:.1} |", arrived / 1_000_000)?;
    Ok(())
}

/// What a relay adds to a question and its answer, nothing else being there.
fn there_and_back(agent: &Peer, client: &Peer, session: Option<&u32>) -> anyhow::Result<Duration> {
    let header = session.map_or([0x40; 8], |session| data_header(*session));
    let packet = [&header[..], &[0xc0; 64]].concat();
    let to = |other: &Peer| match session {
        Some(_) => Ok(other.relay),
        None => other.socket.local_addr(),
    };
    let (to_agent, to_client) = (to(agent)?, to(client)?);
    let mut buffer = [0; 2048];
    let mut times = Vec::new();
    for _ in 0..2000 {
        let began = Instant::now();
        client.socket.send_to(&packet, to_agent)?;
        let length = agent.socket.recv(&mut buffer)?;
        agent.socket.send_to(buffer.get(..length).unwrap_or_default(), to_client)?;
        client.socket.recv(&mut buffer)?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}

/// Sends through all sessions in turn; how many bytes arrived.
fn push(agent: &Peer, client: &Peer, sessions: &[u32], bytes: u64) -> anyhow::Result<u64> {
    let (mut sent, mut arrived) = (0_u64, 0_u64);
    let mut buffer = [0; 2048];
    client.socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    let mut turn = sessions.iter().cycle();
    while sent < bytes {
        for _ in 0..AT_ONCE {
            let session = *turn.next().context("no session")?;
            let packet = [&data_header(session)[..], &[0xc0; PACKET]].concat();
            sent += u64::try_from(agent.socket.send_to(&packet, agent.relay)?)?;
        }
        for _ in 0..AT_ONCE {
            match client.socket.recv(&mut buffer) {
                Ok(length) => arrived += u64::try_from(length)?,
                Err(_) => break,
            }
        }
    }
    Ok(arrived)
}
