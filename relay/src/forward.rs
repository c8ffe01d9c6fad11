//! What the relay decides, as a state machine without sockets or clocks: a packet comes in, an action goes out.
//!
//! Order of checks for a BIND: global answer rate, cookie (address proven), the provider's and the network's rate,
//! the ticket's signature, relay and expiry, the holder's proof, the organization — only then is anything remembered.
//! A DATA packet goes to the other end of the session it names, if it came from one of the two ends and both tickets
//! still have bytes to spend; isolation between tenants follows, because a session's two ends are named by one ticket.

use crate::cookie::{Asker, CookieJar, is_older, stamp_of};
use crate::limits::{Bucket, Limits};
use crate::networks::{may, network_of, provider_of};
use daam_identity::ticket::{HeldGrant, TicketError, TicketGrant, TicketRole, TicketVerifier};
use daam_tunnel::wire::{self, Answer, Bind, BindRefusal, ToRelay, challenge_bytes};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The time, both kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since the relay started; never goes back.
    pub monotonic: Duration,
    /// Unix seconds, for tickets only.
    pub unix: i64,
}

/// Where a packet came from and goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// A UDP address.
    Udp {
        /// Its address.
        addr: SocketAddr,
        /// Which of the relay's sockets it talks to, counted from 0: answers must come from there.
        door: u8,
    },
    /// A TCP connection, by the number it got when it was accepted.
    Tcp {
        /// Never used twice.
        connection: u64,
        /// Its other end.
        addr: SocketAddr,
    },
}

impl Peer {
    /// The address it is seen at.
    pub fn addr(self) -> SocketAddr {
        match self {
            Self::Udp { addr, .. } | Self::Tcp { addr, .. } => addr,
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(addr: SocketAddr) -> Self {
        Self::Udp { addr, door: 0 }
    }
}

/// What to do with a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Drop,
    /// Send this back to where the packet came from.
    Reply(Vec<u8>),
    /// Send the packet on, unchanged.
    Forward(Peer),
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets sent on.
    pub forwarded: u64,
    /// Bytes sent on.
    pub forwarded_bytes: u64,
    /// Packets dropped by a rate limit.
    pub limited: u64,
    /// BINDs refused.
    pub refused: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct AgentKey {
    org: String,
    agent_id: String,
}

#[derive(Debug)]
struct Agent {
    key: AgentKey,
    peer: Peer,
    /// When the cookie was made that this binding was proven with.
    proven: u32,
    heard: Duration,
    expires_unix: i64,
    sessions: usize,
    purse: Purse,
}

/// What may still be sent with a ticket.
#[derive(Debug, Clone, Copy)]
struct Purse {
    bytes: Bucket,
    rate: u64,
}

impl Purse {
    fn new(rate: u64, now: Duration) -> Self {
        Self { bytes: Bucket::new(rate, now), rate }
    }

    fn pay(&mut self, bytes: u64, now: Duration) -> bool {
        self.bytes.take(bytes, self.rate, now)
    }
}

#[derive(Debug)]
struct Session {
    agent: u32,
    client: Peer,
    holder: [u8; 32],
    instance: u64,
    /// When the cookie was made that the client's place was proven with last.
    proven: u32,
    heard: Duration,
    ends: Duration,
}

/// See the module.
#[derive(Debug)]
pub struct Forwarder {
    org: String,
    verifier: TicketVerifier,
    cookies: CookieJar,
    limits: Limits,
    agents: HashMap<u32, Agent>,
    agent_numbers: HashMap<AgentKey, u32>,
    sessions: HashMap<u32, Session>,
    /// By holder; as many as sessions at most.
    purses: HashMap<[u8; 32], Purse>,
    networks: HashMap<IpAddr, Bucket>,
    providers: HashMap<IpAddr, Bucket>,
    challenges: Bucket,
    answers: Bucket,
    drawings: u64,
    counters: Counters,
    leaving: bool,
}

impl Forwarder {
    /// A relay for `org`; `secret` must be random.
    pub fn new(org: &str, verifier: TicketVerifier, secret: [u8; 32], limits: Limits) -> Self {
        Self {
            org: org.to_owned(),
            verifier,
            cookies: CookieJar::new(secret),
            challenges: Bucket::new(limits.challenges_per_second, Duration::ZERO),
            answers: Bucket::new(limits.answers_per_second, Duration::ZERO),
            limits,
            agents: HashMap::new(),
            agent_numbers: HashMap::new(),
            sessions: HashMap::new(),
            purses: HashMap::new(),
            networks: HashMap::new(),
            providers: HashMap::new(),
            drawings: 0,
            counters: Counters::default(),
            leaving: false,
        }
    }

    /// Counts since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Agents bound and sessions open.
    pub fn size(&self) -> (usize, usize) {
        (self.agents.len(), self.sessions.len())
    }

    /// From now on nobody new is bound; those who are go on being served.
    pub fn leave(&mut self) {
        self.leaving = true;
    }

    /// What to tell everybody who is bound when the relay goes away: use another.
    pub fn farewells(&self) -> Vec<(Peer, Vec<u8>)> {
        let word = |number: u32| Answer::Leaving { session: number }.encode();
        let agents = self.agents.iter().map(|(number, agent)| (agent.peer, word(*number)));
        agents.chain(self.sessions.iter().map(|(number, session)| (session.client, word(*number)))).collect()
    }

    /// Decides about one packet.
    pub fn handle(&mut self, packet: &[u8], from: impl Into<Peer>, now: Now) -> Action {
        let from = from.into();
        if let Some(session) = wire::data_session(packet) {
            return self.data(session, packet.len(), from, now);
        }
        match ToRelay::read(packet) {
            Some(ToRelay::Bind(bind)) => self.bind(&bind, from, now),
            Some(ToRelay::KeepAlive { session }) => self.keep_alive(session, from, now),
            None => Action::Drop,
        }
    }

    /// Forgets what has been silent or has run out. Call about every second.
    pub fn expire(&mut self, now: Now) {
        let idle = self.limits.idle;
        self.agents.retain(|_, agent| agent_lives(agent, idle, now));
        let agents = &self.agents;
        self.agent_numbers.retain(|_, number| agents.contains_key(number));
        self.sessions.retain(|_, session| {
            agents.contains_key(&session.agent) && session_lives(session, idle, now.monotonic)
        });
        let used: HashSet<[u8; 32]> = self.sessions.values().map(|session| session.holder).collect();
        self.purses.retain(|holder, _| used.contains(holder));
        let (rate, of_provider) = (self.limits.binds_per_second, self.limits.provider_binds_per_second);
        self.networks.retain(|_, bucket| !bucket.is_full(rate, now.monotonic));
        self.providers.retain(|_, bucket| !bucket.is_full(of_provider, now.monotonic));
    }

    fn data(&mut self, number: u32, length: usize, from: Peer, now: Now) -> Action {
        let idle = self.limits.idle;
        let ends = self.sessions.get_mut(&number).and_then(|session| {
            let agent = self.agents.get_mut(&session.agent)?;
            let lives = agent_lives(agent, idle, now) && session_lives(session, idle, now.monotonic);
            lives.then_some((session, agent))
        });
        let to = match ends {
            Some((session, agent)) if from == session.client => {
                session.heard = now.monotonic;
                Some((session.holder, agent.peer, &mut agent.purse))
            }
            Some((session, agent)) if from == agent.peer => {
                agent.heard = now.monotonic;
                Some((session.holder, session.client, &mut agent.purse))
            }
            _ => None,
        };
        let Some((holder, to, agents)) = to else { return self.unknown(number, now) };
        let bytes = u64::try_from(length).unwrap_or(u64::MAX);
        // The client's own first: who sends too much takes nothing from others of the agent.
        let own = self.purses.get_mut(&holder).is_some_and(|purse| purse.pay(bytes, now.monotonic));
        if !own || !agents.pay(bytes, now.monotonic) {
            self.counters.limited += 1;
            return Action::Drop;
        }
        self.counters.forwarded += 1;
        self.counters.forwarded_bytes = self.counters.forwarded_bytes.saturating_add(bytes);
        Action::Forward(to)
    }

    fn keep_alive(&mut self, number: u32, from: Peer, now: Now) -> Action {
        let idle = self.limits.idle;
        if let Some(agent) = self.agents.get_mut(&number)
            && agent.peer == from
            && agent_lives(agent, idle, now)
        {
            agent.heard = now.monotonic;
            return Action::Reply(wire::alive(number).to_vec());
        }
        if let Some(session) = self.sessions.get_mut(&number)
            && session.client == from
            && self.agents.contains_key(&session.agent)
            && session_lives(session, idle, now.monotonic)
        {
            session.heard = now.monotonic;
            return Action::Reply(wire::alive(number).to_vec());
        }
        self.unknown(number, now)
    }

    fn bind(&mut self, bind: &Bind, from: Peer, now: Now) -> Action {
        let asker = Asker { from: from.addr(), instance: bind.instance, ticket: &bind.ticket };
        let Some(proof) = &bind.proof else {
            let cookie = self.cookies.make(asker, now.monotonic);
            // Of its own, so that a flood of stray packets keeps nobody from binding.
            let allowed = self.challenges.take(1, self.limits.challenges_per_second, now.monotonic);
            return self.stateless(allowed, &Answer::Challenge { instance: bind.instance, cookie });
        };
        // A stale cookie is not answered: the peer starts over by itself, and nobody can play ping-pong.
        if !self.cookies.check(&proof.cookie, asker, now.monotonic) {
            return Action::Drop;
        }
        let stamp = stamp_of(&proof.cookie);
        let bound = match self.admit(bind, &proof.cookie, &proof.signature, (from, now)) {
            // Recorded before the peer moved and sent again, with its old address for a sender.
            Ok(held) if self.is_replay(&held, bind, stamp) => return Action::Drop,
            Ok(held) => self.remember(&held, (bind, stamp), from, now),
            Err(why) => Err(why),
        };
        let answer = match bound {
            Ok(session) => Answer::Bound { instance: bind.instance, session, observed: from.addr() },
            Err(why) => {
                self.counters.refused += 1;
                Answer::Refused { instance: bind.instance, why }
            }
        };
        Action::Reply(answer.encode())
    }

    /// Everything that can be refused before anything is remembered.
    fn admit(
        &mut self,
        bind: &Bind,
        cookie: &[u8; wire::COOKIE_BYTES],
        signature: &[u8; 64],
        (from, now): (Peer, Now),
    ) -> Result<HeldGrant, BindRefusal> {
        if self.leaving {
            return Err(BindRefusal::Leaving);
        }
        if !self.network_may_bind(from.addr().ip(), now.monotonic) {
            return Err(BindRefusal::Busy);
        }
        let ticket = self.verifier.verify(&bind.ticket, now.unix).map_err(|error| match error {
            TicketError::Expired(_) => BindRefusal::Expired,
            _ => BindRefusal::Ticket,
        })?;
        let held = ticket
            .proven_by(&challenge_bytes(cookie, bind.instance), signature)
            .map_err(|_| BindRefusal::Proof)?;
        if held.grant().org == self.org { Ok(held) } else { Err(BindRefusal::Ticket) }
    }

    /// Whether a later BIND of the same peer was taken already.
    fn is_replay(&self, held: &HeldGrant, bind: &Bind, stamp: u32) -> bool {
        let grant = held.grant();
        let known = match grant.role {
            TicketRole::Agent => {
                let key = AgentKey { org: grant.org.clone(), agent_id: grant.agent_id.clone() };
                let agent = self.agent_numbers.get(&key).and_then(|number| self.agents.get(number));
                agent.map(|agent| agent.proven)
            }
            TicketRole::Client => {
                let same = |session: &&Session| {
                    session.holder == *held.holder() && session.instance == bind.instance
                };
                self.sessions.values().find(same).map(|session| session.proven)
            }
        };
        known.is_some_and(|known| is_older(stamp, known))
    }

    fn remember(
        &mut self,
        held: &HeldGrant,
        (bind, stamp): (&Bind, u32),
        from: Peer,
        now: Now,
    ) -> Result<u32, BindRefusal> {
        let grant = held.grant();
        let key = AgentKey { org: grant.org.clone(), agent_id: grant.agent_id.clone() };
        match grant.role {
            TicketRole::Agent => self.bind_agent(key, grant, (from, stamp), now),
            TicketRole::Client => self.bind_client(&key, held, bind, (from, stamp, now)),
        }
    }

    fn bind_agent(
        &mut self,
        key: AgentKey,
        grant: &TicketGrant,
        (peer, proven): (Peer, u32),
        now: Now,
    ) -> Result<u32, BindRefusal> {
        let number = match self.agent_numbers.get(&key) {
            Some(number) => *number,
            None if self.agents.len() >= self.limits.agents => return Err(BindRefusal::Busy),
            None => self.free_number(0),
        };
        self.agent_numbers.insert(key.clone(), number);
        let rate = grant.class.bytes_per_second.min(self.limits.agent_bytes_per_second);
        let known = self.agents.get(&number).map(|agent| agent.purse).filter(|purse| purse.rate == rate);
        let agent = Agent {
            key,
            peer,
            proven,
            heard: now.monotonic,
            expires_unix: grant.expires,
            sessions: self.limits.sessions_per_agent.min(count(grant.class.sessions)),
            purse: known.unwrap_or_else(|| Purse::new(rate, now.monotonic)),
        };
        self.agents.insert(number, agent);
        Ok(number)
    }

    fn bind_client(
        &mut self,
        key: &AgentKey,
        held: &HeldGrant,
        bind: &Bind,
        (from, proven, now): (Peer, u32, Now),
    ) -> Result<u32, BindRefusal> {
        let number = *self.agent_numbers.get(key).ok_or(BindRefusal::NoAgent)?;
        let agent = self.agents.get(&number).ok_or(BindRefusal::NoAgent)?;
        if agent.key != *key || !agent_lives(agent, self.limits.idle, now) {
            return Err(BindRefusal::NoAgent);
        }
        let of_ticket = |session: &Session| session.holder == *held.holder();
        let same = |session: &Session| of_ticket(session) && session.instance == bind.instance;
        if let Some((known, session)) = self.sessions.iter_mut().find(|(_, session)| same(session)) {
            // The peer moved, or lost our answer.
            session.client = from;
            session.proven = proven;
            session.heard = now.monotonic;
            return Ok(*known);
        }
        let tickets = self.sessions.values().filter(|session| of_ticket(session)).count();
        let agents = self.sessions.values().filter(|session| session.agent == number).count();
        let near =
            |session: &&Session| network_of(session.client.addr().ip()) == network_of(from.addr().ip());
        let neighbours = self.sessions.values().filter(near).count();
        if self.sessions.len() >= self.limits.sessions
            || tickets >= self.limits.sessions_per_ticket.min(count(held.grant().class.sessions))
            || agents >= agent.sessions
            || neighbours >= self.limits.sessions_per_network
        {
            return Err(BindRefusal::Busy);
        }
        let session = Session {
            agent: number,
            client: from,
            holder: *held.holder(),
            instance: bind.instance,
            proven,
            heard: now.monotonic,
            ends: now.monotonic + self.limits.session_life,
        };
        let rate = held.grant().class.bytes_per_second.min(self.limits.ticket_bytes_per_second);
        self.purses.entry(*held.holder()).or_insert_with(|| Purse::new(rate, now.monotonic));
        let chosen = self.free_number(bind.wanted);
        self.sessions.insert(chosen, session);
        Ok(chosen)
    }

    /// `wanted` if nobody has it, else an unpredictable free number.
    fn free_number(&mut self, wanted: u32) -> u32 {
        let mut number = wanted;
        while number == 0 || self.sessions.contains_key(&number) || self.agents.contains_key(&number) {
            self.drawings = self.drawings.wrapping_add(1);
            number = self.cookies.draw(self.drawings);
        }
        number
    }

    fn network_may_bind(&mut self, ip: IpAddr, now: Duration) -> bool {
        let (most, limits) = (self.limits.networks, &self.limits);
        // Who owns very many networks is stopped before the table of networks is touched.
        may(&mut self.providers, provider_of(ip), (limits.provider_binds_per_second, most), now)
            && may(&mut self.networks, network_of(ip), (limits.binds_per_second, most), now)
    }

    fn unknown(&mut self, session: u32, now: Now) -> Action {
        let allowed = self.answers.take(1, self.limits.answers_per_second, now.monotonic);
        self.stateless(allowed, &Answer::Unknown { session })
    }

    /// Answers to unproven addresses are smaller than what caused them, and limited in number.
    fn stateless(&mut self, allowed: bool, answer: &Answer) -> Action {
        if allowed {
            Action::Reply(answer.encode())
        } else {
            self.counters.limited += 1;
            Action::Drop
        }
    }
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn agent_lives(agent: &Agent, idle: Duration, now: Now) -> bool {
    now.monotonic.saturating_sub(agent.heard) <= idle && now.unix <= agent.expires_unix
}

fn session_lives(session: &Session, idle: Duration, now: Duration) -> bool {
    now.saturating_sub(session.heard) <= idle && now <= session.ends
}
