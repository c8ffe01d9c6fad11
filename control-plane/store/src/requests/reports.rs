//! What agents say became of the access they were told of. It is always all of it, so what is not in it any more has ended
//! there. A report says something about requests of the agent's own
//! database; what it says about others is not stored. That something came into force or was refused is in the audit.

use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::{AgentAuth, StoreError};
use daam_api::link::AccessState;

statements! {
    KNOWN = "SELECT r.id, p.state, p.reason FROM access_requests r \
             LEFT JOIN access_reports p ON p.request_id = r.id AND p.agent_id = $3 \
             WHERE r.org_id = $1 AND r.database_name = $2 AND r.id = $4";
    // What an agent held when it was last heard of.
    HELD = "SELECT request_id FROM access_reports WHERE org_id = $1 AND agent_id = $2 AND state IN ('active', 'waiting')";
    PUT = "INSERT INTO access_reports (org_id, request_id, agent_id, state, reason, at) VALUES ($1, $2, $3, $4, $5, $6) \
           ON CONFLICT (request_id, agent_id) DO UPDATE SET state = excluded.state, reason = excluded.reason, at = excluded.at";
    CATCH_UP = "UPDATE databases SET access_version = $4 \
                WHERE org_id = $1 AND name = $2 AND access_version < $3 AND access_version + 1000000 > $3";
}

impl Db {
    /// Stores what an agent says; whether anything of it is news. If it holds a later list than ours (we were restored
    /// from a backup), ours becomes the later one: it would ignore an older one. Unless it is out of reach: then the list
    /// is none of ours, and is to be replaced.
    pub async fn access_reported(
        &self,
        agent: &AgentAuth,
        (version, states): (u64, &[AccessState]),
        now: i64,
    ) -> Result<bool, StoreError> {
        let scope = agent.scope();
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        let next = version.saturating_add(1);
        let mut tx = self.write_tx(scope).await?;
        let mut news = run!(&mut tx, execute CATCH_UP, &scope.org_id, agent.database(), version, next)? > 0;
        for said in states {
            news |= put(&mut tx, agent, said, now).await?;
        }
        let held = run!(&mut tx, all: (String,), HELD, &scope.org_id, agent.agent_id())?;
        for (id,) in held.into_iter().filter(|(id,)| !states.iter().any(|said| said.id == *id)) {
            let gone = AccessState { id, state: "ended".to_owned(), reason: None };
            news |= put(&mut tx, agent, &gone, now).await?;
        }
        tx.commit().await?;
        Ok(news)
    }
}

/// Whether it is news.
async fn put(tx: &mut Tx, agent: &AgentAuth, said: &AccessState, now: i64) -> Result<bool, StoreError> {
    type Row = (String, Option<String>, Option<String>);
    let scope = agent.scope();
    let AccessState { id, state, reason } = said;
    let known = run!(tx, optional: Row, KNOWN, &scope.org_id, agent.database(), agent.agent_id(), id)?;
    let Some((_, before, why)) = known else { return Ok(false) };
    if before.as_deref() == Some(state) && why == *reason {
        return Ok(false);
    }
    run!(tx, execute PUT, &scope.org_id, id, agent.agent_id(), state, reason.as_deref(), now)?;
    let action = match state.as_str() {
        "active" => "request.active",
        "ended" => "request.ended",
        "refused" => "request.refused",
        _ => return Ok(true),
    };
    if before.as_deref() != Some(state) {
        let detail = reason.as_deref().unwrap_or_default();
        append(tx, scope, Happened { action, target: id, detail }, now).await?;
    }
    Ok(true)
}
