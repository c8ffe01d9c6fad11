//! TCP straight to the agent as the session sees it: opened when it helps, ready when UDP dies, never in the way.

use crate::simulated::{Manner, Way, World, direct, direct_tcp, ms};
use daam_tunnel::path::doors::TcpFault;
use daam_tunnel::path::report::Condition;
use daam_tunnel::path::select::Paths;
use daam_tunnel::{PathKey, PathPreference};
use std::time::Duration;

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

fn door() -> std::net::SocketAddr {
    let PathKey::DirectTcp(addr) = direct_tcp(1) else { panic!("a key of another kind") };
    addr
}

/// These ways and TCP to the agent, which takes `tcp` there and back; begun on the first.
fn with(ways: &[(PathKey, Way)], tcp: Option<u64>) -> World {
    let mut world = World::new(1);
    world.ways.values_mut().for_each(|way| *way = Way { offered: false, up: false, ..CLEAN });
    world.be_quiet();
    let active = ways[0].0;
    world.paths = Paths::new(PathPreference::Auto, active, Duration::ZERO);
    for (key, way) in ways {
        world.ways.insert(*key, *way);
        world.paths.offer(*key, Duration::ZERO);
    }
    let Some(round_trip) = tcp else { return world };
    let way = Way { round_trip, offered: false, proven: false, ..CLEAN };
    world.ways.insert(direct_tcp(1), way);
    let addr = door();
    world.paths.door(addr);
    world
}

#[test]
fn where_udp_works_and_a_relay_is_there_no_tcp_connection_is_made() {
    let mut world = with(&[(direct(1), CLEAN), (PathKey::Relay(0), CLEAN)], Some(10));
    world.run(600_000, 0);
    assert!(!world.ways[&direct_tcp(1)].offered);
    assert_eq!(world.paths.active(), direct(1));
}

#[test]
fn without_a_relay_tcp_stands_by_and_a_session_moves_there_within_300_ms() {
    let mut world = with(&[(direct(1), CLEAN)], Some(10));
    let mut now = world.run(10_000, 0);
    assert!(world.ways[&direct_tcp(1)].offered, "no standby");
    assert_eq!(world.paths.active(), direct(1));
    world.set(direct(1), false, now);
    let died = now;
    while world.paths.active() == direct(1) {
        now = world.run(now + 1, now);
        assert!(now < died + 2_000, "still there");
    }
    assert!(now - died <= 300, "{} ms", now - died);
    // And back, once UDP passes again and has shown that it stays.
    world.set(direct(1), true, now);
    world.run(now + 60_000, now);
    assert_eq!(world.paths.active(), direct(1));
}

#[test]
fn of_tcp_straight_and_a_relay_the_faster_is_taken_and_stays() {
    for (tcp, relay, expected) in [
        (10, 12, direct_tcp(1)),
        (20, 12, direct_tcp(1)),
        (60, 12, PathKey::Relay(0)),
        (12, 200, direct_tcp(1)),
    ] {
        let relayed = Way { round_trip: relay, ..CLEAN };
        let mut world = with(&[(PathKey::Relay(0), relayed)], Some(tcp));
        let now = world.run(20_000, 0);
        assert_eq!(world.paths.active(), expected, "TCP {tcp} ms, relay {relay} ms");
        let moved = world.forced;
        world.run(now + 600_000, now);
        assert_eq!((world.paths.active(), world.forced), (expected, moved));
    }
}

/// Where only TCP to the relay passes, TCP to the agent saves half of the way.
#[test]
fn tcp_straight_is_better_than_a_relay_over_tcp() {
    let mut world = with(&[(PathKey::RelayTcp(0), CLEAN)], Some(15));
    world.run(20_000, 0);
    assert_eq!(world.paths.active(), direct_tcp(1));
}

#[test]
fn a_silent_tcp_connection_is_made_anew_and_the_session_goes_on_over_it() {
    let mut world = with(&[(direct_tcp(1), CLEAN)], None);
    let addr = door();
    world.paths.opened(addr, Duration::ZERO);
    let now = world.run(30_000, 0);
    world.set(direct_tcp(1), false, now);
    let now = world.run(now + 4_000, now);
    assert!(!world.ways[&direct_tcp(1)].offered, "not given up");
    world.set(direct_tcp(1), true, now);
    let now = world.run(now + 20_000, now);
    assert!(world.ways[&direct_tcp(1)].offered, "not made anew");
    assert_eq!(world.paths.report(ms(now))[0].condition, Condition::InUse);
}

#[test]
fn the_reason_why_there_is_no_tcp_connection_is_told() {
    let mut world = with(&[(PathKey::Relay(0), CLEAN)], Some(10));
    world.set(direct_tcp(1), false, 0);
    let now = world.run(8_000, 0);
    let notes = world.paths.report(ms(now));
    let told = notes.iter().find(|note| note.key == direct_tcp(1)).map(|note| note.condition);
    assert_eq!(told, Some(Condition::NoTcp(TcpFault::Ended)), "{notes:?}");
    assert_eq!(notes[0].key, direct_tcp(1), "better ways come first");
}
