//! What agents observe: the in-scope schema and targets refused because of scope. No rows, no SQL, no
//! literals; the tables have no column for them.

use crate::db::{Db, run, statements};
use crate::{AgentAuth, StoreError, TenantScope};

/// Repeats within this many seconds of the last one are the same violation.
const FOLD_SECONDS: i64 = 300;

statements! {
    REPORT = "INSERT INTO schema_reports (org_id, database_name, agent_id, snapshot, received_at) \
              VALUES ($1, $2, $3, $4, $5) ON CONFLICT (org_id, database_name) DO UPDATE SET \
              agent_id = excluded.agent_id, snapshot = excluded.snapshot, received_at = excluded.received_at";
    SNAPSHOT = "SELECT snapshot FROM schema_reports WHERE org_id = $1 AND database_name = $2";
    FOLD = "UPDATE scope_violations SET last_at = $7, hits = hits + 1 WHERE org_id = $1 AND agent_id = $2 \
            AND policy_id = $3 AND schema_name = $4 AND table_name = $5 AND site = $6 AND last_at > $8";
    VIOLATION = "INSERT INTO scope_violations \
                 (org_id, agent_id, policy_id, schema_name, table_name, site, first_at, last_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $7)";
    VIOLATIONS = "SELECT v.agent_id, a.name, a.database_name, v.policy_id, v.schema_name, v.table_name, v.site, \
                  v.first_at, v.last_at, v.hits FROM scope_violations v JOIN agents a ON a.id = v.agent_id AND a.org_id = v.org_id \
                  WHERE v.org_id = $1 AND v.last_at > $2 ORDER BY v.last_at DESC, v.policy_id, v.schema_name, v.table_name LIMIT 1000";
}

/// A target an agent refused because of scope.
#[derive(Debug, Clone, Copy)]
pub struct Violation<'a> {
    /// The policy.
    pub policy_id: &'a str,
    /// The target's schema.
    pub schema: &'a str,
    /// The target's name.
    pub table: &'a str,
    /// Which enforcement site refused.
    pub site: &'a str,
}

/// A stored violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedViolation {
    /// The agent that refused.
    pub agent_id: String,
    /// Its name.
    pub agent: String,
    /// The database it serves.
    pub database: String,
    /// The policy.
    pub policy_id: String,
    /// The target's schema.
    pub schema: String,
    /// The target's name.
    pub table: String,
    /// Which enforcement site refused.
    pub site: String,
    /// Unix seconds.
    pub first_at: i64,
    /// Unix seconds.
    pub last_at: i64,
    /// How often, repeats folded.
    pub hits: i64,
}

type ViolationRow = (String, String, String, String, String, String, String, i64, i64, i64);

impl Db {
    /// Violations since a time, latest first.
    pub async fn violations(
        &self,
        scope: &TenantScope,
        since: i64,
    ) -> Result<Vec<ListedViolation>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let rows = run!(&mut tx, all: ViolationRow, VIOLATIONS, &scope.org_id, since)?;
        let listed =
            |(agent_id, agent, database, policy_id, schema, table, site, first_at, last_at, hits)| {
                ListedViolation {
                    agent_id,
                    agent,
                    database,
                    policy_id,
                    schema,
                    table,
                    site,
                    first_at,
                    last_at,
                    hits,
                }
            };
        Ok(rows.into_iter().map(listed).collect())
    }

    /// Replaces the database's snapshot wholesale: what is no longer reported is no longer known.
    pub async fn replace_schema(
        &self,
        agent: &AgentAuth,
        snapshot: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.write_tx(agent.scope()).await?;
        run!(&mut tx, execute REPORT, &agent.scope().org_id, agent.database(), agent.agent_id(), snapshot, now)?;
        tx.commit().await
    }

    /// The latest snapshot of a database.
    pub async fn schema(&self, scope: &TenantScope, database: &str) -> Result<Option<String>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let row = run!(&mut tx, optional: (String,), SNAPSHOT, &scope.org_id, database)?;
        Ok(row.map(|(snapshot,)| snapshot))
    }

    /// Records a violation; repeats within five minutes of the last are folded. `true` if it is a new one.
    pub async fn violation(
        &self,
        agent: &AgentAuth,
        seen: Violation<'_>,
        now: i64,
    ) -> Result<bool, StoreError> {
        let org = &agent.scope().org_id;
        let mut tx = self.write_tx(agent.scope()).await?;
        let folded = run!(&mut tx, execute FOLD, org, agent.agent_id(), seen.policy_id, seen.schema, seen.table,
            seen.site, now, now.saturating_sub(FOLD_SECONDS))?;
        if folded == 0 {
            run!(&mut tx, execute VIOLATION, org, agent.agent_id(), seen.policy_id, seen.schema, seen.table,
                seen.site, now)?;
        }
        tx.commit().await?;
        Ok(folded == 0)
    }
}
