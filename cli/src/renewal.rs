//! Certificates and relay tickets of a running session are replaced before they end, without anybody noticing.
//!
//! A certificate is renewed when half of its life is over; while that is refused or nobody answers, again when half of
//! the rest is. A sign-in that has ended renews nothing: the agent then ends the session with the reason, at the
//! second the certificate does. Relay tickets are short, and are needed only when a relay has to be asked again, so
//! fresh ones are kept at hand; without a control plane the old ones stay.

use crate::link::Link;
use daam_identity::facts_of_pem;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::Instant;

/// The clock may be set, or the computer sleep, so it is looked at this often.
const LOOK: Duration = Duration::from_secs(15);
/// Tickets are good for five minutes.
const TICKETS: Duration = Duration::from_secs(240);
/// Not more often, however little is left.
const LEAST: i64 = 20;

/// Keeps the link's session renewed for ever; cancel by dropping.
pub async fn keep(link: Arc<Link>) {
    let mut tried = None;
    let mut tickets = Instant::now() + TICKETS;
    loop {
        tokio::time::sleep(LOOK).await;
        if link.current().is_none() {
            continue;
        }
        if Instant::now() >= tickets {
            tickets = Instant::now() + TICKETS;
            if let Err(error) = link.renew_tickets().await {
                tracing::debug!(error = error.sentence(), "no fresh relay tickets");
            }
        }
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let Some(life) = link.certificate().await.and_then(|pem| facts_of_pem(&pem).ok()) else { continue };
        if now >= due((life.not_before, life.not_after), tried) {
            tried = Some(now);
            match link.renew().await {
                Ok(()) => tracing::debug!("the session's certificate was renewed"),
                Err(error) => {
                    tracing::debug!(error = error.sentence(), "the session's certificate was not renewed");
                }
            }
        }
    }
}

/// When to try next: in the middle of the life, then in the middle of what was left at the last try.
fn due((not_before, not_after): (i64, i64), tried: Option<i64>) -> i64 {
    let middle = |from: i64| from.saturating_add((not_after.saturating_sub(from) / 2).max(LEAST));
    match tried {
        Some(tried) if tried >= not_before => middle(tried),
        _ => middle(not_before),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_in_the_middle_of_its_life_and_ever_more_eagerly_while_that_fails() {
        let life = (1_000, 5_000);
        assert_eq!(due(life, None), 3_000);
        let (mut tried, mut times) = (None, Vec::new());
        while times.len() < 6 {
            let at = due(life, tried);
            tried = Some(at);
            times.push(at);
        }
        assert_eq!(times, [3_000, 4_000, 4_500, 4_750, 4_875, 4_937]);
        // A new certificate, a new life: what was tried before it began does not count.
        assert_eq!(due((3_001, 7_001), Some(3_000)), 5_001);
        assert_eq!(due(life, Some(4_999)), 5_019, "not again and again in its last seconds");
    }
}
