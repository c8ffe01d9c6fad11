//! Certificates issued, so that they can be revoked: serial, holder, end. Never the certificate itself.

use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::{StoreError, TenantScope};
use std::collections::BTreeSet;

statements! {
    INSERT = "INSERT INTO certificates (org_id, serial, holder_kind, holder_id, not_after) VALUES ($1, $2, $3, $4, $5)";
    PRUNE = "DELETE FROM certificates WHERE org_id = $1 AND not_after <= $2";
    REVOKED = "SELECT serial FROM certificates WHERE org_id = $1 AND revoked_at IS NOT NULL AND not_after > $2";
}

/// Whom a certificate names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder<'a> {
    /// A user, by id.
    User(&'a str),
    /// An agent, by id.
    Agent(&'a str),
}

/// A certificate just issued.
#[derive(Debug, Clone, Copy)]
pub struct NewCertificate<'a> {
    /// Lower-case hex.
    pub serial: &'a str,
    /// Whom it names.
    pub holder: Holder<'a>,
    /// Unix seconds.
    pub not_after: i64,
}

impl Db {
    /// Records a certificate before it is handed out, and forgets those that have ended.
    pub async fn record_certificate(
        &self,
        scope: &TenantScope,
        new: &NewCertificate<'_>,
        now: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.write_tx().await?;
        run!(&mut tx, execute PRUNE, &scope.org_id, now)?;
        insert(&mut tx, scope, new).await?;
        let what = Happened { action: "certificate.issue", target: new.serial, detail: "" };
        append(&mut tx, scope, what, now).await?;
        tx.commit().await
    }

    /// Serials that must not be accepted although they have not ended.
    pub async fn revoked_serials(
        &self,
        scope: &TenantScope,
        now: i64,
    ) -> Result<BTreeSet<String>, StoreError> {
        let mut tx = self.read_tx().await?;
        Ok(run!(&mut tx, all: (String,), REVOKED, &scope.org_id, now)?
            .into_iter()
            .map(|(serial,)| serial)
            .collect())
    }
}

pub(crate) async fn insert(
    tx: &mut Tx,
    scope: &TenantScope,
    new: &NewCertificate<'_>,
) -> Result<(), StoreError> {
    let (kind, id) = match new.holder {
        Holder::User(id) => ("user", id),
        Holder::Agent(id) => ("agent", id),
    };
    run!(tx, execute INSERT, &scope.org_id, new.serial, kind, id, new.not_after)?;
    Ok(())
}
