//! A real tunnel through a real relay, with a wiretap between each side and the relay.

use daam_identity::ticket::{TicketGrant, TicketRole, TicketSigner, TicketVerifier, TrafficClass};
use daam_identity::{AgentPrincipal, CertificateAuthority, Principal, UserPrincipal, make_csr};
use daam_relay::forward::Forwarder;
use daam_relay::limits::Limits;
use daam_relay::serve::RelaySocket;
use daam_tunnel::{
    DialError, DialPlan, ListenConfig, Listener, PathKind, PathPreference, RelayTarget, TcpSettings, Tunnel,
    dial, listen,
};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
/// What every relay here calls itself.
pub(crate) const RELAY: &str = "relay.test:443";
pub(crate) const SECRET: &[u8] = b"SELECT card_number FROM payments -- planted plaintext";

pub(crate) fn now() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

pub(crate) fn agent() -> AgentPrincipal {
    AgentPrincipal { org: "acme".into(), agent_id: "shop-1".into(), database: "shop".into() }
}

pub(crate) fn grant(role: TicketRole, expires: i64) -> TicketGrant {
    TicketGrant {
        org: "acme".into(),
        role,
        agent_id: "shop-1".into(),
        relay: RELAY.into(),
        class: TrafficClass::usual(role),
        expires,
    }
}

pub(crate) struct World {
    pub(crate) ca: CertificateAuthority,
    pub(crate) signer: TicketSigner,
    pub(crate) relay: SocketAddr,
    pub(crate) forwarding: JoinHandle<()>,
    pub(crate) listener: Arc<Listener>,
}

pub(crate) fn start_relay(signer: &TicketSigner, at: SocketAddr) -> (SocketAddr, JoinHandle<()>) {
    let verifier = TicketVerifier::from_base64(&signer.public_base64(), RELAY).unwrap();
    let socket = RelaySocket::bind(at).unwrap();
    let relay = socket.local_addr().unwrap();
    let forwarder = Forwarder::new("acme", verifier, [3; 32], Limits::default());
    let forwarding = tokio::spawn(async move { socket.forward(forwarder).await.unwrap_or_default() });
    (relay, forwarding)
}

pub(crate) fn certificate(ca: &CertificateAuthority, principal: &Principal) -> (String, Zeroizing<String>) {
    let (key, csr) = make_csr().unwrap();
    (ca.issue(&csr, principal, now() - 60, now() + 3600).unwrap().pem, key)
}

impl World {
    pub(crate) async fn new() -> Self {
        daam_suite_log::keep("relay");
        let signer = TicketSigner::generate().unwrap();
        let (relay, forwarding) = start_relay(&signer, "127.0.0.1:0".parse().unwrap());
        let ca = CertificateAuthority::generate("acme", now()).unwrap();
        let listener = agents_side(&ca, TcpSettings::default()).await;
        Self { ca, signer, relay, forwarding, listener }
    }

    /// The agent again, with other settings.
    pub(crate) async fn relisten(&mut self, tcp: TcpSettings) {
        self.listener = agents_side(&self.ca, tcp).await;
    }

    pub(crate) fn ticket(&self, role: TicketRole, expires: i64) -> String {
        self.signer.issue(&grant(role, expires)).unwrap()
    }

    pub(crate) fn join(&self, relay: SocketAddr) {
        let ticket = self.ticket(TicketRole::Agent, now() + 3600);
        self.listener.set_relays(vec![RelayTarget::new(relay, "localhost:1", ticket)]);
    }

    pub(crate) fn plan(&self, relay: SocketAddr) -> DialPlan {
        let user = UserPrincipal {
            org: "acme".into(),
            user_id: "u-ada".into(),
            email: "ada@acme.example".into(),
            device: "laptop".into(),
            databases: daam_identity::Databases::Any,
        };
        let (cert_pem, key_pem) = certificate(&self.ca, &Principal::User(user));
        let ticket = self.ticket(TicketRole::Client, now() + 300);
        DialPlan {
            agent: agent(),
            ca_pem: self.ca.cert_pem().to_owned(),
            cert_pem,
            key_pem,
            direct: Vec::new(),
            relays: vec![RelayTarget::new(relay, "localhost:1", ticket)],
            prefer: PathPreference::Auto,
            tcp: TcpSettings::default(),
        }
    }
}

async fn agents_side(ca: &CertificateAuthority, tcp: TcpSettings) -> Arc<Listener> {
    let (cert_pem, key_pem) = certificate(ca, &Principal::Agent(agent()));
    let listener = listen(ListenConfig {
        reset_secret: "of this agent alone".to_owned().into(),
        bind: "127.0.0.1:0".parse().unwrap(),
        cert_pem,
        key_pem,
        ca_pem: ca.cert_pem().to_owned(),
        org: "acme".into(),
        database: "shop".into(),
        tcp,
    })
    .await
    .unwrap();
    let listener = Arc::new(listener);
    tokio::spawn(echo(Arc::clone(&listener)));
    listener
}

async fn echo(listener: Arc<Listener>) {
    while let Some(incoming) = listener.accept().await {
        tokio::spawn(async move {
            while let Some(stream) = incoming.accept_stream().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = tokio::io::split(stream);
                    tokio::io::copy(&mut read, &mut write).await.unwrap_or_default();
                    write.shutdown().await.unwrap_or_default();
                });
            }
        });
    }
}

pub(crate) async fn echoes(tunnel: &Tunnel, text: &[u8]) {
    let (mut read, mut write) = tokio::io::split(tunnel.open_stream().await.unwrap());
    let sending = async {
        write.write_all(text).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    let both = async { tokio::join!(sending, async { read.read_to_end(&mut back).await.unwrap() }) };
    tokio::time::timeout(DEADLINE, both).await.unwrap();
    assert!(back == text, "{} bytes came back for {}", back.len(), text.len());
}

pub(crate) type Capture = Arc<Mutex<Vec<u8>>>;

/// Stands between one peer and the relay and keeps every byte that passes.
pub(crate) async fn tap(relay: SocketAddr) -> (SocketAddr, Capture) {
    let near = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let far = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = near.local_addr().unwrap();
    let capture: Capture = Capture::default();
    let kept = Arc::clone(&capture);
    tokio::spawn(async move {
        let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
        let mut peer = None;
        loop {
            tokio::select! {
                Ok((length, from)) = near.recv_from(&mut up) => {
                    peer = Some(from);
                    kept.lock().unwrap().extend_from_slice(&up[..length]);
                    far.send_to(&up[..length], relay).await.unwrap_or_default();
                }
                Ok((length, _)) = far.recv_from(&mut down) => {
                    kept.lock().unwrap().extend_from_slice(&down[..length]);
                    if let Some(peer) = peer {
                        near.send_to(&down[..length], peer).await.unwrap_or_default();
                    }
                }
            }
        }
    });
    (at, capture)
}

pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_come_back_through_the_relay_and_nobody_there_can_read_them() {
    let world = World::new().await;
    let (agents_tap, agents_wire) = tap(world.relay).await;
    let (clients_tap, clients_wire) = tap(world.relay).await;
    world.join(agents_tap);
    let relayed = DialPlan { prefer: PathPreference::Relay, ..world.plan(clients_tap) };
    let tunnel = dial(relayed).await.unwrap();
    assert_eq!(tunnel.path(), PathKind::Relay);
    echoes(&tunnel, &SECRET.repeat(1000)).await;
    tunnel.shutdown("done").await;
    for wire in [agents_wire, clients_wire] {
        let seen = wire.lock().unwrap().clone();
        assert!(seen.len() > 1000 * SECRET.len());
        for hidden in [SECRET, b"card_number", b"ada@acme.example", b"u-ada", b"laptop"] {
            assert!(!contains(&seen, hidden), "{} is readable", String::from_utf8_lossy(hidden));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_transfers_survive_batches_on_the_way() {
    let world = World::new().await;
    world.join(world.relay);
    let tunnel = dial(world.plan(world.relay)).await.unwrap();
    let large: Vec<u8> = (0..8_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    tokio::join!(echoes(&tunnel, &large), echoes(&tunnel, b"small"));
    tunnel.shutdown("done").await;
}

#[tokio::test]
async fn direct_is_preferred_and_a_dead_direct_address_does_not_hurt() {
    let world = World::new().await;
    world.join(world.relay);
    let both = DialPlan { direct: vec![world.listener.local_addr()], ..world.plan(world.relay) };
    assert_eq!(dial(both).await.unwrap().path(), PathKind::Direct);
    // A socket that never answers.
    let dead = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let blocked = DialPlan { direct: vec![dead.local_addr().unwrap()], ..world.plan(world.relay) };
    let tunnel = dial(blocked).await.unwrap();
    echoes(&tunnel, b"hello").await;
}

#[tokio::test]
async fn an_expired_ticket_is_refused_in_words() {
    let world = World::new().await;
    world.join(world.relay);
    let mut plan = world.plan(world.relay);
    plan.relays[0].ticket = world.ticket(TicketRole::Client, now() - 1);
    let Err(DialError::AllFailed(failures)) = dial(plan).await else { panic!("must not connect") };
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].kind, PathKind::Relay);
    assert_eq!(failures[0].reason, "our relay ticket has expired");
}

#[tokio::test]
async fn an_absent_agent_is_said_in_words() {
    let world = World::new().await;
    let refused = dial(world.plan(world.relay)).await.unwrap_err().to_string();
    assert!(refused.contains("the agent is not connected to this relay"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_relay_is_joined_again_and_sessions_go_on() {
    let world = World::new().await;
    world.join(world.relay);
    let tunnel = dial(world.plan(world.relay)).await.unwrap();
    echoes(&tunnel, b"before").await;
    world.forwarding.abort();
    world.forwarding.await.unwrap_err();
    let (_, forwarding) = start_relay(&world.signer, world.relay);
    echoes(&tunnel, b"after").await;
    forwarding.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_relay_in_use_dies_the_other_one_takes_over() {
    let world = World::new().await;
    // Nobody answers there yet, so the first relay is the one in use.
    let second = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let target = |addr, role| RelayTarget::new(addr, "localhost:1", world.ticket(role, now() + 300));
    let both = |role| vec![target(world.relay, role), target(second, role)];
    world.listener.set_relays(both(TicketRole::Agent));
    let relays = both(TicketRole::Client);
    let prefer = PathPreference::Relay;
    let tunnel = dial(DialPlan { relays, prefer, ..world.plan(world.relay) }).await.unwrap();
    echoes(&tunnel, b"before").await;
    let (_, forwarding) = start_relay(&world.signer, second);
    world.forwarding.abort();
    world.forwarding.await.unwrap_err();
    echoes(&tunnel, b"after").await;
    forwarding.abort();
    assert_eq!(tunnel.path(), PathKind::Relay);
}
