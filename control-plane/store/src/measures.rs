//! Numbers about everything for whoever runs the installation: how much waits, how old it is, how many there are. Sums over
//! all organizations and nothing of any one of them.

use crate::db::{Db, run, statements};
use crate::reach::Reach;
use crate::web_sessions::IDLE_SECONDS;
use crate::{StoreError, TenantScope};

statements! {
    NOTICES = "SELECT COUNT(CASE WHEN given_up THEN NULL ELSE 1 END), COUNT(CASE WHEN given_up THEN 1 END), \
               MIN(CASE WHEN given_up THEN NULL ELSE created_at END) FROM notices";
    EXPORTS = "SELECT COUNT(*), COUNT(CASE WHEN e.attempts > 0 AND e.failure IS NOT NULL THEN 1 END), \
               CAST(COALESCE(SUM(o.audit_seq - e.after_seq), 0) AS BIGINT) \
               FROM audit_exports e JOIN organizations o ON o.id = e.org_id";
    UNSIGNED = "SELECT MIN(COALESCE((SELECT MAX(c.at) FROM audit_checkpoints c WHERE c.org_id = o.id), o.created_at)) \
                FROM organizations o \
                WHERE o.audit_seq > COALESCE((SELECT MAX(c.size) FROM audit_checkpoints c WHERE c.org_id = o.id), 0)";
    ORGANIZATIONS = "SELECT id, slug FROM organizations ORDER BY id";
    COUNTED = "SELECT (SELECT COUNT(*) FROM users WHERE org_id = $1), \
               (SELECT COUNT(*) FROM web_sessions WHERE org_id = $1 AND expires_at > $2 AND seen_at > $3), \
               (SELECT COUNT(*) FROM access_requests WHERE org_id = $1 AND decision = 'pending' AND created_at > $4), \
               (SELECT COUNT(*) FROM sessions WHERE org_id = $1 AND ended_at IS NULL)";
}

/// What waits, of all organizations together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Notices to be delivered.
    pub notices: i64,
    /// Notices that were given up within the last week.
    pub notices_given_up: i64,
    /// When the first of those to be delivered was written, Unix seconds.
    pub oldest_notice: Option<i64>,
    /// Receivers of audits.
    pub exports: i64,
    /// Those whose last attempt failed.
    pub exports_failing: i64,
    /// Entries that were not sent to them yet.
    pub export_backlog: i64,
    /// The latest checkpoint of the organization whose unsigned entries wait longest, Unix seconds; none if all are signed.
    pub unsigned_since: Option<i64>,
}

/// What there is in one organization, to be summed up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Members, disabled ones too.
    pub users: i64,
    /// Sessions in the console.
    pub web_sessions: i64,
    /// Access requests nobody decided yet.
    pub pending_requests: i64,
    /// Developers' open sessions.
    pub connections: i64,
}

/// The database connections of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    /// Open.
    pub open: u32,
    /// Open and used by nobody.
    pub idle: u32,
    /// Never more than this.
    pub most: u32,
}

impl Db {
    /// What waits.
    pub async fn backlog(&self) -> Result<Backlog, StoreError> {
        let mut tx = self.read_tx(Reach::Upkeep).await?;
        let nothing = || StoreError::Decode("count");
        let notices = run!(&mut tx, optional: (i64, i64, Option<i64>), NOTICES)?.ok_or_else(nothing)?;
        let exports = run!(&mut tx, optional: (i64, i64, i64), EXPORTS)?.ok_or_else(nothing)?;
        let unsigned = run!(&mut tx, optional: (Option<i64>,), UNSIGNED)?;
        Ok(Backlog {
            notices: notices.0,
            notices_given_up: notices.1,
            oldest_notice: notices.2,
            exports: exports.0,
            exports_failing: exports.1,
            export_backlog: exports.2,
            unsigned_since: unsigned.and_then(|(since,)| since),
        })
    }

    /// Every organization, for the server's own numbers and not for any tenant.
    pub async fn every_organization(&self) -> Result<Vec<TenantScope>, StoreError> {
        let mut tx = self.read_tx(Reach::Upkeep).await?;
        let rows = run!(&mut tx, all: (String, String), ORGANIZATIONS)?;
        let scope = |(org_id, slug)| TenantScope::of(org_id, slug, "control-plane".to_owned());
        Ok(rows.into_iter().map(scope).collect())
    }

    /// What there is in an organization; requests that were made before `pending_after` wait for nobody any more.
    pub async fn counted(
        &self,
        scope: &TenantScope,
        (pending_after, now): (i64, i64),
    ) -> Result<Counted, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let used_after = now.saturating_sub(IDLE_SECONDS);
        let row = run!(&mut tx, optional: (i64, i64, i64, i64), COUNTED, &scope.org_id, now, used_after, pending_after)?;
        let (users, web_sessions, pending_requests, connections) = row.unwrap_or_default();
        Ok(Counted { users, web_sessions, pending_requests, connections })
    }
}
