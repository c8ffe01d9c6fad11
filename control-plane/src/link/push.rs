//! What an agent has been told on this link, and what is news to it.

use crate::app::App;
use crate::directory;
use crate::keys;
use crate::link::{End, relay_offers};
use crate::routes::relays::announced_after;
use crate::routes::trust;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daam_api::link::{FromAgent, ToAgent};
use daam_bundle::trust::MAX_WALK;
use daam_bundle::{Freshness, Head, Role, TrustDocument};
use daam_identity::ticket::{TicketGrant, TicketRole};
use daam_store::AgentAuth;
use std::collections::BTreeSet;

/// Relays drop an agent whose ticket ended, so a ticket outlasts an outage of the control plane.
const TICKET_SECONDS: i64 = 86_400;
/// Tickets are renewed when this much of their life is left: every half hour.
const RENEW_SECONDS: i64 = TICKET_SECONDS - 1800;
/// How long a freshness statement counts, and how often a new one is sent: an agent that misses two is still fresh.
const FRESH_SECONDS: i64 = 3600;
const FRESH_EVERY: i64 = 1200;

/// Nothing has been told at first: a new link gets everything, whatever the agent says it holds, and refuses or
/// ignores what it has.
#[derive(Debug, Default)]
pub(crate) struct Pushed {
    trust: Option<u64>,
    bundle: Option<String>,
    freshness: Option<(String, i64)>,
    directory: Option<u64>,
    held: (u64, Option<String>),
    revoked: BTreeSet<String>,
    access: Option<u64>,
    /// The list the agent says it holds, if it is later than ours.
    access_held: Option<u64>,
    relays: Option<(Vec<String>, i64)>,
}

impl Pushed {
    /// For an agent that came with this version of the directory, known by this.
    pub(crate) fn to_holder_of(directory: (u64, Option<String>)) -> Self {
        Self { held: directory, ..Self::default() }
    }

    /// What the agent says of what it holds; whether it is to be told something else.
    pub(crate) fn is_told(&mut self, message: &FromAgent) -> bool {
        match message {
            FromAgent::AccessStatus { version, .. } => self.access_held = Some(*version),
            // Once told the whole of a version, it has that.
            FromAgent::DirectoryRequest {} => (self.directory, self.held) = (None, (0, None)),
            _ => return false,
        }
        true
    }

    /// What changed since the last call: who may no longer enter first, then who may, then what they may do.
    pub(crate) async fn news(&mut self, app: &App, agent: &AgentAuth) -> Result<Vec<ToAgent>, End> {
        let mut news = Vec::new();
        news.extend(self.revoked(app, agent).await?);
        news.extend(self.directory(app, agent).await?);
        news.extend(self.trust(app, agent).await?);
        news.extend(self.bundle(app, agent).await?);
        news.extend(self.freshness(app, agent).await?);
        news.extend(self.access(app, agent).await?);
        news.extend(self.relays(app, agent).await?);
        Ok(news)
    }

    async fn revoked(&mut self, app: &App, agent: &AgentAuth) -> Result<Option<ToAgent>, End> {
        let serials = app.db().revoked_serials(agent.scope(), app.now()).await?;
        if serials == self.revoked {
            return Ok(None);
        }
        self.revoked.clone_from(&serials);
        Ok(Some(ToAgent::IdentityRevoked { serials }))
    }

    async fn directory(&mut self, app: &App, agent: &AgentAuth) -> Result<Option<ToAgent>, End> {
        let present = app.db().directory_version(agent.scope()).await?;
        if self.directory.is_some_and(|told| told >= present) {
            return Ok(None);
        }
        let mut directory = directory::at_least(app, agent.scope(), present).await?;
        let version = directory.version();
        let (held, digest) = std::mem::take(&mut self.held);
        if held > version {
            self.directory = Some(version);
            // Our versions have caught up wherever they may: this one is none of ours.
            tracing::error!(
                agent = agent.agent_id(),
                held,
                version,
                "an agent held a directory this control plane never had"
            );
            return Ok(Some(ToAgent::DirectoryReplaced { held, version, users: directory.users() }));
        }
        let known = digest.filter(|digest| directory.was(held, digest)).map(|_| held);
        let before = self.directory.replace(version).or(known);
        Ok(directory.told(before))
    }

    /// All signed versions we have, as many at once as an agent follows; it passes over what it holds and follows the
    /// rest itself.
    async fn trust(&mut self, app: &App, agent: &AgentAuth) -> Result<Vec<ToAgent>, End> {
        let version = app.db().trust_version(agent.scope()).await?;
        if self.trust == Some(version) {
            return Ok(Vec::new());
        }
        self.trust = Some(version);
        // Another trust file may name our freshness key, or no longer.
        self.freshness = None;
        let mut documents = app.db().trust_versions(agent.scope()).await?;
        documents.retain(|text| matches!(TrustDocument::parse(text), Ok(TrustDocument::Signed(_))));
        let updates = documents.chunks(MAX_WALK);
        Ok(updates.map(|documents| ToAgent::TrustUpdate { documents: documents.to_vec() }).collect())
    }

    /// Our word that the published bundle is the latest, if the trust file lets us give it.
    async fn freshness(&mut self, app: &App, agent: &AgentAuth) -> Result<Option<ToAgent>, End> {
        let (scope, now) = (agent.scope(), app.now());
        let Some(text) = self.bundle.clone() else { return Ok(None) };
        if self.freshness.as_ref().is_some_and(|(head, said)| *head == text && said + FRESH_EVERY > now) {
            return Ok(None);
        }
        self.freshness = Some((text.clone(), now));
        let Some(stored) = app.db().trust(scope).await? else { return Ok(None) };
        let trust = trust::parsed(&stored)?;
        let Some(role) = trust.role(Role::Freshness) else { return Ok(None) };
        let key = keys::freshness(app, scope).await.map_err(crate::problem::Refusal::from)?;
        if !role.keys.iter().any(|listed| listed.public == key.public()) {
            return Ok(None);
        }
        let head = Head::from_json(&text)
            .map_err(|error| End::from(crate::problem::Refusal::internal("read the head", &error)))?;
        let said = Freshness::about(scope.org(), agent.database(), &head, now, FRESH_SECONDS);
        let envelope = said
            .sign(&key)
            .map_err(|error| End::from(crate::problem::Refusal::internal("sign freshness", &error)))?;
        Ok(Some(ToAgent::Freshness { envelope }))
    }

    async fn bundle(&mut self, app: &App, agent: &AgentAuth) -> Result<Option<ToAgent>, End> {
        // The head's text names epoch, serial and digest, so a new epoch with an old serial is news too.
        let head = app.db().head(agent.scope(), agent.database()).await?;
        if head == self.bundle {
            return Ok(None);
        }
        let Some(bundle) = app.db().bundle(agent.scope(), agent.database()).await? else { return Ok(None) };
        self.bundle = head;
        Ok(Some(ToAgent::PolicyUpdate { serial: bundle.serial, bundle: STANDARD.encode(bundle.bytes) }))
    }

    /// The whole list, so that whatever was lost on the way takes nothing with it. An agent that never was told anything
    /// is not told that it is nothing.
    async fn access(&mut self, app: &App, agent: &AgentAuth) -> Result<Option<ToAgent>, End> {
        let (scope, database) = (agent.scope(), agent.database());
        let version = app.db().access_version(scope, database).await?;
        let held = self.access_held.take().filter(|held| *held > version);
        if version == self.access.unwrap_or(0) && held.is_none() {
            return Ok(None);
        }
        let (version, grants) = app.db().access_grants(scope, database, app.now()).await?;
        self.access = Some(version);
        let Some(held) = held else { return Ok(Some(ToAgent::AccessUpdate { version, grants })) };
        // Our versions have caught up wherever they may: this one is none of ours.
        tracing::error!(
            agent = agent.agent_id(),
            held,
            version,
            "an agent held a list of access this control plane never had"
        );
        Ok(Some(ToAgent::AccessReplaced { held, version, grants }))
    }

    async fn relays(&mut self, app: &App, agent: &AgentAuth) -> Result<Option<ToAgent>, End> {
        let now = app.now();
        let addresses = app.db().relay_addresses(agent.scope(), announced_after(now)).await?;
        let told = match &self.relays {
            None => addresses.is_empty(),
            Some((told, expires)) => *told == addresses && expires.saturating_sub(RENEW_SECONDS) > now,
        };
        if told {
            return Ok(None);
        }
        let expires = now.saturating_add(TICKET_SECONDS);
        let grant = TicketGrant {
            org: agent.scope().org().to_owned(),
            role: TicketRole::Agent,
            agent_id: agent.agent_id().to_owned(),
            relay: String::new(),
            class: app.traffic().agents,
            expires,
        };
        let signer = keys::ticket_signer(app, agent.scope()).await.map_err(crate::problem::Refusal::from)?;
        let relays = relay_offers(&signer, addresses.clone(), &grant)?;
        self.relays = Some((addresses, expires));
        Ok(Some(ToAgent::RelayUpdate { relays }))
    }
}
