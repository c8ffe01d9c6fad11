//! Which path carries the session: a state machine without sockets or clocks.
//!
//! The dialling side decides, the listening side follows. Direct is better than a relay over UDP, that is better than
//! one over TCP. A better path is taken when it has proven itself, a dead one is left when another has: never is a
//! path taken that did not answer a probe made with the connection's key. Straight over TCP is as good as a relay
//! over UDP: the faster of the two is taken. Every free change makes the next one wait
//! longer, and a path that died is believed more slowly each time, so nothing flaps without bound.

use super::better::better;
use super::doors::{Doors, TcpFault};
use super::probe::AuthenticProbe;
use super::punch::{MAX_CANDIDATES, PUNCHES, plausible};
use super::report::{Condition, PathNote};
use super::state::{Hint, PathState};
use super::{PathKey, PathKind, PathPreference};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

const BUSY: Duration = Duration::from_secs(2);
const RECENT: Duration = Duration::from_secs(30);
const HEARTBEAT: Duration = Duration::from_millis(250);
const HURRY: Duration = Duration::from_millis(100);
/// Between questions to other ways while the one in use is in doubt.
const HASTE: Duration = Duration::from_millis(50);
/// While an answer is awaited, look whether it is late.
const WATCH: Duration = Duration::from_millis(50);
const SHORTEST_DWELL: Duration = Duration::from_secs(1);
/// UDP through NATs, and relays, have so long before TCP is tried straight.
const SETTLED: Duration = Duration::from_millis(500);
/// Addresses of the peer taken at once, and how long until one more is: nobody makes us a port scanner.
const STRANGERS: u32 = 32;
const ONE_MORE: Duration = Duration::from_secs(3);
const LONGEST_DWELL: Duration = Duration::from_secs(60);

/// What the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send a probe on this path.
    Probe {
        /// Which.
        to: PathKey,
        /// The number it carries.
        transaction: u64,
    },
    /// From now on everything goes this way; tell the peer at once, so that it follows.
    Switch {
        /// Which.
        to: PathKey,
        /// Why.
        why: Why,
    },
    /// Tell the peer where we may be.
    Announce(Vec<SocketAddr>),
    /// Forget this path.
    Close(PathKey),
    /// Connect to the peer at this address over TCP.
    Open(SocketAddr),
    /// End that connection: nothing comes through it any more.
    Shut(SocketAddr),
}

/// Why the path changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The new one is better.
    Better,
    /// The old one is silent or failing.
    Dead,
    /// The old one's relay is going away.
    Leaving,
}

/// See the module.
#[derive(Debug)]
pub struct Paths {
    prefer: PathPreference,
    ways: BTreeMap<PathKey, PathState>,
    active: PathKey,
    traffic: Duration,
    transactions: u64,
    not_before: Duration,
    dwell: Duration,
    changed_freely: Duration,
    ours: Vec<SocketAddr>,
    announced: Vec<SocketAddr>,
    closed: Vec<PathKey>,
    strangers: (u32, Duration),
    doors: Doors,
}

impl Paths {
    /// Begins on the path the handshake was completed over.
    pub fn new(prefer: PathPreference, active: PathKey, now: Duration) -> Self {
        let mut first = PathState::new(now);
        first.handshaken(now);
        Self {
            prefer,
            ways: BTreeMap::from([(active, first)]),
            active,
            traffic: now,
            transactions: 0,
            not_before: Duration::ZERO,
            dwell: SHORTEST_DWELL,
            changed_freely: Duration::ZERO,
            ours: Vec::new(),
            announced: Vec::new(),
            closed: Vec::new(),
            strangers: (0, now),
            doors: Doors::default(),
        }
    }

    /// The path in use.
    pub fn active(&self) -> PathKey {
        self.active
    }

    /// A path that may work: a relay bound, or an address the peer told or was seen at. `false` if it is not tried.
    pub fn offer(&mut self, key: PathKey, now: Duration) -> bool {
        if !self.prefer.allows(key.kind()) {
            return false;
        }
        if let PathKey::Direct(addr) = key
            && !(plausible(addr)
                && (self.ways.contains_key(&key) || (self.one_more(now) && self.make_room())))
        {
            return false;
        }
        let path = self.ways.entry(key).or_insert_with(|| PathState::new(now));
        if matches!(path.hint(), Hint::Gone | Hint::Leaving) {
            path.again(now);
        }
        true
    }

    fn one_more(&mut self, now: Duration) -> bool {
        let (taken, since) = &mut self.strangers;
        let earned = now.saturating_sub(*since).as_millis() / ONE_MORE.as_millis();
        if earned > 0 {
            *taken = taken.saturating_sub(u32::try_from(earned).unwrap_or(u32::MAX));
            *since = now;
        }
        let may = *taken < STRANGERS;
        *taken = taken.saturating_add(u32::from(may));
        may
    }

    /// The relay lost us, or refuses us.
    pub fn withdraw(&mut self, key: PathKey, now: Duration) {
        self.hint(key, Hint::Gone, now);
    }

    /// The relay says that it is going away.
    pub fn leaving(&mut self, key: PathKey, now: Duration) {
        self.hint(key, Hint::Leaving, now);
    }

    /// The system could not send this way.
    pub fn failing(&mut self, key: PathKey, now: Duration) {
        if self.ways.get(&key).is_some_and(|path| path.hint() == Hint::None) {
            self.hint(key, Hint::Failing, now);
        }
    }

    /// Something arrived this way at `at`, genuine or not.
    pub fn heard(&mut self, key: PathKey, at: Duration) {
        if let Some(path) = self.ways.get_mut(&key) {
            path.heard(at);
        }
    }

    /// The session carried something at `at`.
    pub fn traffic(&mut self, at: Duration) {
        self.traffic = self.traffic.max(at);
        if let Some(path) = self.ways.get_mut(&self.active) {
            path.carried(at);
        }
    }

    /// The peer answered a probe, on this path.
    pub fn answered(&mut self, key: PathKey, probe: AuthenticProbe, now: Duration) {
        if let Some(path) = self.ways.get_mut(&key) {
            path.answered(probe, now);
        }
    }

    /// The peer may take TCP connections at this address, too.
    pub fn door(&mut self, addr: SocketAddr) {
        if self.prefer.allows(PathKind::DirectTcp) && plausible(addr) {
            self.doors.learn(addr);
        }
    }

    /// The TCP connection to this address is there.
    pub fn opened(&mut self, addr: SocketAddr, now: Duration) {
        self.doors.opened(addr, now);
        self.offer(PathKey::DirectTcp(addr), now);
    }

    /// It could not be made, or ended.
    pub fn shut(&mut self, addr: SocketAddr, fault: TcpFault, now: Duration) {
        self.doors.shut(addr, fault, now);
        self.withdraw(PathKey::DirectTcp(addr), now);
    }

    /// Whether a TCP connection to the peer would help: nothing straight works, or nothing would be left if what is used
    /// failed. Not at once: UDP through NATs and relays need a moment.
    fn wants_door(&self, now: Duration) -> bool {
        let current = self.ways.get(&self.active);
        let fine =
            |path: &PathState| path.proven.is_some() && path.hint() == Hint::None && !path.is_suspect(now);
        if current.is_none_or(|path| !fine(path)) {
            return true;
        }
        let straight = self.ways.iter().any(|(key, path)| key.kind() == PathKind::Direct && fine(path));
        let spare = self.ways.iter().any(|(key, path)| *key != self.active && fine(path));
        now >= SETTLED && !(straight && spare)
    }

    fn tend_doors(&mut self, now: Duration) -> Vec<Action> {
        let dead = |addr: &SocketAddr| {
            self.ways.get(&PathKey::DirectTcp(*addr)).is_some_and(|path| path.is_dead(now))
        };
        let shut: Vec<SocketAddr> = self.doors.open().filter(dead).collect();
        for addr in &shut {
            self.shut(*addr, TcpFault::Silent, now);
        }
        let wanted = self.wants_door(now);
        let open = self.doors.poll(wanted, now);
        shut.into_iter().map(Action::Shut).chain(open.into_iter().map(Action::Open)).collect()
    }

    /// The addresses we may be reached at.
    pub fn ours(&mut self, mut addresses: Vec<SocketAddr>) {
        addresses.retain(|addr| plausible(*addr));
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(MAX_CANDIDATES);
        self.ours = addresses;
    }

    /// This computer moved to another network: every proof is void, what relays said is not.
    pub fn moved(&mut self, now: Duration) {
        let before = self.ways.get(&self.active).and_then(|path| path.rtt);
        for path in self.ways.values_mut() {
            let said = Some(path.hint()).filter(|hint| matches!(hint, Hint::Gone | Hint::Leaving));
            path.again(now);
            if let Some(hint) = said {
                path.told(hint, now);
            }
        }
        if let Some(current) = self.ways.get_mut(&self.active) {
            current.shake(before, now);
        }
        self.doors.moved(now);
        self.announced.clear();
        self.traffic = now;
    }

    /// Whether the way in use is late to answer.
    pub fn is_doubtful(&self, now: Duration) -> bool {
        self.ways.get(&self.active).is_some_and(|path| path.is_suspect(now))
    }

    /// What to do now.
    pub fn poll(&mut self, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some((to, why)) = self.choice(now) {
            self.switch(to, why, now);
            actions.push(Action::Switch { to, why });
        }
        let due: Vec<PathKey> = self
            .ways
            .iter()
            .filter(|(key, path)| self.probe_at(**key, path, now).is_some_and(|at| at <= now))
            .map(|(key, _)| *key)
            .collect();
        for to in due {
            self.transactions = self.transactions.wrapping_add(1);
            let transaction = self.transactions;
            if let Some(path) = self.ways.get_mut(&to) {
                path.asked(transaction, now);
                actions.push(Action::Probe { to, transaction });
            }
        }
        actions.extend(self.tend_doors(now));
        if self.ours != self.announced {
            self.announced.clone_from(&self.ours);
            actions.push(Action::Announce(self.ours.clone()));
        }
        actions.extend(std::mem::take(&mut self.closed).into_iter().map(Action::Close));
        actions
    }

    /// When [`Paths::poll`] must be called again at the latest.
    pub fn due(&self, now: Duration) -> Duration {
        let probes = self.ways.iter().filter_map(|(key, path)| self.probe_at(*key, path, now));
        let doors = self.doors.due(self.wants_door(now), now);
        let settled = Some(SETTLED).filter(|at| *at > now && !self.doors.is_empty());
        let mut due = probes.chain(doors).chain(settled).min().unwrap_or(now + RECENT);
        if self.ways.get(&self.active).is_some_and(PathState::is_waiting) || self.quiet(now) <= BUSY {
            due = due.min(now + WATCH);
        }
        due
    }

    /// How it stands with every path, best first.
    pub fn report(&self, now: Duration) -> Vec<PathNote> {
        let note = |(key, path): (&PathKey, &PathState)| PathNote {
            key: *key,
            rtt: path.rtt,
            condition: self.condition(*key, path, now),
        };
        let mut notes: Vec<PathNote> = self.ways.iter().map(note).collect();
        let untold = self.doors.faults().map(|(addr, fault)| PathNote {
            key: PathKey::DirectTcp(addr),
            rtt: None,
            condition: Condition::NoTcp(fault),
        });
        notes.extend(untold.filter(|note| !self.ways.contains_key(&note.key)));
        notes.sort_by_key(|note| note.key);
        notes
    }

    fn condition(&self, key: PathKey, path: &PathState, now: Duration) -> Condition {
        let quiet = path.proven.or(path.died);
        match path.hint() {
            _ if key == self.active => Condition::InUse,
            Hint::Gone => match key {
                PathKey::DirectTcp(addr) => Condition::NoTcp(self.doors.fault(addr)),
                _ => Condition::Gone,
            },
            Hint::Leaving => Condition::Leaving,
            _ if quiet.is_none() => Condition::NeverAnswered { tried: now.saturating_sub(path.since) },
            _ if path.proven.is_none() || path.is_suspect(now) => {
                Condition::Silent { quiet: now.saturating_sub(quiet.unwrap_or(path.since)) }
            }
            _ if path.barred_until > now => {
                Condition::Resting { left: path.barred_until.saturating_sub(now) }
            }
            _ => Condition::Ready,
        }
    }

    fn hint(&mut self, key: PathKey, hint: Hint, now: Duration) {
        if let Some(path) = self.ways.get_mut(&key) {
            if path.hint() == hint {
                return;
            }
            path.told(hint, now);
            // Everything is asked at once: the answer decides where to go.
            for path in self.ways.values_mut() {
                path.probed = path.probed.filter(|_| path.hint() == Hint::Gone);
            }
        }
    }

    /// Room for one more address: the oldest that never answered goes.
    fn make_room(&mut self) -> bool {
        let direct = self.ways.keys().filter(|key| key.kind() == PathKind::Direct).count();
        if direct < MAX_CANDIDATES {
            return true;
        }
        let useless = |(key, path): &(&PathKey, &PathState)| {
            key.kind() == PathKind::Direct && **key != self.active && path.proven.is_none()
        };
        let oldest = self.ways.iter().filter(useless).min_by_key(|(_, path)| path.since).map(|(key, _)| *key);
        let Some(oldest) = oldest else { return false };
        self.ways.remove(&oldest);
        self.closed.push(oldest);
        true
    }

    fn choice(&self, now: Duration) -> Option<(PathKey, Why)> {
        let others = || self.ways.iter().filter(|(key, path)| **key != self.active && path.is_fresh(now));
        let current = self.ways.get(&self.active)?;
        let rank = |(key, path): &(&PathKey, &PathState)| (path.hint() != Hint::None, key.kind(), path.rtt);
        if current.is_dead(now) {
            return others().min_by_key(rank).map(|(key, _)| (*key, Why::Dead));
        }
        // After a change of network the first to answer carries the session.
        if let Some(since) = current.shaken() {
            let quicker = |(_, path): &(&PathKey, &PathState)| {
                path.hint() == Hint::None
                    && path.answers_since(since).is_some()
                    && current.is_mute(path.rtt, now)
            };
            return others().filter(quicker).min_by_key(rank).map(|(key, _)| (*key, Why::Dead));
        }
        // All that is on the way is late, and another path is not, which was asked no later: whatever happened, it
        // happened to this one.
        if let Some(since) = current.lost_since(now) {
            let better_off = |(_, path): &(&PathKey, &PathState)| {
                let asked = path.answers_since(since).filter(|_| path.hint() == Hint::None);
                asked.is_some_and(|asked| current.is_late_since(asked, now))
            };
            return others().filter(better_off).min_by_key(rank).map(|(key, _)| (*key, Why::Dead));
        }
        if current.hint() == Hint::Leaving {
            let staying = others().filter(|(_, path)| path.hint() == Hint::None).min_by_key(rank);
            return staying.map(|(key, _)| (*key, Why::Leaving));
        }
        if now < self.not_before || current.is_suspect(now) && current.is_waiting() {
            return None;
        }
        let free = |(key, path): &(&PathKey, &PathState)| {
            path.hint() == Hint::None
                && now >= path.barred_until
                && path.streak >= path.needed()
                && better((**key, path), (self.active, current))
        };
        others().filter(free).min_by_key(rank).map(|(key, _)| (*key, Why::Better))
    }

    fn switch(&mut self, to: PathKey, why: Why, now: Duration) {
        if let Some(old) = self.ways.get_mut(&self.active)
            && why == Why::Dead
        {
            old.died(now);
        }
        if why == Why::Better {
            let soon = now.saturating_sub(self.changed_freely) < LONGEST_DWELL * 2
                && self.not_before > Duration::ZERO;
            self.dwell = if soon { (self.dwell * 2).min(LONGEST_DWELL) } else { SHORTEST_DWELL };
            self.not_before = now + self.dwell;
            self.changed_freely = now;
        }
        self.active = to;
        if let Some(new) = self.ways.get_mut(&to) {
            new.taken();
        }
    }

    /// When this path is asked next; `None` for one that cannot be asked.
    fn probe_at(&self, key: PathKey, path: &PathState, now: Duration) -> Option<Duration> {
        if path.hint() == Hint::Gone {
            return None;
        }
        let Some(last) = path.probed else { return Some(now) };
        let pace =
            if key == self.active { self.own_pace(path, now) } else { self.other_pace(key, path, now) };
        Some(last + pace)
    }

    fn quiet(&self, now: Duration) -> Duration {
        now.saturating_sub(self.traffic)
    }

    fn own_pace(&self, path: &PathState, now: Duration) -> Duration {
        match self.quiet(now) {
            _ if path.is_urgent(now) => HURRY,
            _ if path.shaken().is_some_and(|since| now.saturating_sub(since) < BUSY) => HASTE,
            _ if is_doubted(path, now) => path.doubtful_pace(),
            quiet if quiet <= BUSY => path.first_pace().unwrap_or(HEARTBEAT),
            _ if path.is_waiting() => HEARTBEAT,
            quiet if quiet <= RECENT => Duration::from_secs(1),
            _ => Duration::from_secs(10),
        }
    }

    fn other_pace(&self, key: PathKey, path: &PathState, now: Duration) -> Duration {
        let current = self.ways.get(&self.active);
        let asked = usize::try_from(path.sent).unwrap_or(usize::MAX);
        let gap = |n: usize| Some(PUNCHES.get(n)?.saturating_sub(*PUNCHES.get(n.checked_sub(1)?)?));
        if current.is_none_or(|current| current.is_urgent(now) || is_doubted(current, now)) {
            return HASTE;
        }
        if current.is_some_and(|current| current.is_suspect(now) || current.is_dead(now)) {
            return HEARTBEAT;
        }
        if path.proven.is_none()
            && let Some(gap) = gap(asked)
        {
            return gap;
        }
        if path.is_fresh(now) && path.streak < 3 && now + RECENT >= path.barred_until {
            return HEARTBEAT;
        }
        let preferred = key.kind() < self.active.kind();
        let age = now.saturating_sub(path.died.unwrap_or(path.since));
        match self.quiet(now) {
            quiet if quiet > RECENT => RECENT,
            _ if preferred && path.barred_until > now => {
                path.barred_until.saturating_sub(now).clamp(HEARTBEAT, Duration::from_secs(5))
            }
            _ if preferred && age <= RECENT * 10 => Duration::from_secs(1),
            _ => Duration::from_secs(5),
        }
    }
}

fn is_doubted(path: &PathState, now: Duration) -> bool {
    path.doubted().is_some_and(|since| since <= now)
}
