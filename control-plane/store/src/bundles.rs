//! Bundles as the exact bytes of their file, and each database's head. Publishing is compare-and-swap on the head:
//! whoever did not see the latest serial is told so.

use crate::audit::{Happened, append};
use crate::db::{Db, run, statements};
use crate::error::{read_number, stored_number};
use crate::{StoreError, TenantScope};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daam_api::v1::Database;

statements! {
    DATABASE = "INSERT INTO databases (org_id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (org_id, name) DO NOTHING";
    HEAD = "SELECT head_serial, head FROM databases WHERE org_id = $1 AND name = $2";
    SWAP = "UPDATE databases SET head_serial = $4, head = $5 WHERE org_id = $1 AND name = $2 AND head_serial = $3";
    INSERT = "INSERT INTO bundles (org_id, database_name, epoch, serial, statement_sha256, file, uploaded_by, uploaded_at) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    CURRENT = "SELECT b.serial, b.statement_sha256, b.file FROM databases d \
               JOIN bundles b ON b.org_id = d.org_id AND b.database_name = d.name AND b.serial = d.head_serial \
               WHERE d.org_id = $1 AND d.name = $2 ORDER BY b.epoch DESC LIMIT 1";
    EARLIER = "SELECT serial, statement_sha256, file FROM bundles \
               WHERE org_id = $1 AND database_name = $2 AND serial = $3 ORDER BY epoch DESC LIMIT 1";
    LIST = "SELECT d.name, d.head_serial, \
            (SELECT COUNT(*) FROM agents a WHERE a.org_id = d.org_id AND a.database_name = d.name \
             AND a.removed_at IS NULL AND a.link_id IS NOT NULL AND a.seen_at > $2) \
            FROM databases d WHERE d.org_id = $1 ORDER BY d.name";
}

/// A verified bundle to publish.
#[derive(Debug)]
pub struct NewBundle<'a> {
    /// The database.
    pub database: &'a str,
    /// Its epoch.
    pub epoch: u64,
    /// Its serial.
    pub serial: u64,
    /// SHA-256 of the statement, hex.
    pub statement_sha256: &'a str,
    /// The head it makes, as the verifier writes it.
    pub head: &'a str,
    /// The file.
    pub bytes: &'a [u8],
}

/// What became of [`NewBundle`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// It is the head.
    Done,
    /// The head is another serial than expected.
    HeadMoved {
        /// The head's serial, 0 if there is none.
        serial: u64,
    },
}

/// The published bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBundle {
    /// Its serial.
    pub serial: u64,
    /// SHA-256 of the statement, hex.
    pub statement_sha256: String,
    /// The file.
    pub bytes: Vec<u8>,
}

impl Db {
    /// The head of a database as the verifier wrote it; `None` if nothing is published.
    pub async fn head(&self, scope: &TenantScope, database: &str) -> Result<Option<String>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        Ok(run!(&mut tx, optional: (i64, Option<String>), HEAD, &scope.org_id, database)?
            .and_then(|(_, head)| head))
    }

    /// The serial of a database's head, 0 if nothing is published.
    pub async fn head_serial(&self, scope: &TenantScope, database: &str) -> Result<u64, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let row = run!(&mut tx, optional: (i64, Option<String>), HEAD, &scope.org_id, database)?;
        row.map_or(Ok(0), |(serial, _)| read_number(serial, "bundle serial"))
    }

    /// Publishes a bundle if the head is still `expected`; the database exists from now on.
    pub async fn publish(
        &self,
        scope: &TenantScope,
        new: &NewBundle<'_>,
        expected: u64,
        now: i64,
    ) -> Result<Published, StoreError> {
        let mut tx = self.write_tx(scope).await?;
        run!(&mut tx, execute DATABASE, &scope.org_id, new.database, now)?;
        let serial = stored_number(new.serial, "bundle serial")?;
        let epoch = stored_number(new.epoch, "bundle epoch")?;
        let expected = stored_number(expected, "expected serial")?;
        if run!(&mut tx, execute SWAP, &scope.org_id, new.database, expected, serial, new.head)? == 0 {
            let row = run!(&mut tx, optional: (i64, Option<String>), HEAD, &scope.org_id, new.database)?;
            let serial = row.map_or(Ok(0), |(serial, _)| read_number(serial, "bundle serial"))?;
            return Ok(Published::HeadMoved { serial });
        }
        let file = STANDARD.encode(new.bytes);
        run!(&mut tx, execute INSERT, &scope.org_id, new.database, epoch, serial, new.statement_sha256, &file,
            &scope.actor, now)?;
        let detail = format!("epoch {epoch} serial {serial} statement {}", new.statement_sha256);
        let what = Happened { action: "bundle.publish", target: new.database, detail: &detail };
        append(&mut tx, scope, what, now).await?;
        tx.commit().await?;
        Ok(Published::Done)
    }

    /// The published bundle of a database.
    pub async fn bundle(
        &self,
        scope: &TenantScope,
        database: &str,
    ) -> Result<Option<StoredBundle>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let row = run!(&mut tx, optional: (i64, String, String), CURRENT, &scope.org_id, database)?;
        row.map(stored).transpose()
    }

    /// The published bundle of a database, and the head as the verifier wrote it.
    pub async fn published(
        &self,
        scope: &TenantScope,
        database: &str,
    ) -> Result<Option<(String, StoredBundle)>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let head = run!(&mut tx, optional: (i64, Option<String>), HEAD, &scope.org_id, database)?;
        let Some(head) = head.and_then(|(_, head)| head) else { return Ok(None) };
        let row = run!(&mut tx, optional: (i64, String, String), CURRENT, &scope.org_id, database)?;
        Ok(row.map(stored).transpose()?.map(|bundle| (head, bundle)))
    }

    /// A bundle of a database by its serial, of the latest epoch that has it.
    pub async fn bundle_of(
        &self,
        scope: &TenantScope,
        database: &str,
        serial: u64,
    ) -> Result<Option<StoredBundle>, StoreError> {
        // No bundle has a serial beyond what can be stored.
        let Ok(serial) = stored_number(serial, "bundle serial") else { return Ok(None) };
        let mut tx = self.read_tx(scope).await?;
        let row = run!(&mut tx, optional: (i64, String, String), EARLIER, &scope.org_id, database, serial)?;
        row.map(stored).transpose()
    }

    /// Every database, with the agents seen after `seen_after`.
    pub async fn databases(&self, scope: &TenantScope, seen_after: i64) -> Result<Vec<Database>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        run!(&mut tx, all: (String, i64, i64), LIST, &scope.org_id, seen_after)?
            .into_iter()
            .map(|(name, serial, online)| {
                let agents_online = u32::try_from(online).map_err(|_| StoreError::Decode("agent count"))?;
                Ok(Database { name, agents_online, bundle_serial: read_number(serial, "bundle serial")? })
            })
            .collect()
    }
}

fn stored((serial, statement_sha256, file): (i64, String, String)) -> Result<StoredBundle, StoreError> {
    let bytes = STANDARD.decode(file).map_err(|_| StoreError::Decode("bundle"))?;
    Ok(StoredBundle { serial: read_number(serial, "bundle serial")?, statement_sha256, bytes })
}
