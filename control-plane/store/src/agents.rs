//! Agents: which are connected now, and what they enforce. "Connected" is a link that was seen recently, so that a
//! server that died does not leave agents online for ever.

use crate::audit::{Happened, append};
use crate::db::{Db, run, statements};
use crate::error::{read_json, read_number, stored_number, write_json};
use crate::reach::Reach;
use crate::{AgentAuth, StoreError, TenantScope};
use daam_api::v1::Agent;

statements! {
    CONNECTED = "UPDATE agents SET link_id = $3, seen_at = $4, addresses = $5, agent_version = $6, bundle_serial = $7, \
                 bundle_refused = NULL, directory_version = $8 WHERE org_id = $1 AND id = $2";
    CATCH_UP = "UPDATE organizations SET directory_version = $3 \
                WHERE id = $1 AND directory_version < $2 AND directory_version + 1000000 > $2";
    OURS = "SELECT directory_version FROM organizations WHERE id = $1";
    SEEN = "UPDATE agents SET seen_at = $4 WHERE org_id = $1 AND id = $2 AND link_id = $3 AND removed_at IS NULL";
    DISCONNECTED = "UPDATE agents SET link_id = NULL WHERE org_id = $1 AND id = $2 AND link_id = $3";
    ALL_DISCONNECTED = "UPDATE agents SET link_id = NULL";
    ACTIVE = "UPDATE agents SET bundle_serial = $3, bundle_refused = NULL WHERE org_id = $1 AND id = $2";
    REFUSED = "UPDATE agents SET bundle_refused = $3 WHERE org_id = $1 AND id = $2";
    DIRECTORY = "UPDATE agents SET directory_version = $3 WHERE org_id = $1 AND id = $2";
    REMOVE = "UPDATE agents SET removed_at = $3, link_id = NULL WHERE org_id = $1 AND id = $2 AND removed_at IS NULL";
    REVOKE = "UPDATE certificates SET revoked_at = $3 \
              WHERE org_id = $1 AND holder_kind = 'agent' AND holder_id = $2 AND revoked_at IS NULL";
    ONLINE = "SELECT id, addresses FROM agents WHERE org_id = $1 AND database_name = $2 AND link_id IS NOT NULL AND removed_at IS NULL \
              AND seen_at > $3 ORDER BY bundle_serial DESC, seen_at DESC, id";
    LIST = "SELECT a.id, a.name, a.database_name, a.link_id IS NOT NULL AND a.seen_at > $2, a.bundle_serial, \
            a.bundle_refused, a.directory_version, \
            (SELECT COUNT(*) FROM scope_violations v WHERE v.agent_id = a.id AND v.org_id = a.org_id AND v.last_at > $3) \
            FROM agents a WHERE a.org_id = $1 AND a.removed_at IS NULL ORDER BY a.database_name, a.name, a.id";
}

/// What an agent says first.
#[derive(Debug)]
pub struct Hello<'a> {
    /// This connection.
    pub link_id: &'a str,
    /// Where its tunnel listens.
    pub addresses: &'a [String],
    /// Its version.
    pub agent_version: &'a str,
    /// The bundle it enforces.
    pub bundle_serial: u64,
    /// The directory it enforces.
    pub directory_version: u64,
}

/// An agent that can be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineAgent {
    /// Its id.
    pub id: String,
    /// Where its tunnel listens.
    pub addresses: Vec<String>,
}

/// As it is, or the most there can be.
fn stored_or_most(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl Db {
    /// The agent is connected by this link; an older link of the same agent no longer counts. If it enforces a later
    /// directory than ours (we were restored from a backup), ours becomes the later one: it would ignore an older one.
    /// Unless it is out of reach: then somebody else told it so, and the audit says that it is to be replaced.
    pub async fn agent_connected(
        &self,
        agent: &AgentAuth,
        hello: &Hello<'_>,
        now: i64,
    ) -> Result<(), StoreError> {
        let scope = agent.scope();
        let addresses = write_json(&hello.addresses, "address list")?;
        // Whatever it says it holds, an agent that is told the present state can be brought back to it.
        let serial = stored_or_most(hello.bundle_serial);
        let directory = stored_or_most(hello.directory_version);
        let mut tx = self.write_tx(scope).await?;
        run!(&mut tx, execute CONNECTED, &scope.org_id, agent.agent_id(), hello.link_id, now, &addresses,
            hello.agent_version, serial, directory)?;
        let what =
            Happened { action: "agent.connect", target: agent.agent_id(), detail: hello.agent_version };
        append(&mut tx, scope, what, now).await?;
        run!(&mut tx, execute CATCH_UP, &scope.org_id, directory, directory.saturating_add(1))?;
        let ours = run!(&mut tx, optional: (i64,), OURS, &scope.org_id)?;
        if ours.is_some_and(|(ours,)| ours < directory) {
            let detail = format!("it held version {directory}, which this control plane never had");
            let what =
                Happened { action: "agent.directory_replaced", target: agent.agent_id(), detail: &detail };
            append(&mut tx, scope, what, now).await?;
        }
        tx.commit().await
    }

    /// The link is alive; `false` if another link took its place.
    pub async fn agent_seen(&self, agent: &AgentAuth, link_id: &str, now: i64) -> Result<bool, StoreError> {
        let mut tx = self.write_tx(agent.scope()).await?;
        let seen = run!(&mut tx, execute SEEN, &agent.scope().org_id, agent.agent_id(), link_id, now)?;
        tx.commit().await?;
        Ok(seen == 1)
    }

    /// The link ended.
    pub async fn agent_disconnected(&self, agent: &AgentAuth, link_id: &str) -> Result<(), StoreError> {
        let mut tx = self.write_tx(agent.scope()).await?;
        run!(&mut tx, execute DISCONNECTED, &agent.scope().org_id, agent.agent_id(), link_id)?;
        tx.commit().await
    }

    /// Removes an agent for good: its link token and certificates end, its history stays. `false` if there is none.
    pub async fn remove_agent(&self, scope: &TenantScope, id: &str, now: i64) -> Result<bool, StoreError> {
        let mut tx = self.write_tx(scope).await?;
        // First of all, because it locks the organization: no certificate is recorded between the two changes.
        append(&mut tx, scope, Happened { action: "agent.remove", target: id, detail: "" }, now).await?;
        if run!(&mut tx, execute REMOVE, &scope.org_id, id, now)? == 0 {
            return Ok(false);
        }
        run!(&mut tx, execute REVOKE, &scope.org_id, id, now)?;
        tx.commit().await?;
        Ok(true)
    }

    /// Forgets every link; for a server that starts and is the only one.
    pub async fn forget_links(&self) -> Result<(), StoreError> {
        let mut tx = self.write_tx(Reach::Upkeep).await?;
        run!(&mut tx, execute ALL_DISCONNECTED)?;
        tx.commit().await
    }

    /// The agent enforces this serial.
    pub async fn bundle_active(&self, agent: &AgentAuth, serial: u64) -> Result<(), StoreError> {
        let serial = stored_number(serial, "bundle serial")?;
        let mut tx = self.write_tx(agent.scope()).await?;
        run!(&mut tx, execute ACTIVE, &agent.scope().org_id, agent.agent_id(), serial)?;
        tx.commit().await
    }

    /// The agent refused the bundle it was offered.
    pub async fn bundle_refused(&self, agent: &AgentAuth, reason: &str) -> Result<(), StoreError> {
        let mut tx = self.write_tx(agent.scope()).await?;
        run!(&mut tx, execute REFUSED, &agent.scope().org_id, agent.agent_id(), reason)?;
        tx.commit().await
    }

    /// The agent enforces this directory version.
    pub async fn directory_enforced(&self, agent: &AgentAuth, version: u64) -> Result<(), StoreError> {
        let version = stored_or_most(version);
        let mut tx = self.write_tx(agent.scope()).await?;
        run!(&mut tx, execute DIRECTORY, &agent.scope().org_id, agent.agent_id(), version)?;
        tx.commit().await
    }

    /// Agents of a database seen after `seen_after`; the one with the newest bundle first.
    pub async fn online_agents(
        &self,
        scope: &TenantScope,
        database: &str,
        seen_after: i64,
    ) -> Result<Vec<OnlineAgent>, StoreError> {
        let mut tx = self.read_tx(scope).await?;
        run!(&mut tx, all: (String, String), ONLINE, &scope.org_id, database, seen_after)?
            .into_iter()
            .map(|(id, addresses)| Ok(OnlineAgent { id, addresses: read_json(&addresses, "address list")? }))
            .collect()
    }

    /// Every agent, with the violations since `violations_after`.
    pub async fn agents(
        &self,
        scope: &TenantScope,
        seen_after: i64,
        violations_after: i64,
    ) -> Result<Vec<Agent>, StoreError> {
        type Row = (String, String, String, bool, i64, Option<String>, i64, i64);
        let mut tx = self.read_tx(scope).await?;
        run!(&mut tx, all: Row, LIST, &scope.org_id, seen_after, violations_after)?
            .into_iter()
            .map(|(id, name, database, online, serial, bundle_refused, directory, violations)| {
                Ok(Agent {
                    id,
                    name,
                    database,
                    online,
                    bundle_serial: read_number(serial, "bundle serial")?,
                    bundle_refused,
                    directory_version: read_number(directory, "directory version")?,
                    scope_violations: read_number(violations, "violation count")?,
                })
            })
            .collect()
    }
}
