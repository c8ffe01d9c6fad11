//! The CLI's side: reach one agent, over whichever path answers first, and open streams to it.
//!
//! Refuses before any packet is sent: an expired certificate of our own, an agent of another organization.
//! Every failure says which path was tried, how far it came and why it ended.

use crate::attempt::{Dialler, Established, Outcome, wait_bound};
use crate::binding::Pace;
use crate::path::probe::{KEY_BYTES, KEY_LABEL, ProbeKey, Side};
use crate::path::{PathKey, PathKind, PathPreference, RelayTarget};
use crate::race::{Action, Candidate, Event, MAX_DIRECT, MAX_RELAYS, Race};
use crate::relay_access::{Means, RelayAccess};
use crate::relay_link::LinkState;
use crate::relay_tcp::TcpSettings;
use crate::renew::Renewer;
use crate::roam::Start;
use crate::socket::{PathSocket, Probes, Route, Via, plain, virtual_peer};
use crate::tls::{CredentialError, Credentials};
use crate::transport::endpoint;
use crate::tunnel::Tunnel;
use daam_identity::{AgentPrincipal, Principal};
use quinn::Connection;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use zeroize::Zeroizing;

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
    let allowed = |kinds: [PathKind; 2]| kinds.into_iter().any(|kind| plan.prefer.allows(kind));
    let straight = allowed([PathKind::Direct, PathKind::DirectTcp]);
    let relayed = allowed([PathKind::Relay, PathKind::RelayTcp]);
    direct.truncate(if straight { MAX_DIRECT } else { 0 });
    relays.truncate(if relayed { MAX_RELAYS } else { 0 });
    let (race, actions) = Race::start(direct.len(), relays.len(), plan.prefer);
    let mut runner = Runner {
        started: Instant::now(),
        race,
        dialler: Dialler { socket, endpoint: quic, credentials: Arc::new(credentials), agent: plan.agent },
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

/// Carries out what the race decides.
struct Runner {
    started: Instant,
    race: Race,
    dialler: Dialler,
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
                    Action::Connect(candidate) => self.connect(candidate),
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
        let due = self.started + self.race.due();
        tokio::select! {
            Some(ended) = self.attempts.join_next() => match ended {
                Ok(Outcome::Connected(candidate, established)) => {
                    *up = Some(*established);
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
            () = tokio::time::sleep_until(due) => Event::Tick,
        }
    }

    fn place(&self, candidate: Candidate) -> Option<(PathKind, SocketAddr)> {
        let relay = |n: usize| self.relays.get(n).map(|relay| relay.addr);
        match candidate {
            Candidate::Direct(n) => Some((PathKind::Direct, *self.direct.get(n)?)),
            Candidate::DirectTcp(n) => Some((PathKind::DirectTcp, *self.direct.get(n)?)),
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
            match RelayAccess::start(&self.dialler.socket, target, Pace::CLIENT, (means, tcp.clone())) {
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
            // Its way is known when it is connected.
            Candidate::DirectTcp(_) => return None,
            Candidate::Relay(n) => (100 + n, relayed(&self.accesses.get(n)?.state().borrow().udp)?),
            Candidate::RelayTcp(n) => (200 + n, relayed(&self.accesses.get(n)?.state().borrow().tcp)?),
        };
        Some((u8::try_from(slot).ok()?, route))
    }

    fn connect(&mut self, candidate: Candidate) {
        let dialler = self.dialler.clone();
        if let (Candidate::DirectTcp(n), Some((_, addr))) = (candidate, self.place(candidate)) {
            let peer = virtual_peer(u8::try_from(50 + n).unwrap_or(u8::MAX));
            self.attempts.spawn(dialler.over_tcp(candidate, plain(addr), peer));
            return;
        }
        let Some((slot, route)) = self.route(candidate) else {
            let lost = "the binding was lost again".to_owned();
            self.attempts.spawn(async move { Outcome::Failed(candidate, "relay", lost) });
            return;
        };
        self.attempts.spawn(dialler.over(candidate, (virtual_peer(slot), route), None));
    }

    fn tunnel(
        &mut self,
        candidate: Candidate,
        established: Established,
        probes: Probes,
    ) -> Result<Tunnel, DialError> {
        self.attempts.abort_all();
        let Established { connection, control, peer, route, carrier } = established;
        let key = match (candidate, route) {
            (Candidate::Relay(n), _) => PathKey::Relay(n),
            (Candidate::RelayTcp(n), _) => PathKey::RelayTcp(n),
            (Candidate::Direct(_), Route::Direct(addr)) => PathKey::Direct(addr),
            (Candidate::DirectTcp(n), _) => PathKey::DirectTcp(plain(*self.direct.get(n).unwrap_or(&peer))),
            (Candidate::Direct(_), _) => return Err(self.give_up()),
        };
        let carrier = match key {
            PathKey::DirectTcp(addr) => carrier.map(|carrier| (addr, carrier)),
            _ => None,
        };
        let Dialler { socket, endpoint, credentials, agent } = self.dialler.clone();
        let newest = watch::Sender::new(credentials);
        let (tickets, fresh) = watch::channel(Vec::new());
        let start = Start {
            tickets: fresh,
            socket,
            agent: agent.clone(),
            credentials: newest.subscribe(),
            carrier,
            key: probe_key(&connection, Side::Dialling).ok_or(DialError::NoProbeKey)?,
            connection: connection.clone(),
            control,
            probes,
            relays: std::mem::take(&mut self.accesses),
            direct: self.direct.iter().copied().map(plain).collect(),
            prefer: self.prefer,
            peer,
            active: (key, route),
            ended: Arc::default(),
        };
        let relays = self.relays.iter().map(|relay| relay.addr).collect();
        let renewer = Renewer { endpoint, agent, peer, newest };
        Ok(Tunnel::new((renewer, tickets), connection, start, relays))
    }

    fn give_up(&mut self) -> DialError {
        self.attempts.abort_all();
        let direct = (0..self.direct.len()).flat_map(|n| [Candidate::Direct(n), Candidate::DirectTcp(n)]);
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
            Candidate::Direct(_) | Candidate::DirectTcp(_) => return ("handshake", "no answer".to_owned()),
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
