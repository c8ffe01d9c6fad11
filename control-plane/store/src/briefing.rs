//! What the links of an organization's agents have to know of it, read in one view of the data: which versions there are,
//! who is no longer let in, and which link of each agent counts. Texts are read when a version is news to somebody.

use crate::db::{Db, run, statements};
use crate::error::read_number;
use crate::{AgentAuth, StoreError, TenantScope, agents, authorities, certificates, relays, trust, users};
use std::collections::{BTreeSet, HashMap};

statements! {
    DATABASES = "SELECT d.name, d.head, d.access_version FROM databases d WHERE d.org_id = $1 AND EXISTS \
                 (SELECT 1 FROM agents a WHERE a.org_id = d.org_id AND a.database_name = d.name AND a.link_id IS NOT NULL)";
}

/// One organization's, at one moment.
#[derive(Debug)]
pub struct Briefing {
    scope: TenantScope,
    directory_version: u64,
    trust_version: u64,
    authorities_version: u64,
    revoked: BTreeSet<String>,
    relays: Vec<String>,
    databases: HashMap<String, DatabaseBriefing>,
    linked: HashMap<String, String>,
}

/// A database's.
#[derive(Debug)]
pub struct DatabaseBriefing {
    /// The head as the verifier wrote it; none if nothing is published.
    pub head: Option<String>,
    /// The version of what its agents are told of access; 0 if there never was anything.
    pub access_version: u64,
}

impl Briefing {
    /// The version of the directory.
    pub fn directory_version(&self) -> u64 {
        self.directory_version
    }

    /// The version of the trust file, 0 if there is none.
    pub fn trust_version(&self) -> u64 {
        self.trust_version
    }

    /// The version of the certificate authorities; 1 if there was never but one.
    pub fn authorities_version(&self) -> u64 {
        self.authorities_version
    }

    /// Serials that must not be accepted although they have not ended.
    pub fn revoked(&self) -> &BTreeSet<String> {
        &self.revoked
    }

    /// Where the relays listen that said so lately.
    pub fn relays(&self) -> &[String] {
        &self.relays
    }

    /// The agent's database. One organization's briefing says nothing to another's agent.
    pub fn database(&self, agent: &AgentAuth) -> Option<&DatabaseBriefing> {
        self.databases.get(agent.database()).filter(|_| agent.scope().org_id == self.scope.org_id)
    }

    /// Whether this is the link of the agent that counts: it was not removed, and no other one took its place.
    pub fn counts(&self, agent: &AgentAuth, link_id: &str) -> bool {
        agent.scope().org_id == self.scope.org_id
            && self.linked.get(agent.agent_id()).is_some_and(|counts| counts == link_id)
    }
}

impl Db {
    /// The present one, with relays that were heard of after `relays_after`.
    pub async fn briefing(
        &self,
        scope: &TenantScope,
        (relays_after, now): (i64, i64),
    ) -> Result<Briefing, StoreError> {
        type Row = (String, Option<String>, i64);
        let mut tx = self.read_tx(scope).await?;
        let databases = run!(&mut tx, all: Row, DATABASES, &scope.org_id)?.into_iter();
        let databases = databases
            .map(|(name, head, version)| {
                let access_version = read_number(version, "access version")?;
                Ok((name, DatabaseBriefing { head, access_version }))
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(Briefing {
            scope: scope.clone(),
            directory_version: users::version(&mut tx, scope).await?,
            trust_version: trust::version(&mut tx, scope).await?,
            authorities_version: authorities::version(&mut tx, scope).await?,
            revoked: certificates::revoked(&mut tx, scope, now).await?,
            relays: relays::alive(&mut tx, scope, relays_after).await?,
            databases,
            linked: agents::linked(&mut tx, scope).await?,
        })
    }
}
