//! Certificates issued, so that they can be revoked: serial, holder, end. Never the certificate itself.

use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::{StoreError, TenantScope, UserAuth};
use std::collections::BTreeSet;

statements! {
    INSERT = "INSERT INTO certificates (org_id, serial, holder_kind, holder_id, not_after, token_id, authority) \
              VALUES ($1, $2, $3, $4, $5, $6, $7)";
    COUNTS = "SELECT number FROM authorities WHERE org_id = $1 AND number = $2 AND retired_at IS NULL";
    TOKEN_STANDS = "SELECT t.id FROM api_tokens t JOIN users u ON u.id = t.user_id \
                    WHERE t.org_id = $1 AND t.id = $2 AND NOT u.disabled";
    AGENT_STANDS = "SELECT id FROM agents WHERE org_id = $1 AND id = $2 AND removed_at IS NULL";
    PRUNE = "DELETE FROM certificates WHERE org_id = $1 AND not_after <= $2";
    REVOKED = "SELECT serial FROM certificates WHERE org_id = $1 AND revoked_at IS NOT NULL AND not_after > $2";
}

/// Whom a certificate names.
#[derive(Debug, Clone, Copy)]
pub enum Holder<'a> {
    /// A user, by the token that asks; the certificate ends with that token.
    User(&'a UserAuth),
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
    /// By which authority.
    pub authority: i64,
}

impl Db {
    /// Records a certificate before it is handed out, and forgets those that have ended. `false` if its holder was
    /// disabled or removed, the token deleted, or the authority retired, meanwhile: then it must not be handed out.
    pub async fn record_certificate(
        &self,
        scope: &TenantScope,
        new: &NewCertificate<'_>,
        now: i64,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write_tx(scope).await?;
        // First of all, because it locks the organization: whatever revokes comes wholly before or wholly after.
        let what = Happened { action: "certificate.issue", target: new.serial, detail: "" };
        append(&mut tx, scope, what, now).await?;
        let stands = match new.holder {
            Holder::User(user) => {
                run!(&mut tx, optional: (String,), TOKEN_STANDS, &scope.org_id, user.token_id())?
            }
            Holder::Agent(id) => run!(&mut tx, optional: (String,), AGENT_STANDS, &scope.org_id, id)?,
        };
        if stands.is_none() || !counts(&mut tx, scope, new.authority).await? {
            return Ok(false);
        }
        run!(&mut tx, execute PRUNE, &scope.org_id, now)?;
        insert(&mut tx, scope, new).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Serials that must not be accepted although they have not ended.
    pub async fn revoked_serials(
        &self,
        scope: &TenantScope,
        now: i64,
    ) -> Result<BTreeSet<String>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        revoked(&mut tx, scope, now).await
    }
}

pub(crate) async fn revoked(
    tx: &mut Tx,
    scope: &TenantScope,
    now: i64,
) -> Result<BTreeSet<String>, StoreError> {
    let rows = run!(tx, all: (String,), REVOKED, &scope.org_id, now)?;
    Ok(rows.into_iter().map(|(serial,)| serial).collect())
}

/// Whether certificates of an authority count. The organization must be locked: it is retired wholly before or wholly after.
pub(crate) async fn counts(tx: &mut Tx, scope: &TenantScope, authority: i64) -> Result<bool, StoreError> {
    Ok(run!(tx, optional: (i64,), COUNTS, &scope.org_id, authority)?.is_some())
}

pub(crate) async fn insert(
    tx: &mut Tx,
    scope: &TenantScope,
    new: &NewCertificate<'_>,
) -> Result<(), StoreError> {
    let (kind, id, token) = match new.holder {
        Holder::User(user) => ("user", user.user_id(), Some(user.token_id())),
        Holder::Agent(id) => ("agent", id, None),
    };
    run!(tx, execute INSERT, &scope.org_id, new.serial, kind, id, new.not_after, token, new.authority)?;
    Ok(())
}
