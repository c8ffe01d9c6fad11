//! A network under a virtual clock: ways that break, mend, lie and lose, and the machine that chooses among them.

use daam_tunnel::path::doors::TcpFault;
use daam_tunnel::path::probe::{KEY_BYTES, ProbeKey, ProbeKind, Side};
use daam_tunnel::path::select::{Action, Paths, Why};
use daam_tunnel::{PathKey, PathKind, PathPreference};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

pub(crate) const LENGTH: u64 = 15_000;
/// A heartbeat, the silence allowed, two questions to the others and their answer.
const BOUND: u64 = 250 + 250 + 250 + 100;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// One way through the network.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) up: bool,
    /// Up since, or down since.
    pub(crate) since: u64,
    pub(crate) round_trip: u64,
    pub(crate) loss_percent: u64,
    pub(crate) manner: Manner,
    pub(crate) offered: bool,
    /// Its relay said that it goes away, and has not come back since.
    pub(crate) leaving: bool,
    pub(crate) proven: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Manner {
    Honest,
    /// While down, garbage arrives.
    Noisy,
    /// Someone else answers here: with another key, or by mirroring.
    Impostor,
}

impl Way {
    pub(crate) fn is_impostor(&self) -> bool {
        self.manner == Manner::Impostor
    }

    pub(crate) fn carries(&self) -> bool {
        self.up && self.offered
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    Answer(PathKey, Vec<u8>),
    Garbage(PathKey),
    /// What came of a TCP connection: it is there, or it is not.
    Door(PathKey, bool),
    Change,
}

pub(crate) struct World {
    pub(crate) number: u64,
    random: Random,
    pub(crate) ways: BTreeMap<PathKey, Way>,
    pub(crate) paths: Paths,
    ours: ProbeKey,
    peers: ProbeKey,
    strangers: ProbeKey,
    pub(crate) queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
    sequence: u64,
    pub(crate) free: usize,
    pub(crate) forced: usize,
    pub(crate) faults: usize,
    pub(crate) lossy: bool,
    pub(crate) slowest: u64,
    pub(crate) calm: bool,
    switched: u64,
}

pub(crate) fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

pub(crate) fn direct(n: u8) -> PathKey {
    PathKey::Direct(std::net::SocketAddr::from(([192, 0, 2, n], 4433)))
}

pub(crate) fn direct_tcp(n: u8) -> PathKey {
    PathKey::DirectTcp(std::net::SocketAddr::from(([192, 0, 2, n], 4433)))
}

impl World {
    pub(crate) fn new(number: u64) -> Self {
        let mut random = Random(number.wrapping_mul(0x1234_5678_9abc_def1));
        // Every other schedule has TCP straight to the agent, too.
        let mut keys = vec![direct(1), direct(2), PathKey::Relay(0), PathKey::Relay(1), PathKey::RelayTcp(0)];
        if !number.is_multiple_of(2) {
            keys.push(direct_tcp(1));
        }
        let count = u64::try_from(keys.len()).unwrap();
        let lossy = random.one_in(3);
        let mut ways = BTreeMap::new();
        for key in keys.iter().copied() {
            let way = Way {
                up: !random.one_in(3),
                since: 0,
                round_trip: 2 + random.below(200),
                loss_percent: if lossy && random.one_in(2) { random.below(40) } else { 0 },
                manner: match random.below(8) {
                    0 => Manner::Impostor,
                    1 => Manner::Noisy,
                    _ => Manner::Honest,
                },
                offered: false,
                leaving: false,
                proven: false,
            };
            ways.insert(key, way);
        }
        let start = keys[usize::try_from(random.below(count)).unwrap()];
        let first = ways.get_mut(&start).unwrap();
        *first = Way { up: true, manner: Manner::Honest, offered: true, proven: true, ..*first };
        let mut material = [9; KEY_BYTES];
        let (ours, peers) =
            (ProbeKey::new(Side::Dialling, &material), ProbeKey::new(Side::Listening, &material));
        material[20] = 1;
        let mut world = Self {
            number,
            random,
            ways,
            paths: Paths::new(PathPreference::Auto, start, Duration::ZERO),
            ours,
            peers,
            strangers: ProbeKey::new(Side::Listening, &material),
            queue: BinaryHeap::new(),
            sequence: 0,
            free: 0,
            forced: 0,
            faults: 0,
            lossy,
            slowest: 0,
            calm: false,
            switched: 0,
        };
        for _ in 0..4 + world.random.below(12) {
            let at = world.random.below(LENGTH);
            world.push(at, Event::Change);
        }
        world.begin(start, keys);
        world.slowest = world.ways.values().map(|way| way.round_trip).max().unwrap();
        world
    }

    /// What is known at the start, beside the way it was made over.
    fn begin(&mut self, start: PathKey, keys: Vec<PathKey>) {
        for key in keys {
            if let PathKey::DirectTcp(addr) = key {
                if key == start {
                    self.paths.opened(addr, Duration::ZERO);
                }
                self.paths.door(addr);
            } else if key != start && !self.random.one_in(4) {
                self.offer(key);
            }
        }
    }

    fn offer(&mut self, key: PathKey) {
        self.paths.offer(key, Duration::ZERO);
        self.ways.get_mut(&key).unwrap().offered = true;
    }

    /// From now on nothing happens by chance but loss.
    pub(crate) fn be_quiet(&mut self) {
        self.queue.clear();
    }

    pub(crate) fn set(&mut self, key: PathKey, up: bool, now: u64) {
        let way = self.ways.get_mut(&key).unwrap();
        (way.up, way.since) = (up, now);
    }

    fn push(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse((at, self.sequence, event)));
    }

    pub(crate) fn run(&mut self, until: u64, mut now: u64) -> u64 {
        while now < until {
            self.paths.traffic(ms(now));
            for action in self.paths.poll(ms(now)) {
                self.carry_out(&action, now);
            }
            self.not_stuck(now);
            let due = u64::try_from(self.paths.due(ms(now)).as_millis()).unwrap().max(now + 1);
            now = match self.queue.peek() {
                Some(Reverse((at, ..))) if *at <= due => (*at).max(now),
                _ => due,
            };
            while self.queue.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
                let Some(Reverse((_, _, event))) = self.queue.pop() else { break };
                self.happen(event, now);
            }
        }
        now
    }

    fn carry_out(&mut self, action: &Action, now: u64) {
        match *action {
            Action::Probe { to, transaction } => {
                let way = self.ways[&to];
                let ping = self.ours.seal(ProbeKind::Ping, transaction);
                let answer = if way.is_impostor() {
                    // A mirror, or somebody who knows everything but the key.
                    let forged = self.strangers.seal(ProbeKind::Pong, transaction);
                    Some(if transaction.is_multiple_of(2) { ping } else { forged })
                } else {
                    self.peers.open(&ping).map(|read| self.peers.seal(ProbeKind::Pong, read.transaction()))
                };
                let lost = self.random.below(100) < way.loss_percent;
                if let (true, false, Some(answer)) = (way.up, lost, answer) {
                    self.push(now + way.round_trip, Event::Answer(to, answer.to_vec()));
                }
                if !way.up && way.manner == Manner::Noisy {
                    self.push(now + 1, Event::Garbage(to));
                }
            }
            Action::Switch { to, why } => {
                let way = self.ways[&to];
                assert!(
                    way.proven && !way.is_impostor(),
                    "schedule {}: {to:?} was never proven",
                    self.number
                );
                match why {
                    Why::Better => self.free += 1,
                    Why::Dead | Why::Leaving => self.forced += 1,
                }
                assert!(
                    !self.calm || self.lossy,
                    "schedule {}: {why:?} change in calm at {now}",
                    self.number
                );
                self.switched = now;
            }
            Action::Open(addr) => {
                let key = PathKey::DirectTcp(addr);
                let way = self.ways[&key];
                let takes = if way.up { 2 * way.round_trip } else { 5_000 };
                self.push(now + takes, Event::Door(key, way.up));
            }
            Action::Shut(addr) => self.shut(PathKey::DirectTcp(addr), now),
            Action::Announce(_) | Action::Close(_) => {}
        }
    }

    fn happen(&mut self, event: Event, now: u64) {
        match event {
            Event::Answer(key, bytes) => {
                self.paths.heard(key, ms(now));
                if self.ways[&key].up
                    && let Some(probe) = self.ours.open(&bytes)
                {
                    self.ways.get_mut(&key).unwrap().proven = true;
                    self.paths.answered(key, probe, ms(now));
                }
            }
            Event::Garbage(key) => self.paths.heard(key, ms(now)),
            Event::Door(key, up) => {
                if let (true, PathKey::DirectTcp(addr)) = (up, key) {
                    self.paths.opened(addr, ms(now));
                    let way = self.ways.get_mut(&key).unwrap();
                    (way.offered, way.since) = (true, now);
                } else {
                    self.shut(key, now);
                }
            }
            Event::Change => self.change(now),
        }
    }

    /// The TCP connection of this way is no more.
    fn shut(&mut self, key: PathKey, now: u64) {
        if let PathKey::DirectTcp(addr) = key {
            self.paths.shut(addr, TcpFault::Ended, ms(now));
            let way = self.ways.get_mut(&key).unwrap();
            (way.offered, way.since) = (false, now);
        }
    }

    fn change(&mut self, now: u64) {
        let chosen = usize::try_from(self.random.below(u64::try_from(self.ways.len()).unwrap())).unwrap();
        let key = *self.ways.keys().nth(chosen).unwrap();
        self.faults += 1;
        match self.random.below(10) {
            0 => self.paths.failing(key, ms(now)),
            1 | 2 if key.kind() == PathKind::DirectTcp => {}
            4 if key.kind() == PathKind::DirectTcp => self.shut(key, now),
            1 => {
                self.paths.leaving(key, ms(now));
                // Who takes leave carries us still, but nobody takes leave who was never there.
                if self.paths.report(ms(now)).iter().any(|note| note.key == key) {
                    let way = self.ways.get_mut(&key).unwrap();
                    way.since = if way.offered { way.since } else { now };
                    (way.offered, way.leaving) = (true, true);
                }
            }
            2 => {
                self.paths.offer(key, ms(now));
                let way = self.ways.get_mut(&key).unwrap();
                (way.offered, way.leaving, way.since) = (true, false, now);
            }
            4 => {
                self.paths.withdraw(key, ms(now));
                let way = self.ways.get_mut(&key).unwrap();
                (way.offered, way.since) = (false, now);
            }
            3 => {
                self.paths.moved(ms(now));
                for way in self.ways.values_mut() {
                    way.since = now;
                }
            }
            _ => {
                let way = self.ways.get_mut(&key).unwrap();
                way.up = !way.up;
                way.since = now;
            }
        }
    }

    /// A dead path is not stayed on while a living one has been there for longer than the bound.
    fn not_stuck(&self, now: u64) {
        let active = self.paths.active();
        let way = self.ways[&active];
        assert!(!way.is_impostor(), "schedule {}: an impostor is believed", self.number);
        // Noise holds a path until its probes have been unanswered for five seconds.
        let silence =
            if way.manner == Manner::Noisy { 5_000 + 300 } else { (3 * way.round_trip + 250).max(900) };
        let late = silence.max(6 * way.round_trip) + BOUND + 2 * self.slowest + 2 * 250;
        if way.carries() || now.saturating_sub(way.since) <= late || now.saturating_sub(self.switched) <= late
        {
            return;
        }
        let living = self.ways.iter().find(|(key, other)| {
            **key != active
                && other.carries()
                && !other.is_impostor()
                && other.loss_percent == 0
                && now.saturating_sub(other.since) > late
        });
        assert!(
            living.is_none(),
            "schedule {}: stuck on {active:?} at {now} ms (down since {}), {:?} lives\n{:#?}",
            self.number,
            way.since,
            living.map(|(key, _)| key),
            self.paths.report(ms(now)),
        );
    }
}
