//! Developers' sessions at agents: begun and ended as agents say, ended as well when an agent no longer has them, and
//! searched here rather than in a page of them.

use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::error::stored_number;
use crate::{AgentAuth, StoreError, TenantScope, UserAuth};
use std::collections::BTreeSet;

/// Why a session ended that an agent did not say the end of: it may say so later, and then that counts.
pub const LOST: &str = "the agent no longer had it";
/// How many are forgotten at once, so that nobody waits long to write.
const FORGOTTEN_AT_ONCE: i64 = 2000;
const REMOVED: &str = "the agent was removed";

statements! {
    SEARCH = "SELECT s.agent_id, a.name, s.id, a.database_name, s.user_id, u.email, s.started_at, s.ended_at, s.reason, s.statements \
              FROM sessions s JOIN agents a ON a.id = s.agent_id AND a.org_id = s.org_id \
              LEFT JOIN users u ON u.id = s.user_id AND u.org_id = s.org_id WHERE s.org_id = $1 \
              AND (CAST($2 AS TEXT) IS NULL OR s.agent_id = $2 OR a.name = $2) \
              AND (CAST($3 AS TEXT) IS NULL OR s.user_id = $3 OR u.email = $3) \
              AND (CAST($4 AS TEXT) IS NULL OR a.database_name = $4) \
              AND (CAST($5 AS TEXT) IS NULL OR LOWER(s.reason) LIKE $5 ESCAPE '!') \
              AND (CAST($6 AS BIGINT) IS NULL OR CASE WHEN s.ended_at IS NULL THEN 1 ELSE 0 END = $6) \
              AND s.started_at <= $7 AND (s.ended_at IS NULL OR s.ended_at >= $8) \
              AND (s.started_at < $9 OR s.started_at = $9 AND (s.agent_id < $10 OR s.agent_id = $10 AND s.id < $11)) \
              ORDER BY s.started_at DESC, s.agent_id DESC, s.id DESC LIMIT $12";
    STARTED = "INSERT INTO sessions (org_id, agent_id, id, user_id, started_at) \
               SELECT a.org_id, a.id, CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS BIGINT) FROM agents a \
               WHERE a.org_id = $1 AND a.id = $2 AND a.removed_at IS NULL ON CONFLICT (agent_id, id) DO NOTHING";
    ENDED = "UPDATE sessions SET ended_at = $5, reason = $6, statements = $7 \
             WHERE org_id = $1 AND agent_id = $2 AND id = $3 AND user_id = $4 AND (ended_at IS NULL OR reason = $8)";
    OPEN_OF_AGENT = "SELECT id FROM sessions WHERE org_id = $1 AND agent_id = $2 AND ended_at IS NULL";
    GONE = "UPDATE sessions SET ended_at = $4, reason = $5 WHERE org_id = $1 AND agent_id = $2 AND id = $3 AND ended_at IS NULL";
    ALL_GONE = "UPDATE sessions SET ended_at = $3, reason = $4 WHERE org_id = $1 AND agent_id = $2 AND ended_at IS NULL";
    FORGET = "DELETE FROM sessions WHERE org_id = $1 AND (agent_id, id) IN (SELECT s.agent_id, s.id FROM sessions s \
              WHERE s.org_id = $1 AND s.ended_at < $2 ORDER BY s.ended_at LIMIT $3)";
    OPEN_SESSIONS = "SELECT COUNT(*) FROM sessions WHERE org_id = $1 AND ended_at IS NULL";
}

/// A developer's session at an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The agent.
    pub agent_id: String,
    /// Its name.
    pub agent: String,
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
    /// Unix seconds; when it was learned, if the agent did not say.
    pub ended_at: Option<i64>,
    /// Why it ended.
    pub reason: Option<String>,
    /// How many.
    pub statements: i64,
}

impl Connection {
    /// Where a search goes on after this one.
    pub fn place(&self) -> ConnectionPlace {
        ConnectionPlace { started_at: self.started_at, agent_id: self.agent_id.clone(), id: self.id.clone() }
    }
}

/// A place among connections, the latest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionPlace {
    /// Unix seconds.
    pub started_at: i64,
    /// The agent.
    pub agent_id: String,
    /// The session's id there.
    pub id: String,
}

/// What to look for; everything, unless narrowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionFilter {
    /// An agent's id or name.
    pub agent: Option<String>,
    /// A member's address or id.
    pub user: Option<String>,
    /// A database.
    pub database: Option<String>,
    /// Words that are in the reason of the end, as one phrase, whatever their case.
    pub reason: Option<String>,
    /// Whether it goes on.
    pub open: Option<bool>,
    /// It was open at this time or later, Unix seconds.
    pub since: Option<i64>,
    /// It was open at this time or before, Unix seconds.
    pub until: Option<i64>,
    /// Only what comes after this one.
    pub after: Option<ConnectionPlace>,
}

type Row = (String, String, String, String, String, Option<String>, i64, Option<i64>, Option<String>, i64);

impl Db {
    /// Connections that fit, latest first.
    pub async fn connections(
        &self,
        scope: &TenantScope,
        filter: &ConnectionFilter,
        most: u32,
    ) -> Result<Vec<Connection>, StoreError> {
        let reason =
            filter.reason.as_ref().map(|text| format!("%{}%", crate::audit::literal(&text.to_lowercase())));
        let (started, agent, id) = filter.after.as_ref().map_or((i64::MAX, "", ""), |after| {
            (after.started_at, after.agent_id.as_str(), after.id.as_str())
        });
        let mut tx = self.read_tx(scope).await?;
        let rows = run!(&mut tx, all: Row, SEARCH, &scope.org_id, filter.agent.as_deref(), filter.user.as_deref(),
            filter.database.as_deref(), reason, filter.open.map(i64::from), filter.until.unwrap_or(i64::MAX),
            filter.since.unwrap_or(0), started, agent, id, i64::from(most))?;
        let listed =
            |(agent_id, agent, id, database, user_id, email, started_at, ended_at, reason, statements)| {
                Connection {
                    agent_id,
                    agent,
                    id,
                    database,
                    user_id,
                    email,
                    started_at,
                    ended_at,
                    reason,
                    statements,
                }
            };
        Ok(rows.into_iter().map(listed).collect())
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
        run!(&mut tx, execute ENDED, &agent.scope().org_id, agent.agent_id(), session.0, session.1, now, reason, count, LOST)?;
        tx.commit().await
    }

    /// The agent has these sessions and no others: ends what it no longer has, and says how many that were.
    pub async fn sessions_are(
        &self,
        agent: &AgentAuth,
        open: &BTreeSet<String>,
        now: i64,
    ) -> Result<usize, StoreError> {
        let org = &agent.scope().org_id;
        let mut tx = self.read_tx(agent.scope()).await?;
        let known = run!(&mut tx, all: (String,), OPEN_OF_AGENT, org, agent.agent_id())?;
        drop(tx);
        let gone: Vec<String> = known.into_iter().map(|(id,)| id).filter(|id| !open.contains(id)).collect();
        if gone.is_empty() {
            return Ok(0);
        }
        let mut tx = self.write_tx(agent.scope()).await?;
        for id in &gone {
            run!(&mut tx, execute GONE, org, agent.agent_id(), id, now, LOST)?;
        }
        tx.commit().await?;
        Ok(gone.len())
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

    /// Writes down that connections were taken out.
    pub async fn connections_exported(&self, by: &UserAuth, what: &str, now: i64) -> Result<(), StoreError> {
        let mut tx = self.write_tx(by.scope()).await?;
        let happened = Happened { action: "audit.export", target: "connections", detail: what };
        append(&mut tx, by.scope(), happened, now).await?;
        tx.commit().await
    }
}

/// An agent was removed, and its sessions with it.
pub(crate) async fn end_of_agent(
    tx: &mut Tx,
    scope: &TenantScope,
    agent_id: &str,
    now: i64,
) -> Result<(), StoreError> {
    run!(tx, execute ALL_GONE, &scope.org_id, agent_id, now, REMOVED).map(drop)
}
