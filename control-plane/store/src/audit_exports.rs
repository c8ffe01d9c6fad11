//! The audit on its way to where an organization collects logs. How far it got is here, moved only from where the sender
//! saw it, so that an entry is sent again rather than never. A turn is claimed before it is taken and comes again by the
//! claim: a server that dies loses none, and two servers do not send the same entries at once.

use crate::audit::{Happened, append, origin};
use crate::db::{Db, run, statements};
use crate::error::{read_json, read_number, write_json};
use crate::reach::Reach;
use crate::{AuditEntry, StoreError, TenantScope, UserAuth};
use std::collections::BTreeSet;

statements! {
    SET = "INSERT INTO audit_exports (org_id, endpoint, header_names, sealed_headers, created_at) VALUES ($1, $2, $3, $4, $5) \
           ON CONFLICT (org_id) DO UPDATE SET endpoint = excluded.endpoint, header_names = excluded.header_names, \
           sealed_headers = excluded.sealed_headers, attempts = 0, next_at = 0, failure = NULL, \
           sent_at = NULL, failed_at = NULL";
    SHOW = "SELECT e.endpoint, e.header_names, e.after_seq, e.failure, e.sent_at, e.failed_at, \
            (SELECT COUNT(*) FROM audit a WHERE a.org_id = e.org_id AND a.seq > e.after_seq) FROM audit_exports e WHERE e.org_id = $1";
    REMOVE = "DELETE FROM audit_exports WHERE org_id = $1 RETURNING endpoint";
    DUE = "SELECT o.id, o.slug, e.endpoint, e.sealed_headers, e.after_seq, e.attempts FROM audit_exports e \
           JOIN organizations o ON o.id = e.org_id WHERE e.next_at <= $1 AND o.audit_seq > e.after_seq ORDER BY e.next_at, o.id \
           LIMIT $2";
    CLAIM = "UPDATE audit_exports SET attempts = attempts + 1, next_at = $5 WHERE org_id = $1 AND endpoint = $2 AND after_seq = $3 \
             AND attempts = $4";
    ENTRIES = "SELECT seq, at, actor, action, target, detail, hash FROM audit WHERE org_id = $1 AND seq > $2 ORDER BY seq LIMIT $3";
    SENT = "UPDATE audit_exports SET after_seq = $4, attempts = 0, next_at = $6, failure = CAST($5 AS TEXT), sent_at = $6, \
            failed_at = CASE WHEN CAST($5 AS TEXT) IS NULL THEN failed_at ELSE $6 END WHERE org_id = $1 AND endpoint = $2 \
            AND after_seq = $3";
    FAILED = "UPDATE audit_exports SET failure = $4, failed_at = $5 WHERE org_id = $1 AND endpoint = $2 AND after_seq = $3";
}

/// Where an audit goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedAuditExport {
    /// Where.
    pub endpoint: String,
    /// The names of what is sent along.
    pub header_names: BTreeSet<String>,
    /// The last entry that arrived.
    pub after: i64,
    /// Why the last attempt did not succeed, or what the receiver did not like.
    pub failure: Option<String>,
    /// When entries last arrived there, unix seconds.
    pub sent_at: Option<i64>,
    /// When entries last did not, or not all of them, unix seconds.
    pub failed_at: Option<i64>,
    /// Entries that are still to be sent.
    pub backlog: u64,
}

/// An audit with entries to send. Only for the control plane itself.
#[derive(Debug, Clone)]
pub struct DueAuditExport {
    /// To read in.
    pub scope: TenantScope,
    /// Where.
    pub endpoint: String,
    /// What is sent along, encrypted.
    pub sealed_headers: String,
    /// The last entry that arrived.
    pub after: i64,
    /// How often it failed since.
    pub attempts: i64,
}

impl Db {
    /// Says where the audit goes from now on; how far it got stays.
    pub async fn set_audit_export(
        &self,
        by: &UserAuth,
        (endpoint, names, sealed): (&str, &BTreeSet<String>, &str),
        now: i64,
    ) -> Result<(), StoreError> {
        let scope = by.scope();
        let names = write_json(names, "header names")?;
        let mut tx = self.write_tx(scope).await?;
        run!(&mut tx, execute SET, &scope.org_id, endpoint, &names, sealed, now)?;
        let what = Happened { action: "audit.otlp", target: origin(endpoint), detail: &names };
        append(&mut tx, scope, what, now).await?;
        tx.commit().await
    }

    /// Where the audit goes.
    pub async fn audit_export(&self, scope: &TenantScope) -> Result<Option<ListedAuditExport>, StoreError> {
        type Row = (String, String, i64, Option<String>, Option<i64>, Option<i64>, i64);
        let mut tx = self.read_tx(scope).await?;
        let row = run!(&mut tx, optional: Row, SHOW, &scope.org_id)?;
        row.map(|(endpoint, names, after, failure, sent_at, failed_at, backlog)| {
            let header_names = read_json(&names, "header names")?;
            let backlog = read_number(backlog, "backlog")?;
            Ok(ListedAuditExport { endpoint, header_names, after, failure, sent_at, failed_at, backlog })
        })
        .transpose()
    }

    /// Sends it nowhere any more. `false` if it went nowhere.
    pub async fn remove_audit_export(&self, by: &UserAuth, now: i64) -> Result<bool, StoreError> {
        let scope = by.scope();
        let mut tx = self.write_tx(scope).await?;
        let Some((endpoint,)) = run!(&mut tx, optional: (String,), REMOVE, &scope.org_id)? else {
            return Ok(false);
        };
        let what = Happened { action: "audit.otlp-remove", target: origin(&endpoint), detail: "" };
        append(&mut tx, scope, what, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Audits with entries to send, of every organization. For the server that sends, not for any tenant.
    pub async fn due_audit_exports(&self, most: u32, now: i64) -> Result<Vec<DueAuditExport>, StoreError> {
        type Row = (String, String, String, String, i64, i64);
        let mut tx = self.read_tx(Reach::Upkeep).await?;
        let rows = run!(&mut tx, all: Row, DUE, now, i64::from(most))?;
        let due = |(org_id, slug, endpoint, sealed_headers, after, attempts)| {
            let scope = TenantScope::of(org_id, slug, "control-plane".to_owned());
            DueAuditExport { scope, endpoint, sealed_headers, after, attempts }
        };
        Ok(rows.into_iter().map(due).collect())
    }

    /// Takes a turn; `false` if somebody else has. It comes again at `again_at` unless it is settled before.
    pub async fn claim_audit_export(&self, due: &DueAuditExport, again_at: i64) -> Result<bool, StoreError> {
        let mut tx = self.write_tx(&due.scope).await?;
        let row = (&due.scope.org_id, &due.endpoint, due.after, due.attempts);
        let claimed = run!(&mut tx, execute CLAIM, row.0, row.1, row.2, row.3, again_at)?;
        tx.commit().await?;
        Ok(claimed == 1)
    }

    /// The next entries to send, each with its hash.
    pub async fn audit_to_export(
        &self,
        due: &DueAuditExport,
        most: u32,
    ) -> Result<Vec<(AuditEntry, String)>, StoreError> {
        type Row = (i64, i64, String, String, String, String, String);
        let mut tx = self.read_tx(&due.scope).await?;
        let rows = run!(&mut tx, all: Row, ENTRIES, &due.scope.org_id, due.after, i64::from(most))?;
        let entry = |(seq, at, actor, action, target, detail, hash)| {
            (AuditEntry { seq, at, actor, action, target, detail }, hash)
        };
        Ok(rows.into_iter().map(entry).collect())
    }

    /// They arrived up to this one; `remark` is what the receiver did not like about them. What comes behind them has its
    /// turn after those that waited longer.
    pub async fn audit_exported_to(
        &self,
        due: &DueAuditExport,
        (last, remark): (i64, Option<&str>),
        now: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.write_tx(&due.scope).await?;
        run!(&mut tx, execute SENT, &due.scope.org_id, &due.endpoint, due.after, last, remark, now)?;
        tx.commit().await
    }

    /// They did not arrive.
    pub async fn audit_export_failed(
        &self,
        due: &DueAuditExport,
        why: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.write_tx(&due.scope).await?;
        run!(&mut tx, execute FAILED, &due.scope.org_id, &due.endpoint, due.after, why, now)?;
        tx.commit().await
    }
}
