//! Path selection under a virtual clock: very many networks that break, mend, lie and lose.
//!
//! `DAAM_SCHEDULES=1000000` tries that many; each has its number, which a failure prints. Those that once found
//! something are always among them.

use daam_tunnel::path::probe::{KEY_BYTES, ProbeKey, ProbeKind, Side};
use daam_tunnel::path::report::PathNote;
use daam_tunnel::path::select::{Action, Paths, Why};
use daam_tunnel::{PathKey, PathKind, PathPreference};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

const SCHEDULES: u64 = 4_000;
/// A relay that said it was leaving, stays up and is the best there is.
const FOUND_SOMETHING: [u64; 1] = [13_184];
const LENGTH: u64 = 15_000;
/// When everything stays as it is, long enough for every bar to end.
const CALM: u64 = 400_000;
/// A heartbeat, the silence allowed, two questions to the others and their answer.
const BOUND: u64 = 250 + 250 + 250 + 100;
const MOST_FREE_CHANGES: usize = 8;

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
    fn is_impostor(&self) -> bool {
        self.manner == Manner::Impostor
    }

    fn carries(&self) -> bool {
        self.up && self.offered
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Answer(PathKey, Vec<u8>),
    Garbage(PathKey),
    Change,
}

pub(crate) struct World {
    number: u64,
    random: Random,
    pub(crate) ways: BTreeMap<PathKey, Way>,
    pub(crate) paths: Paths,
    ours: ProbeKey,
    peers: ProbeKey,
    strangers: ProbeKey,
    queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
    sequence: u64,
    free: usize,
    pub(crate) forced: usize,
    faults: usize,
    pub(crate) lossy: bool,
    slowest: u64,
    calm: bool,
    switched: u64,
}

pub(crate) fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

pub(crate) fn direct(n: u8) -> PathKey {
    PathKey::Direct(std::net::SocketAddr::from(([192, 0, 2, n], 4433)))
}

impl World {
    pub(crate) fn new(number: u64) -> Self {
        let mut random = Random(number.wrapping_mul(0x1234_5678_9abc_def1));
        let keys = [direct(1), direct(2), PathKey::Relay(0), PathKey::Relay(1), PathKey::RelayTcp(0)];
        let lossy = random.one_in(3);
        let mut ways = BTreeMap::new();
        for key in keys {
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
        let start = keys[usize::try_from(random.below(5)).unwrap()];
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
        for key in keys {
            if key != start && !world.random.one_in(4) {
                world.offer(key);
            }
        }
        world.slowest = world.ways.values().map(|way| way.round_trip).max().unwrap();
        world
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
            Event::Change => self.change(now),
        }
    }

    fn change(&mut self, now: u64) {
        let chosen = usize::try_from(self.random.below(5)).unwrap();
        let key = *self.ways.keys().nth(chosen).unwrap();
        self.faults += 1;
        match self.random.below(10) {
            0 => self.paths.failing(key, ms(now)),
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

fn one(number: u64) {
    let mut world = World::new(number);
    let now = world.run(LENGTH, 0);
    assert!(world.free <= MOST_FREE_CHANGES, "schedule {number}: {} free changes", world.free);
    // Without loss, a path is left as dead only because something happened to it.
    assert!(
        world.lossy || world.forced <= 2 * world.faults + 1,
        "schedule {number}: {} forced",
        world.forced
    );
    if number.is_multiple_of(64) {
        let now = world.run(now + CALM, now);
        world.calm = true;
        world.run(now + 60_000, now);
        let active = world.paths.active();
        let best = world
            .ways
            .iter()
            .find(|(_, way)| way.carries() && !way.leaving && !way.is_impostor() && !world.lossy);
        if let Some((best, _)) = best
            && best.kind() != PathKind::Direct
        {
            assert!(
                active.kind() <= best.kind(),
                "schedule {number}: {active:?} instead of {best:?}\n{:#?}",
                world.paths.report(ms(now + 60_000))
            );
        }
    }
}

#[test]
fn whatever_the_network_does_a_living_path_is_found_and_only_a_proven_one() {
    let count = std::env::var("DAAM_SCHEDULES").map_or(SCHEDULES, |count| count.parse().unwrap());
    let threads = u64::try_from(std::thread::available_parallelism().unwrap().get()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || (thread..count).step_by(usize::try_from(threads).unwrap()).for_each(one));
        }
        FOUND_SOMETHING.into_iter().for_each(one);
    });
}

/// Until it is bound again, nobody goes back to it however good it looks; it is better than nothing.
#[test]
fn a_relay_that_is_leaving_is_left_and_not_returned_to_until_it_is_there_again() {
    let mut world = World::new(0);
    let clean = Way {
        up: true,
        since: 0,
        round_trip: 10,
        loss_percent: 0,
        manner: Manner::Honest,
        offered: true,
        leaving: false,
        proven: true,
    };
    world.ways.values_mut().for_each(|way| *way = Way { offered: false, ..clean });
    let (best, worse) = (PathKey::Relay(1), PathKey::RelayTcp(0));
    world.ways.insert(best, clean);
    world.ways.insert(worse, Way { round_trip: 190, ..clean });
    world.queue.clear();
    world.paths = Paths::new(PathPreference::Auto, best, Duration::ZERO);
    world.paths.offer(worse, Duration::ZERO);
    let now = world.run(5_000, 0);
    world.paths.leaving(best, ms(now));
    let now = world.run(now + 2_000, now);
    assert_eq!(world.paths.active(), worse);
    // A change of network says nothing about what a relay is about to do.
    world.paths.moved(ms(now));
    let now = world.run(now + 300_000, now);
    assert_eq!(world.paths.active(), worse);
    world.set(worse, false, now);
    let now = world.run(now + 5_000, now);
    assert_eq!(world.paths.active(), best);
    world.set(worse, true, now);
    let now = world.run(now + 300_000, now);
    assert_eq!(world.paths.active(), worse);
    world.paths.offer(best, ms(now));
    world.run(now + 5_000, now);
    assert_eq!(world.paths.active(), best);
}

/// Direct works for three seconds, fails for three, and so on for an hour, beside a relay that always works.
#[test]
fn a_path_that_comes_and_goes_is_trusted_ever_more_slowly() {
    let mut world = World::new(0);
    let relay = PathKey::Relay(0);
    let clean = Way {
        up: true,
        since: 0,
        round_trip: 10,
        loss_percent: 0,
        manner: Manner::Honest,
        offered: true,
        leaving: false,
        proven: true,
    };
    world.ways.values_mut().for_each(|way| *way = Way { offered: false, ..clean });
    world.ways.insert(relay, clean);
    world.ways.insert(direct(1), clean);
    world.queue.clear();
    world.paths = Paths::new(PathPreference::Auto, relay, Duration::ZERO);
    world.paths.offer(direct(1), Duration::ZERO);
    let mut now = 0;
    for phase in 0..1200_u64 {
        world.set(direct(1), phase.is_multiple_of(2), now);
        now = world.run((phase + 1) * 3_000, now);
    }
    assert!(world.free + world.forced <= 120, "{} + {} changes in an hour", world.free, world.forced);
    // Once it stays up it is used again.
    world.ways.get_mut(&direct(1)).unwrap().up = true;
    world.run(now + 200_000, now);
    assert_eq!(world.paths.active(), direct(1));
}

#[test]
fn a_preference_is_kept_whatever_is_offered() {
    for (prefer, start) in [
        (PathPreference::Direct, direct(1)),
        (PathPreference::Relay, PathKey::Relay(0)),
        (PathPreference::RelayTcp, PathKey::RelayTcp(0)),
    ] {
        let mut paths = Paths::new(prefer, start, Duration::ZERO);
        for key in [direct(1), direct(2), PathKey::Relay(0), PathKey::Relay(1), PathKey::RelayTcp(1)] {
            paths.offer(key, Duration::ZERO);
        }
        let kinds: Vec<PathKind> = paths.report(Duration::ZERO).iter().map(PathNote::kind).collect();
        assert!(kinds.iter().all(|kind| prefer.allows(*kind)), "{kinds:?}");
    }
}

#[test]
fn own_addresses_are_announced_when_they_change_and_a_peer_cannot_flood_us_with_its() {
    let mut paths = Paths::new(PathPreference::Auto, PathKey::Relay(0), Duration::ZERO);
    let ours = vec!["192.0.2.7:5".parse().unwrap()];
    paths.ours(ours.clone());
    assert!(paths.poll(Duration::ZERO).contains(&Action::Announce(ours.clone())));
    paths.ours(ours.clone());
    assert!(!paths.poll(ms(1)).contains(&Action::Announce(ours)));
    for n in 1..=255 {
        paths.offer(direct(n), ms(u64::from(n)));
    }
    let known = paths.report(ms(300)).len();
    assert!(known <= 17, "{known}");
    let closed = paths.poll(ms(300)).iter().filter(|action| matches!(action, Action::Close(_))).count();
    assert_eq!(closed + known, 1 + 32, "what is taken at once");
}
