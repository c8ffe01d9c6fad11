//! The organization's trust file, as text. Whether it parses and is for this organization is the caller's business;
//! this module only refuses to step back.

use crate::audit::{Happened, append};
use crate::db::{Db, run, statements};
use crate::error::stored_number;
use crate::{StoreError, TenantScope};

statements! {
    GET = "SELECT content FROM trust WHERE org_id = $1";
    PUT = "INSERT INTO trust (org_id, version, content, updated_at) VALUES ($1, $2, $3, $4) \
           ON CONFLICT (org_id) DO UPDATE SET version = excluded.version, content = excluded.content, \
           updated_at = excluded.updated_at \
           WHERE trust.version < excluded.version OR trust.content = excluded.content";
}

impl Db {
    /// The trust file.
    pub async fn trust(&self, scope: &TenantScope) -> Result<Option<String>, StoreError> {
        let mut tx = self.read_tx().await?;
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
        let mut tx = self.write_tx().await?;
        let stored = stored_number(version, "trust version")?;
        if run!(&mut tx, execute PUT, &scope.org_id, stored, content, now)? == 0 {
            return Ok(false);
        }
        let what = Happened { action: "trust.put", target: &version.to_string(), detail: "" };
        append(&mut tx, scope, what, now).await?;
        tx.commit().await?;
        Ok(true)
    }
}
