//! What an agent has been told on this link, and what is news to it.

use crate::app::App;
use crate::keys;
use crate::link::{End, relay_offers};
use crate::routes::relays::announced_after;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daam_api::link::ToAgent;
use daam_identity::ticket::{TicketGrant, TicketRole};
use daam_store::AgentAuth;
use std::collections::BTreeSet;

/// Relays drop an agent whose ticket ended, so a ticket outlasts an outage of the control plane.
const TICKET_SECONDS: i64 = 86_400;
/// Tickets are renewed when this much of their life is left: every half hour.
const RENEW_SECONDS: i64 = TICKET_SECONDS - 1800;

/// Nothing has been told at first: a new link gets everything, whatever the agent says it holds, and refuses or
/// ignores what it has.
#[derive(Debug, Default)]
pub(crate) struct Pushed {
    bundle: Option<String>,
    directory: Option<u64>,
    revoked: BTreeSet<String>,
    relays: Option<(Vec<String>, i64)>,
}

impl Pushed {
    /// What changed since the last call: who may no longer enter first, then who may, then what they may do.
    pub(crate) async fn news(&mut self, app: &App, agent: &AgentAuth) -> Result<Vec<ToAgent>, End> {
        let mut news = Vec::new();
        news.extend(self.revoked(app, agent).await?);
        news.extend(self.directory(app, agent).await?);
        news.extend(self.bundle(app, agent).await?);
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
        if self.directory == Some(app.db().directory_version(agent.scope()).await?) {
            return Ok(None);
        }
        let (version, users) = app.db().directory(agent.scope()).await?;
        self.directory = Some(version);
        Ok(Some(ToAgent::DirectoryUpdate { version, users }))
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
            expires,
        };
        let signer = keys::ticket_signer(app, agent.scope()).await.map_err(crate::problem::Refusal::from)?;
        let relays = relay_offers(&signer, addresses.clone(), &grant)?;
        self.relays = Some((addresses, expires));
        Ok(Some(ToAgent::RelayUpdate { relays }))
    }
}
