//! The session's clocks: when it has lasted, paused or run a statement for too long, and when its views may go.
//!
//! Pure: time is passed in.

use daam_model::SessionLimits;
use daam_pgwire::{Report, sqlstate};
use std::time::Duration;
use tokio::time::Instant;

/// How long a cancelled statement may go on before the session is ended.
const GRACE: Duration = Duration::from_secs(5);

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

/// When things happened last.
#[derive(Debug)]
pub(super) struct Clocks {
    started: Instant,
    /// Since when a statement has been running.
    busy_since: Option<Instant>,
    /// Since when none has.
    idle_since: Instant,
    cancelled: bool,
    linger: Duration,
}

impl Clocks {
    pub(super) fn new(now: Instant, linger: Duration) -> Self {
        Self { started: now, busy_since: None, idle_since: now, cancelled: false, linger }
    }

    /// The client's work began (or the next piece of it).
    pub(super) fn busy(&mut self, now: Instant) {
        self.busy_since.get_or_insert(now);
    }

    /// Everything the client asked for is answered.
    pub(super) fn idle(&mut self, now: Instant) {
        if self.busy_since.take().is_some() {
            self.idle_since = now;
        }
        self.cancelled = false;
    }

    /// A statement was cancelled because of its time.
    pub(super) fn cancelled(&mut self) {
        self.cancelled = true;
    }

    pub(super) fn was_cancelled(&self) -> bool {
        self.cancelled
    }

    /// The earliest deadline and what it asks for. `releasable`: views exist and no transaction is open.
    pub(super) fn next(&self, limits: &SessionLimits, releasable: bool) -> Option<(Instant, Due)> {
        let lasted =
            limits.max_duration.and_then(|most| Some((self.started.checked_add(most)?, lasted(most))));
        let paused = limits
            .idle_timeout
            .filter(|_| self.busy_since.is_none())
            .and_then(|most| Some((self.idle_since.checked_add(most)?, paused(most))));
        let running = limits.statement_timeout.zip(self.busy_since).and_then(|(most, since)| {
            if self.cancelled {
                return Some((since.checked_add(most)?.checked_add(GRACE)?, stuck(most)));
            }
            Some((since.checked_add(most)?, Due::CancelStatement))
        });
        let release = (releasable && self.busy_since.is_none())
            .then(|| Some((self.idle_since.checked_add(self.linger)?, Due::Release)))
            .flatten();
        [lasted, paused, running, release].into_iter().flatten().min_by_key(|(at, _)| *at)
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

/// A duration as people say it.
pub(super) fn words(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    match (seconds, millis) {
        (0, millis) => format!("{millis} ms"),
        (seconds, 0) if seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        (seconds, 0) if seconds % 60 == 0 => format!("{} min", seconds / 60),
        (seconds, 0) => format!("{seconds} s"),
        (seconds, millis) => format!("{seconds}.{millis:03} s"),
    }
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
        assert!(matches!(clocks.next(&limits, true), Some((at, Due::Release)) if at == start + SECOND));
        assert!(matches!(clocks.next(&limits, false), Some((at, Due::End(_))) if at == start + SECOND * 60));
        clocks.busy(start + SECOND);
        let due = clocks.next(&limits, true);
        assert!(matches!(due, Some((at, Due::CancelStatement)) if at == start + SECOND * 6));
        clocks.cancelled();
        let due = clocks.next(&limits, true);
        assert!(matches!(due, Some((at, Due::End(_))) if at == start + SECOND * 6 + GRACE));
        clocks.idle(start + SECOND * 7);
        assert!(!clocks.was_cancelled());
    }

    #[test]
    fn durations_read_naturally() {
        let told = [1500, 90_000, 3_600_000, 20].map(|ms| words(Duration::from_millis(ms)));
        assert_eq!(told, ["1.500 s", "90 s", "1 h", "20 ms"]);
    }
}
