//! The CLI's side: reach one agent, over whichever path answers first, and open streams to it.
//!
//! Refuses before any packet is sent: an expired certificate of our own, an agent of another organization.
//! Every failure says which path was tried, how far it came and why it ended.

use crate::binding::Pace;
use crate::close::{CloseCode, describe};
use crate::path::probe::{KEY_BYTES, KEY_LABEL, ProbeKey, Side};
use crate::path::{PathKey, PathKind, PathPreference, RelayTarget};
use crate::race::{Action, Candidate, Event, GIVE_UP, MAX_DIRECT, MAX_RELAYS, Race};
use crate::relay_access::{AccessState, Means, RelayAccess};
use crate::relay_link::LinkState;
use crate::relay_tcp::TcpSettings;
use crate::renew::Renewer;
use crate::roam::Start;
use crate::socket::{PathSocket, Probes, Route, Via, plain, virtual_peer};
use crate::stream::{HEADER_BYTES, StreamKind};
use crate::tls::{CredentialError, Credentials, Verdict};
use crate::transport::endpoint;
use crate::tunnel::Tunnel;
use crate::wire::BindRefusal;
use daam_identity::{AgentPrincipal, Principal};
use quinn::{Connection, Endpoint, RecvStream, SendStream};
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
    /// How relays are reached over TCP.
    pub tcp: TcpSettings,
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
    /// TLS gave no key.
    #[error("TLS gave no key for probing paths")]
    NoProbeKey,
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
    let (socket, probes) = PathSocket::dialling().map_err(DialError::Socket)?;
    let quic = endpoint(Arc::clone(&socket), None).map_err(DialError::Socket)?;
    let (mut direct, mut relays) = (plan.direct, plan.relays);
    direct.truncate(if plan.prefer.allows(PathKind::Direct) { MAX_DIRECT } else { 0 });
    relays.truncate(if plan.prefer == PathPreference::Direct { 0 } else { MAX_RELAYS });
    let (race, actions) = Race::start(direct.len(), relays.len(), plan.prefer);
    let mut runner = Runner {
        started: Instant::now(),
        race,
        socket,
        endpoint: quic,
        credentials,
        agent: plan.agent,
        prefer: plan.prefer,
        direct,
        relays,
        accesses: Vec::new(),
        attempts: JoinSet::new(),
        failures: Vec::new(),
    };
    runner.join_relays(&plan.tcp);
    runner.run(actions, probes).await
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
    peer: SocketAddr,
    route: Route,
}

enum Outcome {
    Bound(Candidate),
    Connected(Candidate, Established),
    Failed(Candidate, &'static str, String),
    /// Nothing was tried, so there is nothing to tell.
    Skipped(Candidate),
}

/// Carries out what the race decides.
struct Runner {
    started: Instant,
    race: Race,
    socket: Arc<PathSocket>,
    endpoint: Endpoint,
    credentials: Credentials,
    agent: AgentPrincipal,
    prefer: PathPreference,
    direct: Vec<SocketAddr>,
    relays: Vec<RelayTarget>,
    accesses: Vec<RelayAccess>,
    attempts: JoinSet<Outcome>,
    failures: Vec<PathFailure>,
}

impl Runner {
    async fn run(&mut self, actions: Vec<Action>, probes: Probes) -> Result<Tunnel, DialError> {
        let mut actions = actions;
        let mut up: Option<Established> = None;
        loop {
            for action in actions {
                match action {
                    Action::Connect(candidate) => self.connect(candidate)?,
                    Action::Win(candidate) => {
                        if let Some(established) = up.take() {
                            return self.tunnel(candidate, established, probes);
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
        tokio::select! {
            Some(ended) = self.attempts.join_next() => match ended {
                Ok(Outcome::Connected(candidate, established)) => {
                    *up = Some(established);
                    Event::Up(candidate)
                }
                Ok(Outcome::Bound(candidate)) => Event::Bound(candidate),
                Ok(Outcome::Failed(candidate, step, reason)) => {
                    self.note(candidate, step, reason);
                    Event::Failed(candidate)
                }
                Ok(Outcome::Skipped(candidate)) => Event::Failed(candidate),
                Err(_) => Event::Tick,
            },
            () = tokio::time::sleep_until(self.started + GIVE_UP) => Event::Tick,
        }
    }

    fn place(&self, candidate: Candidate) -> Option<(PathKind, SocketAddr)> {
        let relay = |n: usize| self.relays.get(n).map(|relay| relay.addr);
        match candidate {
            Candidate::Direct(n) => Some((PathKind::Direct, *self.direct.get(n)?)),
            Candidate::Relay(n) => Some((PathKind::Relay, relay(n)?)),
            Candidate::RelayTcp(n) => Some((PathKind::RelayTcp, relay(n)?)),
        }
    }

    fn note(&mut self, candidate: Candidate, step: &'static str, reason: String) {
        if let Some((kind, addr)) = self.place(candidate) {
            tracing::debug!(%kind, %addr, step, reason, "path failed");
            self.failures.push(PathFailure { kind, addr, step, reason });
        }
    }

    /// Asks every relay to carry us.
    fn join_relays(&mut self, tcp: &TcpSettings) {
        let means = if self.prefer == PathPreference::RelayTcp { Means::TcpOnly } else { Means::UdpFirst };
        for (n, target) in self.relays.clone().into_iter().enumerate() {
            let both = [Candidate::Relay(n), Candidate::RelayTcp(n)];
            match RelayAccess::start(&self.socket, target, Pace::CLIENT, (means, tcp.clone())) {
                Ok(access) => {
                    for candidate in both {
                        self.attempts.spawn(wait_bound(candidate, access.state()));
                    }
                    self.accesses.push(access);
                }
                Err(error) => {
                    let [first, second] = both;
                    let reason = error.to_string();
                    self.attempts.spawn(async move { Outcome::Failed(first, "relay ticket", reason) });
                    self.attempts.spawn(async move { Outcome::Skipped(second) });
                }
            }
        }
    }

    /// How packets of this candidate travel, and the number of its virtual address.
    fn route(&self, candidate: Candidate) -> Option<(u8, Route)> {
        let relayed = |link: &Option<(Via, LinkState)>| {
            let (via, state) = link.as_ref()?;
            Some(Route::Relay { via: *via, session: state.session()? })
        };
        let (slot, route) = match candidate {
            Candidate::Direct(n) => (n, Route::Direct(plain(*self.direct.get(n)?))),
            Candidate::Relay(n) => (100 + n, relayed(&self.accesses.get(n)?.state().borrow().udp)?),
            Candidate::RelayTcp(n) => (200 + n, relayed(&self.accesses.get(n)?.state().borrow().tcp)?),
        };
        Some((u8::try_from(slot).ok()?, route))
    }

    fn connect(&mut self, candidate: Candidate) -> Result<(), DialError> {
        let Some((slot, route)) = self.route(candidate) else {
            let lost = "the binding was lost again".to_owned();
            self.attempts.spawn(async move { Outcome::Failed(candidate, "relay", lost) });
            return Ok(());
        };
        let peer = virtual_peer(slot);
        self.socket.routes().point(peer, route);
        let verdict = Verdict::default();
        let config = self.credentials.client(self.agent.clone(), verdict.clone())?;
        let connecting = self.endpoint.connect_with(config, peer, &self.agent.server_name());
        self.attempts.spawn(async move {
            let connecting = match connecting {
                Ok(connecting) => connecting,
                Err(error) => return Outcome::Failed(candidate, "start", error.to_string()),
            };
            match establish(connecting).await {
                Ok((connection, control)) => {
                    Outcome::Connected(candidate, Established { connection, control, peer, route })
                }
                Err((step, reason)) => Outcome::Failed(candidate, step, verdict.get().unwrap_or(reason)),
            }
        });
        Ok(())
    }

    fn tunnel(
        &mut self,
        candidate: Candidate,
        established: Established,
        probes: Probes,
    ) -> Result<Tunnel, DialError> {
        self.attempts.abort_all();
        let Established { connection, control, peer, route } = established;
        let key = match (candidate, route) {
            (Candidate::Relay(n), _) => PathKey::Relay(n),
            (Candidate::RelayTcp(n), _) => PathKey::RelayTcp(n),
            (Candidate::Direct(_), Route::Direct(addr)) => PathKey::Direct(addr),
            (Candidate::Direct(_), _) => return Err(self.give_up()),
        };
        let (tickets, fresh) = watch::channel(Vec::new());
        let start = Start {
            tickets: fresh,
            socket: Arc::clone(&self.socket),
            key: probe_key(&connection, Side::Dialling).ok_or(DialError::NoProbeKey)?,
            connection: connection.clone(),
            control,
            probes,
            relays: std::mem::take(&mut self.accesses),
            direct: self.direct.iter().copied().map(plain).collect(),
            prefer: self.prefer,
            peer,
            active: (key, route),
        };
        let relays = self.relays.iter().map(|relay| relay.addr).collect();
        let renewer = Renewer { endpoint: self.endpoint.clone(), agent: self.agent.clone(), peer };
        Ok(Tunnel::new((renewer, tickets), connection, start, relays))
    }

    fn give_up(&mut self) -> DialError {
        self.attempts.abort_all();
        let direct = (0..self.direct.len()).map(Candidate::Direct);
        let relays = (0..self.relays.len()).flat_map(|n| [Candidate::Relay(n), Candidate::RelayTcp(n)]);
        for candidate in direct.chain(relays).collect::<Vec<_>>() {
            let Some((kind, addr)) = self.place(candidate).filter(|(kind, _)| self.prefer.allows(*kind))
            else {
                continue;
            };
            if !self.failures.iter().any(|known| known.kind == kind && known.addr == addr) {
                let (step, reason) = self.silence(candidate);
                self.failures.push(PathFailure { kind, addr, step, reason });
            }
        }
        // A relay that refused over UDP was not asked over TCP.
        let known: Vec<SocketAddr> = self.refusing();
        self.failures.retain(|failure| failure.kind != PathKind::RelayTcp || !known.contains(&failure.addr));
        if self.failures.is_empty() {
            return DialError::NoPath("no address and no relay of the allowed kind is known for the agent");
        }
        DialError::AllFailed(std::mem::take(&mut self.failures))
    }

    /// Relays that said no over UDP.
    fn refusing(&self) -> Vec<SocketAddr> {
        let asked = self.relays.iter().enumerate().filter(|(n, _)| {
            self.accesses.get(*n).is_none_or(|access| {
                let state = access.state();
                let state = state.borrow();
                state.tcp.is_none()
            })
        });
        asked.map(|(_, relay)| relay.addr).collect()
    }

    /// How far a path came that never said anything.
    fn silence(&self, candidate: Candidate) -> (&'static str, String) {
        let state = |n: usize| self.accesses.get(n).map(|access| access.state().borrow().clone());
        let link = match candidate {
            Candidate::Direct(_) => return ("handshake", "no answer".to_owned()),
            Candidate::Relay(n) => state(n).and_then(|state| state.udp),
            Candidate::RelayTcp(n) => state(n).and_then(|state| state.tcp),
        };
        match link {
            Some((_, LinkState::Unreachable(words))) => ("relay", words.to_string()),
            Some((_, LinkState::Bound { .. })) => ("handshake", "no answer".to_owned()),
            _ => ("relay", "no answer".to_owned()),
        }
    }
}

/// The key of the connection's probes, which both ends derive.
pub(crate) fn probe_key(connection: &Connection, side: Side) -> Option<ProbeKey> {
    let mut material = Zeroizing::new([0; KEY_BYTES]);
    connection.export_keying_material(material.as_mut(), KEY_LABEL, b"").ok()?;
    Some(ProbeKey::new(side, &material))
}

/// Waits for the binding. A refusal is final, except that an agent may need a moment to arrive at its relay.
async fn wait_bound(candidate: Candidate, mut state: watch::Receiver<AccessState>) -> Outcome {
    let started = Instant::now();
    loop {
        let now = state.borrow_and_update().clone();
        let refused = |link: &Option<(Via, LinkState)>| match link {
            Some((_, LinkState::Refused(BindRefusal::NoAgent))) if started.elapsed() < AGENT_GRACE => None,
            Some((_, LinkState::Refused(why))) => Some(why.to_string()),
            _ => None,
        };
        let link = if matches!(candidate, Candidate::RelayTcp(_)) { &now.tcp } else { &now.udp };
        if link.as_ref().is_some_and(|(_, state)| state.session().is_some()) {
            return Outcome::Bound(candidate);
        }
        if let Some(why) = refused(link) {
            return Outcome::Failed(candidate, "relay ticket", why);
        }
        if now.tcp.is_none() && refused(&now.udp).is_some() {
            return Outcome::Skipped(candidate);
        }
        let patience = started + AGENT_GRACE;
        tokio::select! {
            changed = state.changed() => if changed.is_err() {
                return Outcome::Skipped(candidate);
            },
            // A refusal that may pass is looked at again.
            () = tokio::time::sleep_until(patience), if Instant::now() < patience => {}
        }
    }
}

/// The TLS handshake, then the agent's word that it accepted us: until then our certificate may be refused.
pub(crate) async fn establish(
    connecting: quinn::Connecting,
) -> Result<(Connection, (SendStream, RecvStream)), (&'static str, String)> {
    let connection = connecting.await.map_err(|error| ("handshake", describe(&error)))?;
    let admission = |error: &quinn::ConnectionError| ("admission", describe(error));
    let (send, mut recv) = connection.accept_bi().await.map_err(|error| admission(&error))?;
    let mut header = [0; HEADER_BYTES];
    if let Err(error) = recv.read_exact(&mut header).await {
        let lost = connection.close_reason();
        return Err(lost.map_or(("admission", error.to_string()), |error| admission(&error)));
    }
    if StreamKind::read(&header) == Some(StreamKind::Control) {
        return Ok((connection, (send, recv)));
    }
    connection.close(CloseCode::Protocol.wire(), b"unknown control stream");
    Err(("admission", "the agent speaks another version".to_owned()))
}
