//! How to begin: a pure state machine, time passed in.
//!
//! Direct addresses and relays are tried together and at once; nothing waits for anything better, because the path is
//! changed later without anybody noticing ([`crate::path::select`]). The first path over which the agent accepted us
//! wins. Only TCP straight to the agent waits a moment, unless it is all there is: where UDP works it would never win,
//! and a handshake costs the agent something.

use crate::path::{PathKind, PathPreference};
use std::collections::BTreeMap;
use std::time::Duration;

/// When to stop trying and explain.
pub const GIVE_UP: Duration = Duration::from_secs(10);
/// UDP and relays have so long before TCP is tried straight.
pub const HEAD_START: Duration = Duration::from_millis(250);
/// Most direct addresses tried.
pub const MAX_DIRECT: usize = 4;
/// Most relays tried.
pub const MAX_RELAYS: usize = 2;

/// One way to the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Candidate {
    /// The n-th direct address.
    Direct(usize),
    /// The n-th direct address over TCP.
    DirectTcp(usize),
    /// The n-th relay over UDP.
    Relay(usize),
    /// The n-th relay over TCP.
    RelayTcp(usize),
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// This relay carries us.
    Bound(Candidate),
    /// The agent accepted us over this path.
    Up(Candidate),
    /// This path will not work.
    Failed(Candidate),
    /// Time passed.
    Tick,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Shake hands over this path.
    Connect(Candidate),
    /// Use this path, drop the others.
    Win(Candidate),
    /// No path is left, or time is up.
    GiveUp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Binding,
    Connecting,
    Failed,
}

/// The race.
#[derive(Debug)]
pub struct Race {
    ways: BTreeMap<Candidate, State>,
    over: bool,
}

impl Race {
    /// Starts with this many direct addresses and relays to choose from.
    pub fn start(direct: usize, relays: usize, prefer: PathPreference) -> (Self, Vec<Action>) {
        let mut ways = BTreeMap::new();
        let mut actions = Vec::new();
        for n in 0..direct.min(MAX_DIRECT) {
            if prefer.allows(PathKind::Direct) {
                ways.insert(Candidate::Direct(n), State::Connecting);
                actions.push(Action::Connect(Candidate::Direct(n)));
            }
            if prefer.allows(PathKind::DirectTcp) {
                ways.insert(Candidate::DirectTcp(n), State::Waiting);
            }
        }
        for n in 0..relays.min(MAX_RELAYS) {
            if prefer.allows(PathKind::Relay) {
                ways.insert(Candidate::Relay(n), State::Binding);
            }
            if prefer.allows(PathKind::RelayTcp) {
                ways.insert(Candidate::RelayTcp(n), State::Binding);
            }
        }
        let over = ways.is_empty();
        if over {
            actions.push(Action::GiveUp);
        }
        let mut race = Self { ways, over };
        actions.extend(race.start_waiting(Duration::ZERO));
        (race, actions)
    }

    /// When something is to be done although nothing happened.
    pub fn due(&self) -> Duration {
        if self.ways.values().any(|state| *state == State::Waiting) { HEAD_START } else { GIVE_UP }
    }

    /// What waited for the others goes when they had their time, or have all failed.
    fn start_waiting(&mut self, elapsed: Duration) -> Vec<Action> {
        let hopeful = |state: &State| matches!(state, State::Binding | State::Connecting);
        if elapsed < HEAD_START && self.ways.values().any(hopeful) {
            return Vec::new();
        }
        let waiting = self.ways.iter_mut().filter(|(_, state)| **state == State::Waiting);
        waiting
            .map(|(candidate, state)| {
                *state = State::Connecting;
                Action::Connect(*candidate)
            })
            .collect()
    }

    /// Takes in an event at `elapsed` since the start.
    pub fn handle(&mut self, event: Event, elapsed: Duration) -> Vec<Action> {
        if self.over {
            return Vec::new();
        }
        let mut actions = Vec::new();
        match event {
            Event::Up(candidate) => {
                self.over = true;
                return vec![Action::Win(candidate)];
            }
            Event::Bound(candidate) => {
                if let Some(state @ State::Binding) = self.ways.get_mut(&candidate) {
                    *state = State::Connecting;
                    actions.push(Action::Connect(candidate));
                }
            }
            Event::Failed(candidate) => {
                if let Some(state) = self.ways.get_mut(&candidate) {
                    *state = State::Failed;
                }
            }
            Event::Tick => {}
        }
        actions.extend(self.start_waiting(elapsed));
        if elapsed >= GIVE_UP || self.ways.values().all(|state| *state == State::Failed) {
            self.over = true;
            return vec![Action::GiveUp];
        }
        actions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EARLY: Duration = Duration::from_millis(5);

    #[test]
    fn direct_and_relays_are_tried_at_once_and_the_first_answer_wins() {
        let (mut race, actions) = Race::start(1, 1, PathPreference::Auto);
        assert_eq!(actions, [Action::Connect(Candidate::Direct(0))]);
        let bound = Event::Bound(Candidate::Relay(0));
        assert_eq!(race.handle(bound, EARLY), [Action::Connect(Candidate::Relay(0))]);
        let up = Event::Up(Candidate::Direct(0));
        assert_eq!(race.handle(up, EARLY), [Action::Win(Candidate::Direct(0))]);
        assert_eq!(race.handle(Event::Tick, GIVE_UP), []);
    }

    #[test]
    fn tcp_straight_to_the_agent_waits_for_the_others_and_not_for_nothing() {
        let tcp = [Action::Connect(Candidate::DirectTcp(0))];
        let (mut race, _) = Race::start(1, 1, PathPreference::Auto);
        assert_eq!((race.handle(Event::Tick, EARLY), race.due()), (Vec::new(), HEAD_START));
        assert_eq!(race.handle(Event::Tick, HEAD_START), tcp);
        assert_eq!((race.handle(Event::Tick, HEAD_START), race.due()), (Vec::new(), GIVE_UP));
        let (mut race, _) = Race::start(1, 0, PathPreference::Direct);
        assert_eq!(race.handle(Event::Failed(Candidate::Direct(0)), EARLY), tcp);
        assert_eq!(Race::start(1, 1, PathPreference::DirectTcp).1, tcp);
    }

    #[test]
    fn a_preference_leaves_the_other_kinds_alone() {
        assert_eq!(Race::start(1, 1, PathPreference::Relay).1, []);
        let (mut race, actions) = Race::start(1, 1, PathPreference::RelayTcp);
        assert_eq!(actions, []);
        assert_eq!(race.handle(Event::Bound(Candidate::Relay(0)), EARLY), []);
        let direct = Race::start(1, 1, PathPreference::Direct).1;
        assert_eq!(direct, [Action::Connect(Candidate::Direct(0))]);
        assert_eq!(Race::start(0, 1, PathPreference::Direct).1, [Action::GiveUp]);
    }

    proptest! {
        #[test]
        fn every_race_ends_and_only_once(
            direct in 0usize..6, relays in 0usize..4,
            events in proptest::collection::vec((0u8..6, 0usize..6, 0u64..3000), 0..60)
        ) {
            let (mut race, actions) = Race::start(direct, relays, PathPreference::Auto);
            let mut ends = actions.iter().filter(|a| **a == Action::GiveUp).count();
            let mut now = Duration::ZERO;
            let mut connected = Vec::new();
            for (kind, n, wait) in events {
                now += Duration::from_millis(wait);
                let event = match kind {
                    0 => Event::Bound(Candidate::Relay(n)),
                    1 => Event::Failed(Candidate::Direct(n)),
                    2 => Event::Failed(Candidate::Relay(n)),
                    3 => Event::Failed(Candidate::RelayTcp(n)),
                    4 => Event::Failed(Candidate::DirectTcp(n)),
                    _ => Event::Tick,
                };
                for action in race.handle(event, now) {
                    match action {
                        Action::GiveUp | Action::Win(_) => ends += 1,
                        Action::Connect(candidate) => {
                            prop_assert!(!connected.contains(&candidate));
                            connected.push(candidate);
                        }
                    }
                }
            }
            ends += race.handle(Event::Tick, GIVE_UP.max(now)).iter().filter(|a| **a == Action::GiveUp).count();
            prop_assert_eq!(ends, 1);
        }
    }
}
