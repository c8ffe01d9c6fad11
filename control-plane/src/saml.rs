//! Our side of providers that speak SAML: the addresses they are told, the key we sign with there, and what of an
//! assertion becomes a member. Each provider has addresses of its own, so what is said to one is nothing to another.

use crate::app::App;
use crate::base::Base;
use crate::problem::Refusal;
use crate::vault::VaultError;
use axum::http::StatusCode;
use daam_saml::{Assertion, IdentityProvider, NameId, OurKey, Outgoing, OutgoingError, Refused, Us};
use daam_store::{Proven, SignInProvider, StoredProvider};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::num::NonZero;
use std::sync::Arc;
use tokio::sync::Semaphore;
use uuid::Uuid;

/// What providers call the e-mail address, where an admin does not say.
const EMAIL: [&str; 4] = [
    "email",
    "mail",
    "urn:oid:0.9.2342.19200300.100.1.3",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
];

/// What is kept of a provider.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) provider: IdentityProvider,
    /// Of our key there, DER in base64.
    pub(crate) certificate: String,
    pub(crate) email_attribute: Option<String>,
}

impl Settings {
    /// `None` for a provider that does not speak SAML.
    pub(crate) fn of(provider: &StoredProvider) -> Result<Option<Self>, Refusal> {
        let read = |text: &String| serde_json::from_str(text);
        let settings = provider.saml.as_ref().map(read).transpose();
        settings.map_err(|error| Refusal::internal("read a provider's settings", &error))
    }

    pub(crate) fn text(&self) -> Result<String, Refusal> {
        serde_json::to_string(self).map_err(|error| Refusal::internal("write a provider's settings", &error))
    }
}

/// Our addresses at a provider.
pub(crate) fn us(base: &Base, id: &str) -> Us {
    let acs = base.url(&format!("/sign-in/saml/{id}"));
    Us { entity_id: format!("{acs}/metadata"), logout: format!("{acs}/logout"), acs }
}

/// Makes the key we sign with at a provider: sealed, and its certificate.
pub(crate) async fn make_key(app: &App, (org, id): (&str, &str)) -> Result<(String, Vec<u8>), Refusal> {
    let failed = |error: &dyn Error| Refusal::internal("make a key", error);
    let made = tokio::task::spawn_blocking(OurKey::make).await.map_err(|error| failed(&error))?;
    let (pem, certificate) = made.map_err(|error| failed(&error))?;
    let sealed = app.vault().seal(&place(org, id), &pem).map_err(|error: VaultError| failed(&error))?;
    Ok((sealed, certificate))
}

/// The key we sign with at a provider.
fn our_key(app: &App, at: &SignInProvider) -> Result<OurKey, Refusal> {
    let failed = |error: &dyn Error| Refusal::internal("open a key", error);
    let provider = at.provider();
    let sealed = provider.sealed_secret.as_deref().unwrap_or_default();
    let pem =
        app.vault().open(&place(at.scope().org(), &provider.id), sealed).map_err(|error| failed(&error))?;
    OurKey::from_pem(&pem).map_err(|error| failed(&error))
}

/// Says something to a provider: where to send the browser with it.
pub(crate) async fn say(
    app: &App,
    (at, id): (&SignInProvider, &str),
    what: impl FnOnce(Outgoing<'_>) -> Result<String, OutgoingError> + Send + 'static,
) -> Result<String, Refusal> {
    let us = us(app.base(), &at.provider().id);
    let (key, id, now) = (our_key(app, at)?, id.to_owned(), app.now());
    let said = app.saml_checks().run(move || what(Outgoing { us: &us, key, id: &id, now })).await?;
    said.map_err(|error| Refusal::internal("write a message", &error))
}

/// How many messages wait for a look at most; more are asked to come again.
const MOST_WAITING: usize = 256;

/// Reading and verifying messages is work for a processor, up to some milliseconds each, and strangers send them. So it is
/// done beside what serves everybody else, by as many threads as there are processors, and no more wait than can be served
/// while their senders do.
#[derive(Debug)]
pub(crate) struct Checks {
    running: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Default for Checks {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self { running: Arc::new(Semaphore::new(processors)), places: Arc::new(Semaphore::new(MOST_WAITING)) }
    }
}

impl Checks {
    /// Does it as soon as there is a thread for it. What has begun keeps its place until it is done, whether or not its
    /// sender still waits: nothing ends it sooner.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let failed = |error: &dyn Error| Refusal::internal("look at a message", error);
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            Refusal::later("saml.busy", "too many messages of identity providers wait to be looked at", 5)
        })?;
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(|error| failed(&error))?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((place, running));
            done
        });
        done.await.map_err(|error| failed(&error))
    }
}

/// An id of a message of ours.
pub(crate) fn message_id() -> String {
    format!("_{}", Uuid::new_v4().simple())
}

/// What an assertion proves, as far as this provider's rules look at it. That the provider verified an address is nothing
/// SAML could say.
pub(crate) fn proven(
    assertion: &Assertion,
    provider: &StoredProvider,
    settings: &Settings,
) -> Result<Proven, Refusal> {
    let name_id = serde_json::to_string(assertion.name_id())
        .map_err(|error| Refusal::internal("write a name", &error))?;
    let groups = provider.rules.groups_claim.as_deref().map_or(&[][..], |name| assertion.attribute(name));
    Ok(Proven {
        subject: assertion.name_id().value.clone(),
        email: email(assertion, settings.email_attribute.as_deref()),
        email_verified: false,
        groups: groups.iter().cloned().collect(),
        session: assertion.session().map(str::to_owned),
        name_id: Some(name_id),
        once: Some((assertion.id().to_owned(), assertion.forgettable_at())),
        ends_by: assertion.ends_by(),
    })
}

/// The one address an attribute holds; several are none.
fn email(assertion: &Assertion, attribute: Option<&str>) -> Option<String> {
    let only = |name: &str| match assertion.attribute(name) {
        [one] => Some(one.to_ascii_lowercase()),
        _ => None,
    };
    match attribute {
        Some(name) => only(name),
        None => EMAIL.into_iter().find_map(only).or_else(|| {
            assertion.is_named_by_email().then(|| assertion.name_id().value.to_ascii_lowercase())
        }),
    }
}

/// A name as it was kept with a session.
pub(crate) fn kept_name(text: &str) -> Option<NameId> {
    serde_json::from_str(text).ok()
}

/// A message that does not hold.
pub(crate) fn refused(provider: &str, refused: Refused) -> Refusal {
    // Its words are ours: nothing a stranger wrote is in it.
    tracing::warn!(provider, code = refused.code(), reason = %refused, "a message of an identity provider was refused");
    let status = if refused == Refused::Size { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::FORBIDDEN };
    Refusal::new(status, refused.code(), refused.to_string()).allowed("to begin again, from the sign-in page")
}

fn place(org: &str, id: &str) -> String {
    format!("{org}/saml/{id}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    #[tokio::test]
    async fn no_more_are_looked_at_than_there_are_threads_for_and_no_more_wait_than_places() {
        let checks =
            Arc::new(Checks { running: Arc::new(Semaphore::new(2)), places: Arc::new(Semaphore::new(4)) });
        let (go, wait) = mpsc::channel::<()>();
        let wait = Arc::new(std::sync::Mutex::new(wait));
        let at_once = Arc::new(AtomicUsize::new(0));
        let (say, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let looks: Vec<_> = (0..4)
            .map(|_| {
                let (checks, wait, at_once, say) =
                    (Arc::clone(&checks), Arc::clone(&wait), Arc::clone(&at_once), say.clone());
                tokio::spawn(async move {
                    checks
                        .run(move || {
                            let now = at_once.fetch_add(1, Ordering::SeqCst) + 1;
                            say.send(()).unwrap();
                            wait.lock().unwrap().recv().unwrap();
                            at_once.fetch_sub(1, Ordering::SeqCst);
                            now
                        })
                        .await
                })
            })
            .collect();
        begun.recv().await.unwrap();
        begun.recv().await.unwrap();
        while checks.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        // Whoever serves has its thread meanwhile, and can say no.
        let (status, code, ..) = checks.run(|| ()).await.unwrap_err().parts();
        assert_eq!((status.as_u16(), code), (429, "saml.busy"));
        for _ in 0..4 {
            go.send(()).unwrap();
        }
        for look in looks {
            assert!(look.await.unwrap().unwrap() <= 2, "two at once");
        }
        assert!(checks.run(|| ()).await.is_ok());
    }

    #[tokio::test]
    async fn whoever_hangs_up_frees_no_place_before_the_look_is_over() {
        let checks =
            Arc::new(Checks { running: Arc::new(Semaphore::new(1)), places: Arc::new(Semaphore::new(1)) });
        let (go, wait) = mpsc::channel::<()>();
        let (say, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let theirs = Arc::clone(&checks);
        let look = tokio::spawn(async move {
            theirs
                .run(move || {
                    say.send(()).unwrap();
                    wait.recv()
                })
                .await
        });
        begun.recv().await.unwrap();
        look.abort();
        assert!(look.await.unwrap_err().is_cancelled());
        let (status, code, ..) = checks.run(|| ()).await.unwrap_err().parts();
        assert_eq!((status.as_u16(), code), (429, "saml.busy"));
        go.send(()).unwrap();
        while checks.run(|| ()).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
}
