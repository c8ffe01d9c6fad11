//! How long something may last, by two clocks at once: the wall clock, which people set, and a steady one, which only
//! runs. Whichever says that the time is over is believed, so turning the wall clock back gives nobody more.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Unix seconds.
    pub unix: i64,
    /// Since the agent's start.
    pub steady: Duration,
}

/// An end by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    ends_at: i64,
    steady_end: Duration,
}

/// A budget on disk: what was left, and when that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredBudget {
    left_seconds: u64,
    at_unix: i64,
}

impl Budget {
    /// From now until `ends_at`.
    pub fn until(ends_at: i64, now: Reading) -> Self {
        Self { ends_at, steady_end: now.steady.saturating_add(seconds(ends_at.saturating_sub(now.unix))) }
    }

    /// The same with another end. What has passed by the steady clock stays passed.
    #[must_use]
    pub fn moved_to(self, ends_at: i64, now: Reading) -> Self {
        let by = ends_at.saturating_sub(self.ends_at);
        let moved = if by >= 0 {
            self.steady_end.saturating_add(seconds(by))
        } else {
            self.steady_end.saturating_sub(seconds(by.saturating_neg()))
        };
        let fresh = Self::until(ends_at, now);
        Self { ends_at, steady_end: moved.min(fresh.steady_end) }
    }

    /// Whether the time is over.
    pub fn is_over(&self, now: Reading) -> bool {
        now.unix >= self.ends_at || now.steady >= self.steady_end
    }

    /// How long it lasts still, if the clocks run as they should.
    pub fn left(&self, now: Reading) -> Duration {
        let by_wall = seconds(self.ends_at.saturating_sub(now.unix));
        by_wall.min(self.steady_end.saturating_sub(now.steady))
    }

    /// For the disk.
    pub fn stored(&self, now: Reading) -> StoredBudget {
        StoredBudget { left_seconds: self.left(now).as_secs(), at_unix: now.unix }
    }

    /// From the disk: time that the wall clock says has passed meanwhile is gone, and never more than that comes back.
    pub fn restored(ends_at: i64, stored: StoredBudget, now: Reading) -> Self {
        let passed = seconds(now.unix.saturating_sub(stored.at_unix));
        let left = Duration::from_secs(stored.left_seconds).saturating_sub(passed);
        let fresh = Self::until(ends_at, now);
        Self { ends_at, steady_end: fresh.steady_end.min(now.steady.saturating_add(left)) }
    }
}

/// Nothing for what lies in the past.
fn seconds(count: i64) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(unix: i64, steady: u64) -> Reading {
        Reading { unix, steady: Duration::from_secs(steady) }
    }

    #[test]
    fn an_end_comes_by_whichever_clock_is_first() {
        let budget = Budget::until(1_100, at(1_000, 0));
        assert!(!budget.is_over(at(1_099, 99)));
        assert!(budget.is_over(at(1_100, 10)), "the wall clock says so");
        assert!(budget.is_over(at(500, 100)), "the wall clock was set back");
        assert!(Budget::until(900, at(1_000, 0)).is_over(at(0, 0)), "it was over when it came");
    }

    #[test]
    fn hearing_of_it_again_after_the_wall_clock_was_set_back_gives_nothing() {
        let budget = Budget::until(1_100, at(1_000, 0));
        let again = budget.moved_to(1_100, at(100, 60));
        assert_eq!(again.left(at(100, 60)), Duration::from_secs(40));
        assert!(again.is_over(at(140, 100)));
    }

    #[test]
    fn an_end_that_is_moved_moves_by_both_clocks() {
        let budget = Budget::until(1_100, at(1_000, 0));
        let longer = budget.moved_to(1_200, at(1_050, 50));
        assert!(!longer.is_over(at(1_150, 150)) && longer.is_over(at(1_200, 200)));
        let shorter = budget.moved_to(1_060, at(1_050, 50));
        assert!(!shorter.is_over(at(1_059, 59)) && shorter.is_over(at(100, 60)));
    }

    #[test]
    fn a_restart_gives_nothing_back() {
        let stored = Budget::until(1_100, at(1_000, 0)).stored(at(1_030, 30));
        let ordinary = Budget::restored(1_100, stored, at(1_050, 0));
        assert_eq!(ordinary.left(at(1_050, 0)), Duration::from_secs(50));
        let set_back = Budget::restored(1_100, stored, at(200, 0));
        assert_eq!(set_back.left(at(200, 0)), Duration::from_secs(70));
        assert!(Budget::restored(1_100, stored, at(1_100, 0)).is_over(at(1_100, 0)));
    }
}
