//! Relays and where they listen. One that has not said so for a while is not offered to anybody.

use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::{RelayAuth, StoreError, TenantScope};
use daam_api::v1::Relay;

statements! {
    PRESENT = "SELECT address FROM relays WHERE org_id = $1 AND id = $2";
    SET = "UPDATE relays SET address = $3, seen_at = $4 WHERE org_id = $1 AND id = $2 AND removed_at IS NULL";
    ALIVE = "SELECT address FROM relays WHERE org_id = $1 AND address IS NOT NULL AND removed_at IS NULL AND seen_at > $2 \
             ORDER BY address, id";
    LIST = "SELECT id, name, address, seen_at > $2 FROM relays WHERE org_id = $1 AND removed_at IS NULL ORDER BY name, id";
    REMOVE = "UPDATE relays SET removed_at = $3 WHERE org_id = $1 AND id = $2 AND removed_at IS NULL";
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
        let mut tx = self.write_tx(scope).await?;
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

    /// Where the relays listen that said so after `seen_after`.
    pub async fn relay_addresses(
        &self,
        scope: &TenantScope,
        seen_after: i64,
    ) -> Result<Vec<String>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        alive(&mut tx, scope, seen_after).await
    }

    /// Every relay.
    pub async fn relays(&self, scope: &TenantScope, seen_after: i64) -> Result<Vec<Relay>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let rows =
            run!(&mut tx, all: (String, String, Option<String>, bool), LIST, &scope.org_id, seen_after)?;
        let listed = |(id, name, address, online)| Relay { id, name, address, online };
        Ok(rows.into_iter().map(listed).collect())
    }

    /// Removes a relay for good: its link token ends and nobody is sent to it. `false` if there is none.
    pub async fn remove_relay(&self, scope: &TenantScope, id: &str, now: i64) -> Result<bool, StoreError> {
        let mut tx = self.write_tx(scope).await?;
        if run!(&mut tx, execute REMOVE, &scope.org_id, id, now)? == 0 {
            return Ok(false);
        }
        append(&mut tx, scope, Happened { action: "relay.remove", target: id, detail: "" }, now).await?;
        tx.commit().await?;
        Ok(true)
    }
}

pub(crate) async fn alive(
    tx: &mut Tx,
    scope: &TenantScope,
    seen_after: i64,
) -> Result<Vec<String>, StoreError> {
    let rows = run!(tx, all: (String,), ALIVE, &scope.org_id, seen_after)?;
    Ok(rows.into_iter().map(|(address,)| address).collect())
}
