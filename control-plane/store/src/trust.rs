//! The organization's trust file, as text. Whether it parses and is for this organization is the caller's business;
//! this module only refuses to step back. Every version is kept, for agents that were away.

use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::error::{read_number, stored_number};
use crate::organizations::OrgKey;
use crate::{StoreError, TenantScope};

statements! {
    GET = "SELECT content FROM trust WHERE org_id = $1";
    PUT = "INSERT INTO trust (org_id, version, content, updated_at) VALUES ($1, $2, $3, $4) \
           ON CONFLICT (org_id) DO UPDATE SET version = excluded.version, content = excluded.content, \
           updated_at = excluded.updated_at \
           WHERE trust.version < excluded.version OR trust.content = excluded.content";
    KEEP = "INSERT INTO trust_versions (org_id, version, content, stored_at) VALUES ($1, $2, $3, $4) \
            ON CONFLICT (org_id, version) DO NOTHING";
    AT = "SELECT content FROM trust_versions WHERE org_id = $1 AND version = $2";
    VERSION = "SELECT version FROM trust WHERE org_id = $1";
    VERSIONS = "SELECT content FROM trust_versions WHERE org_id = $1 ORDER BY version";
    FRESHNESS = "SELECT public_part, sealed_part FROM freshness_keys WHERE org_id = $1";
    ADD_FRESHNESS = "INSERT INTO freshness_keys (org_id, public_part, sealed_part, created_at) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (org_id) DO NOTHING";
}

impl Db {
    /// The trust file.
    pub async fn trust(&self, scope: &TenantScope) -> Result<Option<String>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        Ok(run!(&mut tx, optional: (String,), GET, &scope.org_id)?.map(|(content,)| content))
    }

    /// Stores a trust file of a higher version (or the same file again); `false` if it is neither.
    pub async fn put_trust(
        &self,
        scope: &TenantScope,
        version: u64,
        content: &str,
        now: i64,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write_tx(scope).await?;
        let stored = stored_number(version, "trust version")?;
        if run!(&mut tx, execute PUT, &scope.org_id, stored, content, now)? == 0 {
            return Ok(false);
        }
        run!(&mut tx, execute KEEP, &scope.org_id, stored, content, now)?;
        let what = Happened { action: "trust.put", target: &version.to_string(), detail: "" };
        append(&mut tx, scope, what, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// One version of the trust file.
    pub async fn trust_at(&self, scope: &TenantScope, version: u64) -> Result<Option<String>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let version = stored_number(version, "trust version")?;
        Ok(run!(&mut tx, optional: (String,), AT, &scope.org_id, version)?.map(|(content,)| content))
    }

    /// Every version, the earliest first.
    pub async fn trust_versions(&self, scope: &TenantScope) -> Result<Vec<String>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let rows = run!(&mut tx, all: (String,), VERSIONS, &scope.org_id)?;
        Ok(rows.into_iter().map(|(content,)| content).collect())
    }

    /// The key that signs freshness, if there is one already.
    pub async fn freshness_key(&self, scope: &TenantScope) -> Result<Option<OrgKey>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let row = run!(&mut tx, optional: (String, String), FRESHNESS, &scope.org_id)?;
        Ok(row.map(|(public, sealed)| OrgKey { public, sealed }))
    }

    /// Stores the key that signs freshness; the first one stays, whoever stores at the same time.
    pub async fn add_freshness_key(
        &self,
        scope: &TenantScope,
        key: &OrgKey,
        now: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.write_tx(scope).await?;
        if run!(&mut tx, execute ADD_FRESHNESS, &scope.org_id, &key.public, &key.sealed, now)? > 0 {
            let what = Happened { action: "freshness.key", target: "", detail: &key.public };
            append(&mut tx, scope, what, now).await?;
        }
        tx.commit().await
    }
}

/// The latest version, 0 if there is no trust file.
pub(crate) async fn version(tx: &mut Tx, scope: &TenantScope) -> Result<u64, StoreError> {
    let row = run!(tx, optional: (i64,), VERSION, &scope.org_id)?;
    row.map_or(Ok(0), |(version,)| read_number(version, "trust version"))
}
