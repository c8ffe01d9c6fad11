//! What an agent has been told on this link, and what is news to it.

use super::refused::Refused;
use super::text::Text;
use crate::app::App;
use crate::briefing::{Present, Revoked, texts};
use crate::directory;
use crate::link::{End, relay_offers};
use crate::problem::Refusal;
use daam_api::link::{FromAgent, ToAgent};
use daam_identity::ticket::{TicketGrant, TicketRole};
use daam_store::AgentAuth;
use std::sync::Arc;
use tokio::time::Instant;

/// Relays drop an agent whose ticket ended, so a ticket outlasts an outage of the control plane.
const TICKET_SECONDS: i64 = 86_400;
/// Tickets are renewed when this much of their life is left: every half hour.
const RENEW_SECONDS: i64 = TICKET_SECONDS - 1800;

/// Nothing has been told at first: a new link gets everything, whatever the agent says it holds, and refuses or
/// ignores what it has.
#[derive(Debug, Default)]
pub(crate) struct Pushed {
    authorities: Option<u64>,
    trust: Option<u64>,
    bundle: Option<Arc<str>>,
    freshness: Option<Text>,
    directory: Option<u64>,
    held: (u64, Option<String>),
    revoked: Option<Arc<Revoked>>,
    /// What the agent said no to, to be said once more.
    refused: Refused,
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
            message => return self.refused.hear(message),
        }
        true
    }

    /// What changed since the last call: who may no longer enter first, then who may, then what they may do.
    pub(crate) async fn news(
        &mut self,
        app: &App,
        agent: &AgentAuth,
        present: &Present,
    ) -> Result<Vec<Text>, End> {
        self.forget_what_was_refused();
        let mut news = Vec::new();
        news.extend(self.revoked(present));
        news.extend(self.authorities(app, agent, present).await?);
        news.extend(self.directory(app, agent, present).await?);
        news.extend(self.trust(app, agent, present).await?.iter().cloned());
        news.extend(self.bundle(app, agent, present).await?);
        news.extend(self.freshness(app, agent, present).await?);
        news.extend(self.access(app, agent, present).await?);
        news.extend(self.relays(app, agent, present).await?);
        Ok(news)
    }

    fn forget_what_was_refused(&mut self) {
        let now = Instant::now();
        if self.refused.authorities.is_due(now) {
            self.authorities = None;
        }
        if self.refused.trust.is_due(now) {
            self.trust = None;
        }
        if self.refused.bundle.is_due(now) {
            self.bundle = None;
        }
    }

    fn revoked(&mut self, present: &Present) -> Option<Text> {
        let revoked = present.revoked_text();
        let known = revoked.is_known(self.revoked.as_ref());
        self.revoked = Some(Arc::clone(revoked));
        (!known).then(|| revoked.text.clone())
    }

    /// Before an agent is offered to anybody it believes whoever signs certificates now.
    async fn authorities(
        &mut self,
        app: &App,
        agent: &AgentAuth,
        present: &Present,
    ) -> Result<Option<Text>, End> {
        let version = present.authorities_version();
        if version <= self.authorities.unwrap_or(1) {
            return Ok(None);
        }
        self.authorities = Some(version);
        texts::authorities(app, agent.scope(), version).await.map(Some)
    }

    async fn directory(
        &mut self,
        app: &App,
        agent: &AgentAuth,
        present: &Present,
    ) -> Result<Option<Text>, End> {
        let present = present.directory_version();
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
            let replaced = ToAgent::DirectoryReplaced { held, version, users: directory.users() };
            return Ok(Some(Text::of(&replaced)?));
        }
        let known = digest.filter(|digest| directory.was(held, digest)).map(|_| held);
        let before = self.directory.replace(version).or(known);
        Ok(directory.told(before)?)
    }

    async fn trust(&mut self, app: &App, agent: &AgentAuth, present: &Present) -> Result<Arc<[Text]>, End> {
        let version = present.trust_version();
        if self.trust == Some(version) {
            return Ok(Arc::new([]));
        }
        self.trust = Some(version);
        // Another trust file may name our freshness key, or no longer.
        self.freshness = None;
        texts::trust_updates(app, agent.scope(), present).await
    }

    /// Our word that the published bundle is the latest, if the trust file lets us give it.
    async fn freshness(
        &mut self,
        app: &App,
        agent: &AgentAuth,
        present: &Present,
    ) -> Result<Option<Text>, End> {
        let Some(head) = &self.bundle else { return Ok(None) };
        let said = texts::freshness(app, agent, present, head).await?;
        if said == self.freshness {
            return Ok(None);
        }
        self.freshness.clone_from(&said);
        Ok(said)
    }

    async fn bundle(&mut self, app: &App, agent: &AgentAuth, present: &Present) -> Result<Option<Text>, End> {
        // The head's text names epoch, serial and digest, so a new epoch with an old serial is news too.
        let Some(head) = present.database(agent).and_then(|database| database.head.as_deref()) else {
            return Ok(None);
        };
        if self.bundle.as_deref() == Some(head) {
            return Ok(None);
        }
        let Some(bundle) = texts::bundle(app, agent, head).await? else { return Ok(None) };
        if self.bundle.as_ref() == Some(&bundle.head) {
            return Ok(None);
        }
        if self.bundle.replace(bundle.head).is_some() {
            self.refused.replace_bundle();
        }
        Ok(Some(bundle.text))
    }

    /// The whole list, so that whatever was lost on the way takes nothing with it. An agent that never was told anything
    /// is not told that it is nothing.
    async fn access(&mut self, app: &App, agent: &AgentAuth, present: &Present) -> Result<Option<Text>, End> {
        let version = present.database(agent).map_or(0, |database| database.access_version);
        let held = self.access_held.take().filter(|held| *held > version);
        if held.is_none() && version <= self.access.unwrap_or(0) {
            return Ok(None);
        }
        let Some(held) = held else {
            let access = texts::access(app, agent, version).await?;
            self.access = Some(access.version);
            return Ok(Some(access.text));
        };
        let (version, grants) = app.db().access_grants(agent.scope(), agent.database(), app.now()).await?;
        self.access = Some(version);
        if held <= version {
            return Ok(Some(Text::of(&ToAgent::AccessUpdate { version, grants })?));
        }
        // Our versions have caught up wherever they may: this one is none of ours.
        tracing::error!(
            agent = agent.agent_id(),
            held,
            version,
            "an agent held a list of access this control plane never had"
        );
        Ok(Some(Text::of(&ToAgent::AccessReplaced { held, version, grants })?))
    }

    async fn relays(&mut self, app: &App, agent: &AgentAuth, present: &Present) -> Result<Option<Text>, End> {
        let (now, addresses) = (present.now(), present.relays());
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
        let signer = texts::ticket_signer(app, agent.scope()).await.map_err(Refusal::from)?;
        let relays = relay_offers(&signer, addresses.to_vec(), &grant)?;
        self.relays = Some((addresses.to_vec(), expires));
        Ok(Some(Text::of(&ToAgent::RelayUpdate { relays })?))
    }
}
