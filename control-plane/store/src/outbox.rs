//! Notices on their way out, written with the change they tell of, so that neither happens without the other. A delivery
//! is claimed before it is tried and scheduled again by the claim, so that a server that dies loses none and two servers
//! do not try the same one at once.

use crate::audit::{Happened, append, origin};
use crate::db::{Db, Tx, run, statements};
use crate::error::read_number;
use crate::reach::Reach;
use crate::{StoreError, TenantScope};
use daam_api::v1::Webhook;
use uuid::Uuid;

/// How long what was given up stays for people to see.
const KEPT_SECONDS: i64 = 7 * 86_400;
/// Letters that [`LETTERS`] puts at once: everybody of a large group may decide.
const AT_ONCE: usize = 16;

statements! {
    HOOKS = "SELECT id FROM webhooks WHERE org_id = $1 ORDER BY id";
    PUT = "INSERT INTO notices (id, org_id, webhook_id, email, body, next_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $6)";
    LETTERS = "INSERT INTO notices (id, org_id, body, next_at, created_at, email) VALUES \
               ($4, $1, $2, $3, $3, $5), ($6, $1, $2, $3, $3, $7), ($8, $1, $2, $3, $3, $9), ($10, $1, $2, $3, $3, $11), \
               ($12, $1, $2, $3, $3, $13), ($14, $1, $2, $3, $3, $15), ($16, $1, $2, $3, $3, $17), ($18, $1, $2, $3, $3, $19), \
               ($20, $1, $2, $3, $3, $21), ($22, $1, $2, $3, $3, $23), ($24, $1, $2, $3, $3, $25), ($26, $1, $2, $3, $3, $27), \
               ($28, $1, $2, $3, $3, $29), ($30, $1, $2, $3, $3, $31), ($32, $1, $2, $3, $3, $33), ($34, $1, $2, $3, $3, $35)";
    DUE = "SELECT n.id, o.slug, n.webhook_id, w.url, w.sealed_secret, n.email, n.body, n.attempts FROM \
           (SELECT id, org_id, webhook_id, email, body, attempts, next_at, \
            ROW_NUMBER() OVER (PARTITION BY org_id, email IS NULL ORDER BY next_at, id) AS place \
            FROM notices WHERE NOT given_up AND next_at <= $1) n \
           JOIN organizations o ON o.id = n.org_id LEFT JOIN webhooks w ON w.id = n.webhook_id \
           ORDER BY n.place, n.next_at, n.id LIMIT $2";
    CLAIM = "UPDATE notices SET attempts = attempts + 1, next_at = $3 WHERE id = $1 AND attempts = $2 AND NOT given_up";
    DELIVERED = "DELETE FROM notices WHERE id = $1";
    FAILED = "UPDATE notices SET failure = $2, given_up = $3 WHERE id = $1";
    FORGET = "DELETE FROM notices WHERE given_up AND created_at <= $1";
    ADD_HOOK = "INSERT INTO webhooks (id, org_id, name, url, sealed_secret, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
    REMOVE_HOOK = "DELETE FROM webhooks WHERE org_id = $1 AND id = $2 RETURNING name";
    LIST_HOOKS = "SELECT w.id, w.name, w.url, \
                  (SELECT COUNT(*) FROM notices n WHERE n.webhook_id = w.id AND n.attempts > 0), \
                  (SELECT n.failure FROM notices n WHERE n.webhook_id = w.id AND n.failure IS NOT NULL ORDER BY n.id DESC LIMIT 1) \
                  FROM webhooks w WHERE w.org_id = $1 ORDER BY w.name, w.id";
}

/// Something to tell every webhook, and some by letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// To whom by e-mail, each in a letter of their own.
    pub emails: Vec<String>,
    /// What, as JSON without anything secret.
    pub body: String,
}

/// Where a delivery goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A webhook.
    Webhook {
        /// Its id.
        id: String,
        /// Where.
        url: String,
        /// What it is signed with, encrypted.
        sealed_secret: String,
    },
    /// An address.
    Email(String),
}

/// A notice that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id, the same at every attempt.
    pub id: String,
    /// The organization's slug.
    pub org: String,
    /// Where.
    pub to: Destination,
    /// What.
    pub body: String,
    /// How often it was tried before.
    pub attempts: i64,
}

impl Db {
    /// What is due, each organization's first before anybody's second: who has many to tell keeps nobody waiting. For the server that delivers, not for any tenant.
    pub async fn due_notices(&self, most: u32, now: i64) -> Result<Vec<Delivery>, StoreError> {
        type Row =
            (String, String, Option<String>, Option<String>, Option<String>, Option<String>, String, i64);
        let mut tx = self.read_tx(Reach::Upkeep).await?;
        let rows = run!(&mut tx, all: Row, DUE, now, i64::from(most))?;
        rows.into_iter()
            .map(|(id, org, hook, url, secret, email, body, attempts)| {
                let to = match (hook, url, secret, email) {
                    (Some(id), Some(url), Some(sealed_secret), None) => {
                        Destination::Webhook { id, url, sealed_secret }
                    }
                    (None, None, None, Some(email)) => Destination::Email(email),
                    _ => return Err(StoreError::Decode("notice")),
                };
                Ok(Delivery { id, org, to, body, attempts })
            })
            .collect()
    }

    /// Takes a delivery on; `false` if somebody else has. It is due again at `again_at` unless it is settled before.
    pub async fn claim_notice(&self, delivery: &Delivery, again_at: i64) -> Result<bool, StoreError> {
        let mut tx = self.write_tx(Reach::Upkeep).await?;
        let claimed = run!(&mut tx, execute CLAIM, &delivery.id, delivery.attempts, again_at)?;
        tx.commit().await?;
        Ok(claimed == 1)
    }

    /// It arrived.
    pub async fn notice_delivered(&self, id: &str) -> Result<(), StoreError> {
        let mut tx = self.write_tx(Reach::Upkeep).await?;
        run!(&mut tx, execute DELIVERED, id)?;
        tx.commit().await
    }

    /// It did not arrive; `give_up` if it is not to be tried again.
    pub async fn notice_failed(
        &self,
        id: &str,
        (why, give_up): (&str, bool),
        now: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.write_tx(Reach::Upkeep).await?;
        run!(&mut tx, execute FAILED, id, why, give_up)?;
        run!(&mut tx, execute FORGET, now.saturating_sub(KEPT_SECONDS))?;
        tx.commit().await
    }

    /// Adds a webhook.
    pub async fn add_webhook(
        &self,
        scope: &TenantScope,
        (id, name, url, sealed_secret): (&str, &str, &str, &str),
        now: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.write_tx(scope).await?;
        run!(&mut tx, execute ADD_HOOK, id, &scope.org_id, name, url, sealed_secret, now)?;
        append(&mut tx, scope, Happened { action: "webhook.add", target: id, detail: origin(url) }, now)
            .await?;
        tx.commit().await
    }

    /// Removes a webhook and what is on its way there; `false` if there is none.
    pub async fn remove_webhook(&self, scope: &TenantScope, id: &str, now: i64) -> Result<bool, StoreError> {
        let mut tx = self.write_tx(scope).await?;
        let removed = run!(&mut tx, optional: (String,), REMOVE_HOOK, &scope.org_id, id)?;
        let Some((name,)) = removed else { return Ok(false) };
        append(&mut tx, scope, Happened { action: "webhook.remove", target: id, detail: &name }, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Every webhook of an organization.
    pub async fn webhooks(&self, scope: &TenantScope) -> Result<Vec<Webhook>, StoreError> {
        type Row = (String, String, String, i64, Option<String>);
        let mut tx = self.read_tx(scope).await?;
        let rows = run!(&mut tx, all: Row, LIST_HOOKS, &scope.org_id)?;
        rows.into_iter()
            .map(|(id, name, url, undelivered, failure)| {
                let undelivered = read_number(undelivered, "notice count")?;
                Ok(Webhook { id, name, url, undelivered, failure })
            })
            .collect()
    }
}

/// An id for a webhook.
pub fn new_webhook_id() -> String {
    Uuid::now_v7().to_string()
}

/// With the change it tells of.
pub(crate) async fn put(
    tx: &mut Tx,
    scope: &TenantScope,
    notice: &Notice,
    now: i64,
) -> Result<(), StoreError> {
    let new_id = || Uuid::now_v7().to_string();
    // Before the letters, of which there may be many.
    for (hook,) in run!(tx, all: (String,), HOOKS, &scope.org_id)? {
        run!(tx, execute PUT, new_id(), &scope.org_id, Some(hook), None::<String>, &notice.body, now)?;
    }
    let mut batches = notice.emails.chunks_exact(AT_ONCE);
    for batch in &mut batches {
        let places: Vec<String> = batch.iter().flat_map(|email| [new_id(), email.clone()]).collect();
        run!(tx, execute LETTERS, &scope.org_id, &notice.body, now; each places)?;
    }
    for email in batches.remainder() {
        run!(tx, execute PUT, new_id(), &scope.org_id, None::<String>, Some(email), &notice.body, now)?;
    }
    Ok(())
}
