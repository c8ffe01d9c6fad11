//! The agent's certificate is renewed when half of its life is over, or new ones come from another authority, with a new key,
//! while everything goes on.
//!
//! New connections meet the new certificate at once, running ones are not touched. An answer that contradicts the pins,
//! does not fit the new key or does not live longer than what is held is refused, and the old certificate stays.

use crate::cause;
use crate::config::{AgentSection, ControlPlaneSection};
use crate::enrolment::{self, EnrolmentError, Pins};
use crate::link::{jittered, unix_now};
use crate::papers::Papers;
use daam_tunnel::ListenError;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How long the clock is trusted between two looks at it: it may have been set, or the machine may have slept.
const LOOK: Duration = Duration::from_secs(600);
const SPREAD: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Why the certificate is not newer.
#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    /// No acceptable answer.
    #[error("no new certificate")]
    Asked(#[from] EnrolmentError),
    /// The tunnel does not take it.
    #[error("the new certificate cannot be used")]
    Unusable(#[source] ListenError),
}

/// What renewal works with.
#[derive(Debug)]
pub struct Renewal {
    /// The agent's place.
    pub agent: AgentSection,
    /// Whom to ask.
    pub control_plane: ControlPlaneSection,
    /// What is presented now, and whom an answer has to come from.
    pub papers: Arc<Papers>,
    /// The last second of the certificate in use, for health output.
    pub not_after: Arc<AtomicI64>,
}

impl Renewal {
    /// Renews for ever; cancel by dropping.
    pub async fn run(self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let wait = self.due().saturating_sub(unix_now());
            if wait > 0 {
                let wait = Duration::from_secs(wait.unsigned_abs());
                tokio::select! {
                    () = tokio::time::sleep(wait.min(LOOK)) => {}
                    // A thousand agents hear of a new authority in the same moment.
                    () = self.papers.changed() => tokio::time::sleep(jittered(SPREAD)).await,
                }
                continue;
            }
            match self.renew().await {
                Ok(()) => {
                    tracing::info!(
                        not_after = self.not_after.load(Ordering::Relaxed),
                        "the agent's certificate was renewed"
                    );
                    pause = FIRST_PAUSE;
                }
                Err(error) => {
                    tracing::warn!(error = cause::chain(&error), retry_in = ?pause, "the agent's certificate was not renewed");
                }
            }
            // Also after a success, so that a certificate that is half over at birth does not make us run hot.
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// When half of the life is over; at once if nobody can say, or new ones come from another authority.
    fn due(&self) -> i64 {
        match daam_identity::facts_of_pem(&self.papers.credentials().certificate_pem) {
            Ok(facts) if !self.papers.is_outdated() => half(facts.not_before, facts.not_after),
            _ => 0,
        }
    }

    async fn renew(&self) -> Result<(), RenewalError> {
        let held = self.papers.credentials();
        let next = enrolment::ask_next(&self.control_plane, &held).await?;
        let renewed = self.papers.believing(|authorities| {
            let mut pins = Pins { org: &held.org, authorities };
            enrolment::renew(next, &self.agent, &mut pins, &held)
        })?;
        self.papers.renewed(&renewed).map_err(RenewalError::Unusable)?;
        if let Ok(facts) = daam_identity::facts_of_pem(&renewed.certificate_pem) {
            self.not_after.store(facts.not_after, Ordering::Relaxed);
        }
        if let Err(error) = enrolment::keep_renewed(&self.agent, &renewed) {
            tracing::error!(error = cause::chain(&error), "the new certificate is in use but not on disk");
        }
        Ok(())
    }
}

/// The middle of a life.
fn half(not_before: i64, not_after: i64) -> i64 {
    let life = not_after.saturating_sub(not_before);
    not_before.saturating_add(life / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_life_is_counted_from_its_first_second() {
        assert_eq!(half(1000, 2000), 1500);
    }
}
