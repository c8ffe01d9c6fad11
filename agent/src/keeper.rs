//! The keeper of the desired state: bundle, catalogue, scope and directory in, one [`PolicyState`] out.
//!
//! Whatever changes, the whole state is rebuilt and published once; sessions compare and move. The bundle and the
//! directory are on disk before they are in force, so the agent goes on enforcing them with the control plane away and
//! after a restart. Nothing here becomes more open because something is missing: without a bundle, a directory or a
//! catalogue nobody gets in.

mod access;
mod revocations;
mod rotation;

pub use revocations::RevokedError;

use crate::access::Reading;
use crate::bundle_store::{Accepted, BundleStore, Rejected};
use crate::directory::Directory;
use crate::introspect::FullCatalog;
use crate::kept_file;
use crate::link::unix_now;
use crate::scope::{self, Deduplication, ScopedCatalog, Violation};
use crate::state::{ActiveBundle, PolicyState};
use daam_api::link::{DirectoryUser, FromAgent};
use daam_bundle::{Standing, VerifiedBundle};
use daam_catalog::Scope;
use daam_enforce::Objects;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

const DIRECTORY: &str = "directory.json";

/// Holds the desired state and publishes it.
#[derive(Debug)]
pub struct Keeper {
    inner: Mutex<Inner>,
    state: watch::Sender<Arc<PolicyState>>,
    outbox: mpsc::Sender<FromAgent>,
    state_dir: PathBuf,
    started: Instant,
    violations: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    store: BundleStore,
    bundle: Option<VerifiedBundle>,
    freshness: rotation::Said,
    standing: Option<Standing>,
    full: Option<FullCatalog>,
    scoped: ScopedCatalog,
    objects: Arc<Objects>,
    scope: Arc<Scope>,
    directory: Arc<Directory>,
    revoked: revocations::Revoked,
    reported: Deduplication,
    access: access::Access,
}

#[derive(Serialize, Deserialize)]
struct StoredDirectory {
    version: u64,
    users: Vec<DirectoryUser>,
}

impl Keeper {
    /// Starts from what is on disk. A stored bundle that does not verify any more is not used, and said so; a list of revoked
    /// certificates that cannot be read refuses the start, because without it they would be let in.
    pub fn start(
        store: BundleStore,
        scope: Scope,
        state_dir: PathBuf,
        outbox: mpsc::Sender<FromAgent>,
        now_unix: i64,
    ) -> Result<Self, RevokedError> {
        let revoked = revocations::Revoked::open(&state_dir)?;
        let bundle = store.stored(now_unix).unwrap_or_else(|error| {
            tracing::error!(error = %error, "the stored bundle is not used; nobody gets in until a good one arrives");
            None
        });
        if bundle.is_none() && !store.is_guarded() {
            tracing::warn!(
                "nothing says which bundle is the lowest to accept; an older one that has not expired could be offered"
            );
        }
        let directory = match read_json::<StoredDirectory>(&state_dir, DIRECTORY) {
            Some(stored) => Directory::new(stored.version, stored.users),
            None => Directory::default(),
        };
        let inner = Inner {
            freshness: rotation::Said::stored(&state_dir, &store, now_unix),
            standing: None,
            store,
            bundle,
            full: None,
            scoped: ScopedCatalog::default(),
            objects: Arc::default(),
            scope: Arc::new(scope),
            directory: Arc::new(directory),
            revoked,
            reported: Deduplication::default(),
            access: access::Access::stored(&state_dir, Reading { unix: unix_now(), steady: Duration::ZERO }),
        };
        let keeper = Self {
            inner: Mutex::new(inner),
            state: watch::Sender::new(Arc::new(PolicyState::default())),
            outbox,
            state_dir,
            started: Instant::now(),
            violations: AtomicU64::new(0),
        };
        keeper.publish(&mut keeper.lock());
        keeper.watch_standing(now_unix);
        keeper.report_dropped();
        Ok(keeper)
    }

    /// What sessions watch.
    pub fn watch(&self) -> watch::Receiver<Arc<PolicyState>> {
        self.state.subscribe()
    }

    /// The state in force.
    pub fn current(&self) -> Arc<PolicyState> {
        self.state.borrow().clone()
    }

    /// Violations counted since start, repetitions included.
    pub fn violations(&self) -> u64 {
        self.violations.load(Ordering::Relaxed)
    }

    /// Judges an offered bundle; the answer is the status to report.
    pub fn offer_bundle(&self, bytes: &[u8], now_unix: i64) -> FromAgent {
        let mut inner = self.lock();
        let scope = inner.scope.clone();
        let held = inner.bundle.clone();
        let held = held.as_ref().map(VerifiedBundle::policies);
        match inner.store.accept(bytes, held, &scope, now_unix) {
            Ok(Accepted { bundle, same, dropped }) => {
                let serial = bundle.statement().serial;
                inner.bundle = Some(bundle);
                let Inner { freshness, store, .. } = &mut *inner;
                freshness.judge(store, now_unix);
                self.publish(&mut inner);
                self.report(&mut inner, dropped);
                if !same {
                    tracing::info!(serial, "a new policy bundle is in force");
                }
                FromAgent::BundleStatus { serial, state: "active".to_owned(), reason: None }
            }
            Err(rejected) => {
                let reason = rejected.to_string();
                tracing::error!(%reason, "a policy bundle was refused; the previous one stays in force");
                if let Rejected::OutOfScope(violations) = rejected {
                    self.report(&mut inner, violations);
                }
                let serial = inner.bundle.as_ref().map_or(0, |bundle| bundle.statement().serial);
                FromAgent::BundleStatus { serial, state: "refused".to_owned(), reason: Some(reason) }
            }
        }
    }

    /// Takes a directory; an older version than the one held is ignored. Answers the version in force.
    pub fn set_directory(&self, version: u64, users: Vec<DirectoryUser>) -> u64 {
        let mut inner = self.lock();
        if version < inner.directory.version() {
            tracing::warn!(version, held = inner.directory.version(), "an older directory was ignored");
            return inner.directory.version();
        }
        self.put_directory(&mut inner, Directory::new(version, users));
        version
    }

    /// Takes a directory in place of the very version held, although it is an older one: the control plane knows which
    /// one we hold and that it is not of its own counting. What it did not name stays. Answers the version in force.
    pub fn replace_directory(&self, held: u64, version: u64, users: Vec<DirectoryUser>) -> u64 {
        let mut inner = self.lock();
        let present = inner.directory.version();
        if held != present || version >= present {
            tracing::warn!(version, held, present, "a directory in place of another one was ignored");
            return present;
        }
        tracing::error!(
            version,
            held,
            "the control plane never had the directory held here; its own is in force"
        );
        self.put_directory(&mut inner, Directory::new(version, users));
        version
    }

    /// Changes the directory held. None, and nothing is changed, if that is another one, or if the result is.
    pub fn change_directory(
        &self,
        (from, version): (u64, u64),
        users: Vec<DirectoryUser>,
        digest: &str,
    ) -> Option<u64> {
        let mut inner = self.lock();
        let present = inner.directory.version();
        let next = (from == present && version > present)
            .then(|| inner.directory.changed(version, users, digest))
            .flatten();
        let Some(next) = next else {
            tracing::warn!(from, version, present, "a change of another directory was ignored");
            return None;
        };
        self.put_directory(&mut inner, next);
        Some(version)
    }

    fn put_directory(&self, inner: &mut Inner, directory: Directory) {
        let stored = StoredDirectory { version: directory.version(), users: directory.to_wire() };
        self.keep_json(DIRECTORY, &stored);
        inner.directory = Arc::new(directory);
        self.publish(inner);
    }

    /// Takes what introspection found; true if it differs from before.
    pub fn set_catalog(&self, full: FullCatalog) -> bool {
        let mut inner = self.lock();
        let scoped = full.within(&inner.scope);
        let replaced = full.objects != *inner.objects;
        if replaced {
            inner.objects = Arc::new(full.objects.clone());
        }
        inner.full = Some(full);
        let changed = scoped.catalog() != inner.scoped.catalog();
        if changed || replaced || scoped.known() != inner.scoped.known() {
            inner.scoped = scoped;
            self.publish(&mut inner);
        }
        changed
    }

    /// Takes another scope, applies it to the catalogue and the bundle in force, and publishes. Answers the generation
    /// that a session has to reach to live under it.
    pub fn set_scope(&self, scope: Scope) -> u64 {
        let mut inner = self.lock();
        inner.scope = Arc::new(scope);
        if let Some(full) = &inner.full {
            inner.scoped = full.within(&inner.scope);
        }
        let generation = self.publish(&mut inner);
        drop(inner);
        self.report_dropped();
        generation
    }

    /// Adds certificates that must not be accepted any more; answers all of them.
    pub fn revoke(&self, serials: BTreeSet<String>) -> BTreeSet<String> {
        let mut inner = self.lock();
        inner.revoked.learn(serials, unix_now());
        inner.revoked.keep(&self.state_dir, self.started.elapsed());
        inner.revoked.serials()
    }

    /// Certificates that must not be accepted.
    pub fn revoked(&self) -> BTreeSet<String> {
        self.lock().revoked.serials()
    }

    /// How many relations are in scope.
    pub fn in_scope(&self) -> usize {
        self.lock().scoped.len()
    }

    /// The in-scope catalogue as a message.
    pub fn schema_report(&self) -> FromAgent {
        FromAgent::SchemaReport { snapshot: self.lock().scoped.report() }
    }

    /// Every word of the schema report: what the control plane is told anyway.
    pub fn reported_names(&self) -> BTreeSet<String> {
        let report = self.lock().scoped.report();
        let (mut open, mut names) = (vec![&report], BTreeSet::new());
        while let Some(value) = open.pop() {
            match value {
                serde_json::Value::String(text) => drop(names.insert(text.clone())),
                serde_json::Value::Array(items) => open.extend(items),
                serde_json::Value::Object(fields) => {
                    names.extend(fields.keys().cloned());
                    open.extend(fields.values());
                }
                _ => {}
            }
        }
        names
    }

    /// Reports grant targets and filters that the present scope keeps from being granted.
    pub fn report_dropped(&self) {
        let mut inner = self.lock();
        let Some(bundle) = &inner.bundle else { return };
        let review = scope::review(bundle.policies(), &inner.scope);
        self.report(&mut inner, review.dropped.into_iter().chain(review.refused).collect());
    }

    fn report(&self, inner: &mut Inner, violations: BTreeSet<Violation>) {
        for violation in violations {
            self.violations.fetch_add(1, Ordering::Relaxed);
            if !inner.reported.admit(&violation, self.started.elapsed()) {
                continue;
            }
            tracing::warn!(
                policy = violation.policy,
                schema = violation.schema,
                table = violation.table,
                site = violation.site.as_str(),
                "a policy reaches outside the scope"
            );
            let message = FromAgent::ScopeViolation {
                policy_id: violation.policy,
                schema: violation.schema,
                table: violation.table,
                site: violation.site.as_str().to_owned(),
            };
            if self.outbox.try_send(message).is_err() {
                tracing::warn!("a scope violation could not be queued for the control plane");
            }
        }
    }

    /// Puts the whole state in force, as the next generation.
    fn publish(&self, inner: &mut Inner) -> u64 {
        let policies = inner.bundle.as_ref().map(|bundle| scope::narrow(bundle.policies(), &inner.scope));
        let policies = policies.unwrap_or_default();
        self.judge_access(inner, &policies);
        let generation = self.state.borrow().generation.saturating_add(1);
        self.state.send_replace(Arc::new(PolicyState {
            generation,
            bundle: inner.active(),
            policies: Arc::new(policies),
            catalog: inner.scoped.known().clone(),
            objects: inner.objects.clone(),
            directory: inner.directory.clone(),
            scope: inner.scope.clone(),
            requests: Arc::new(inner.requests()),
        }));
        generation
    }

    /// Whether it is on disk now.
    fn keep_json(&self, name: &str, value: &impl Serialize) -> bool {
        let written = serde_json::to_vec(value)
            .map_err(std::io::Error::other)
            .and_then(|bytes| kept_file::replace(&self.state_dir, name, &bytes));
        if let Err(error) = written {
            tracing::error!(%error, file = name, "could not be stored; it is in force until the next restart");
            return false;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn active(&self) -> Option<ActiveBundle> {
        self.bundle.as_ref().map(|bundle| ActiveBundle {
            serial: bundle.statement().serial,
            expires_at: Some(bundle.statement().expires_at),
            attested: self.freshness.attested(&self.store),
        })
    }
}

fn read_json<T: for<'a> Deserialize<'a>>(dir: &std::path::Path, name: &str) -> Option<T> {
    match kept_file::read(dir, name) {
        Ok(None) => None,
        Ok(Some(bytes)) => serde_json::from_slice(&bytes)
            .inspect_err(
                |error| tracing::error!(%error, file = name, "a stored file is damaged and not used"),
            )
            .ok(),
        Err(error) => {
            tracing::error!(%error, file = name, "a stored file cannot be read and is not used");
            None
        }
    }
}
