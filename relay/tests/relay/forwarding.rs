//! Decisions under virtual time: who is bound, what is forwarded, what is forgotten.

use crate::through_relay::RELAY;
use daam_identity::ticket::{
    HeldTicket, TicketGrant, TicketRole, TicketSigner, TicketVerifier, TrafficClass,
};
use daam_relay::forward::{Action, Forwarder, Now, Peer};
use daam_relay::limits::Limits;
use daam_tunnel::wire::{
    Answer, Bind, BindRefusal, FromRelay, Proof, alive, challenge_bytes, data_header, keep_alive,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

const START: i64 = 1_790_000_000;
const AGENT_AT: &str = "192.0.2.1:6432";
const CLIENT_AT: &str = "198.51.100.7:50000";

struct World {
    signer: TicketSigner,
    relay: Forwarder,
    seconds: u64,
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn grant(role: TicketRole) -> TicketGrant {
    TicketGrant { expires: START + 300, ..crate::through_relay::grant(role, 0) }
}

impl World {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let signer = TicketSigner::generate().unwrap();
        let verifier = TicketVerifier::from_base64(&signer.public_base64(), RELAY).unwrap();
        Self { signer, relay: Forwarder::new("acme", verifier, [9; 32], limits), seconds: 0 }
    }

    fn now(&self) -> Now {
        Now {
            monotonic: Duration::from_secs(self.seconds),
            unix: START + i64::try_from(self.seconds).unwrap(),
        }
    }

    fn wait(&mut self, seconds: u64) {
        self.seconds += seconds;
        let now = self.now();
        self.relay.expire(now);
    }

    fn ticket(&self, org: &str, role: TicketRole, agent_id: &str) -> HeldTicket {
        self.granted(&TicketGrant { org: org.into(), agent_id: agent_id.into(), ..grant(role) })
    }

    fn granted(&self, grant: &TicketGrant) -> HeldTicket {
        HeldTicket::parse(&self.signer.issue(grant).unwrap()).unwrap()
    }

    fn send(&mut self, packet: &[u8], from: SocketAddr) -> Action {
        let now = self.now();
        self.relay.handle(packet, from, now)
    }

    fn answer(&mut self, packet: &[u8], from: SocketAddr) -> Answer {
        match self.send(packet, from) {
            Action::Reply(bytes) => match FromRelay::read(&bytes) {
                Some(FromRelay::Answer(answer)) => answer,
                other => panic!("an answer expected: {other:?}"),
            },
            other => panic!("a reply expected: {other:?}"),
        }
    }

    fn bind_as(&mut self, ticket: &HeldTicket, from: &str, instance: u64) -> Answer {
        let from = at(from);
        let mut bind = Bind { instance, wanted: 0, ticket: ticket.presented().into(), proof: None };
        let Answer::Challenge { cookie, .. } = self.answer(&bind.encode(), from) else {
            panic!("a challenge expected");
        };
        let signature = ticket.prove(&challenge_bytes(&cookie, instance));
        bind.proof = Some(Proof { cookie, signature });
        self.answer(&bind.encode(), from)
    }

    fn bound(&mut self, ticket: &HeldTicket, from: &str, instance: u64) -> u32 {
        match self.bind_as(ticket, from, instance) {
            Answer::Bound { session, observed, .. } => {
                assert_eq!(observed, at(from));
                session
            }
            other => panic!("bound expected: {other:?}"),
        }
    }

    fn agent(&mut self) -> u32 {
        let ticket = self.ticket("acme", TicketRole::Agent, "shop-1");
        self.bound(&ticket, AGENT_AT, 1)
    }

    fn client(&mut self) -> u32 {
        let ticket = self.ticket("acme", TicketRole::Client, "shop-1");
        self.bound(&ticket, CLIENT_AT, 2)
    }
}

fn refused(answer: Answer) -> BindRefusal {
    match answer {
        Answer::Refused { why, .. } => why,
        other => panic!("a refusal expected: {other:?}"),
    }
}

fn data(session: u32) -> Vec<u8> {
    [&data_header(session)[..], &[0xc0; 1200]].concat()
}

#[test]
fn packets_go_to_the_other_end_and_nowhere_else() {
    let mut world = World::new();
    world.agent();
    let session = world.client();
    assert_eq!(world.send(&data(session), at(CLIENT_AT)), Action::Forward(at(AGENT_AT).into()));
    assert_eq!(world.send(&data(session), at(AGENT_AT)), Action::Forward(at(CLIENT_AT).into()));
    let stranger = world.answer(&data(session), at("203.0.113.9:1"));
    assert_eq!(stranger, Answer::Unknown { session });
}

#[test]
fn bad_tickets_are_refused_and_leave_nothing_behind() {
    let mut world = World::new();
    let foreign = World::new().ticket("acme", TicketRole::Agent, "shop-1");
    assert_eq!(refused(world.bind_as(&foreign, AGENT_AT, 1)), BindRefusal::Ticket);
    let tenant = world.ticket("rival", TicketRole::Agent, "shop-1");
    assert_eq!(refused(world.bind_as(&tenant, AGENT_AT, 1)), BindRefusal::Ticket);
    let old = world.ticket("acme", TicketRole::Agent, "shop-1");
    world.wait(301);
    assert_eq!(refused(world.bind_as(&old, AGENT_AT, 1)), BindRefusal::Expired);
    assert_eq!(world.relay.size(), (0, 0));
}

#[test]
fn a_ticket_read_off_the_wire_is_worthless() {
    let mut world = World::new();
    world.agent();
    let stolen = world.ticket("acme", TicketRole::Client, "shop-1");
    let thief = world.ticket("acme", TicketRole::Client, "shop-1");
    let mut bind = Bind { instance: 5, wanted: 0, ticket: stolen.presented().into(), proof: None };
    let Answer::Challenge { cookie, .. } = world.answer(&bind.encode(), at(CLIENT_AT)) else {
        panic!("a challenge expected");
    };
    let signature = thief.prove(&challenge_bytes(&cookie, 5));
    bind.proof = Some(Proof { cookie, signature });
    assert_eq!(refused(world.answer(&bind.encode(), at(CLIENT_AT))), BindRefusal::Proof);
}

#[test]
fn a_cookie_is_worthless_elsewhere_and_later() {
    let mut world = World::new();
    let ticket = world.ticket("acme", TicketRole::Agent, "shop-1");
    let mut bind = Bind { instance: 5, wanted: 0, ticket: ticket.presented().into(), proof: None };
    let Answer::Challenge { cookie, .. } = world.answer(&bind.encode(), at(AGENT_AT)) else {
        panic!("a challenge expected");
    };
    bind.proof = Some(Proof { cookie, signature: ticket.prove(&challenge_bytes(&cookie, 5)) });
    assert_eq!(world.send(&bind.encode(), at("203.0.113.9:1")), Action::Drop);
    world.wait(180);
    assert_eq!(world.send(&bind.encode(), at(AGENT_AT)), Action::Drop);
    assert_eq!(world.relay.size(), (0, 0));
}

#[test]
fn a_client_reaches_only_the_agent_of_its_ticket() {
    let mut world = World::new();
    world.agent();
    let other = world.ticket("acme", TicketRole::Client, "payroll-1");
    assert_eq!(refused(world.bind_as(&other, CLIENT_AT, 2)), BindRefusal::NoAgent);
}

#[test]
fn silence_and_expiry_end_bindings() {
    let mut world = World::new();
    let agent = world.agent();
    let session = world.client();
    for _ in 0..9 {
        world.wait(30);
        for (number, from) in [(agent, AGENT_AT), (session, CLIENT_AT)] {
            assert_eq!(world.send(&keep_alive(number), at(from)), Action::Reply(alive(number).to_vec()));
        }
    }
    assert_eq!(world.relay.size(), (1, 1));
    // The agent's ticket runs out at 300 s even though it is heard all the time.
    world.wait(31);
    let gone = world.answer(&keep_alive(agent), at(AGENT_AT));
    assert_eq!(gone, Answer::Unknown { session: agent });
    assert_eq!(world.relay.size(), (0, 0));
}

#[test]
fn a_session_outlives_its_ticket_while_the_agent_renews_its_own() {
    let mut world = World::new();
    world.agent();
    let session = world.client();
    let renewed = world.granted(&TicketGrant { expires: START + 86_400, ..grant(TicketRole::Agent) });
    world.bound(&renewed, AGENT_AT, 1);
    for _ in 0..20 {
        world.wait(30);
        assert_eq!(world.send(&data(session), at(CLIENT_AT)), Action::Forward(at(AGENT_AT).into()));
        assert_eq!(world.send(&data(session), at(AGENT_AT)), Action::Forward(at(CLIENT_AT).into()));
    }
}

#[test]
fn a_peer_that_moved_keeps_its_session() {
    let mut world = World::new();
    world.agent();
    let ticket = world.ticket("acme", TicketRole::Client, "shop-1");
    let session = world.bound(&ticket, CLIENT_AT, 2);
    let moved = "203.0.113.77:4000";
    assert_eq!(world.bound(&ticket, moved, 2), session);
    assert_eq!(world.send(&data(session), at(AGENT_AT)), Action::Forward(at(moved).into()));
    assert_ne!(world.bound(&ticket, CLIENT_AT, 3), session);
    let agents = world.ticket("acme", TicketRole::Agent, "shop-1");
    world.bound(&agents, "192.0.2.99:1", 9);
    assert_eq!(world.send(&data(session), at(moved)), Action::Forward(at("192.0.2.99:1").into()));
}

/// Somebody on the way records what a laptop said before it changed networks, and sends it again, from its old address.
#[test]
fn a_bind_recorded_before_a_peer_moved_moves_it_back_no_more() {
    for role in [TicketRole::Client, TicketRole::Agent] {
        let mut world = World::new();
        world.agent();
        let session = world.client();
        let ticket = world.ticket("acme", role, "shop-1");
        let (old, new) = ("203.0.113.5:5000", "203.0.113.9:7777");
        world.wait(1);
        let mut bind = Bind { instance: 77, wanted: 0, ticket: ticket.presented().into(), proof: None };
        let Answer::Challenge { cookie, .. } = world.answer(&bind.encode(), at(old)) else { panic!() };
        bind.proof = Some(Proof { cookie, signature: ticket.prove(&challenge_bytes(&cookie, 77)) });
        let recorded = bind.encode();
        let Answer::Bound { session: number, .. } = world.answer(&recorded, at(old)) else { panic!() };
        // Again at once changes nothing: an answer may have got lost.
        assert!(matches!(world.answer(&recorded, at(old)), Answer::Bound { .. }));
        world.wait(1);
        assert_eq!(world.bound(&ticket, new, 77), number);
        world.wait(30);
        assert_eq!(world.send(&recorded, at(old)), Action::Drop, "{role:?}");
        let (packet, from) = match role {
            TicketRole::Client => (data(number), AGENT_AT),
            TicketRole::Agent => (data(session), CLIENT_AT),
        };
        assert_eq!(world.send(&packet, at(from)), Action::Forward(at(new).into()), "{role:?}");
        // Whoever really is there again is believed.
        world.wait(1);
        assert_eq!(world.bound(&ticket, old, 77), number);
    }
}

#[test]
fn rates_and_numbers_are_bounded() {
    let limits = Limits {
        sessions_per_ticket: 2,
        binds_per_second: 4,
        ticket_bytes_per_second: 3000,
        answers_per_second: 50,
        challenges_per_second: 7,
        ..Limits::default()
    };
    let mut world = World::with(limits);
    world.agent();
    let ticket = world.ticket("acme", TicketRole::Client, "shop-1");
    let session = world.bound(&ticket, CLIENT_AT, 1);
    world.bound(&ticket, CLIENT_AT, 2);
    assert_eq!(refused(world.bind_as(&ticket, CLIENT_AT, 3)), BindRefusal::Busy);
    world.bound(&ticket, CLIENT_AT, 2);
    // The network's rate is used up now, even for a binding that exists.
    assert_eq!(refused(world.bind_as(&ticket, CLIENT_AT, 2)), BindRefusal::Busy);
    assert_eq!(world.send(&data(session), at(CLIENT_AT)), Action::Forward(at(AGENT_AT).into()));
    assert_eq!(world.send(&data(session), at(CLIENT_AT)), Action::Forward(at(AGENT_AT).into()));
    assert_eq!(world.send(&data(session), at(CLIENT_AT)), Action::Drop);
    let stranger = at("203.0.113.9:1");
    let answered = (0..100).filter(|_| world.send(&data(1), stranger) != Action::Drop).count();
    assert_eq!(answered, 50, "answers to a stranger");
    // His flood keeps nobody else from binding.
    let other = world.ticket("acme", TicketRole::Client, "shop-1");
    world.bound(&other, "198.51.101.7:50000", 1);
    let ask = Bind { instance: 9, wanted: 0, ticket: String::new(), proof: None }.encode();
    let challenged = (0..100).filter(|_| world.send(&ask, stranger) != Action::Drop).count();
    assert_eq!(challenged, 0, "the challenges of this second are used up");
    world.wait(1);
    assert_eq!(world.send(&data(session), at(CLIENT_AT)), Action::Forward(at(AGENT_AT).into()));
}

#[test]
fn one_network_cannot_take_all_sessions_of_an_agent() {
    let mut world = World::with(Limits { sessions_per_network: 2, ..Limits::default() });
    world.agent();
    for port in 1..3 {
        let ticket = world.ticket("acme", TicketRole::Client, "shop-1");
        world.bound(&ticket, &format!("198.51.100.{port}:{port}"), 1);
    }
    let greedy = world.ticket("acme", TicketRole::Client, "shop-1");
    assert_eq!(refused(world.bind_as(&greedy, "198.51.100.3:3", 1)), BindRefusal::Busy);
    world.bound(&greedy, "198.51.101.3:3", 1);
}

#[test]
fn arbitrary_packets_never_panic_never_forward_and_never_earn_a_larger_answer() {
    // One world for all cases: signatures are slow in a debug build, and nothing here may change it.
    let mut made = World::new();
    made.agent();
    made.client();
    let world = RefCell::new(made);
    let packets = (0u8..8, proptest::collection::vec(any::<u8>(), 0..300));
    let checked = TestRunner::default().run(&packets, |(kind, mut packet)| {
        if let [first, second, ..] = packet.as_mut_slice() {
            *first = kind;
            *second = 1;
        }
        let mut world = world.borrow_mut();
        match world.send(&packet, at("203.0.113.9:1")) {
            Action::Drop => {}
            Action::Reply(bytes) => prop_assert!(bytes.len() <= packet.len()),
            Action::Forward(to) => prop_assert!(false, "forwarded to {to:?}"),
        }
        prop_assert_eq!(world.relay.size(), (1, 1));
        Ok(())
    });
    assert_eq!(checked, Ok(()));
}

#[test]
fn a_relay_that_leaves_says_so_to_everyone_serves_on_and_takes_nobody_new() {
    let mut world = World::new();
    let (agent, session) = (world.agent(), world.client());
    world.relay.leave();
    let mut told = world.relay.farewells();
    told.sort();
    let farewell = |number| Answer::Leaving { session: number }.encode();
    assert_eq!(told, [(at(AGENT_AT).into(), farewell(agent)), (at(CLIENT_AT).into(), farewell(session))]);
    assert_eq!(world.send(&data(session), at(CLIENT_AT)), Action::Forward(at(AGENT_AT).into()));
    let another = world.ticket("acme", TicketRole::Client, "shop-1");
    assert_eq!(refused(world.bind_as(&another, "198.51.100.8:1", 3)), BindRefusal::Leaving);
}

#[test]
fn a_session_over_tcp_belongs_to_its_connection() {
    let mut world = World::new();
    let agent = world.ticket("acme", TicketRole::Agent, "shop-1");
    world.bound(&agent, AGENT_AT, 1);
    let session = world.client();
    let now = world.now();
    // The same address over TCP is somebody else.
    let peer = Peer::Tcp { connection: 1, addr: at(CLIENT_AT) };
    assert!(!matches!(world.relay.handle(&data(session), peer, now), Action::Forward(_)));
}

#[test]
fn another_relays_ticket_is_refused_so_that_no_relay_can_stand_in_for_its_visitors_elsewhere() {
    let mut world = World::new();
    for role in [TicketRole::Agent, TicketRole::Client] {
        let elsewhere = world.granted(&TicketGrant { relay: "relay-2.test:443".into(), ..grant(role) });
        assert_eq!(refused(world.bind_as(&elsewhere, AGENT_AT, 1)), BindRefusal::Ticket);
    }
    assert_eq!(world.relay.size(), (0, 0));
}

/// One ticket is one purse, however many sessions it opens; the relay's own bound holds for every ticket.
#[test]
fn a_ticket_carries_as_much_as_it_says_and_no_more_than_the_relay_allows() {
    let slow = TrafficClass { bytes_per_second: 3000, sessions: 2 };
    let mut world = World::with(Limits { ticket_bytes_per_second: 5000, ..Limits::default() });
    world.agent();
    let modest = world.granted(&TicketGrant { class: slow, ..grant(TicketRole::Client) });
    let sessions = [world.bound(&modest, CLIENT_AT, 1), world.bound(&modest, CLIENT_AT, 2)];
    assert_eq!(refused(world.bind_as(&modest, CLIENT_AT, 3)), BindRefusal::Busy);
    let forwarded = |world: &mut World, session| {
        let packet = data(session);
        (0..10).filter(|_| matches!(world.send(&packet, at(CLIENT_AT)), Action::Forward(_))).count()
    };
    assert_eq!(forwarded(&mut world, sessions[0]) + forwarded(&mut world, sessions[1]), 2);
    let greedy = world.client();
    assert_eq!(forwarded(&mut world, greedy), 4, "1208 bytes each, 5000 allowed by the relay");
    world.wait(1);
    assert_eq!(forwarded(&mut world, sessions[1]), 2);
    // What is left when a session ends and another begins is what was left before.
    world.wait(61);
    world.agent();
    let again = world.bound(&modest, CLIENT_AT, 4);
    assert_eq!(forwarded(&mut world, again), 2);
    let more = world.bound(&modest, CLIENT_AT, 5);
    assert_eq!(forwarded(&mut world, more), 0);
}

#[test]
fn all_developers_of_an_agent_together_stay_within_its_ticket() {
    let mut world = World::new();
    let class = TrafficClass { bytes_per_second: 4000, sessions: 2 };
    let agent = world.granted(&TicketGrant { class, ..grant(TicketRole::Agent) });
    world.bound(&agent, AGENT_AT, 1);
    let sessions = [world.client(), world.client()];
    let third = world.ticket("acme", TicketRole::Client, "shop-1");
    assert_eq!(refused(world.bind_as(&third, CLIENT_AT, 9)), BindRefusal::Busy);
    let mut carried = 0;
    for session in sessions.iter().cycle().take(20) {
        carried += usize::from(world.send(&data(*session), at(CLIENT_AT)) != Action::Drop);
    }
    assert_eq!(carried, 3);
    // Binding anew is no way to a full purse.
    world.bound(&agent, AGENT_AT, 1);
    assert_eq!(world.send(&data(sessions[0]), at(CLIENT_AT)), Action::Drop);
}

/// An IPv6 provider owns 65,536 networks of our counting.
#[test]
fn a_provider_with_very_many_networks_keeps_nobody_else_from_binding() {
    let mut world = World::with(Limits { networks: 100, provider_binds_per_second: 64, ..Limits::default() });
    world.agent();
    let ticket = world.ticket("acme", TicketRole::Client, "shop-1");
    let mut busy = 0;
    for network in 0..400_u16 {
        let from = format!("[2001:db8:{network:x}::1]:5000");
        busy += usize::from(
            refusal(&world.bind_as(&ticket, &from, u64::from(network))) == Some(BindRefusal::Busy),
        );
    }
    assert!(busy >= 300, "{busy}");
    world.client();
}

fn refusal(answer: &Answer) -> Option<BindRefusal> {
    match answer {
        Answer::Refused { why, .. } => Some(*why),
        _ => None,
    }
}

/// Both ends may have come in by different doors.
#[test]
fn every_peer_is_answered_by_the_door_it_came_in_by() {
    let mut world = World::new();
    world.agent();
    let now = world.now();
    let second = Peer::Udp { addr: at(CLIENT_AT), door: 1 };
    let ticket = world.ticket("acme", TicketRole::Client, "shop-1");
    let mut bind = Bind { instance: 1, wanted: 0, ticket: ticket.presented().into(), proof: None };
    let answer = |action| match action {
        Action::Reply(bytes) => FromRelay::read(&bytes),
        other => panic!("{other:?}"),
    };
    let Some(FromRelay::Answer(Answer::Challenge { cookie, .. })) =
        answer(world.relay.handle(&bind.encode(), second, now))
    else {
        panic!("a challenge expected");
    };
    bind.proof = Some(Proof { cookie, signature: ticket.prove(&challenge_bytes(&cookie, 1)) });
    let Some(FromRelay::Answer(Answer::Bound { session, .. })) =
        answer(world.relay.handle(&bind.encode(), second, now))
    else {
        panic!("bound expected");
    };
    assert_eq!(world.send(&data(session), at(AGENT_AT)), Action::Forward(second));
    assert_eq!(world.relay.handle(&data(session), second, now), Action::Forward(at(AGENT_AT).into()));
    assert_ne!(world.send(&data(session), at(CLIENT_AT)), Action::Forward(at(AGENT_AT).into()));
}
