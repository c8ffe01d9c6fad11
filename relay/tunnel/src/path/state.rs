//! What is known of one path: what was asked and not answered, when it last proved itself, how fast it is.
//!
//! Any packet counts against silence for a while, because probes get lost like others; but only answered probes
//! count for ever, so nobody who merely sends packets can keep a dead path in use. A path that has been answering
//! without a gap is doubted as soon as what the session sent is not answered in time; doubt only asks more questions.

use super::probe::{AuthenticProbe, ProbeKind};
use std::collections::VecDeque;
use std::time::Duration;

/// Least silence after which a path is dead.
pub const SILENCE: Duration = Duration::from_millis(900);
/// Without a single answered probe for so long, other packets do not count any more.
pub const UNPROVEN: Duration = Duration::from_secs(5);
const LEAST_MISSED: usize = 3;
const MOST_REMEMBERED: usize = 32;
/// Answers in a row without a gap, after which missing ones mean something.
const CLEAN: u32 = 8;
/// So many questions are asked in a hurry after a path became the one in use, to know soon what it is like.
const FIRST_QUESTIONS: u32 = 24;
/// Answered questions that are remembered.
const ANSWERS: usize = 8;
/// Questions asked in doubt that must be unanswered.
const DOUBTS: usize = 3;
/// What the other end may take, beside the round trip: QUIC acknowledges within 25 ms.
const LEISURE: Duration = Duration::from_millis(50);
/// Least time a path has to answer after this computer moved.
const MUTE: Duration = Duration::from_millis(100);
/// Assumed until measured.
const UNKNOWN_RTT: Duration = Duration::from_millis(300);
/// A path that died is barred from being chosen freely: doubling, up to this.
const LONGEST_BAR: Duration = Duration::from_secs(120);
/// After so long its deaths are forgotten.
const FORGIVEN: Duration = Duration::from_secs(600);

/// See the module.
#[derive(Debug, Clone)]
pub struct PathState {
    pub(super) since: Duration,
    pub(super) sent: u32,
    pub(super) probed: Option<Duration>,
    pub(super) proven: Option<Duration>,
    pub(super) streak: u32,
    pub(super) rtt: Option<Duration>,
    pub(super) died: Option<Duration>,
    pub(super) barred_until: Duration,
    hint: Hint,
    hinted: Duration,
    deaths: u32,
    heard: Duration,
    outstanding: VecDeque<(u64, Duration)>,
    first_missed: Option<Duration>,
    /// When the questions were asked that were answered last, oldest first.
    answered: VecDeque<Duration>,
    clean: u32,
    /// Questions since it became the path in use.
    asked: u32,
    /// The session sent something then, and nothing has come since.
    unheard: Option<Duration>,
    /// It was in use when this computer moved, and has not answered since; how long answers took before.
    shaken: Option<(Duration, Option<Duration>)>,
}

/// What was said about a path, beside what it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// Nothing.
    None,
    /// The system could not send on it.
    Failing,
    /// Its relay is going away.
    Leaving,
    /// Its relay does not carry us any more.
    Gone,
}

impl PathState {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            since: now,
            sent: 0,
            probed: None,
            proven: None,
            streak: 0,
            rtt: None,
            died: None,
            barred_until: Duration::ZERO,
            hint: Hint::None,
            hinted: now,
            deaths: 0,
            heard: now,
            outstanding: VecDeque::new(),
            first_missed: None,
            answered: VecDeque::new(),
            clean: 0,
            asked: 0,
            unheard: None,
            shaken: None,
        }
    }

    /// A question went out.
    pub(super) fn asked(&mut self, transaction: u64, now: Duration) {
        if self.outstanding.len() >= MOST_REMEMBERED {
            self.outstanding.pop_front();
        }
        self.outstanding.push_back((transaction, now));
        self.first_missed.get_or_insert(now);
        self.probed = Some(now);
        self.asked = self.asked.saturating_add(1);
        self.sent = self.sent.saturating_add(1);
        if self.outstanding.len() > LEAST_MISSED {
            self.streak = 0;
        }
    }

    /// An answer came in on this path. Only the answer to a question asked on it counts.
    pub(super) fn answered(&mut self, probe: AuthenticProbe, now: Duration) -> bool {
        if probe.kind() != ProbeKind::Pong {
            return false;
        }
        let Some(at) = self.outstanding.iter().position(|(asked, _)| *asked == probe.transaction()) else {
            return false;
        };
        let Some((_, sent)) = self.outstanding.drain(..=at).next_back() else { return false };
        self.clean = if at == 0 { self.clean.saturating_add(1) } else { 0 };
        if self.answered.len() >= ANSWERS {
            self.answered.pop_front();
        }
        self.answered.push_back(sent);
        let rtt = now.saturating_sub(sent);
        self.rtt = Some(self.rtt.map_or(rtt, |known| (known * 7 + rtt) / 8));
        self.first_missed = self.outstanding.front().map(|(_, sent)| *sent);
        self.proven = Some(now);
        self.shaken = None;
        self.heard(now);
        self.streak = self.streak.saturating_add(1);
        if self.hint == Hint::Failing {
            self.hint = Hint::None;
        }
        true
    }

    /// The handshake was completed over this path.
    pub(super) fn handshaken(&mut self, now: Duration) {
        self.proven = Some(now);
        self.heard = now;
        self.streak = 1;
    }

    pub(super) fn hint(&self) -> Hint {
        self.hint
    }

    pub(super) fn told(&mut self, hint: Hint, now: Duration) {
        if self.hint != hint {
            self.hint = hint;
            self.hinted = now;
        }
    }

    /// Told of trouble just now: worth more questions than usual.
    pub(super) fn is_urgent(&self, now: Duration) -> bool {
        self.hint != Hint::None && now.saturating_sub(self.hinted) < Duration::from_secs(3)
    }

    /// Something arrived; nobody knows yet whether it was genuine.
    pub(super) fn heard(&mut self, at: Duration) {
        self.heard = self.heard.max(at);
        if self.unheard.is_some_and(|since| since <= self.heard) {
            self.unheard = None;
        }
    }

    /// The session sent something at `at`, and may expect an answer.
    pub(super) fn carried(&mut self, at: Duration) {
        if at > self.heard {
            self.unheard.get_or_insert(at);
        }
    }

    /// When an answer to what the session sent is late; `None` if nothing is awaited, or lateness would mean nothing.
    pub(super) fn doubted(&self) -> Option<Duration> {
        let rtt = self.rtt.filter(|_| self.clean >= CLEAN && self.hint == Hint::None)?;
        Some(self.unheard? + rtt * 2 + LEISURE)
    }

    /// How far apart questions are in doubt.
    pub(super) fn doubtful_pace(&self) -> Duration {
        self.expected().clamp(Duration::from_millis(40), Duration::from_millis(100))
    }

    /// How far apart questions are while too little is known for doubt to mean anything; `None` once it is, or never will
    /// be.
    pub(super) fn first_pace(&self) -> Option<Duration> {
        let unknown = self.clean < CLEAN && self.asked < FIRST_QUESTIONS;
        unknown.then(|| (self.expected() / 2).clamp(Duration::from_millis(100), Duration::from_millis(250)))
    }

    /// Since when it is in doubt, if that is so long ago, and so many questions since are late, that it is lost as soon as
    /// another path answers.
    pub(super) fn lost_since(&self, now: Duration) -> Option<Duration> {
        let since = self.doubted().filter(|since| *since <= now)?;
        let late =
            |(_, sent): &&(u64, Duration)| *sent >= since && now.saturating_sub(*sent) >= self.patience();
        (self.outstanding.iter().filter(late).count() >= DOUBTS).then_some(since)
    }

    /// When the first question after `since` was asked that it answered.
    pub(super) fn answers_since(&self, since: Duration) -> Option<Duration> {
        self.answered.iter().find(|asked| **asked >= since).copied()
    }

    /// Whether the answer to a question asked at `asked` or later is late.
    pub(super) fn is_late_since(&self, asked: Duration, now: Duration) -> bool {
        self.outstanding
            .iter()
            .any(|(_, sent)| *sent >= asked && now.saturating_sub(*sent) >= self.patience())
    }

    fn patience(&self) -> Duration {
        (self.expected() * 2).max(Duration::from_millis(30))
    }

    /// Whether a question waits for its answer.
    pub(super) fn is_waiting(&self) -> bool {
        self.first_missed.is_some()
    }

    fn expected(&self) -> Duration {
        self.rtt.unwrap_or(UNKNOWN_RTT)
    }

    /// How long nothing came although something should have.
    fn silence(&self, now: Duration) -> Duration {
        let Some(missed) = self.first_missed else { return Duration::ZERO };
        now.saturating_sub(missed.max(self.heard))
    }

    /// Late enough to look around.
    pub(super) fn is_suspect(&self, now: Duration) -> bool {
        let late = (self.expected() * 2 + Duration::from_millis(100)).max(Duration::from_millis(200));
        self.hint != Hint::None || self.silence(now) > late || self.is_unproven(now)
    }

    /// Late enough to leave.
    pub(super) fn is_dead(&self, now: Duration) -> bool {
        if self.hint == Hint::Gone {
            return true;
        }
        let (limit, missed) = match self.hint {
            Hint::Failing => ((self.expected() * 2).max(Duration::from_millis(150)), 1),
            _ => ((self.expected() * 3 + Duration::from_millis(250)).max(SILENCE), LEAST_MISSED),
        };
        (self.silence(now) > limit && self.outstanding.len() >= missed) || self.is_unproven(now)
    }

    /// Packets come, answers do not: a mirror, a forger, or one direction is cut.
    fn is_unproven(&self, now: Duration) -> bool {
        let patience = UNPROVEN.max(self.expected() * 6);
        self.outstanding.len() >= 16 && now.saturating_sub(self.proven.unwrap_or(self.since)) > patience
    }

    /// Proved itself just now.
    pub(super) fn is_fresh(&self, now: Duration) -> bool {
        let long = Duration::from_millis(1200) + self.expected() * 2;
        self.hint != Hint::Gone && self.proven.is_some_and(|proven| now.saturating_sub(proven) <= long)
    }

    /// Was left because it was dead.
    pub(super) fn died(&mut self, now: Duration) {
        if self.died.is_some_and(|died| now.saturating_sub(died) > FORGIVEN) {
            self.deaths = 0;
        }
        self.deaths = self.deaths.saturating_add(1);
        self.died = Some(now);
        self.proven = None;
        self.streak = 0;
        let bar = Duration::from_secs(1_u64.checked_shl(self.deaths.saturating_sub(1)).unwrap_or(u64::MAX));
        self.barred_until = now.saturating_add(bar.min(LONGEST_BAR));
        self.forget_questions();
    }

    /// Becomes the path in use: what was asked before does not count against it.
    pub(super) fn taken(&mut self) {
        self.forget_questions();
        self.shaken = None;
        self.probed = None;
        self.asked = 0;
    }

    /// Starts over, as after a change of network.
    pub(super) fn again(&mut self, now: Duration) {
        let (died, barred_until, deaths) = (self.died, self.barred_until, self.deaths);
        *self = Self { died, barred_until, deaths, ..Self::new(now) };
    }

    /// This computer moved while the session used this path, which took so long before.
    pub(super) fn shake(&mut self, before: Option<Duration>, now: Duration) {
        self.shaken = Some((now, before));
    }

    /// Since when it is not known to have outlived a move.
    pub(super) fn shaken(&self) -> Option<Duration> {
        self.shaken.map(|(since, _)| since)
    }

    /// Whether an answer to the first question after a move is late, both for this path and for one that took `other`.
    pub(super) fn is_mute(&self, other: Option<Duration>, now: Duration) -> bool {
        let before = self.shaken.and_then(|(_, before)| before);
        let patience = (before.max(other).unwrap_or_default() * 2).max(MUTE);
        self.outstanding.front().is_some_and(|(_, asked)| now.saturating_sub(*asked) >= patience)
    }

    /// How often it must have answered in a row before it is chosen freely.
    pub(super) fn needed(&self) -> u32 {
        if self.deaths == 0 { 1 } else { 3 }
    }

    fn forget_questions(&mut self) {
        self.outstanding.clear();
        self.first_missed = None;
        self.clean = 0;
        self.unheard = None;
    }
}
