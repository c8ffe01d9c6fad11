//! Which path to take when connecting: a pure state machine, time passed in.
//!
//! Direct addresses and relay bindings start together; a bound relay waits [`HEAD_START`] for a direct answer,
//! then joins the race; the first path over which the agent accepted us wins. Later this machine also decides
//! when to move a living session.

use crate::path::PathPreference;
use std::time::Duration;

/// How long a relay waits for a direct answer once it is bound. Direct needs fewer hops and wins by itself.
pub const HEAD_START: Duration = Duration::from_millis(250);
/// When to stop trying and explain.
pub const GIVE_UP: Duration = Duration::from_secs(10);
/// Most direct addresses tried.
pub const MAX_DIRECT: usize = 4;
/// Most relays tried.
pub const MAX_RELAYS: usize = 2;

/// One way to the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candidate {
    /// The n-th direct address.
    Direct(usize),
    /// The n-th relay.
    Relay(usize),
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The n-th relay is bound.
    RelayBound(usize),
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
    /// Bind with the n-th relay.
    Bind(usize),
    /// Shake hands over this path.
    Connect(Candidate),
    /// Use this path, drop the others.
    Win(Candidate),
    /// No path is left, or time is up.
    GiveUp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Binding,
    Bound,
    Connecting,
    Failed,
}

/// The race.
#[derive(Debug)]
pub struct Race {
    direct: Vec<State>,
    relays: Vec<State>,
    over: bool,
}

impl Race {
    /// Starts with this many direct addresses and relays to choose from.
    pub fn start(direct: usize, relays: usize, prefer: PathPreference) -> (Self, Vec<Action>) {
        let direct = if prefer == PathPreference::Relay { 0 } else { direct.min(MAX_DIRECT) };
        let relays = if prefer == PathPreference::Direct { 0 } else { relays.min(MAX_RELAYS) };
        let mut race = Self {
            direct: vec![State::Connecting; direct],
            relays: vec![State::Binding; relays],
            over: false,
        };
        let mut actions: Vec<Action> = (0..direct).map(|n| Action::Connect(Candidate::Direct(n))).collect();
        actions.extend((0..relays).map(Action::Bind));
        if actions.is_empty() {
            race.over = true;
            actions.push(Action::GiveUp);
        }
        (race, actions)
    }

    /// Takes in an event at `elapsed` since the start.
    pub fn handle(&mut self, event: Event, elapsed: Duration) -> Vec<Action> {
        if self.over {
            return Vec::new();
        }
        match event {
            Event::Up(candidate) => {
                self.over = true;
                return vec![Action::Win(candidate)];
            }
            Event::RelayBound(n) => {
                if let Some(state @ State::Binding) = self.relays.get_mut(n) {
                    *state = State::Bound;
                }
            }
            Event::Failed(candidate) => {
                let state = match candidate {
                    Candidate::Direct(n) => self.direct.get_mut(n),
                    Candidate::Relay(n) => self.relays.get_mut(n),
                };
                if let Some(state) = state {
                    *state = State::Failed;
                }
            }
            Event::Tick => {}
        }
        let nothing_left = self.direct.iter().chain(&self.relays).all(|state| *state == State::Failed);
        if nothing_left || elapsed >= GIVE_UP {
            self.over = true;
            return vec![Action::GiveUp];
        }
        self.let_relays_go(elapsed)
    }

    /// When the next [`Event::Tick`] is due, since the start.
    pub fn next_tick(&self, elapsed: Duration) -> Duration {
        let waiting = self.relays.contains(&State::Bound);
        if waiting && elapsed < HEAD_START { HEAD_START } else { GIVE_UP }
    }

    fn let_relays_go(&mut self, elapsed: Duration) -> Vec<Action> {
        let direct_alive = self.direct.contains(&State::Connecting);
        if direct_alive && elapsed < HEAD_START {
            return Vec::new();
        }
        let mut actions = Vec::new();
        for (n, state) in self.relays.iter_mut().enumerate() {
            if *state == State::Bound {
                *state = State::Connecting;
                actions.push(Action::Connect(Candidate::Relay(n)));
            }
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
    fn a_direct_answer_wins_before_the_relay_is_tried() {
        let (mut race, actions) = Race::start(1, 1, PathPreference::Auto);
        assert_eq!(actions, [Action::Connect(Candidate::Direct(0)), Action::Bind(0)]);
        assert_eq!(race.handle(Event::RelayBound(0), EARLY), []);
        let up = Event::Up(Candidate::Direct(0));
        assert_eq!(race.handle(up, EARLY), [Action::Win(Candidate::Direct(0))]);
        assert_eq!(race.handle(Event::Tick, HEAD_START), []);
    }

    #[test]
    fn a_silent_direct_address_costs_the_head_start_only() {
        let (mut race, _) = Race::start(1, 1, PathPreference::Auto);
        race.handle(Event::RelayBound(0), EARLY);
        assert_eq!(race.next_tick(EARLY), HEAD_START);
        assert_eq!(race.handle(Event::Tick, HEAD_START), [Action::Connect(Candidate::Relay(0))]);
        assert_eq!(race.next_tick(HEAD_START), GIVE_UP);
    }

    #[test]
    fn a_failed_direct_address_costs_nothing() {
        let (mut race, _) = Race::start(1, 1, PathPreference::Auto);
        race.handle(Event::RelayBound(0), EARLY);
        let failed = Event::Failed(Candidate::Direct(0));
        assert_eq!(race.handle(failed, EARLY), [Action::Connect(Candidate::Relay(0))]);
    }

    #[test]
    fn a_preference_leaves_the_other_kind_alone() {
        assert_eq!(Race::start(1, 1, PathPreference::Relay).1, [Action::Bind(0)]);
        let direct = Race::start(1, 1, PathPreference::Direct).1;
        assert_eq!(direct, [Action::Connect(Candidate::Direct(0))]);
        assert_eq!(Race::start(0, 1, PathPreference::Direct).1, [Action::GiveUp]);
    }

    proptest! {
        #[test]
        fn every_race_ends_and_only_once(
            direct in 0usize..6, relays in 0usize..4,
            events in proptest::collection::vec((0u8..4, 0usize..6, 0u64..3000), 0..60)
        ) {
            let (mut race, actions) = Race::start(direct, relays, PathPreference::Auto);
            let mut ends = actions.iter().filter(|a| **a == Action::GiveUp).count();
            let mut now = Duration::ZERO;
            let mut connected = Vec::new();
            for (kind, n, wait) in events {
                now += Duration::from_millis(wait);
                let event = match kind {
                    0 => Event::RelayBound(n),
                    1 => Event::Failed(Candidate::Direct(n)),
                    2 => Event::Failed(Candidate::Relay(n)),
                    _ => Event::Tick,
                };
                for action in race.handle(event, now) {
                    match action {
                        Action::GiveUp | Action::Win(_) => ends += 1,
                        Action::Connect(candidate) => {
                            prop_assert!(!connected.contains(&candidate));
                            connected.push(candidate);
                        }
                        Action::Bind(_) => prop_assert!(false, "binds only at the start"),
                    }
                }
            }
            ends += race.handle(Event::Tick, GIVE_UP.max(now)).iter().filter(|a| **a == Action::GiveUp).count();
            prop_assert_eq!(ends, 1);
        }
    }
}
