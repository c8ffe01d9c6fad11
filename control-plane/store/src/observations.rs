//! What agents observe: the in-scope schema, targets refused because of scope, and sessions. No rows, no SQL, no
//! literals; the tables have no column for them.

use crate::db::{Db, run, statements};
use crate::error::stored_number;
use crate::{AgentAuth, StoreError, TenantScope};

/// Repeats within this many seconds of the last one are the same violation.
const FOLD_SECONDS: i64 = 300;
/// How many sessions are forgotten at once, so that nobody waits long to write.
const FORGOTTEN_AT_ONCE: i64 = 2000;

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
    CONNECTIONS = "SELECT s.agent_id, s.id, a.database_name, s.user_id, u.email, s.started_at, s.ended_at, s.reason, s.statements \
                   FROM sessions s JOIN agents a ON a.id = s.agent_id AND a.org_id = s.org_id \
                   LEFT JOIN users u ON u.id = s.user_id AND u.org_id = s.org_id \
                   WHERE s.org_id = $1 AND (CAST($2 AS TEXT) IS NULL OR s.agent_id = $2) \
                   ORDER BY s.started_at DESC, s.id DESC LIMIT $3";
    STARTED = "INSERT INTO sessions (org_id, agent_id, id, user_id, started_at) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (agent_id, id) DO NOTHING";
    ENDED = "UPDATE sessions SET ended_at = $5, reason = $6, statements = $7 \
             WHERE org_id = $1 AND agent_id = $2 AND id = $3 AND user_id = $4 AND ended_at IS NULL";
    FORGET = "DELETE FROM sessions WHERE org_id = $1 AND (agent_id, id) IN (SELECT s.agent_id, s.id FROM sessions s \
              WHERE s.org_id = $1 AND s.ended_at < $2 ORDER BY s.ended_at LIMIT $3)";
    OPEN_SESSIONS = "SELECT COUNT(*) FROM sessions WHERE org_id = $1 AND ended_at IS NULL";
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

/// A developer's session at an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The agent.
    pub agent_id: String,
    /// The session's id there.
    pub id: String,
    /// The database.
    pub database: String,
    /// Whose.
    pub user_id: String,
    /// Whose, if that is a member.
    pub email: Option<String>,
    /// Unix seconds.
    pub started_at: i64,
    /// Unix seconds.
    pub ended_at: Option<i64>,
    /// Why it ended.
    pub reason: Option<String>,
    /// How many.
    pub statements: i64,
}

type ViolationRow = (String, String, String, String, String, String, String, i64, i64, i64);
type ConnectionRow = (String, String, String, String, Option<String>, i64, Option<i64>, Option<String>, i64);

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

    /// Developers' sessions, latest first; of one agent or of all.
    pub async fn connections(
        &self,
        scope: &TenantScope,
        agent_id: Option<&str>,
        most: u32,
    ) -> Result<Vec<Connection>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        let rows = run!(&mut tx, all: ConnectionRow, CONNECTIONS, &scope.org_id, agent_id, i64::from(most))?;
        let listed = |(agent_id, id, database, user_id, email, started_at, ended_at, reason, statements)| {
            Connection { agent_id, id, database, user_id, email, started_at, ended_at, reason, statements }
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

    /// A developer's session began.
    pub async fn session_started(
        &self,
        agent: &AgentAuth,
        session_id: &str,
        user_id: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.write_tx(agent.scope()).await?;
        run!(&mut tx, execute STARTED, &agent.scope().org_id, agent.agent_id(), session_id, user_id, now)?;
        tx.commit().await
    }

    /// A developer's session ended. `session` is its id and the user's id.
    pub async fn session_ended(
        &self,
        agent: &AgentAuth,
        session: (&str, &str),
        (reason, statements): (Option<&str>, u64),
        now: i64,
    ) -> Result<(), StoreError> {
        let count = stored_number(statements, "statement count")?;
        let mut tx = self.write_tx(agent.scope()).await?;
        run!(&mut tx, execute ENDED, &agent.scope().org_id, agent.agent_id(), session.0, session.1, now, reason, count)?;
        tx.commit().await
    }

    /// Forgets sessions that ended before a time; how many. Those that go on stay, however long.
    pub async fn forget_sessions(&self, scope: &TenantScope, before: i64) -> Result<u64, StoreError> {
        let mut forgotten = 0_u64;
        loop {
            let mut tx = self.write_tx(scope).await?;
            let gone = run!(&mut tx, execute FORGET, &scope.org_id, before, FORGOTTEN_AT_ONCE)?;
            tx.commit().await?;
            forgotten = forgotten.saturating_add(gone);
            if gone < FORGOTTEN_AT_ONCE.unsigned_abs() {
                return Ok(forgotten);
            }
        }
    }

    /// Sessions that have begun and not ended.
    pub async fn open_sessions(&self, scope: &TenantScope) -> Result<i64, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        Ok(run!(&mut tx, optional: (i64,), OPEN_SESSIONS, &scope.org_id)?.map_or(0, |(count,)| count))
    }
}
