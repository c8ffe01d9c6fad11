//! The session's clocks: when it has lasted, paused or run a statement for too long, and when its views may go.
//!
//! Pure: time is passed in.

use crate::duration::words;
use daam_model::SessionLimits;
use daam_pgwire::{Report, sqlstate};
use std::time::Duration;
use tokio::time::Instant;

/// How long a cancelled statement may go on before the session is ended.
const GRACE: Duration = Duration::from_secs(5);
/// How long one may that was cancelled because the policy took something away: it may read that still.
const SHORT_GRACE: Duration = Duration::from_secs(2);

/// What a deadline asks for.
#[derive(Debug)]
pub(super) enum Due {
    /// End the session.
    End(Box<Report>),
    /// Cancel the running statement.
    CancelStatement,
    /// Release the views.
    Release,
}

/// What is left of the client's last words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing to act on.
    Nothing,
    /// Views, and no transaction that needs them.
    Views,
    /// A batch whose end the client owes.
    Batch,
}

/// When things happened last.
#[derive(Debug)]
pub(super) struct Clocks {
    started: Instant,
    /// Since when a statement has been running.
    busy_since: Option<Instant>,
    /// Since when none has.
    idle_since: Instant,
    /// When the client last asked for something.
    heard: Instant,
    cancelled: bool,
    /// When what runs was cancelled because of a change of policy.
    interrupted: Option<Instant>,
    linger: Duration,
}

impl Clocks {
    pub(super) fn new(now: Instant, linger: Duration) -> Self {
        Self {
            started: now,
            busy_since: None,
            idle_since: now,
            heard: now,
            cancelled: false,
            interrupted: None,
            linger,
        }
    }

    /// The client's work began (or the next piece of it).
    pub(super) fn busy(&mut self, now: Instant) {
        self.busy_since.get_or_insert(now);
        self.heard = now;
    }

    /// A piece of what the client asked for is answered, and the next one begins. One that was cancelled is over when
    /// the server says that it is `ready`: what it had said before may come late.
    pub(super) fn answered(&mut self, now: Instant, ready: bool) {
        if self.busy_since.is_some() && (ready || !self.cancelled) {
            self.busy_since = Some(now);
            self.cancelled = false;
        }
        if ready {
            self.interrupted = None;
        }
    }

    /// Everything the client asked for is answered.
    pub(super) fn idle(&mut self, now: Instant) {
        if self.busy_since.take().is_some() {
            self.idle_since = now;
        }
        self.cancelled = false;
        self.interrupted = None;
    }

    /// What runs was cancelled because of a change of policy.
    pub(super) fn interrupted(&mut self, now: Instant) {
        self.interrupted.get_or_insert(now);
    }

    /// A statement was cancelled because of its time.
    pub(super) fn cancelled(&mut self) {
        self.cancelled = true;
    }

    pub(super) fn was_cancelled(&self) -> bool {
        self.cancelled
    }

    /// The earliest deadline and what it asks for.
    pub(super) fn next(&self, limits: &SessionLimits, left: Left) -> Option<(Instant, Due)> {
        let silent_since = match self.busy_since {
            None => Some(self.idle_since),
            Some(_) => (left == Left::Batch).then_some(self.heard),
        };
        let lasted =
            limits.max_duration.and_then(|most| Some((self.started.checked_add(most)?, lasted(most))));
        let paused = limits
            .idle_timeout
            .zip(silent_since)
            .and_then(|(most, since)| Some((since.checked_add(most)?, paused(most))));
        let running = limits.statement_timeout.zip(self.busy_since).and_then(|(most, since)| {
            if self.cancelled {
                return Some((since.checked_add(most)?.checked_add(GRACE)?, stuck(most)));
            }
            Some((since.checked_add(most)?, Due::CancelStatement))
        });
        let interrupted =
            self.interrupted.and_then(|since| Some((since.checked_add(SHORT_GRACE)?, went_on())));
        let release = (left == Left::Views && self.busy_since.is_none())
            .then(|| Some((self.idle_since.checked_add(self.linger)?, Due::Release)))
            .flatten();
        [lasted, paused, running, interrupted, release].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}

fn lasted(most: Duration) -> Due {
    let text = format!("the session has lasted {}, the longest the policy allows", words(most));
    Due::End(Box::new(Report::fatal(sqlstate::ADMIN_SHUTDOWN, &text).hint("connect again".to_owned())))
}

fn paused(most: Duration) -> Due {
    let text = format!("the session was idle for {}, the longest the policy allows", words(most));
    Due::End(Box::new(Report::fatal(sqlstate::IDLE_SESSION_TIMEOUT, &text).hint("connect again".to_owned())))
}

fn stuck(most: Duration) -> Due {
    let text = format!(
        "a statement ran longer than the {} the policy allows and could not be cancelled",
        words(most)
    );
    Due::End(Box::new(Report::fatal(sqlstate::ADMIN_SHUTDOWN, &text)))
}

fn went_on() -> Due {
    let text =
        "the access policy of this session has changed, and what it ran went on after it was cancelled";
    Due::End(Box::new(Report::fatal(sqlstate::ADMIN_SHUTDOWN, text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_earliest_deadline_counts_and_a_statement_is_cancelled_before_its_session_ends() {
        let start = Instant::now();
        let limits = SessionLimits {
            max_duration: Some(SECOND * 3600),
            idle_timeout: Some(SECOND * 60),
            statement_timeout: Some(SECOND * 5),
            ..SessionLimits::default()
        };
        let mut clocks = Clocks::new(start, SECOND);
        assert!(
            matches!(clocks.next(&limits, Left::Views), Some((at, Due::Release)) if at == start + SECOND)
        );
        assert!(
            matches!(clocks.next(&limits, Left::Nothing), Some((at, Due::End(_))) if at == start + SECOND * 60)
        );
        clocks.busy(start + SECOND);
        let due = clocks.next(&limits, Left::Views);
        assert!(matches!(due, Some((at, Due::CancelStatement)) if at == start + SECOND * 6));
        clocks.cancelled();
        let due = clocks.next(&limits, Left::Views);
        assert!(matches!(due, Some((at, Due::End(_))) if at == start + SECOND * 6 + GRACE));
        clocks.answered(start + SECOND * 7, false);
        assert!(clocks.was_cancelled());
        clocks.answered(start + SECOND * 7, true);
        let due = clocks.next(&limits, Left::Views);
        assert!(matches!(due, Some((at, Due::CancelStatement)) if at == start + SECOND * 12));
        clocks.idle(start + SECOND * 7);
        assert!(!clocks.was_cancelled());
    }

    #[test]
    fn what_goes_on_after_the_policy_cancelled_it_ends_the_session() {
        let start = Instant::now();
        let limits = SessionLimits::default();
        let mut clocks = Clocks::new(start, SECOND);
        clocks.busy(start);
        clocks.interrupted(start + SECOND);
        clocks.answered(start + SECOND * 2, false);
        let due = clocks.next(&limits, Left::Nothing);
        assert!(matches!(due, Some((at, Due::End(_))) if at == start + SECOND + SHORT_GRACE));
        clocks.answered(start + SECOND * 2, true);
        assert!(clocks.next(&limits, Left::Nothing).is_none());
    }

    #[test]
    fn a_batch_without_an_end_is_a_pause() {
        let start = Instant::now();
        let limits = SessionLimits { idle_timeout: Some(SECOND * 60), ..SessionLimits::default() };
        let mut clocks = Clocks::new(start, SECOND);
        clocks.busy(start + SECOND);
        assert!(clocks.next(&limits, Left::Nothing).is_none(), "a statement runs");
        let due = clocks.next(&limits, Left::Batch);
        assert!(matches!(due, Some((at, Due::End(_))) if at == start + SECOND * 61));
        clocks.busy(start + SECOND * 5);
        let due = clocks.next(&limits, Left::Batch);
        assert!(matches!(due, Some((at, Due::End(_))) if at == start + SECOND * 65));
    }
}
