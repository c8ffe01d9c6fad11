//! What the agent presents to whoever connects, and by whom it believes them: its certificate and the authorities, which
//! change one without the other and are used together.

use crate::authorities::AuthorityStore;
use crate::cause;
use crate::enrolment::Credentials;
use daam_api::link::{Authority, FromAgent};
use daam_tunnel::{ListenError, Listener};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// One agent's.
#[derive(Debug)]
pub struct Papers {
    listener: Arc<Listener>,
    held: Mutex<Held>,
    changed: Notify,
}

#[derive(Debug)]
struct Held {
    credentials: Credentials,
    authorities: AuthorityStore,
}

impl Held {
    fn present(&self, listener: &Listener, credentials: &Credentials) -> Result<(), ListenError> {
        let authorities = self.authorities.believed().to_pem();
        listener.set_certificate(&credentials.certificate_pem, credentials.key_pem.expose(), &authorities)
    }
}

impl Papers {
    /// Those the listener was started with.
    pub fn new(listener: Arc<Listener>, credentials: Credentials, authorities: AuthorityStore) -> Self {
        Self { listener, held: Mutex::new(Held { credentials, authorities }), changed: Notify::new() }
    }

    /// Who the agent is now.
    pub fn credentials(&self) -> Credentials {
        self.with(|held| held.credentials.clone())
    }

    /// The authorities believed, for a moment.
    pub fn believing<T>(&self, of: impl FnOnce(&mut AuthorityStore) -> T) -> T {
        self.with(|held| of(&mut held.authorities))
    }

    /// Whether its certificate is of an authority that new ones do not come from any more.
    pub fn is_outdated(&self) -> bool {
        self.with(|held| held.authorities.is_outdated(&held.credentials.certificate_pem))
    }

    /// Presents another certificate from now on.
    pub fn renewed(&self, credentials: &Credentials) -> Result<(), ListenError> {
        self.with(|held| {
            held.present(&self.listener, credentials)?;
            held.credentials = credentials.clone();
            Ok(())
        })
    }

    /// Follows the authorities that are offered. When this returns whoever connects is judged by them.
    pub fn offer(&self, version: u64, offered: Vec<Authority>) -> FromAgent {
        let followed = self.with(|held| {
            let followed = held.authorities.follow(offered).map_err(|error| cause::chain(&error));
            // Also of what could not be followed to its end: what was taken away is gone.
            held.present(&self.listener, &held.credentials).map_err(|error| cause::chain(&error))?;
            followed
        });
        match followed {
            Ok(changed) => {
                if changed {
                    tracing::info!(version, "the identity CAs that are believed changed");
                    self.changed.notify_one();
                }
                FromAgent::CaStatus { version, reason: None }
            }
            Err(reason) => {
                tracing::error!(version, reason, "the identity CAs offered are not taken; none was added");
                self.changed.notify_one();
                FromAgent::CaStatus { version, reason: Some(reason) }
            }
        }
    }

    /// Once something of the authorities is new.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    fn with<T>(&self, of: impl FnOnce(&mut Held) -> T) -> T {
        of(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
