//! The CLI's side: reach one agent, over whichever path answers first, and open streams to it.
//!
//! Refuses before any packet is sent: an expired certificate of our own, an agent of another organization.
//! Every failure says which path was tried, how far it came and why it ended.

use crate::binding::Pace;
use crate::close::{CloseCode, describe};
use crate::path::{PathKind, PathPreference, RelayTarget};
use crate::race::{Action, Candidate, Event, MAX_DIRECT, MAX_RELAYS, Race};
use crate::relay_link::{LinkState, RelayLink};
use crate::socket::{PathSocket, Route};
use crate::standby::Standby;
use crate::stream::{HEADER_BYTES, StreamKind};
use crate::tls::{CredentialError, Credentials, Verdict};
use crate::transport::endpoint;
use crate::tunnel::Tunnel;
use crate::wire::BindRefusal;
use daam_identity::{AgentPrincipal, Principal};
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// How long an agent may be unknown to its relay before we believe it: both may just have started.
const AGENT_GRACE: Duration = Duration::from_secs(3);
/// Virtual addresses of relays come after those of direct addresses.
const RELAY_SLOTS: u8 = 100;

/// Whom to reach, as whom, and how.
pub struct DialPlan {
    /// The agent that must answer: its certificate has to say exactly this.
    pub agent: AgentPrincipal,
    /// The organization's CA.
    pub ca_pem: String,
    /// Our certificate.
    pub cert_pem: String,
    /// Our private key.
    pub key_pem: Zeroizing<String>,
    /// The agent's own addresses, best first; at most [`crate::race::MAX_DIRECT`] are tried.
    pub direct: Vec<SocketAddr>,
    /// Relays, best first; at most [`crate::race::MAX_RELAYS`] are tried.
    pub relays: Vec<RelayTarget>,
    /// Which of them may be used.
    pub prefer: PathPreference,
}

impl fmt::Debug for DialPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DialPlan")
            .field("agent", &self.agent)
            .field("direct", &self.direct)
            .field("relays", &self.relays)
            .field("prefer", &self.prefer)
            .finish_non_exhaustive()
    }
}

/// One path that did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathFailure {
    /// Kind of path.
    pub kind: PathKind,
    /// The agent's or relay's address.
    pub addr: SocketAddr,
    /// The step that failed, e.g. `handshake`.
    pub step: &'static str,
    /// Why, in words.
    pub reason: String,
}

impl fmt::Display for PathFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, addr, step, reason } = self;
        write!(f, "{kind} {addr}: {step}: {reason}")
    }
}

/// Why no tunnel came up.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Our own certificate, key or CA.
    #[error("the tunnel's credentials cannot be used")]
    Credentials(#[from] CredentialError),
    /// We are not a user.
    #[error("our certificate is an agent's; only a user can connect to an agent")]
    NotAUser,
    /// Our certificate ran out.
    #[error("our certificate expired {0} seconds ago; log in again")]
    CertificateExpired(i64),
    /// Another organization's agent.
    #[error("our certificate is for organization `{ours}`, the agent belongs to `{theirs}`")]
    OtherOrganization {
        /// Our organization.
        ours: String,
        /// The agent's.
        theirs: String,
    },
    /// Nothing to try.
    #[error("there is no way to try: {0}")]
    NoPath(&'static str),
    /// This computer's side.
    #[error("no UDP socket could be opened")]
    Socket(#[source] std::io::Error),
    /// Everything was tried.
    #[error("no path to the agent works; {}", list(.0))]
    AllFailed(Vec<PathFailure>),
}

fn list(failures: &[PathFailure]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Connects to the agent; see [`DialPlan`].
pub async fn dial(plan: DialPlan) -> Result<Tunnel, DialError> {
    let credentials = Credentials::read(&plan.cert_pem, &plan.key_pem, &plan.ca_pem)?;
    check_ourselves(&credentials, &plan.agent)?;
    let socket = PathSocket::dialling().map_err(DialError::Socket)?;
    let quic = endpoint(Arc::clone(&socket), None).map_err(DialError::Socket)?;
    let (mut direct, mut relays) = (plan.direct, plan.relays);
    direct.truncate(if plan.prefer == PathPreference::Relay { 0 } else { MAX_DIRECT });
    relays.truncate(if plan.prefer == PathPreference::Direct { 0 } else { MAX_RELAYS });
    let (race, actions) = Race::start(direct.len(), relays.len(), plan.prefer);
    let mut runner = Runner {
        started: Instant::now(),
        race,
        socket,
        endpoint: quic,
        credentials,
        agent: plan.agent,
        direct,
        relays,
        links: BTreeMap::new(),
        attempts: JoinSet::new(),
        failures: Vec::new(),
    };
    runner.run(actions).await
}

fn check_ourselves(credentials: &Credentials, agent: &AgentPrincipal) -> Result<(), DialError> {
    let Principal::User(user) = &credentials.facts.principal else { return Err(DialError::NotAUser) };
    if user.org != agent.org {
        return Err(DialError::OtherOrganization { ours: user.org.clone(), theirs: agent.org.clone() });
    }
    let late = OffsetDateTime::now_utc().unix_timestamp() - credentials.facts.not_after;
    if late > 0 { Err(DialError::CertificateExpired(late)) } else { Ok(()) }
}

struct Established {
    connection: Connection,
    control: (SendStream, RecvStream),
}

enum Outcome {
    Bound(usize),
    Connected(Candidate, Established),
    Failed(Candidate, &'static str, String),
}

/// Carries out what the race decides.
struct Runner {
    started: Instant,
    race: Race,
    socket: Arc<PathSocket>,
    endpoint: Endpoint,
    credentials: Credentials,
    agent: AgentPrincipal,
    direct: Vec<SocketAddr>,
    relays: Vec<RelayTarget>,
    links: BTreeMap<usize, RelayLink>,
    attempts: JoinSet<Outcome>,
    failures: Vec<PathFailure>,
}

impl Runner {
    async fn run(&mut self, actions: Vec<Action>) -> Result<Tunnel, DialError> {
        let mut actions = actions;
        let mut up: Option<Established> = None;
        loop {
            for action in actions {
                match action {
                    Action::Bind(n) => self.bind(n),
                    Action::Connect(candidate) => self.connect(candidate)?,
                    Action::Win(candidate) => {
                        if let Some(established) = up.take() {
                            return Ok(self.tunnel(candidate, established));
                        }
                    }
                    Action::GiveUp => return Err(self.give_up()),
                }
            }
            let event = self.next_event(&mut up).await;
            actions = self.race.handle(event, self.started.elapsed());
        }
    }

    async fn next_event(&mut self, up: &mut Option<Established>) -> Event {
        let tick = self.started + self.race.next_tick(self.started.elapsed());
        tokio::select! {
            Some(ended) = self.attempts.join_next() => match ended {
                Ok(Outcome::Connected(candidate, established)) => {
                    *up = Some(established);
                    Event::Up(candidate)
                }
                Ok(Outcome::Bound(n)) => Event::RelayBound(n),
                Ok(Outcome::Failed(candidate, step, reason)) => {
                    self.note(candidate, step, reason);
                    Event::Failed(candidate)
                }
                Err(_) => Event::Tick,
            },
            () = tokio::time::sleep_until(tick) => Event::Tick,
        }
    }

    fn note(&mut self, candidate: Candidate, step: &'static str, reason: String) {
        let (kind, addr) = match candidate {
            Candidate::Direct(n) => (PathKind::Direct, self.direct.get(n).copied()),
            Candidate::Relay(n) => (PathKind::Relay, self.relays.get(n).map(|relay| relay.addr)),
        };
        if let Some(addr) = addr {
            tracing::debug!(%kind, %addr, step, reason, "path failed");
            self.failures.push(PathFailure { kind, addr, step, reason });
        }
    }

    fn bind(&mut self, n: usize) {
        let Some(target) = self.relays.get(n) else { return };
        let started = RelayLink::start(&self.socket, target, Pace::CLIENT).map(|link| {
            let state = link.state();
            self.links.insert(n, link);
            state
        });
        self.attempts.spawn(async move {
            let failed = |reason| Outcome::Failed(Candidate::Relay(n), "relay ticket", reason);
            match started {
                Err(error) => failed(error.to_string()),
                Ok(state) => match wait_bound(state).await {
                    Ok(()) => Outcome::Bound(n),
                    Err(why) => failed(why.to_string()),
                },
            }
        });
    }

    /// How packets of this candidate travel, and the number of its virtual address.
    fn route(&self, candidate: Candidate) -> Option<(u8, Route)> {
        match candidate {
            Candidate::Direct(n) => Some((slot(n), Route::Direct(*self.direct.get(n)?))),
            Candidate::Relay(n) => {
                let LinkState::Bound { session, .. } = *self.links.get(&n)?.state().borrow() else {
                    return None;
                };
                let relay = self.relays.get(n)?.addr;
                Some((slot(n).saturating_add(RELAY_SLOTS), Route::Relay { relay, session }))
            }
        }
    }

    fn connect(&mut self, candidate: Candidate) -> Result<(), DialError> {
        let Some((slot, route)) = self.route(candidate) else {
            let lost = "the binding was lost again".to_owned();
            self.attempts.spawn(async move { Outcome::Failed(candidate, "relay", lost) });
            return Ok(());
        };
        let virtual_addr = self.socket.point(slot, route);
        let verdict = Verdict::default();
        let config = self.credentials.client(self.agent.clone(), verdict.clone())?;
        let connecting = self.endpoint.connect_with(config, virtual_addr, &self.agent.server_name());
        self.attempts.spawn(async move {
            let connecting = match connecting {
                Ok(connecting) => connecting,
                Err(error) => return Outcome::Failed(candidate, "start", error.to_string()),
            };
            match establish(connecting).await {
                Ok(established) => Outcome::Connected(candidate, established),
                Err((step, reason)) => Outcome::Failed(candidate, step, verdict.get().unwrap_or(reason)),
            }
        });
        Ok(())
    }

    fn tunnel(&mut self, candidate: Candidate, established: Established) -> Tunnel {
        self.attempts.abort_all();
        let Established { connection, control } = established;
        let (path, relay) = match candidate {
            Candidate::Direct(_) => (PathKind::Direct, None),
            Candidate::Relay(n) => (PathKind::Relay, Some(self.keep_relays(n))),
        };
        Tunnel { endpoint: self.endpoint.clone(), connection, path, control, relay }
    }

    /// All relays stay bound, the one in use first.
    fn keep_relays(&mut self, used: usize) -> Standby {
        let mut links: Vec<RelayLink> = self.links.remove(&used).into_iter().collect();
        links.extend(std::mem::take(&mut self.links).into_values());
        Standby::start(Arc::clone(&self.socket), slot(used).saturating_add(RELAY_SLOTS), links)
    }

    fn is_bound(&self, relay: SocketAddr) -> bool {
        let mut links = self.links.values().filter(|link| link.relay() == relay);
        links.any(|link| matches!(*link.state().borrow(), LinkState::Bound { .. }))
    }

    fn give_up(&mut self) -> DialError {
        self.attempts.abort_all();
        let silent = self.direct.iter().map(|addr| (PathKind::Direct, *addr));
        let silent = silent.chain(self.relays.iter().map(|relay| (PathKind::Relay, relay.addr)));
        for (kind, addr) in silent {
            if !self.failures.iter().any(|known| known.kind == kind && known.addr == addr) {
                let reason = "no answer".to_owned();
                let bound = kind == PathKind::Direct || self.is_bound(addr);
                let step = if bound { "handshake" } else { "relay" };
                self.failures.push(PathFailure { kind, addr, step, reason });
            }
        }
        if self.failures.is_empty() {
            return DialError::NoPath("no address and no relay of the allowed kind is known for the agent");
        }
        DialError::AllFailed(std::mem::take(&mut self.failures))
    }
}

fn slot(n: usize) -> u8 {
    u8::try_from(n).unwrap_or(u8::MAX).saturating_add(1)
}

/// Waits for the binding. A refusal is final, except that an agent may need a moment to arrive at its relay.
async fn wait_bound(mut state: watch::Receiver<LinkState>) -> Result<(), BindRefusal> {
    let started = Instant::now();
    loop {
        match *state.borrow_and_update() {
            LinkState::Bound { .. } => return Ok(()),
            LinkState::Refused(BindRefusal::NoAgent) if started.elapsed() < AGENT_GRACE => {}
            LinkState::Refused(why) => return Err(why),
            LinkState::Asking => {}
        }
        if state.changed().await.is_err() {
            return Err(BindRefusal::Busy);
        }
    }
}

/// The TLS handshake, then the agent's word that it accepted us: until then our certificate may be refused.
async fn establish(connecting: quinn::Connecting) -> Result<Established, (&'static str, String)> {
    let connection = connecting.await.map_err(|error| ("handshake", describe(&error)))?;
    let admission = |error: &quinn::ConnectionError| ("admission", describe(error));
    let (send, mut recv) = connection.accept_bi().await.map_err(|error| admission(&error))?;
    let mut header = [0; HEADER_BYTES];
    if let Err(error) = recv.read_exact(&mut header).await {
        let lost = connection.close_reason();
        return Err(lost.map_or(("admission", error.to_string()), |error| admission(&error)));
    }
    if StreamKind::read(&header) == Some(StreamKind::Control) {
        return Ok(Established { connection, control: (send, recv) });
    }
    connection.close(CloseCode::Protocol.wire(), b"unknown control stream");
    Err(("admission", "the agent speaks another version".to_owned()))
}
