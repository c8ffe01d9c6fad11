//! Requests that are to be done once, by the key their sender gave them, and the answers they had: sealed by the caller,
//! kept for a day. A key is one credential's; nobody else is told that it is there.

use crate::db::{Db, run, statements};
use crate::{StoreError, UserAuth};

/// How long a key counts.
const KEPT_SECONDS: i64 = 86_400;
/// Keys of one credential.
const MOST: i64 = 10_000;

statements! {
    FORGET = "DELETE FROM idempotency_keys WHERE org_id = $1 AND created_at <= $2";
    COUNT = "SELECT COUNT(*) FROM idempotency_keys WHERE org_id = $1 AND credential = $2";
    BEGIN = "INSERT INTO idempotency_keys (org_id, credential, key_sha256, request_sha256, created_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (org_id, credential, key_sha256) DO NOTHING";
    KNOWN = "SELECT request_sha256, status, sealed_answer FROM idempotency_keys WHERE org_id = $1 AND credential = $2 AND key_sha256 = $3";
    SETTLE = "UPDATE idempotency_keys SET status = $4, sealed_answer = $5 \
              WHERE org_id = $1 AND credential = $2 AND key_sha256 = $3 AND status IS NULL";
    RELEASE = "DELETE FROM idempotency_keys WHERE org_id = $1 AND credential = $2 AND key_sha256 = $3 AND status IS NULL";
}

/// What a key says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repeat {
    /// It is new, and is to be done.
    First,
    /// It was done.
    Answered {
        /// The answer's status.
        status: u16,
        /// The rest of it, encrypted by the caller.
        sealed: String,
    },
    /// It is being done, or was begun by a server that did not get to its answer.
    Unanswered,
    /// The key came with another request.
    Other,
    /// The credential has too many keys.
    TooMany,
}

impl Db {
    /// Begins a request, unless its key did before. `once` is the digests of the key and of the request.
    pub async fn begin_once(
        &self,
        by: &UserAuth,
        (key, request): (&str, &str),
        now: i64,
    ) -> Result<Repeat, StoreError> {
        type Row = (String, Option<i64>, Option<String>);
        let (org, id) = (&by.scope().org_id, by.token_id());
        let mut tx = self.write_tx(by.scope()).await?;
        run!(&mut tx, execute FORGET, org, now.saturating_sub(KEPT_SECONDS))?;
        if run!(&mut tx, execute BEGIN, org, id, key, request, now)? == 1 {
            let count = run!(&mut tx, optional: (i64,), COUNT, org, id)?;
            if count.is_some_and(|(count,)| count > MOST) {
                return Ok(Repeat::TooMany);
            }
            tx.commit().await?;
            return Ok(Repeat::First);
        }
        let known = run!(&mut tx, optional: Row, KNOWN, org, id, key)?;
        tx.commit().await?;
        match known {
            Some((before, ..)) if before != request => Ok(Repeat::Other),
            Some((_, Some(status), Some(sealed))) => {
                let status = u16::try_from(status).map_err(|_| StoreError::Decode("status"))?;
                Ok(Repeat::Answered { status, sealed })
            }
            _ => Ok(Repeat::Unanswered),
        }
    }

    /// Forgets the key of a request that was begun and failed.
    pub async fn release_once(&self, by: &UserAuth, key: &str) -> Result<(), StoreError> {
        let mut tx = self.write_tx(by.scope()).await?;
        run!(&mut tx, execute RELEASE, &by.scope().org_id, by.token_id(), key)?;
        tx.commit().await
    }

    /// Keeps the answer of a request that was begun.
    pub async fn settle_once(
        &self,
        by: &UserAuth,
        key: &str,
        (status, sealed): (u16, &str),
    ) -> Result<(), StoreError> {
        let mut tx = self.write_tx(by.scope()).await?;
        run!(&mut tx, execute SETTLE, &by.scope().org_id, by.token_id(), key, i64::from(status), sealed)?;
        tx.commit().await
    }
}
