//! Leaving a silently dead path early: how fast, and never in haste.

use crate::simulated::{Manner, Way, World, direct};
use daam_tunnel::path::select::Paths;
use daam_tunnel::{PathKey, PathPreference};
use std::time::Duration;

fn two_ways(number: u64, active: (PathKey, Way), other: (PathKey, Way)) -> World {
    let mut world = World::new(number);
    world.ways.values_mut().for_each(|way| way.offered = false);
    world.ways.insert(active.0, active.1);
    world.ways.insert(other.0, other.1);
    world.be_quiet();
    world.lossy = true;
    world.paths = Paths::new(PathPreference::Auto, active.0, Duration::ZERO);
    world.paths.offer(other.0, Duration::ZERO);
    world
}

const CLEAN: Way = Way {
    up: true,
    since: 0,
    round_trip: 10,
    loss_percent: 0,
    manner: Manner::Honest,
    offered: true,
    leaving: false,
    proven: true,
};

/// With the session sending all the time and a second path ready: how long until it is used, in milliseconds.
fn stall(number: u64, round_trips: (u64, u64)) -> u64 {
    stall_at(number, round_trips, 10_000 + number % 250)
}

fn stall_at(number: u64, round_trips: (u64, u64), at: u64) -> u64 {
    let (used, ready) = (direct(1), PathKey::Relay(0));
    let way = |round_trip| Way { round_trip, ..CLEAN };
    let mut world = two_ways(number, (used, way(round_trips.0)), (ready, way(round_trips.1)));
    let mut now = world.run(at, 0);
    assert_eq!(world.paths.active(), used, "schedule {number}");
    world.set(used, false, now);
    let died = now;
    while world.paths.active() == used {
        now = world.run(now + 1, now);
        assert!(now < died + 2_000, "schedule {number}: still there");
    }
    now - died
}

#[test]
fn a_path_that_dies_silently_under_a_busy_session_is_left_within_300_ms_where_round_trips_are_short() {
    for (round_trips, most) in [((10, 12), 300), ((2, 30), 300), ((30, 40), 350)] {
        let mut stalls: Vec<u64> = (0..500).map(|number| stall(number, round_trips)).collect();
        stalls.sort_unstable();
        assert!(stalls[494] <= most, "{round_trips:?} ms: 99 of 100 within {} ms", stalls[494]);
    }
}

/// The session awaits an answer all the time and hears none but those to probes: the worst there is for false alarms.
/// A second after a session began, or moved, is as good a time to die as any.
#[test]
fn a_path_that_has_just_become_the_one_in_use_is_left_as_fast_as_an_old_one() {
    let mut stalls: Vec<u64> =
        (0..500).map(|number| stall_at(number, (10, 12), 1_200 + number % 400)).collect();
    stalls.sort_unstable();
    assert!(stalls[494] <= 300, "99 of 100 within {} ms", stalls[494]);
}

#[test]
fn loss_makes_nobody_leave_a_living_path_in_haste() {
    for (loss_percent, most) in [(0, 0), (1, 2), (3, 12), (10, 60), (30, 120)] {
        let mut left = 0;
        for number in 0..4 {
            let used = Way { loss_percent, ..CLEAN };
            let mut world = two_ways(number, (direct(1), used), (PathKey::Relay(0), CLEAN));
            world.run(900_000, 0);
            left += world.forced;
        }
        assert!(left <= most, "{loss_percent} % loss: left {left} times in an hour");
    }
}

/// What is slow for everybody, such as a full line, is no reason to go elsewhere.
#[test]
fn a_stall_of_all_paths_at_once_moves_nobody() {
    let mut world = two_ways(1, (direct(1), CLEAN), (PathKey::Relay(0), CLEAN));
    let mut now = world.run(10_000, 0);
    for _ in 0..50 {
        for (key, up) in [(direct(1), false), (PathKey::Relay(0), false)] {
            world.set(key, up, now);
        }
        now = world.run(now + 600, now);
        for key in [direct(1), PathKey::Relay(0)] {
            world.set(key, true, now);
        }
        now = world.run(now + 5_000, now);
    }
    assert_eq!((world.forced, world.paths.active()), (0, direct(1)));
}

/// On another network, where only the relay answers, nobody waits until the silence is long.
#[test]
fn after_a_change_of_network_the_first_way_that_answers_is_taken() {
    for (round_trips, most) in [((10, 12), 200), ((2, 30), 200), ((80, 40), 350)] {
        let mut stalls: Vec<u64> = (0..500).map(|number| moved(number, round_trips, false)).collect();
        stalls.sort_unstable();
        assert!(stalls[494] <= most, "{round_trips:?} ms: 99 of 100 within {} ms", stalls[494]);
    }
}

#[test]
fn a_way_that_outlives_a_change_of_network_stays_in_use() {
    for number in 0..200 {
        assert_eq!(moved(number, (10, 40), true), 0, "schedule {number}");
    }
}

/// How long until the session left the way it used, after this computer moved; 0 if it stayed.
fn moved(number: u64, round_trips: (u64, u64), outlives: bool) -> u64 {
    let (used, ready) = (direct(1), PathKey::Relay(0));
    let way = |round_trip| Way { round_trip, ..CLEAN };
    let mut world = two_ways(number, (used, way(round_trips.0)), (ready, way(round_trips.1)));
    let mut now = world.run(10_000 + number % 250, 0);
    assert_eq!(world.paths.active(), used, "schedule {number}");
    world.set(used, outlives, now);
    world.paths.moved(Duration::from_millis(now));
    let began = now;
    while world.paths.active() == used && now < began + 2_000 {
        now = world.run(now + 1, now);
    }
    if world.paths.active() == used { 0 } else { now - began }
}
