//! Relays and where they listen.

use crate::audit::{Happened, append};
use crate::db::{Db, run, statements};
use crate::{RelayAuth, StoreError, TenantScope};

statements! {
    PRESENT = "SELECT address FROM relays WHERE org_id = $1 AND id = $2";
    SET = "UPDATE relays SET address = $3, seen_at = $4 WHERE org_id = $1 AND id = $2";
    LIST = "SELECT address FROM relays WHERE org_id = $1 AND address IS NOT NULL ORDER BY address, id";
}

impl Db {
    /// The relay listens there; whether that is news.
    pub async fn set_relay_address(
        &self,
        relay: &RelayAuth,
        address: &str,
        now: i64,
    ) -> Result<bool, StoreError> {
        let scope = relay.scope();
        let mut tx = self.write_tx().await?;
        let present = run!(&mut tx, optional: (Option<String>,), PRESENT, &scope.org_id, relay.relay_id())?;
        let news = present.is_none_or(|(present,)| present.as_deref() != Some(address));
        run!(&mut tx, execute SET, &scope.org_id, relay.relay_id(), address, now)?;
        if news {
            let what = Happened { action: "relay.address", target: relay.relay_id(), detail: address };
            append(&mut tx, scope, what, now).await?;
        }
        tx.commit().await?;
        Ok(news)
    }

    /// The addresses of all relays that have said one.
    pub async fn relay_addresses(&self, scope: &TenantScope) -> Result<Vec<String>, StoreError> {
        let mut tx = self.read_tx().await?;
        let rows = run!(&mut tx, all: (String,), LIST, &scope.org_id)?;
        Ok(rows.into_iter().map(|(address,)| address).collect())
    }
}
