//! Agents: which are connected now, and what they enforce. "Connected" is a link that was seen recently, so that a
//! server that died does not leave agents online for ever.

use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::error::{read_json, read_number, write_json};
use crate::reach::Reach;
use crate::{AgentAuth, StoreError, TenantScope, authorities, connections};
use daam_api::v1::Agent;
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

const AT_A_TIME: usize = 16;

statements! {
    CONNECTED = "UPDATE agents SET link_id = $3, seen_at = $4, addresses = $5, agent_version = $6, bundle_serial = $7, \
                 bundle_refused = NULL, directory_version = $8 WHERE org_id = $1 AND id = $2";
    CATCH_UP = "UPDATE organizations SET directory_version = $3 \
                WHERE id = $1 AND directory_version < $2 AND directory_version + 1000000 > $2";
    OURS = "SELECT directory_version FROM organizations WHERE id = $1";
    // Links of a server are known by how their ids begin.
    SEEN = "UPDATE agents SET seen_at = $3 WHERE org_id = $1 AND SUBSTR(link_id, 1, 36) = $2 AND removed_at IS NULL";
    LINKED = "SELECT id, link_id FROM agents WHERE org_id = $1 AND link_id IS NOT NULL AND removed_at IS NULL";
    DISCONNECTED = "UPDATE agents SET link_id = NULL WHERE org_id = $1 AND id = $2 AND link_id = $3";
    ALL_DISCONNECTED = "UPDATE agents SET link_id = NULL";
    BUNDLE = "UPDATE agents SET bundle_serial = COALESCE(CAST($3 AS BIGINT), bundle_serial), bundle_refused = $4 \
              WHERE org_id = $1 AND id = $2";
    // Sixteen at a time.
    DIRECTORY = "UPDATE agents SET directory_version = $2 WHERE org_id = $1 AND id IN \
                 ($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";
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

/// One run of a server, by which its links are known from those of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRun(String);

impl ServerRun {
    /// Another one.
    pub fn begin() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    /// An id for one more link of it.
    pub fn link_id(&self) -> String {
        format!("{}/{}", self.0, Uuid::now_v7())
    }
}

/// What an agent says it enforces; nothing of what it does not speak of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Enforced {
    /// The version of the directory.
    pub directory: Option<u64>,
    /// The bundle.
    pub bundle: Option<BundleStanding>,
    /// The authorities.
    pub authorities: Option<AuthoritiesStanding>,
}

/// What an agent made of the authorities it was told of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthoritiesStanding {
    /// The version.
    pub version: u64,
    /// Why it does not follow it.
    pub refused: Option<String>,
}

/// What an agent made of the bundle it was offered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BundleStanding {
    /// The serial in force, if it says one.
    pub serial: Option<u64>,
    /// Why the one it was offered is not in force, or no longer vouched for.
    pub refused: Option<String>,
}

impl Enforced {
    /// Says it later than what was said before.
    #[must_use]
    pub fn after(self, before: Self) -> Self {
        let bundle = match (self.bundle, before.bundle) {
            (Some(now), Some(then)) => Some(BundleStanding { serial: now.serial.or(then.serial), ..now }),
            (now, then) => now.or(then),
        };
        let authorities = self.authorities.or(before.authorities);
        Self { directory: self.directory.or(before.directory), bundle, authorities }
    }
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
        // First of all, because it locks the organization, as whatever removes an agent does first.
        let what =
            Happened { action: "agent.connect", target: agent.agent_id(), detail: hello.agent_version };
        append(&mut tx, scope, what, now).await?;
        run!(&mut tx, execute CONNECTED, &scope.org_id, agent.agent_id(), hello.link_id, now, &addresses,
            hello.agent_version, serial, directory)?;
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

    /// This server's links of an organization are alive.
    pub async fn links_seen(
        &self,
        scope: &TenantScope,
        server: &ServerRun,
        now: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.write_tx(scope).await?;
        run!(&mut tx, execute SEEN, &scope.org_id, &server.0, now)?;
        tx.commit().await
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
        connections::end_of_agent(&mut tx, scope, id, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Forgets every link; for a server that starts and is the only one.
    pub async fn forget_links(&self) -> Result<(), StoreError> {
        let mut tx = self.write_tx(Reach::Upkeep).await?;
        run!(&mut tx, execute ALL_DISCONNECTED)?;
        tx.commit().await
    }

    /// What agents of an organization say they enforce, all of it at once.
    pub async fn agents_enforce(
        &self,
        scope: &TenantScope,
        said: &BTreeMap<String, Enforced>,
    ) -> Result<(), StoreError> {
        let mut by_version: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
        let mut tx = self.write_tx(scope).await?;
        for (id, said) in said {
            if let Some(bundle) = &said.bundle {
                let serial = bundle.serial.map(stored_or_most);
                run!(&mut tx, execute BUNDLE, &scope.org_id, id, serial, bundle.refused.as_deref())?;
            }
            if let Some(said) = &said.authorities {
                let said = (id.as_str(), stored_or_most(said.version), said.refused.as_deref());
                authorities::said(&mut tx, scope, said).await?;
            }
            if let Some(version) = said.directory {
                by_version.entry(stored_or_most(version)).or_default().push(id);
            }
        }
        for (version, ids) in by_version {
            for some in ids.chunks(AT_A_TIME) {
                // The last one again where there are fewer.
                let ids = some.iter().chain(std::iter::repeat(some.last().unwrap_or(&""))).take(AT_A_TIME);
                run!(&mut tx, execute DIRECTORY, &scope.org_id, version; each ids.copied())?;
            }
        }
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

/// Which link counts of each agent that has one.
pub(crate) async fn linked(tx: &mut Tx, scope: &TenantScope) -> Result<HashMap<String, String>, StoreError> {
    Ok(run!(tx, all: (String, String), LINKED, &scope.org_id)?.into_iter().collect())
}
