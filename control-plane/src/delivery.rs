//! Carries notices out. What is due is read from the store, claimed, tried and settled; whatever goes wrong, it stays in
//! the store and is tried again, later and later, for about a day. Webhooks are signed as Standard Webhooks says, reach
//! public addresses only, and their answers are not read.

use crate::app::App;
use crate::metrics::one_more;
use crate::requests::notices::Told;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daam_store::{Delivery, Destination};
use futures_util::future::join_all;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, InvalidHeaderValue, USER_AGENT};
use ring::hmac;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked for what became due.
const LOOK: Duration = Duration::from_secs(5);
const AT_ONCE: u32 = 32;
/// Seconds from one attempt to the next; after the last one it is given up.
const PAUSES: [i64; 10] = [10, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 43_200];
const SECRET_PREFIX: &str = "whsec_";
const LONGEST_FAILURE: usize = 300;

/// Until the server stops.
pub(crate) async fn run(app: Arc<App>) {
    loop {
        if let Err(error) = round(&app).await {
            tracing::warn!(%error, "notices wait: the store could not be asked");
        }
        tokio::select! {
            () = app.stop().cancelled() => return,
            () = app.outbox().notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Everything that is due now.
async fn round(app: &App) -> Result<(), daam_store::StoreError> {
    loop {
        let due = app.db().due_notices(AT_ONCE, app.now()).await?;
        if due.is_empty() || app.stop().is_cancelled() {
            return Ok(());
        }
        for settled in join_all(due.iter().map(|delivery| one(app, delivery))).await {
            settled?;
        }
    }
}

async fn one(app: &App, delivery: &Delivery) -> Result<(), daam_store::StoreError> {
    let pause = pause(delivery.attempts);
    let again_at = app.now().saturating_add(pause.unwrap_or(i64::from(u32::MAX)));
    if !app.db().claim_notice(delivery, again_at).await? {
        return Ok(());
    }
    let Err(error) = attempt(app, delivery).await else {
        one_more(&app.metrics().notices_delivered);
        return app.db().notice_delivered(&delivery.id).await;
    };
    one_more(&app.metrics().notices_failed);
    let why: String = error.to_string().chars().filter(|c| !c.is_control()).take(LONGEST_FAILURE).collect();
    tracing::warn!(
        notice = delivery.id,
        org = delivery.org,
        attempts = delivery.attempts,
        why,
        "a notice was not delivered"
    );
    app.db().notice_failed(&delivery.id, (&why, pause.is_none()), app.now()).await
}

/// How long after attempt `attempts` + 1 the next one comes; none if that was the last.
fn pause(attempts: i64) -> Option<i64> {
    usize::try_from(attempts).ok().and_then(|at| PAUSES.get(at)).copied()
}

async fn attempt(app: &App, delivery: &Delivery) -> Result<(), Box<dyn Error + Send + Sync>> {
    match &delivery.to {
        Destination::Email(to) => {
            let mailer = app.mailer().ok_or("no mail server is configured any more")?;
            let told: Told = serde_json::from_str(&delivery.body)?;
            mailer.send(&delivery.id, to, &told).await
        }
        Destination::Webhook { id, url, sealed_secret } => {
            let secret = app.vault().open(&place(&delivery.org, id), sealed_secret)?;
            let headers = headers(&secret, &delivery.id, app.now(), &delivery.body)?;
            let status = app.outbound().post(&url.parse::<Url>()?, headers, delivery.body.clone()).await?;
            if status.is_success() { Ok(()) } else { Err(format!("the answer was {status}").into()) }
        }
    }
}

/// Where a webhook's secret is sealed for.
pub(crate) fn place(org: &str, webhook: &str) -> String {
    format!("{org}/webhook/{webhook}")
}

/// What a webhook's deliveries are signed with.
pub(crate) fn new_secret() -> Result<String, getrandom::Error> {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random)?;
    Ok(format!("{SECRET_PREFIX}{}", STANDARD.encode(random)))
}

fn headers(secret: &str, id: &str, now: i64, body: &str) -> Result<HeaderMap, InvalidHeaderValue> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("daam-control-plane"));
    headers.insert("webhook-id", HeaderValue::from_str(id)?);
    headers.insert("webhook-timestamp", HeaderValue::from(now));
    headers.insert("webhook-signature", HeaderValue::from_str(&signature(secret, id, now, body))?);
    Ok(headers)
}

fn signature(secret: &str, id: &str, now: i64, body: &str) -> String {
    let key = STANDARD.decode(secret.trim_start_matches(SECRET_PREFIX)).unwrap_or_default();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let tag = hmac::sign(&key, format!("{id}.{now}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_signed_as_standard_webhooks_says() {
        // The example of the specification's own libraries.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let signed =
            signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn attempts_come_later_and_later_and_end_within_two_days() {
        let pauses: Vec<i64> = (0..).map_while(pause).collect();
        assert!(pauses.is_sorted() && pauses.iter().sum::<i64>() < 2 * 86_400);
        assert_eq!((pause(0), pause(10), pause(-1)), (Some(10), None, None));
    }
}
