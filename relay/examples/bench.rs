//! How fast the tunnel is beside what people use instead, in one run on one machine: `ci/bench-tunnel`.
//!
//! Every way carries the same little protocol: a question of 64 bytes and its answer, and bytes in bulk. The ways take
//! turns, three rounds each; the middle one is shown. Everything shares this process and its cores, so figures are for
//! comparing within one run only.

use anyhow::Context;
use daam_identity::ticket::{TicketGrant, TicketRole, TicketSigner, TicketVerifier, TrafficClass};
use daam_identity::{AgentPrincipal, CertificateAuthority, Principal, UserPrincipal, make_csr};
use daam_relay::forward::Forwarder;
use daam_relay::limits::Limits;
use daam_relay::serve::{Beside, RelaySocket};
use daam_relay::tls_files::TlsFiles;
use daam_tunnel::{
    DialPlan, ListenConfig, PathPreference, Proxy, RelayTarget, TcpSettings, Tunnel, dial, listen,
};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// What the relay here calls itself.
const RELAY: &str = "relay.test:443";
const QUESTION: usize = 64;
const CHUNK: usize = 64 * 1024;

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

struct Figures {
    connect: Duration,
    p50: Duration,
    p99: Duration,
    megabytes_per_second: f64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let megabytes: u32 = std::env::args().nth(1).map_or(Ok(256), |text| text.parse())?;
    let world = World::start().await?;
    let names = ["TCP", "TCP + TLS 1.3", "ssh -L", "daam direct", "daam relay", "daam relay-tcp"];
    let mut out = std::io::stdout().lock();
    writeln!(out, "| way | connect and first answer | ping p50 | ping p99 | bulk |\n|---|---|---|---|---|")?;
    for name in names {
        let mut rounds = Vec::new();
        for _ in 0..3 {
            match world.open(name).await {
                Ok((stream, started, _kept)) => rounds.push(measure(stream, started, megabytes).await?),
                Err(error) => {
                    writeln!(out, "| {name} | not measured: {error:#} | | | |")?;
                    break;
                }
            }
        }
        rounds.sort_by(|a, b| a.megabytes_per_second.total_cmp(&b.megabytes_per_second));
        if let Some(Figures { connect, p50, p99, megabytes_per_second }) = rounds.get(1) {
            writeln!(
                out,
                "| {name} | {connect:.1?} | {p50:.0?} | {p99:.0?} | {megabytes_per_second:.0} MB/s |"
            )?;
        }
    }
    Ok(())
}

async fn measure(mut stream: Box<dyn Io>, started: Instant, megabytes: u32) -> anyhow::Result<Figures> {
    ask(&mut stream).await?;
    let connect = started.elapsed();
    let mut waits = Vec::with_capacity(2000);
    for _ in 0..2000 {
        let asked = Instant::now();
        ask(&mut stream).await?;
        waits.push(asked.elapsed());
    }
    waits.sort_unstable();
    let at = |percent: usize| waits.get(waits.len() * percent / 100).copied().unwrap_or_default();
    let mut left = u64::from(megabytes) * 1_000_000;
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
    let megabytes_per_second = f64::from(megabytes) / began.elapsed().as_secs_f64();
    Ok(Figures { connect, p50: at(50), p99: at(99), megabytes_per_second })
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

/// The other side of every way.
async fn serve(mut stream: impl Io) -> anyhow::Result<()> {
    let chunk = vec![1; CHUNK];
    loop {
        if stream.read_u8().await? == b'p' {
            let mut question = [0; QUESTION];
            stream.read_exact(&mut question).await?;
            stream.write_all(&question).await?;
        } else {
            let mut left = usize::try_from(stream.read_u64().await?)?;
            while left > 0 {
                let count = left.min(CHUNK);
                stream.write_all(chunk.get(..count).unwrap_or_default()).await?;
                left -= count;
            }
        }
        stream.flush().await?;
    }
}

struct World {
    tcp: SocketAddr,
    tls: SocketAddr,
    relay: SocketAddr,
    direct: SocketAddr,
    ca: CertificateAuthority,
    signer: TicketSigner,
    roots_pem: String,
    ssh: Option<Ssh>,
    _directory: tempfile::TempDir,
    _leave: watch::Sender<bool>,
}

fn now() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

fn papers(ca: &CertificateAuthority, principal: &Principal) -> anyhow::Result<(String, String)> {
    let (key, csr) = make_csr()?;
    Ok((ca.issue(&csr, principal, now() - 60, now() + 3600)?.pem, key.to_string()))
}

fn agent() -> AgentPrincipal {
    AgentPrincipal { org: "acme".to_owned(), agent_id: "bench".to_owned(), database: "bench".to_owned() }
}

impl World {
    async fn start() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
        let (cert, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
        std::fs::write(&cert, made.cert.pem())?;
        std::fs::write(&key, made.signing_key.serialize_pem())?;
        let files = Arc::new(TlsFiles::open(&cert, &key)?);
        let tcp = plain().await?;
        let tls = secured(Arc::clone(&files)).await?;
        let signer = TicketSigner::generate()?;
        let ca = CertificateAuthority::generate("acme", now())?;
        let (relay, leave) = relay(&signer, files).await?;
        let roots_pem = made.cert.pem();
        let mut world = Self {
            tcp,
            tls,
            relay,
            direct: tcp,
            ca,
            signer,
            roots_pem,
            ssh: Ssh::start(directory.path(), tcp).await.ok(),
            _directory: directory,
            _leave: leave,
        };
        world.direct = world.listen().await?;
        Ok(world)
    }

    fn settings(&self) -> TcpSettings {
        TcpSettings { roots_pem: Some(self.roots_pem.clone()), proxy: Proxy::Never }
    }

    fn targets(&self, role: TicketRole) -> anyhow::Result<Vec<RelayTarget>> {
        let grant = TicketGrant {
            org: "acme".to_owned(),
            role,
            agent_id: "bench".to_owned(),
            relay: RELAY.to_owned(),
            // The rate limit of a session is not what is measured.
            class: TrafficClass { bytes_per_second: 10_000_000_000, sessions: 20_000 },
            expires: now() + 3600,
        };
        Ok(vec![RelayTarget::new(self.relay, "localhost:443", self.signer.issue(&grant)?)])
    }

    async fn listen(&self) -> anyhow::Result<SocketAddr> {
        let (cert_pem, key_pem) = papers(&self.ca, &Principal::Agent(agent()))?;
        let listener = listen(ListenConfig {
            bind: "127.0.0.1:0".parse()?,
            cert_pem,
            key_pem: key_pem.into(),
            ca_pem: self.ca.cert_pem().to_owned(),
            org: "acme".to_owned(),
            database: "bench".to_owned(),
            tcp: self.settings(),
        })
        .await?;
        listener.set_relays(self.targets(TicketRole::Agent)?);
        let direct = listener.local_addr();
        tokio::spawn(async move {
            while let Some(incoming) = listener.accept().await {
                tokio::spawn(async move {
                    while let Some(stream) = incoming.accept_stream().await {
                        tokio::spawn(serve(stream));
                    }
                });
            }
        });
        Ok(direct)
    }

    /// A stream, when its making began, and what keeps it alive.
    async fn open(&self, name: &str) -> anyhow::Result<(Box<dyn Io>, Instant, Option<Tunnel>)> {
        let started = Instant::now();
        let prefer = match name {
            "TCP" => return Ok((Box::new(connected(self.tcp).await?), started, None)),
            "TCP + TLS 1.3" => {
                return Ok((tls(&self.roots_pem, connected(self.tls).await?).await?, started, None));
            }
            "ssh -L" => {
                let ssh = self.ssh.as_ref().context("no sshd here")?;
                return Ok((Box::new(connected(ssh.at).await?), started, None));
            }
            "daam direct" => PathPreference::Direct,
            "daam relay" => PathPreference::Relay,
            _ => PathPreference::RelayTcp,
        };
        let user = UserPrincipal {
            org: "acme".to_owned(),
            user_id: "u".to_owned(),
            email: "ada@acme.example".to_owned(),
            device: "laptop".to_owned(),
        };
        let (cert_pem, key_pem) = papers(&self.ca, &Principal::User(user))?;
        let started = Instant::now();
        let tunnel = dial(DialPlan {
            agent: agent(),
            ca_pem: self.ca.cert_pem().to_owned(),
            cert_pem,
            key_pem: key_pem.into(),
            direct: vec![self.direct],
            relays: self.targets(TicketRole::Client)?,
            prefer,
            tcp: self.settings(),
        })
        .await?;
        let stream = tunnel.open_stream().await?;
        Ok((Box::new(stream), started, Some(tunnel)))
    }
}

async fn connected(at: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn plain() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let at = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap_or_default();
            tokio::spawn(serve(stream));
        }
    });
    Ok(at)
}

async fn secured(files: Arc<TlsFiles>) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let at = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap_or_default();
            let acceptor = tokio_rustls::TlsAcceptor::from(files.current());
            tokio::spawn(async move { serve(acceptor.accept(stream).await?).await });
        }
    });
    Ok(at)
}

async fn tls(roots_pem: &str, stream: TcpStream) -> anyhow::Result<Box<dyn Io>> {
    use rustls_pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls_pki_types::CertificateDer::from_pem_slice(roots_pem.as_bytes())?)?;
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
    let name = rustls_pki_types::ServerName::try_from("localhost")?;
    Ok(Box::new(tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
}

async fn relay(
    signer: &TicketSigner,
    files: Arc<TlsFiles>,
) -> anyhow::Result<(SocketAddr, watch::Sender<bool>)> {
    let socket = RelaySocket::bind("127.0.0.1:0".parse()?)?;
    let at = socket.local_addr()?;
    let listener = TcpListener::bind(at).await?;
    let (events, beside) = mpsc::channel(1024);
    tokio::spawn(async move { daam_relay::tcp::accept(listener, files, &Limits::default(), events).await });
    let (leave, leaving) = watch::channel(false);
    let beside = Beside::new(beside, watch::Sender::default(), leaving, Duration::ZERO);
    let limits = Limits { ticket_bytes_per_second: 10_000_000_000, ..Limits::default() };
    let verifier = TicketVerifier::from_base64(&signer.public_base64(), RELAY)?;
    tokio::spawn(socket.forward_with(Forwarder::new("acme", verifier, [5; 32], limits), beside));
    Ok((at, leave))
}

/// A real sshd and a real `ssh -L` to the plain server.
struct Ssh {
    at: SocketAddr,
    children: [Child; 2],
}

impl Drop for Ssh {
    fn drop(&mut self) {
        for child in &mut self.children {
            child.kill().unwrap_or_default();
            child.wait().map(drop).unwrap_or_default();
        }
    }
}

impl Ssh {
    async fn start(directory: &Path, to: SocketAddr) -> anyhow::Result<Self> {
        let ports = [free().await?, free().await?];
        let path = |name: &str| directory.join(name).display().to_string();
        for key in ["host", "user"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f", &path(key)])
                .status()?;
            anyhow::ensure!(made.success(), "ssh-keygen failed");
        }
        let [server, local] = ports;
        let options = format!(
            "ListenAddress 127.0.0.1:{server}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\n",
            path("host"),
            path("user.pub")
        );
        std::fs::write(path("sshd_config"), options)?;
        let quiet = |command: &mut Command| {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
        };
        let daemon = quiet(Command::new("/usr/sbin/sshd").args(["-D", "-f", &path("sshd_config")]))?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let forward = format!("127.0.0.1:{local}:{to}");
        let client = quiet(Command::new("ssh").args([
            "-N",
            "-i",
            &path("user"),
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-p",
            &server.to_string(),
            "-L",
            &forward,
            "127.0.0.1",
        ]))?;
        let ssh = Self { at: SocketAddr::from(([127, 0, 0, 1], local)), children: [daemon, client] };
        for _ in 0..50 {
            if TcpStream::connect(ssh.at).await.is_ok() {
                return Ok(ssh);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::bail!("ssh did not come up")
    }
}

async fn free() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port())
}
