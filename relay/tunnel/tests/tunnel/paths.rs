//! Path selection under a virtual clock: very many networks that break, mend, lie and lose.
//!
//! `DAAM_SCHEDULES=1000000` tries that many; each has its number, which a failure prints. Those that once found
//! something are always among them.

use crate::simulated::{LENGTH, Manner, Way, World, direct, direct_tcp, ms};
use daam_tunnel::path::report::PathNote;
use daam_tunnel::path::select::{Action, Paths};
use daam_tunnel::{PathKey, PathKind, PathPreference};
use std::time::Duration;

const SCHEDULES: u64 = 4_000;
/// A relay that said it was leaving, stays up and is the best there is.
const FOUND_SOMETHING: [u64; 1] = [13_184];
/// When everything stays as it is, long enough for every bar to end.
const CALM: u64 = 400_000;
const MOST_FREE_CHANGES: usize = 8;

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
            // Straight over TCP and a relay over UDP are alike.
            assert!(
                active.kind() <= best.kind().max(PathKind::Relay),
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
        (PathPreference::DirectUdp, direct(1)),
        (PathPreference::DirectTcp, direct_tcp(1)),
        (PathPreference::Relay, PathKey::Relay(0)),
        (PathPreference::RelayUdp, PathKey::Relay(0)),
        (PathPreference::RelayTcp, PathKey::RelayTcp(0)),
    ] {
        let mut paths = Paths::new(prefer, start, Duration::ZERO);
        for key in
            [direct(1), direct(2), direct_tcp(2), PathKey::Relay(0), PathKey::Relay(1), PathKey::RelayTcp(1)]
        {
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
