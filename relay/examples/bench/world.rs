//! What is measured: servers of every kind, an organization with an agent and a relay, and the ways to reach them.

use crate::peers::{Bouncer, Ssh};
use crate::{CHUNK, Io, QUESTION};
use anyhow::Context;
use daam_identity::ticket::{TicketGrant, TicketRole, TicketSigner, TicketVerifier, TrafficClass};
use daam_identity::{AgentPrincipal, CertificateAuthority, Principal, UserPrincipal, make_csr};
use daam_postgres::Cluster;
use daam_relay::forward::Forwarder;
use daam_relay::limits::Limits;
use daam_relay::serve::{Beside, RelaySocket};
use daam_relay::tls_files::TlsFiles;
use daam_tunnel::{
    DialPlan, ListenConfig, PathKind, PathPreference, Proxy, RelayTarget, TcpSettings, Tunnel, dial, listen,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// What the relay here calls itself.
const RELAY: &str = "relay.test:443";

/// The other side of every way.
async fn serve(mut stream: impl Io, postgres: SocketAddr) -> anyhow::Result<()> {
    let chunk = vec![1; CHUNK];
    loop {
        let first = stream.read_u8().await?;
        // The length PostgreSQL's protocol begins with.
        if first == 0 {
            let mut server = connected(postgres).await?;
            server.write_u8(first).await?;
            tokio::io::copy_bidirectional(&mut stream, &mut server).await?;
            return Ok(());
        }
        if first == b'p' {
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

pub(crate) struct World {
    pub(crate) cluster: Cluster,
    tcp: SocketAddr,
    tls: SocketAddr,
    relay: SocketAddr,
    direct: SocketAddr,
    ca: CertificateAuthority,
    signer: TicketSigner,
    roots_pem: String,
    ssh: Option<Ssh>,
    bouncer: Option<Bouncer>,
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
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let cluster = tokio::task::spawn_blocking(Cluster::for_test).await??;
        let postgres = SocketAddr::from(([127, 0, 0, 1], cluster.port()));
        let directory = tempfile::tempdir()?;
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
        let (cert, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
        std::fs::write(&cert, made.cert.pem())?;
        std::fs::write(&key, made.signing_key.serialize_pem())?;
        let files = Arc::new(TlsFiles::open(&cert, &key)?);
        let tcp = plain(postgres).await?;
        let tls = secured(Arc::clone(&files), postgres).await?;
        let signer = TicketSigner::generate()?;
        let ca = CertificateAuthority::generate("acme", now())?;
        let (relay, leave) = relay(&signer, files).await?;
        let roots_pem = made.cert.pem();
        let bouncer = Bouncer::start(directory.path(), &cluster).await.ok();
        let mut world = Self {
            cluster,
            bouncer,
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
        world.direct = world.listen(postgres).await?;
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

    async fn listen(&self, postgres: SocketAddr) -> anyhow::Result<SocketAddr> {
        let (cert_pem, key_pem) = papers(&self.ca, &Principal::Agent(agent()))?;
        let listener = listen(ListenConfig {
            reset_secret: "of this agent alone".to_owned().into(),
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
                        tokio::spawn(serve(stream, postgres));
                    }
                });
            }
        });
        Ok(direct)
    }

    /// A way to the servers, when its making began.
    pub(crate) async fn open(&self, name: &str) -> anyhow::Result<(Way<'_>, Instant)> {
        let started = Instant::now();
        let prefer = match name {
            "TCP" => return Ok((Way::Tcp(self.tcp), started)),
            "TCP + TLS 1.3" => return Ok((Way::Tls(self.tls, &self.roots_pem), started)),
            "ssh -L" => return Ok((Way::Tcp(self.ssh.as_ref().context("no sshd here")?.at), started)),
            "pgbouncer" => {
                return Ok((Way::Tcp(self.bouncer.as_ref().context("no pgbouncer here")?.at), started));
            }
            "daam direct" => PathPreference::DirectUdp,
            "daam direct-tcp" => PathPreference::DirectTcp,
            "daam relay" => PathPreference::RelayUdp,
            _ => PathPreference::RelayTcp,
        };
        let plan = self.plan(prefer, vec![self.direct])?;
        let started = Instant::now();
        Ok((Way::Daam(Box::new(dial(plan).await?)), started))
    }

    fn plan(&self, prefer: PathPreference, direct: Vec<SocketAddr>) -> anyhow::Result<DialPlan> {
        let user = UserPrincipal {
            org: "acme".to_owned(),
            user_id: "u".to_owned(),
            email: "ada@acme.example".to_owned(),
            device: "laptop".to_owned(),
            databases: daam_identity::Databases::Any,
        };
        let (cert_pem, key_pem) = papers(&self.ca, &Principal::User(user))?;
        Ok(DialPlan {
            agent: agent(),
            ca_pem: self.ca.cert_pem().to_owned(),
            cert_pem,
            key_pem: key_pem.into(),
            direct,
            relays: self.targets(TicketRole::Client)?,
            prefer,
            tcp: self.settings(),
        })
    }

    /// A session that knows no address of the agent: when it is up, over the relay, and when it has gone direct.
    pub(crate) async fn time_to_direct(&self) -> anyhow::Result<[Duration; 2]> {
        let plan = self.plan(PathPreference::Auto, Vec::new())?;
        let started = Instant::now();
        let tunnel = dial(plan).await?;
        let up = started.elapsed();
        let mut paths = tunnel.paths();
        paths.wait_for(|_| tunnel.path() == PathKind::Direct).await?;
        Ok([up, started.elapsed()])
    }
}

/// Something streams to the servers are made of.
pub(crate) enum Way<'a> {
    Tcp(SocketAddr),
    Tls(SocketAddr, &'a str),
    Daam(Box<Tunnel>),
}

impl Way<'_> {
    pub(crate) async fn stream(&self) -> anyhow::Result<Box<dyn Io>> {
        Ok(match self {
            Self::Tcp(at) => Box::new(connected(*at).await?),
            Self::Tls(at, roots_pem) => tls(roots_pem, connected(*at).await?).await?,
            Self::Daam(tunnel) => Box::new(tunnel.open_stream().await?),
        })
    }
}

async fn connected(at: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn plain(postgres: SocketAddr) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let at = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap_or_default();
            tokio::spawn(serve(stream, postgres));
        }
    });
    Ok(at)
}

async fn secured(files: Arc<TlsFiles>, postgres: SocketAddr) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let at = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap_or_default();
            let acceptor = tokio_rustls::TlsAcceptor::from(files.current());
            tokio::spawn(async move { serve(acceptor.accept(stream).await?, postgres).await });
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
