//! What an agent said no to. Its reason may pass (a full disk, a clock, a scope that is widened), and it does not say when:
//! so it is told the same again, later and later.

use daam_api::link::FromAgent;
use std::time::Duration;
use tokio::time::Instant;

/// Until it is told again, the first time; then twice as long each time.
const FIRST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(960);

/// Of each thing that can be said no to.
#[derive(Debug, Default)]
pub(super) struct Refused {
    pub(super) authorities: Again,
    pub(super) trust: Again,
    pub(super) bundle: Again,
    /// Of the bundle.
    serial: Option<u64>,
}

impl Refused {
    /// What the agent says of what it was told; whether something is due by that.
    pub(super) fn hear(&mut self, message: &FromAgent) -> bool {
        let now = Instant::now();
        match message {
            FromAgent::CaStatus { reason, .. } => self.authorities.hear(reason.is_some(), now),
            FromAgent::TrustStatus { reason, .. } => {
                self.trust.hear(reason.is_some(), now);
                // It may be what the bundle was refused for.
                return reason.is_none() && self.bundle.hasten(now);
            }
            FromAgent::BundleStatus { serial, state, .. } => self.hear_bundle(*serial, state, now),
            _ => {}
        }
        false
    }

    /// An agent goes on with what it had, and says that, too: one from before the refused one is no word on it.
    fn hear_bundle(&mut self, serial: u64, state: &str, now: Instant) {
        let refused = state == "refused";
        if refused || self.serial.is_none_or(|refused| serial >= refused) {
            self.serial = refused.then_some(serial);
            self.bundle.hear(refused, now);
        }
    }

    /// Another bundle takes the place of the one that may have been refused.
    pub(super) fn replace_bundle(&mut self) {
        (self.bundle, self.serial) = (Again::default(), None);
    }
}

/// When one is told again.
#[derive(Debug, Default)]
pub(super) struct Again {
    at: Option<Instant>,
    pause: Option<Duration>,
}

impl Again {
    fn hear(&mut self, refused: bool, now: Instant) {
        if !refused {
            *self = Self::default();
            return;
        }
        let pause = self.pause.map_or(FIRST, |before| before.saturating_mul(2).min(LONGEST));
        *self = Self { at: Some(now + pause), pause: Some(pause) };
    }

    /// Makes it time, if it was refused and is not told again yet; whether it is.
    fn hasten(&mut self, now: Instant) -> bool {
        self.at = self.at.map(|at| at.min(now));
        self.at.is_some()
    }

    /// Whether it is time; once.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        self.at.take_if(|at| *at <= now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_told_again_later_and_later_until_it_is_taken() {
        let mut again = Again::default();
        let start = Instant::now();
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        assert!(!again.is_due(after(10_000)), "nothing was refused");
        again.hear(true, start);
        assert!(!again.is_due(after(59)) && again.is_due(after(60)) && !again.is_due(after(61)));
        again.hear(true, after(60));
        assert!(!again.is_due(after(179)) && again.is_due(after(180)));
        for _ in 0..10 {
            again.hear(true, start);
        }
        assert!(!again.is_due(after(959)) && again.is_due(after(960)));
        again.hear(true, start);
        again.hear(false, start);
        assert!(!again.is_due(after(10_000)), "it was taken");
        again.hear(true, start);
        assert!(again.is_due(after(60)), "and begins anew");
    }

    #[test]
    fn it_is_told_by_what_agents_say() {
        let mut refused = Refused::default();
        let bundle =
            |state: &str| FromAgent::BundleStatus { serial: 1, state: state.to_owned(), reason: None };
        refused.hear(&bundle("refused"));
        refused.hear(&FromAgent::CaStatus { version: 2, reason: Some("no space left".to_owned()) });
        refused.hear(&FromAgent::TrustStatus { version: 2, reason: Some("no space left".to_owned()) });
        let later = Instant::now() + FIRST;
        assert!(
            refused.authorities.is_due(later) && refused.trust.is_due(later) && refused.bundle.is_due(later)
        );
        refused.hear(&bundle("refused"));
        refused.hear(&bundle("active"));
        assert!(!refused.bundle.is_due(later + LONGEST));
    }

    fn bundle(serial: u64, state: &str) -> FromAgent {
        FromAgent::BundleStatus { serial, state: state.to_owned(), reason: None }
    }

    #[test]
    fn a_refused_bundle_is_told_again_whatever_the_agent_says_of_an_earlier_one() {
        let mut refused = Refused::default();
        refused.hear(&bundle(6, "refused"));
        refused.hear(&bundle(5, "active"));
        refused.hear(&bundle(5, "signer-revoked"));
        assert!(refused.bundle.is_due(Instant::now() + FIRST), "the sixth is still not taken");
        for taken in [6, 7] {
            refused.hear(&bundle(6, "refused"));
            refused.hear(&bundle(taken, "active"));
            assert!(!refused.bundle.is_due(Instant::now() + LONGEST), "{taken}");
        }
        // Another epoch begins with low serials.
        refused.hear(&bundle(6, "refused"));
        refused.replace_bundle();
        assert!(!refused.bundle.is_due(Instant::now() + LONGEST));
    }

    #[test]
    fn a_trust_file_that_is_followed_makes_a_refused_bundle_due() {
        let mut refused = Refused::default();
        let trust =
            |reason: Option<&str>| FromAgent::TrustStatus { version: 2, reason: reason.map(str::to_owned) };
        assert!(!refused.hear(&trust(None)), "nothing was refused");
        refused.hear(&bundle(6, "refused"));
        assert!(!refused.hear(&trust(Some("no space left"))));
        assert!(!refused.bundle.is_due(Instant::now()));
        assert!(refused.hear(&trust(None)));
        refused.hear(&bundle(5, "active"));
        assert!(refused.bundle.is_due(Instant::now()));
        assert!(!refused.hear(&trust(None)), "it was told again and not yet refused again");
    }
}
