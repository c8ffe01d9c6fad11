//! Texts as agents are told them, written once for all agents of an organization or of a database, and kept for as long as
//! agents ask for them.

use super::{KEPT, Present};
use crate::app::App;
use crate::authorities::history;
use crate::keys::{self, KeyError};
use crate::link::End;
use crate::link::text::Text;
use crate::problem::Refusal;
use crate::routes::trust;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daam_api::link::ToAgent;
use daam_bundle::trust::MAX_WALK;
use daam_bundle::{Freshness, Head, Role, TrustDocument};
use daam_identity::ticket::TicketSigner;
use daam_store::{AgentAuth, TenantScope};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::time::Instant;

/// How long a freshness statement counts, and how often a new one is said: an agent that misses two is still fresh.
const FRESH_SECONDS: i64 = 3600;
const FRESH_EVERY: i64 = 1200;

/// One organization's.
#[derive(Debug, Default)]
pub(super) struct Texts {
    authorities: Kept<(), (u64, Text)>,
    trust: Kept<(), Trust>,
    bundles: Kept<String, Bundle>,
    freshness: Kept<String, Said>,
    access: Kept<String, Access>,
    signer: Kept<(), Signer>,
}

impl Texts {
    /// Lets go of what nobody asked for lately.
    pub(super) fn rest(&mut self) {
        self.authorities.rest();
        self.trust.rest();
        self.bundles.rest();
        self.freshness.rest();
        self.access.rest();
        self.signer.rest();
    }
}

#[derive(Debug, Clone)]
struct Trust {
    version: u64,
    updates: Arc<[Text]>,
}

/// A database's bundle.
#[derive(Debug, Clone)]
pub(crate) struct Bundle {
    /// As the verifier wrote it: epoch, serial and digest.
    pub(crate) head: Arc<str>,
    pub(crate) text: Text,
}

#[derive(Debug, Clone)]
struct Said {
    head: Arc<str>,
    trust: u64,
    at: i64,
    text: Option<Text>,
}

/// What a database's agents are told of access.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) version: u64,
    /// Until something of it is over.
    until: i64,
    pub(crate) text: Text,
}

#[derive(Clone)]
struct Signer(Arc<TicketSigner>);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

/// What was asked for lately.
#[derive(Debug)]
struct Kept<K, V>(HashMap<K, (Instant, V)>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + std::hash::Hash, V: Clone> Kept<K, V> {
    fn get<Q>(&mut self, key: &Q, still_good: impl FnOnce(&V) -> bool) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + std::hash::Hash + ?Sized,
    {
        let (used, value) = self.0.get_mut(key).filter(|(_, value)| still_good(value))?;
        *used = Instant::now();
        Some(value.clone())
    }

    fn keep(&mut self, key: K, value: &V) {
        self.0.insert(key, (Instant::now(), value.clone()));
    }

    fn rest(&mut self) {
        self.0.retain(|_, (used, _)| used.elapsed() < KEPT);
    }
}

/// The certificate authorities, of this version or a later one.
pub(crate) async fn authorities(app: &App, scope: &TenantScope, version: u64) -> Result<Text, End> {
    let shared = app.briefings().of(scope);
    let mut texts = shared.texts.lock().await;
    if let Some((_, known)) = texts.authorities.get(&(), |(known, _)| *known >= version) {
        return Ok(known);
    }
    let (version, all) = app.db().authorities(scope).await?;
    let text = Text::of(&ToAgent::CaUpdate { version, authorities: history(&all) })?;
    texts.authorities.keep((), &(version, text.clone()));
    Ok(text)
}

/// All signed versions of the trust file we have, as many at once as an agent follows; it passes over what it holds and
/// follows the rest itself.
pub(crate) async fn trust_updates(
    app: &App,
    scope: &TenantScope,
    present: &Present,
) -> Result<Arc<[Text]>, End> {
    let shared = app.briefings().of(scope);
    let mut texts = shared.texts.lock().await;
    let version = present.trust_version();
    if let Some(known) = texts.trust.get(&(), |known| known.version == version) {
        return Ok(known.updates);
    }
    let mut documents = app.db().trust_versions(scope).await?;
    documents.retain(|text| matches!(TrustDocument::parse(text), Ok(TrustDocument::Signed(_))));
    let updates = documents.chunks(MAX_WALK);
    let updates = updates.map(|documents| Text::of(&ToAgent::TrustUpdate { documents: documents.to_vec() }));
    let updates: Arc<[Text]> = updates.collect::<Result<_, _>>()?;
    texts.trust.keep((), &Trust { version, updates: Arc::clone(&updates) });
    Ok(updates)
}

/// The bundle of the agent's database, if it has this head or a later one.
pub(crate) async fn bundle(app: &App, agent: &AgentAuth, head: &str) -> Result<Option<Bundle>, End> {
    let (scope, database) = (agent.scope(), agent.database());
    let shared = app.briefings().of(scope);
    let mut texts = shared.texts.lock().await;
    if let Some(known) = texts.bundles.get(database, |known| *known.head == *head) {
        return Ok(Some(known));
    }
    let Some((head, bundle)) = app.db().published(scope, database).await? else { return Ok(None) };
    let text =
        Text::of(&ToAgent::PolicyUpdate { serial: bundle.serial, bundle: STANDARD.encode(bundle.bytes) })?;
    let bundle = Bundle { head: head.into(), text };
    texts.bundles.keep(database.to_owned(), &bundle);
    Ok(Some(bundle))
}

/// Our word that the bundle with this head is the latest, if the trust file lets us give it.
pub(crate) async fn freshness(
    app: &App,
    agent: &AgentAuth,
    present: &Present,
    head: &Arc<str>,
) -> Result<Option<Text>, End> {
    let (scope, database, now) = (agent.scope(), agent.database(), app.now());
    let shared = app.briefings().of(scope);
    let mut texts = shared.texts.lock().await;
    let trust = present.trust_version();
    let still_good =
        |said: &Said| said.head == *head && said.trust == trust && said.at.saturating_add(FRESH_EVERY) > now;
    if let Some(said) = texts.freshness.get(database, still_good) {
        return Ok(said.text);
    }
    let text = say_fresh(app, agent, (head, now)).await?;
    let said = Said { head: Arc::clone(head), trust, at: now, text: text.clone() };
    texts.freshness.keep(database.to_owned(), &said);
    Ok(text)
}

async fn say_fresh(app: &App, agent: &AgentAuth, (head, now): (&str, i64)) -> Result<Option<Text>, End> {
    let scope = agent.scope();
    let Some(stored) = app.db().trust(scope).await? else { return Ok(None) };
    let trust = trust::parsed(&stored)?;
    let Some(role) = trust.role(Role::Freshness) else { return Ok(None) };
    let key = keys::freshness(app, scope).await.map_err(Refusal::from)?;
    if !role.keys.iter().any(|listed| listed.public == key.public()) {
        return Ok(None);
    }
    let head = Head::from_json(head).map_err(|error| Refusal::internal("read the head", &error))?;
    let said = Freshness::about(scope.org(), agent.database(), &head, now, FRESH_SECONDS);
    let envelope = said.sign(&key).map_err(|error| Refusal::internal("sign freshness", &error))?;
    Ok(Some(Text::of(&ToAgent::Freshness { envelope })?))
}

/// The whole list of the agent's database, of this version or a later one.
pub(crate) async fn access(app: &App, agent: &AgentAuth, version: u64) -> Result<Access, End> {
    let (scope, database, now) = (agent.scope(), agent.database(), app.now());
    let shared = app.briefings().of(scope);
    let mut texts = shared.texts.lock().await;
    let still_good = |known: &Access| known.version >= version && known.until > now;
    if let Some(known) = texts.access.get(database, still_good) {
        return Ok(known);
    }
    let (version, grants) = app.db().access_grants(scope, database, now).await?;
    let until = grants.iter().map(|grant| grant.ends_at).min().unwrap_or(i64::MAX);
    let access = Access { version, until, text: Text::of(&ToAgent::AccessUpdate { version, grants })? };
    texts.access.keep(database.to_owned(), &access);
    Ok(access)
}

/// What signs tickets, open for as long as many are signed.
pub(crate) async fn ticket_signer(app: &App, scope: &TenantScope) -> Result<Arc<TicketSigner>, KeyError> {
    let shared = app.briefings().of(scope);
    let mut texts = shared.texts.lock().await;
    if let Some(Signer(known)) = texts.signer.get(&(), |_| true) {
        return Ok(known);
    }
    let signer = Arc::new(keys::ticket_signer(app, scope).await?);
    texts.signer.keep((), &Signer(Arc::clone(&signer)));
    Ok(signer)
}
