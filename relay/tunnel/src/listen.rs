//! The agent's side: accept developers' connections and hand out their streams.
//!
//! Refused, with the reason sent back: certificates that are no user's of our organization, revoked ones, and
//! — at the second it happens — ones that run out. Bounded everywhere: handshakes, connections waiting to be
//! taken, streams waiting to be taken, and the time each step may take. `listen_tcp` takes connections over TCP, on the
//! same port if the system gives it.

use crate::binding::Pace;
use crate::close::{CloseCode, describe, reason_bytes};
use crate::dial::probe_key;
use crate::follow::{Followed, Keys, answer_probes, follow};
use crate::incoming::{Incoming, Revoked, guard};
use crate::listen_tcp::{self, Doorkeeper};
use crate::path::RelayTarget;
use crate::path::probe::Side;
use crate::presence::{self, attend};
use crate::relay_access::{AccessState, Means, RelayAccess};
use crate::relay_tcp::TcpSettings;
use crate::renew::Held;
use crate::seats::Seats;
use crate::socket::{PathSocket, plain};
use crate::stream::StreamKind;
use crate::tls::{CredentialError, Credentials, TCP_ALPN};
use crate::transport::{ResetKey, endpoint};
use daam_identity::{CertificateFacts, Principal, UserPrincipal, facts_of};
use quinn::{Connection, Endpoint};
use rustls_pki_types::CertificateDer;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use zeroize::Zeroizing;

/// Connections of one person; each carries many streams.
const MAX_PER_USER: usize = 64;

/// Handshakes under way at once; more are refused.
const MAX_HANDSHAKES: usize = 256;
/// Connections open at once; more are refused.
const MAX_CONNECTIONS: usize = 4096;
/// From here on, a peer first has to prove that it receives at its address.
const RETRY_FROM: usize = 64;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const WAITING_CONNECTIONS: usize = 64;
/// Ports the system chooses are tried so often until one is free for UDP and TCP.
const TRIES: u32 = 16;

/// How to listen.
pub struct ListenConfig {
    /// Local address, for UDP and, where it is free, for TCP.
    pub bind: SocketAddr,
    /// The agent's certificate.
    pub cert_pem: String,
    /// Its private key.
    pub key_pem: Zeroizing<String>,
    /// Of the agent alone and always the same: what tells clients after a restart that their connections are no more.
    pub reset_secret: Zeroizing<String>,
    /// The organization's CA: the only root.
    pub ca_pem: String,
    /// The organization the certificate must be for, and whose users are let in.
    pub org: String,
    /// The database the certificate must be for.
    pub database: String,
    /// How relays are reached over TCP.
    pub tcp: TcpSettings,
}

impl fmt::Debug for ListenConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenConfig")
            .field("bind", &self.bind)
            .field("org", &self.org)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Certificate, key or CA.
    #[error("the tunnel's credentials cannot be used")]
    Credentials(#[from] CredentialError),
    /// The certificate is not this agent's.
    #[error("our certificate is for {is}, not for an agent of `{org}` for database `{database}`")]
    WrongPrincipal {
        /// For whom it is.
        is: String,
        /// Expected organization.
        org: String,
        /// Expected database.
        database: String,
    },
    /// The address cannot be used.
    #[error("cannot listen on {addr}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

struct Shared {
    org: String,
    revoked: watch::Sender<Revoked>,
    /// How long clients may be away.
    away: watch::Sender<Duration>,
    seats: Arc<Seats>,
    held: Arc<Held>,
    followed: Followed,
}

/// Listens until dropped.
pub struct Listener {
    endpoint: Endpoint,
    local_addr: SocketAddr,
    socket: Arc<PathSocket>,
    shared: Arc<Shared>,
    database: String,
    relays: std::sync::Mutex<BTreeMap<SocketAddr, Joined>>,
    joined: watch::Sender<Vec<watch::Receiver<AccessState>>>,
    tcp: TcpSettings,
    tcp_tls: watch::Sender<Arc<rustls::ServerConfig>>,
    takes_tcp: bool,
    incoming: Mutex<mpsc::Receiver<Incoming>>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

/// A relay we are reachable through.
struct Joined {
    ticket: String,
    access: RelayAccess,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}

/// Starts listening.
pub async fn listen(config: ListenConfig) -> Result<Listener, ListenError> {
    let credentials = Credentials::read(&config.cert_pem, &config.key_pem, &config.ca_pem)?;
    check_ourselves(&credentials, &config.org, &config.database)?;
    let at = |source| ListenError::Bind { addr: config.bind, source };
    let (udp, tcp) = bound(config.bind).map_err(at)?;
    let (socket, probes) = PathSocket::listening(udp).map_err(at)?;
    let server = (credentials.server()?, ResetKey::new(&config.reset_secret));
    let endpoint = endpoint(Arc::clone(&socket), Some(server)).map_err(at)?;
    let local_addr = endpoint.local_addr().map_err(at)?;
    let (seen, observed) = watch::channel(BTreeSet::new());
    let keys: Arc<Keys> = Arc::default();
    let answering = tokio::spawn(answer_probes(Arc::clone(&socket), Arc::clone(&keys), probes));
    let shared = Arc::new(Shared {
        org: config.org,
        revoked: watch::Sender::default(),
        away: watch::Sender::new(presence::AWAY),
        seats: Seats::new(MAX_PER_USER),
        held: Arc::default(),
        followed: Followed {
            socket: Arc::clone(&socket),
            keys,
            local: plain(local_addr),
            allowances: Arc::default(),
            started: Instant::now(),
            observed,
        },
    });
    let (joined, relays) = watch::channel(Vec::new());
    let observing = tokio::spawn(observe(relays, seen));
    let (sender, incoming) = mpsc::channel(WAITING_CONNECTIONS);
    let accepting = tokio::spawn(accept_loop(endpoint.clone(), Arc::clone(&shared), sender));
    let tcp_tls = watch::Sender::new(Arc::new(credentials.server_tls(TCP_ALPN)?));
    let mut tasks = vec![accepting, answering, observing];
    let takes_tcp = tcp.is_some();
    if let Some(listener) = tcp {
        tasks.push(tokio::spawn(listen_tcp::accept(listener, doorkeeper(&socket, &tcp_tls, &shared))));
    }
    Ok(Listener {
        endpoint,
        local_addr,
        socket,
        shared,
        database: config.database,
        relays: std::sync::Mutex::default(),
        joined,
        tcp: config.tcp,
        tcp_tls,
        takes_tcp,
        incoming: Mutex::new(incoming),
        _tasks: tasks.into_iter().map(AbortOnDropHandle::new).collect(),
    })
}

/// Whatever the certificate of a TCP connection says is judged as inside of it.
fn doorkeeper(
    socket: &Arc<PathSocket>,
    tls: &watch::Sender<Arc<rustls::ServerConfig>>,
    shared: &Arc<Shared>,
) -> Doorkeeper {
    let judging = Arc::clone(shared);
    Doorkeeper {
        socket: Arc::clone(socket),
        tls: tls.subscribe(),
        revoked: shared.revoked.subscribe(),
        judge: Box::new(move |leaf| {
            let (user, facts) = judge(leaf, &judging).ok()?;
            Some((user.user_id, facts.serial_hex))
        }),
    }
}

/// A UDP socket, and a TCP listener on the same port: without it everything else works.
fn bound(bind: SocketAddr) -> std::io::Result<(std::net::UdpSocket, Option<TcpListener>)> {
    let mut tries = if bind.port() == 0 { TRIES } else { 1 };
    loop {
        tries -= 1;
        let udp = std::net::UdpSocket::bind(bind)?;
        match listen_tcp::beside(udp.local_addr()?) {
            Ok(tcp) => return Ok((udp, Some(tcp))),
            Err(error) if tries == 0 => {
                tracing::warn!(%bind, %error, "no TCP connections are taken; who cannot use UDP needs a relay");
                return Ok((udp, None));
            }
            Err(_) => {}
        }
    }
}

/// Gathers where the relays see us.
async fn observe(
    mut relays: watch::Receiver<Vec<watch::Receiver<AccessState>>>,
    seen: watch::Sender<BTreeSet<SocketAddr>>,
) {
    loop {
        let mut states = relays.borrow_and_update().clone();
        let now: BTreeSet<SocketAddr> =
            states.iter_mut().filter_map(|state| state.borrow_and_update().observed()).collect();
        seen.send_if_modified(|known| std::mem::replace(known, now.clone()) != now);
        states.retain(|state| state.has_changed().is_ok());
        let any = async {
            if states.is_empty() {
                return std::future::pending().await;
            }
            let waiting = states.iter_mut().map(|state| Box::pin(state.changed()));
            drop(futures_util::future::select_all(waiting).await);
        };
        tokio::select! {
            changed = relays.changed() => if changed.is_err() { return },
            () = any => {}
        }
    }
}

fn check_ourselves(credentials: &Credentials, org: &str, database: &str) -> Result<(), ListenError> {
    match &credentials.facts.principal {
        Principal::Agent(agent) if agent.org == org && agent.database == database => Ok(()),
        other => Err(ListenError::WrongPrincipal {
            is: other.to_string(),
            org: org.to_owned(),
            database: database.to_owned(),
        }),
    }
}

impl Listener {
    /// The UDP address listened on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Whether TCP connections are taken on the same port.
    pub fn takes_tcp(&self) -> bool {
        self.takes_tcp
    }

    /// The next accepted connection; `None` once the listener is closed. Safe to cancel.
    pub async fn accept(&self) -> Option<Incoming> {
        self.incoming.lock().await.recv().await
    }

    /// Replaces the relays to be reachable through; a new ticket for a known relay is used at once. A ticket
    /// that cannot be read leaves that relay out. Must be called inside a tokio runtime.
    pub fn set_relays(&self, relays: Vec<RelayTarget>) {
        let mut joined = self.relays.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted: BTreeSet<SocketAddr> = relays.iter().map(|relay| relay.addr).collect();
        joined.retain(|addr, _| wanted.contains(addr));
        for relay in relays {
            let done = match joined.get_mut(&relay.addr) {
                Some(known) if known.ticket == relay.ticket => Ok(()),
                Some(known) => {
                    let renewed = known.access.renew(&relay.ticket);
                    renewed.map(|()| known.ticket.clone_from(&relay.ticket))
                }
                None => {
                    let how = (Means::UdpFirst, self.tcp.clone());
                    RelayAccess::start(&self.socket, relay.clone(), Pace::AGENT, how).map(|access| {
                        joined.insert(relay.addr, Joined { ticket: relay.ticket.clone(), access });
                    })
                }
            };
            if let Err(error) = done {
                tracing::warn!(relay = %relay.addr, %error, "relay ticket not usable");
            }
        }
        self.joined.send_replace(joined.values().map(|relay| relay.access.state()).collect());
    }

    /// Replaces the serial numbers (lower-case hexadecimal) that are refused; live connections are closed.
    pub fn set_revoked(&self, serials: BTreeSet<String>) {
        self.shared.revoked.send_replace(Arc::new(serials));
    }

    /// How long a client that says nothing is waited for; [`presence::AWAY`] until this is called, and at least.
    pub fn set_away(&self, longest: Duration) {
        self.shared.away.send_replace(longest);
    }

    /// Uses another certificate for new connections.
    pub fn set_certificate(&self, cert_pem: &str, key_pem: &str, ca_pem: &str) -> Result<(), ListenError> {
        let credentials = Credentials::read(cert_pem, key_pem, ca_pem)?;
        check_ourselves(&credentials, &self.shared.org, &self.database)?;
        self.tcp_tls.send_replace(Arc::new(credentials.server_tls(TCP_ALPN)?));
        self.endpoint.set_server_config(Some(credentials.server()?));
        Ok(())
    }

    /// Tells every client `reason` and accepts no more.
    pub async fn close(&self, reason: &str) {
        self.endpoint.close(CloseCode::ShuttingDown.wire(), reason_bytes(reason));
        if tokio::time::timeout(Duration::from_secs(1), self.endpoint.wait_idle()).await.is_err() {
            tracing::debug!("not every client confirmed the end of its tunnel");
        }
    }
}

async fn accept_loop(endpoint: Endpoint, shared: Arc<Shared>, sender: mpsc::Sender<Incoming>) {
    let room = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    while let Some(attempt) = endpoint.accept().await {
        let busy = MAX_HANDSHAKES - room.available_permits() >= RETRY_FROM;
        if busy && !attempt.remote_address_validated() {
            if let Err(error) = attempt.retry() {
                tracing::debug!(%error, "no retry possible");
            }
            continue;
        }
        if endpoint.open_connections() >= MAX_CONNECTIONS {
            attempt.refuse();
            continue;
        }
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            attempt.refuse();
            continue;
        };
        let (shared, sender) = (Arc::clone(&shared), sender.clone());
        tokio::spawn(async move {
            let from = attempt.remote_address();
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, admit(attempt, &shared)).await {
                Ok(Ok(incoming)) => {
                    drop(permit);
                    if let Err(error) = sender.try_send(incoming) {
                        let incoming = error.into_inner();
                        incoming.close(CloseCode::Busy, "the agent is too busy or shutting down");
                    }
                }
                Ok(Err(reason)) => tracing::info!(%from, reason, "connection refused"),
                Err(_) => tracing::info!(%from, "connection refused: the handshake took too long"),
            }
        });
    }
}

/// The handshake and every check; `Err` says why the peer was refused (it was told, too).
async fn admit(attempt: quinn::Incoming, shared: &Arc<Shared>) -> Result<Incoming, String> {
    let connecting = attempt.accept().map_err(|error| describe(&error))?;
    let connection = connecting.await.map_err(|error| describe(&error))?;
    let (user, facts) = match identify(&connection, shared) {
        Ok(identified) => identified,
        Err((code, reason)) => {
            connection.close(code.wire(), reason_bytes(&reason));
            return Err(reason);
        }
    };
    let Some(seat) = shared.seats.take(&user.user_id) else {
        let reason = format!("you hold {MAX_PER_USER} connections to this agent; close some first");
        connection.close(CloseCode::Busy.wire(), reason_bytes(&reason));
        return Err(reason);
    };
    let lost = |error: &quinn::ConnectionError| describe(error);
    let mut control = connection.open_bi().await.map_err(|error| lost(&error))?;
    if control.0.write_all(&StreamKind::Control.header()).await.is_err() {
        return Err(connection.close_reason().map_or_else(String::new, |error| lost(&error)));
    }
    let key = probe_key(&connection, Side::Listening).ok_or("TLS gave no key for probing paths")?;
    let place = shared.held.keep(&connection, &user, &facts).ok_or("TLS gave no key for renewing")?;
    let whose = (key, user.user_id.clone());
    tokio::spawn(follow(shared.followed.clone(), connection.clone(), control, whose));
    tokio::spawn(guard(connection.clone(), place, shared.revoked.subscribe(), seat));
    let (here, presence) = watch::channel(true);
    tokio::spawn(attend(connection.clone(), here, shared.away.subscribe()));
    Ok(Incoming::new((user, &facts), connection, presence, Arc::clone(&shared.held)))
}

fn identify(
    connection: &Connection,
    shared: &Shared,
) -> Result<(UserPrincipal, CertificateFacts), (CloseCode, String)> {
    let chain =
        connection.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    judge(chain.as_ref().and_then(|chain| chain.first()), shared)
}

/// Whom a certificate that the CA vouches for lets in.
fn judge(
    leaf: Option<&CertificateDer<'static>>,
    shared: &Shared,
) -> Result<(UserPrincipal, CertificateFacts), (CloseCode, String)> {
    let refuse = |reason: String| (CloseCode::NotAllowed, reason);
    let leaf = leaf.ok_or_else(|| refuse("no certificate was shown".to_owned()))?;
    let facts = facts_of(leaf).map_err(|error| refuse(format!("your certificate was refused: {error}")))?;
    let Principal::User(user) = &facts.principal else {
        return Err(refuse("your certificate is an agent's; only users may connect".to_owned()));
    };
    if user.org != shared.org {
        let reason = format!("your certificate is for organization `{}`, not `{}`", user.org, shared.org);
        return Err(refuse(reason));
    }
    if shared.revoked.borrow().contains(&facts.serial_hex) {
        return Err((CloseCode::CertificateRevoked, "your certificate was revoked".to_owned()));
    }
    Ok((user.clone(), facts))
}
