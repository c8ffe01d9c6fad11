//! The two ends, the relay and a slow road as programs of their own, so that tests can put each into another network
//! namespace: `peer relay|agent|client|delay FILE.json`. The agent's end hands every stream to a PostgreSQL socket,
//! the client's end offers one.

use anyhow::{Context, bail};
use daam_identity::AgentPrincipal;
use daam_identity::ticket::TicketVerifier;
use daam_relay::forward::Forwarder;
use daam_relay::limits::Limits;
use daam_relay::serve::{Beside, RelaySocket};
use daam_relay::tls_files::TlsFiles;
use daam_tunnel::path::report::Condition;
use daam_tunnel::{
    DialPlan, Incoming, ListenConfig, PathKey, PathPreference, Proxy, RelayTarget, TcpSettings, Tunnel,
    TunnelStream,
};
use serde::Deserialize;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UdpSocket, UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

#[derive(Deserialize)]
struct Relay {
    listen: SocketAddr,
    ticket_key: String,
    cert: PathBuf,
    key: PathBuf,
}

#[derive(Deserialize)]
struct End {
    cert_pem: String,
    key_pem: String,
    ca_pem: String,
    roots_pem: String,
    proxy: Option<String>,
    /// Address and ticket.
    relays: Vec<(SocketAddr, String)>,
    /// The agent's address: where to listen, or where it may be reached.
    direct: Option<SocketAddr>,
    prefer: Option<String>,
    socket: PathBuf,
}

#[derive(Deserialize)]
struct Delay {
    listen: SocketAddr,
    to: SocketAddr,
    millis: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(role), Some(file)) = (arguments.next(), arguments.next()) else {
        bail!("peer relay|agent|client|delay FILE.json");
    };
    let text = std::fs::read_to_string(file)?;
    match role.as_str() {
        "relay" => relay(serde_json::from_str(&text)?).await,
        "agent" => agent(serde_json::from_str(&text)?).await,
        "client" => client(serde_json::from_str(&text)?).await,
        "delay" => delay(serde_json::from_str(&text)?).await,
        other => bail!("no role `{other}`"),
    }
}

/// What every relay here calls itself.
const RELAY: &str = "relay.test:443";

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

async fn relay(config: Relay) -> anyhow::Result<()> {
    let verifier = TicketVerifier::from_base64(&config.ticket_key, RELAY)?;
    let socket = RelaySocket::bind(config.listen)?;
    let (events, beside) = mpsc::channel(256);
    let (leave, leaving) = watch::channel(false);
    let mut told = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        told.recv().await;
        leave.send_replace(true);
    });
    let files = Arc::new(TlsFiles::open(&config.cert, &config.key)?);
    let listener = TcpListener::bind(config.listen).await?;
    tokio::spawn(async move { daam_relay::tcp::accept(listener, files, &Limits::default(), events).await });
    say("ready")?;
    let beside = Beside::new(beside, watch::Sender::default(), leaving, Duration::from_secs(10));
    Ok(socket.forward_with(Forwarder::new("acme", verifier, [5; 32], Limits::default()), beside).await?)
}

impl End {
    fn tcp(&self) -> TcpSettings {
        let proxy = self.proxy.clone().map_or(Proxy::Never, Proxy::Fixed);
        TcpSettings { roots_pem: Some(self.roots_pem.clone()), proxy }
    }

    fn targets(&self) -> Vec<RelayTarget> {
        let target =
            |(addr, ticket): &(SocketAddr, String)| RelayTarget::new(*addr, "relay.test:443", ticket.clone());
        // A proxy is given the name, which means nothing here: then the address is the name.
        let by_address = |(addr, ticket): &(SocketAddr, String)| {
            RelayTarget::new(*addr, &addr.to_string(), ticket.clone())
        };
        if self.proxy.is_some() {
            self.relays.iter().map(by_address).collect()
        } else {
            self.relays.iter().map(target).collect()
        }
    }
}

async fn agent(config: End) -> anyhow::Result<()> {
    let (tcp, relays) = (config.tcp(), config.targets());
    let listener = daam_tunnel::listen(ListenConfig {
        reset_secret: "of this agent alone".to_owned().into(),
        bind: config.direct.context("no address to listen on")?,
        cert_pem: config.cert_pem,
        key_pem: config.key_pem.into(),
        ca_pem: config.ca_pem,
        org: "acme".to_owned(),
        database: "shop".to_owned(),
        tcp,
    })
    .await?;
    listener.set_relays(relays);
    say("ready")?;
    while let Some(incoming) = listener.accept().await {
        tokio::spawn(hand_over(incoming, config.socket.clone()));
    }
    Ok(())
}

async fn hand_over(incoming: Incoming, socket: PathBuf) {
    while let Some(stream) = incoming.accept_stream().await {
        if let Ok(server) = UnixStream::connect(&socket).await {
            tokio::spawn(splice(stream, server));
        }
    }
}

async fn splice(mut stream: TunnelStream, mut local: UnixStream) {
    tokio::io::copy_bidirectional(&mut stream, &mut local).await.map(drop).unwrap_or_default();
}

async fn client(config: End) -> anyhow::Result<()> {
    let (tcp, relays) = (config.tcp(), config.targets());
    let started = Instant::now();
    let tunnel = daam_tunnel::dial(DialPlan {
        agent: AgentPrincipal {
            org: "acme".to_owned(),
            agent_id: "shop-1".to_owned(),
            database: "shop".to_owned(),
        },
        ca_pem: config.ca_pem,
        cert_pem: config.cert_pem,
        key_pem: config.key_pem.into(),
        direct: config.direct.into_iter().collect(),
        relays,
        prefer: if config.prefer.is_some() { PathPreference::Relay } else { PathPreference::Auto },
        tcp,
    })
    .await?;
    let tunnel = Arc::new(tunnel);
    let listener = UnixListener::bind(&config.socket)?;
    say(&used(&tunnel, started))?;
    tokio::spawn(tell(Arc::clone(&tunnel), started));
    loop {
        let (local, _) = listener.accept().await?;
        let stream = tunnel.open_stream().await?;
        tokio::spawn(splice(stream, local));
    }
}

async fn tell(tunnel: Arc<Tunnel>, started: Instant) {
    let mut paths = tunnel.paths();
    let mut told = (in_use(&tunnel), ready(&tunnel));
    while paths.changed().await.is_ok() {
        let now = (in_use(&tunnel), ready(&tunnel));
        if now != told {
            told = now;
            say(&used(&tunnel, started)).unwrap_or_default();
        }
    }
}

fn in_use(tunnel: &Tunnel) -> Option<PathKey> {
    tunnel.paths().borrow().iter().find(|note| note.condition == Condition::InUse).map(|note| note.key)
}

/// How many other ways would carry the session.
fn ready(tunnel: &Tunnel) -> usize {
    tunnel.paths().borrow().iter().filter(|note| note.condition == Condition::Ready).count()
}

/// The kind of way, which relay if it is one, when, and how many others stand by.
fn used(tunnel: &Tunnel, started: Instant) -> String {
    let relay = match in_use(tunnel) {
        Some(PathKey::Relay(n) | PathKey::RelayTcp(n)) => n.to_string(),
        _ => "-".to_owned(),
    };
    format!("{} {relay} {} {}", tunnel.path(), started.elapsed().as_millis(), ready(tunnel))
}

/// Every packet arrives later, both ways.
async fn delay(config: Delay) -> anyhow::Result<()> {
    let near = Arc::new(UdpSocket::bind(config.listen).await?);
    let mut ways: std::collections::HashMap<SocketAddr, Arc<UdpSocket>> = std::collections::HashMap::new();
    say("ready")?;
    let late = Duration::from_millis(config.millis);
    let mut buffer = vec![0; 65_536];
    loop {
        let (length, from) = near.recv_from(&mut buffer).await?;
        let packet = buffer.get(..length).unwrap_or_default().to_vec();
        if let std::collections::hash_map::Entry::Vacant(way) = ways.entry(from) {
            let far = Arc::new(UdpSocket::bind("0.0.0.0:0").await?);
            far.connect(config.to).await?;
            way.insert(Arc::clone(&far));
            let near = Arc::clone(&near);
            tokio::spawn(async move {
                let mut buffer = vec![0; 65_536];
                while let Ok(length) = far.recv(&mut buffer).await {
                    let (near, packet) =
                        (Arc::clone(&near), buffer.get(..length).unwrap_or_default().to_vec());
                    tokio::spawn(async move {
                        tokio::time::sleep(late).await;
                        near.send_to(&packet, from).await.map(drop).unwrap_or_default();
                    });
                }
            });
        }
        let Some(far) = ways.get(&from).map(Arc::clone) else { continue };
        tokio::spawn(async move {
            tokio::time::sleep(late).await;
            far.send(&packet).await.map(drop).unwrap_or_default();
        });
    }
}
