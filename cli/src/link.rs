//! The way to one database's agent: a certificate, an offer, one tunnel.
//!
//! One tunnel carries every local connection of this process. When it has ended, the next connection gets a new
//! one; sessions are never moved silently, because they hold state at the server.

use crate::control_plane::ControlPlane;
use crate::credentials::{Identity, IdentityStore};
use crate::error::{CliError, Doing as _};
use daam_api::v1::ConnectOffer;
use daam_identity::AgentPrincipal;
use daam_tunnel::{DialPlan, PathPreference, RelayTarget, TcpSettings, Tunnel};
use futures_util::FutureExt as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

const GOODBYE: &str = "the client ended";
/// When somebody still uses the tunnel: time for the close to be sent before the process ends.
const LAST_PACKET: Duration = Duration::from_millis(50);

/// What a link needs to know.
#[derive(Debug)]
pub struct LinkConfig {
    /// The control plane, with the user's token.
    pub plane: ControlPlane,
    /// The organization the agent must belong to.
    pub org: String,
    /// The database asked for.
    pub database: String,
    /// This device's id.
    pub device: String,
    /// Which path to take.
    pub prefer: PathPreference,
    /// How relays are reached over TCP.
    pub tcp: TcpSettings,
}

/// A tunnel that is made when needed.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    identities: IdentityStore,
    /// The certificate the tunnel stands on.
    certificate: Option<String>,
    tunnel: Option<Arc<Tunnel>>,
}

impl Link {
    /// Makes nothing yet.
    pub fn new(config: LinkConfig, identities: IdentityStore) -> Self {
        Self { config, state: Mutex::new(State { identities, certificate: None, tunnel: None }) }
    }

    /// The database at the other end.
    pub fn database(&self) -> &str {
        &self.config.database
    }

    /// The present tunnel, or a new one.
    pub async fn tunnel(&self) -> Result<Arc<Tunnel>, CliError> {
        let mut state = self.state.lock().await;
        if let Some(tunnel) = &state.tunnel
            && tunnel.closed().now_or_never().is_none()
        {
            return Ok(Arc::clone(tunnel));
        }
        let plan = self.plan(&mut state.identities).await?;
        let certificate = plan.cert_pem.clone();
        let tunnel = daam_tunnel::dial(plan)
            .await
            .doing(format_args!("reach the agent of `{}`", self.config.database))
            .map_err(|error| {
                let helps = remedy(&error.sentence(), &self.config.database);
                error.remedy(helps)
            })?;
        let tunnel = Arc::new(tunnel);
        state.tunnel = Some(Arc::clone(&tunnel));
        state.certificate = Some(certificate);
        Ok(tunnel)
    }

    async fn plan(&self, identities: &mut IdentityStore) -> Result<DialPlan, CliError> {
        let mut identity = identities.fresh(&self.config.plane, &self.config.device).await?;
        let offer = self.config.plane.connect(&self.config.database).await?;
        let offer = self.checked(offer)?;
        // The agent may have its certificate of a new one already.
        let ca_pem = identity.believing(&offer.authorities)?;
        if !offer.authorities.is_empty() && !identity.is_of(&ca_pem) {
            // Ours was of one that was retired early.
            identity = identities.renew(&self.config.plane, &self.config.device).await?;
        }
        Ok(DialPlan {
            direct: addresses(&offer.direct).await,
            relays: relays(&offer).await,
            agent: AgentPrincipal { org: offer.org, agent_id: offer.agent_id, database: offer.database },
            ca_pem,
            cert_pem: identity.certificate_pem,
            key_pem: Zeroizing::new(identity.key_pem),
            prefer: self.config.prefer,
            tcp: self.config.tcp.clone(),
        })
    }

    /// What would be dialled, anew each time.
    pub async fn fresh_plan(&self) -> Result<DialPlan, CliError> {
        let mut state = self.state.lock().await;
        self.plan(&mut state.identities).await
    }

    /// The present tunnel, if there is one and nobody is making another.
    pub fn current(&self) -> Option<Arc<Tunnel>> {
        self.state.try_lock().ok()?.tunnel.clone()
    }

    /// The certificate the session stands on, PEM.
    pub async fn certificate(&self) -> Option<String> {
        self.state.lock().await.certificate.clone()
    }

    /// Gets a new certificate and makes the session stand on it.
    pub async fn renew(&self) -> Result<(), CliError> {
        let Some(tunnel) = self.state.lock().await.tunnel.clone() else { return Ok(()) };
        // Nobody who wants to open a session waits for this.
        let identity = Identity::request(&self.config.plane, &self.config.device).await?;
        self.state.lock().await.identities.check(&identity)?;
        tunnel
            .renew(&identity.certificate_pem, &identity.key_pem, &identity.ca_pem)
            .await
            .doing("renew the session's certificate")?;
        let mut state = self.state.lock().await;
        state.certificate = Some(identity.certificate_pem.clone());
        state.identities.keep(&identity)
    }

    /// Gets new tickets for the session's relays.
    pub async fn renew_tickets(&self) -> Result<(), CliError> {
        let Some(tunnel) = self.current() else { return Ok(()) };
        let offer = self.checked(self.config.plane.connect(&self.config.database).await?)?;
        tunnel.renew_tickets(relays(&offer).await);
        Ok(())
    }

    /// Ends the tunnel, if there is one, so that the agent hears of it.
    pub async fn close(&self) {
        let Some(tunnel) = self.state.lock().await.tunnel.take() else { return };
        match Arc::try_unwrap(tunnel) {
            Ok(tunnel) => tunnel.shutdown(GOODBYE).await,
            Err(tunnel) => {
                tunnel.close(GOODBYE);
                tokio::time::sleep(LAST_PACKET).await;
            }
        }
    }

    /// The control plane may only offer an agent of the organization and database asked for.
    fn checked(&self, offer: ConnectOffer) -> Result<ConnectOffer, CliError> {
        if offer.org == self.config.org && offer.database == self.config.database {
            return Ok(offer);
        }
        Err(CliError::usage(format!(
            "the control plane offered an agent of `{}/{}` although `{}/{}` was asked for",
            offer.org, offer.database, self.config.org, self.config.database
        ))
        .remedy("report this to whoever runs the control plane"))
    }
}

fn remedy(said: &str, database: &str) -> String {
    let doctor = || format!("`daam doctor {database}` tries every way and says what to do about each");
    crate::remedy::of(said).map_or_else(doctor, str::to_owned)
}

/// Names that do not resolve are left out: another address may do.
async fn addresses(names: &[String]) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for name in names {
        if let Ok(resolved) = tokio::net::lookup_host(name).await {
            found.extend(resolved);
        }
    }
    found
}

async fn relays(offer: &ConnectOffer) -> Vec<RelayTarget> {
    let mut targets = Vec::new();
    for relay in &offer.relays {
        let resolved = addresses(std::slice::from_ref(&relay.address)).await;
        let target = |addr| RelayTarget::new(addr, &relay.address, relay.ticket.clone());
        targets.extend(resolved.into_iter().map(target));
    }
    targets
}
