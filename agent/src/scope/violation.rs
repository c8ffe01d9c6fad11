//! What the control plane is told about a rejection: exactly policy, schema, table and site, once in a while.

use std::collections::BTreeMap;
use std::time::Duration;

/// How long the same rejection stays quiet. Every repetition starts the time again.
const QUIET: Duration = Duration::from_secs(300);
/// More than this many different rejections are not remembered apart; the oldest go first.
const MAX_REMEMBERED: usize = 10_000;

/// The enforcement site that refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    /// A grant's target was dropped.
    Grant,
    /// A bundle was refused.
    PolicyLoad,
}

impl Site {
    /// As it is reported.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant_issuance",
            Self::PolicyLoad => "policy_load",
        }
    }
}

/// A target outside the scope that a policy named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The policy.
    pub policy: String,
    /// The target's schema.
    pub schema: String,
    /// The target's name.
    pub table: String,
    /// Who refused it.
    pub site: Site,
}

/// Lets each (policy, schema, table) through once per quiet time. Time is passed in.
#[derive(Debug, Default)]
pub struct Deduplication {
    seen: BTreeMap<(String, String, String), Duration>,
}

impl Deduplication {
    /// Whether to report it now. `now` is any monotone clock.
    pub fn admit(&mut self, violation: &Violation, now: Duration) -> bool {
        self.seen.retain(|_, last| now.saturating_sub(*last) < QUIET);
        let key = (violation.policy.clone(), violation.schema.clone(), violation.table.clone());
        let fresh = self.seen.insert(key, now).is_none();
        if self.seen.len() > MAX_REMEMBERED
            && let Some(oldest) = self.seen.iter().min_by_key(|(_, last)| **last).map(|(key, _)| key.clone())
        {
            self.seen.remove(&oldest);
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repetition_is_quiet_until_five_minutes_without_one() {
        let violation = |table: &str| Violation {
            policy: "p".into(),
            schema: "s".into(),
            table: table.into(),
            site: Site::Grant,
        };
        let at = Duration::from_secs;
        let mut seen = Deduplication::default();
        assert!(seen.admit(&violation("a"), at(0)));
        assert!(!seen.admit(&violation("a"), at(200)));
        assert!(seen.admit(&violation("b"), at(200)));
        // The window slides: 400 is within five minutes of the repetition at 200.
        assert!(!seen.admit(&violation("a"), at(400)));
        assert!(seen.admit(&violation("a"), at(700)));
    }
}
