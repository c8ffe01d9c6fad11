//! Being known to a relay: the peer's side of BIND, pure, time passed in.
//!
//! Ask with the ticket, answer the challenge, stay known with keep-alives, and start over when the relay goes
//! quiet or says it does not know us. Answers that do not repeat our instance number are ignored, so nobody off
//! the path can unbind us; a refusal is final only until the next try.

use crate::wire::{Answer, Bind, BindRefusal, FromRelay, Proof, challenge_bytes, keep_alive};
use daam_identity::ticket::HeldTicket;
use std::net::SocketAddr;
use std::time::Duration;

/// Between tries while the relay is silent: quick at first, then patient.
const FIRST_TRIES: u32 = 5;
const QUICK: Duration = Duration::from_millis(100);
const PATIENT: Duration = Duration::from_secs(2);
/// After a refusal.
const REFUSED_WAIT: Duration = Duration::from_secs(1);
/// However often we are told that we are unknown, no more keep-alives than this.
const SOONEST: Duration = Duration::from_millis(250);
/// After so many unanswered keep-alives the binding is made anew.
const MAX_UNANSWERED: u32 = 3;

/// How often a bound peer asks whether the relay still knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between answered keep-alives. NAT mappings live about 30 s; more often, to notice a dead relay.
    pub every: Duration,
    /// Between unanswered ones.
    pub retry: Duration,
    /// Whether a newer ticket is shown at once. Else it is kept for the next time: being bound anew moves a session.
    pub renews_at_once: bool,
}

impl Pace {
    /// Agents wait for clients, and have many.
    pub const AGENT: Self =
        Self { every: Duration::from_secs(5), retry: Duration::from_secs(1), renews_at_once: true };
    /// A client's session stands still while its relay is dead, so it looks more often.
    pub const CLIENT: Self =
        Self { every: Duration::from_secs(2), retry: Duration::from_millis(300), renews_at_once: false };
}

/// What the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this to the relay.
    Send(Vec<u8>),
    /// The relay forwards for us now.
    Bound {
        /// The session or, for agents, the binding's number.
        session: u32,
        /// The address the relay sees us at.
        observed: SocketAddr,
    },
    /// The relay went quiet or forgot us; it is being asked again.
    Lost,
    /// The relay still forwards, and is about to stop.
    Leaving,
    /// The relay refused; it will be asked again later.
    Refused(BindRefusal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Asking { tries: u32 },
    Bound { session: u32, unanswered: u32 },
}

/// One binding with one relay.
#[derive(Debug)]
pub struct Binding {
    ticket: HeldTicket,
    pace: Pace,
    instance: u64,
    wanted: u32,
    state: State,
    due: Duration,
    /// When the last keep-alive went out.
    asked: Duration,
    /// We said that we are bound, and not that it is lost.
    told_bound: bool,
}

impl Binding {
    /// Starts; call [`Binding::tick`] at once. `instance` must be random.
    pub fn new(ticket: HeldTicket, pace: Pace, instance: u64, now: Duration) -> Self {
        let state = State::Asking { tries: 0 };
        Self { ticket, pace, instance, wanted: 0, state, due: now, asked: now, told_bound: false }
    }

    /// A newer ticket, used from the next BIND on, which an agent sends at once.
    pub fn renew(&mut self, ticket: HeldTicket, now: Duration) {
        self.ticket = ticket;
        if self.pace.renews_at_once || !self.is_bound() {
            self.restart(now);
        }
    }

    /// When [`Binding::tick`] is due.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// Whether the relay forwards for us, as far as we know.
    pub fn is_bound(&self) -> bool {
        matches!(self.state, State::Bound { .. })
    }

    /// Time has come.
    pub fn tick(&mut self, now: Duration) -> Vec<Output> {
        if now < self.due {
            return Vec::new();
        }
        match self.state {
            State::Bound { unanswered: MAX_UNANSWERED.., .. } => self.lose(now),
            State::Bound { session, unanswered } => {
                self.state = State::Bound { session, unanswered: unanswered + 1 };
                self.due = now + self.pace.retry;
                self.asked = now;
                vec![Output::Send(keep_alive(session).to_vec())]
            }
            State::Asking { tries } => {
                self.state = State::Asking { tries: tries.saturating_add(1) };
                self.due = now + if tries < FIRST_TRIES { QUICK } else { PATIENT };
                let mut outputs = Vec::new();
                if tries >= FIRST_TRIES && std::mem::take(&mut self.told_bound) {
                    outputs.push(Output::Lost);
                }
                outputs.push(Output::Send(self.bind(None)));
                outputs
            }
        }
    }

    /// The relay said something.
    pub fn handle(&mut self, packet: &[u8], now: Duration) -> Vec<Output> {
        let Some(packet) = FromRelay::read(packet) else { return Vec::new() };
        match (packet, self.state) {
            (FromRelay::Alive { session }, State::Bound { session: ours, .. }) if session == ours => {
                self.state = State::Bound { session, unanswered: 0 };
                self.due = now + self.pace.every;
                Vec::new()
            }
            (FromRelay::Answer(answer), state) => self.answer(answer, state, now),
            (FromRelay::Alive { .. }, _) => Vec::new(),
        }
    }

    fn answer(&mut self, answer: Answer, state: State, now: Duration) -> Vec<Output> {
        match (answer, state) {
            (Answer::Challenge { instance, cookie }, State::Asking { .. }) if instance == self.instance => {
                let signature = self.ticket.prove(&challenge_bytes(&cookie, instance));
                vec![Output::Send(self.bind(Some(Proof { cookie, signature })))]
            }
            (Answer::Bound { instance, session, observed }, State::Asking { .. })
                if instance == self.instance =>
            {
                self.state = State::Bound { session, unanswered: 0 };
                self.wanted = session;
                self.due = now + self.pace.every;
                self.told_bound = true;
                vec![Output::Bound { session, observed }]
            }
            (Answer::Refused { instance, why }, State::Asking { .. }) if instance == self.instance => {
                self.due = now + REFUSED_WAIT;
                self.told_bound = false;
                vec![Output::Refused(why)]
            }
            (Answer::Leaving { session }, State::Bound { session: ours, .. }) if session == ours => {
                vec![Output::Leaving]
            }
            // Anyone can forge this one, so it only makes us ask earlier: keep-alives decide. For an agent it may
            // name a client's session; the relay may then have forgotten the agent, too.
            (Answer::Unknown { session }, State::Bound { session: ours, unanswered }) => {
                if unanswered == 0 {
                    self.due = self.due.min(now.max(self.asked + SOONEST));
                    return Vec::new();
                }
                if session != ours {
                    return Vec::new();
                }
                self.lose(now)
            }
            _ => Vec::new(),
        }
    }

    fn lose(&mut self, now: Duration) -> Vec<Output> {
        self.restart(now);
        self.told_bound = false;
        let mut outputs = vec![Output::Lost];
        outputs.extend(self.tick(now));
        outputs
    }

    /// Time went by unnoticed: whether the relay still knows us is asked at once.
    pub fn look(&mut self, now: Duration) -> Vec<Output> {
        self.due = now;
        self.tick(now)
    }

    /// Our address changed: the relay has to learn the new one, and carries us meanwhile as far as anybody knows.
    pub fn move_on(&mut self, now: Duration) -> Vec<Output> {
        self.restart(now);
        self.tick(now)
    }

    /// Starts over, as on a new connection.
    pub fn restart(&mut self, now: Duration) {
        self.state = State::Asking { tries: 0 };
        self.due = now;
    }

    fn bind(&self, proof: Option<Proof>) -> Vec<u8> {
        let ticket = self.ticket.presented().to_owned();
        Bind { instance: self.instance, wanted: self.wanted, ticket, proof }.encode()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{ToRelay, alive};
    use daam_identity::ticket::{TicketGrant, TicketRole, TicketSigner, TrafficClass};

    const T0: Duration = Duration::ZERO;

    fn ticket() -> HeldTicket {
        let grant = TicketGrant {
            org: "acme".into(),
            role: TicketRole::Agent,
            agent_id: "shop-1".into(),
            relay: "relay.test:443".into(),
            class: TrafficClass::usual(TicketRole::Agent),
            expires: 2_000_000_000,
        };
        HeldTicket::parse(&TicketSigner::generate().unwrap().issue(&grant).unwrap()).unwrap()
    }

    fn bound(binding: &mut Binding, now: Duration) -> Vec<Output> {
        let observed = "192.0.2.9:1000".parse().unwrap();
        binding.handle(&Answer::Bound { instance: 7, session: 42, observed }.encode(), now)
    }

    fn sent(outputs: &[Output]) -> ToRelay {
        match outputs {
            [Output::Send(bytes)] | [Output::Lost, Output::Send(bytes)] => ToRelay::read(bytes).unwrap(),
            other => panic!("one packet expected: {other:?}"),
        }
    }

    #[test]
    fn a_challenge_is_answered_with_a_proof() {
        let mut binding = Binding::new(ticket(), Pace::AGENT, 7, T0);
        assert!(matches!(sent(&binding.tick(T0)), ToRelay::Bind(Bind { proof: None, .. })));
        let challenge = Answer::Challenge { instance: 7, cookie: [1; 24] }.encode();
        assert!(matches!(sent(&binding.handle(&challenge, T0)), ToRelay::Bind(Bind { proof: Some(_), .. })));
        assert!(matches!(bound(&mut binding, T0)[..], [Output::Bound { session: 42, .. }]));
        assert!(binding.is_bound());
    }

    #[test]
    fn answers_for_another_instance_are_ignored() {
        let mut binding = Binding::new(ticket(), Pace::AGENT, 8, T0);
        binding.tick(T0);
        assert_eq!(bound(&mut binding, T0), []);
        assert!(!binding.is_bound());
    }

    #[test]
    fn a_silent_relay_is_asked_again_and_a_lost_one_bound_anew() {
        let mut binding = Binding::new(ticket(), Pace::AGENT, 7, T0);
        binding.tick(T0);
        assert_eq!(binding.tick(Duration::from_millis(99)), []);
        assert!(matches!(sent(&binding.tick(QUICK)), ToRelay::Bind(_)));
        bound(&mut binding, QUICK);
        let mut now = binding.due();
        for _ in 0..MAX_UNANSWERED {
            assert_eq!(sent(&binding.tick(now)), ToRelay::KeepAlive { session: 42 });
            now = binding.due();
        }
        let lost = binding.tick(now);
        assert_eq!(lost.first(), Some(&Output::Lost));
        assert!(matches!(sent(&lost), ToRelay::Bind(Bind { wanted: 42, .. })));
    }

    #[test]
    fn answered_keep_alives_keep_the_binding() {
        let mut binding = Binding::new(ticket(), Pace::AGENT, 7, T0);
        binding.tick(T0);
        bound(&mut binding, T0);
        for _ in 0..10 {
            let now = binding.due();
            assert_eq!(sent(&binding.tick(now)), ToRelay::KeepAlive { session: 42 });
            assert_eq!(binding.handle(&alive(42), now), []);
        }
        assert!(binding.is_bound());
    }

    /// A client's ticket is older than most of its session; what counts is that it is good when it is needed.
    #[test]
    fn a_renewed_ticket_moves_no_bound_client_and_is_shown_when_it_has_to_bind_again() {
        let shown = |outputs: &[Output]| match sent(outputs) {
            ToRelay::Bind(bind) => bind.ticket,
            other @ ToRelay::KeepAlive { .. } => panic!("a BIND expected: {other:?}"),
        };
        for (pace, at_once) in [(Pace::CLIENT, false), (Pace::AGENT, true)] {
            let (old, new) = (ticket(), ticket());
            let mut binding = Binding::new(old.clone(), pace, 7, T0);
            assert_eq!(shown(&binding.tick(T0)), old.presented());
            bound(&mut binding, T0);
            binding.renew(new.clone(), T0);
            assert_eq!(binding.is_bound(), !at_once);
            if !at_once {
                let unknown = Answer::Unknown { session: 42 }.encode();
                binding.tick(binding.due());
                assert!(matches!(
                    binding.handle(&unknown, binding.due())[..],
                    [Output::Lost, Output::Send(_)]
                ));
            }
            let again = binding.due();
            assert_eq!(shown(&binding.tick(again)), new.presented());
        }
    }

    #[test]
    fn a_forged_unknown_only_causes_a_question() {
        let mut binding = Binding::new(ticket(), Pace::AGENT, 7, T0);
        binding.tick(T0);
        bound(&mut binding, T0);
        let unknown = |session| Answer::Unknown { session }.encode();
        assert_eq!(binding.handle(&unknown(42), T0), []);
        assert!(binding.is_bound());
        assert_eq!(binding.tick(T0), []);
        assert_eq!(sent(&binding.tick(SOONEST)), ToRelay::KeepAlive { session: 42 });
        assert_eq!(binding.handle(&unknown(43), SOONEST), []);
        assert!(matches!(sent(&binding.handle(&unknown(42), SOONEST)), ToRelay::Bind(_)));
    }
}
