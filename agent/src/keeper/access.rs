//! Approved access on its way in and out of force.
//!
//! The list is on disk before it is in force, so that a restart without the control plane keeps what has not ended; where it
//! cannot be written, what is on disk is removed, because an older list could bring back what was revoked.

use super::{Inner, Keeper};
use crate::access::{Facts, Ledger, Reading, StoredAccess, Unreadable};
use crate::kept_file;
use crate::link::unix_now;
use crate::scope::{Site, Violation};
use daam_api::link::{AccessAsked, AccessGrant, FromAgent};
use daam_catalog::RelationName;
use daam_model::PolicySet;
use std::collections::BTreeSet;
use std::time::Duration;

const FILE: &str = "access.json";
/// At most this long between two looks at the clocks; the wall clock may be set at any time.
const LOOK: Duration = Duration::from_secs(1);
/// How often what is left is written down.
const WRITE: Duration = Duration::from_secs(60);

/// The list and what was last said about it.
#[derive(Debug, Default)]
pub(super) struct Access {
    ledger: Ledger,
    told: Option<FromAgent>,
    written: Duration,
}

impl Access {
    pub(super) fn stored(dir: &std::path::Path, now: Reading) -> Self {
        let stored = super::read_json::<StoredAccess>(dir, FILE).unwrap_or_default();
        Self { ledger: Ledger::restored(stored, now), ..Self::default() }
    }
}

impl Keeper {
    /// Takes a list of approved access in place of the one held; an older version is ignored. What became of it goes to
    /// the control plane in any case.
    pub fn set_access(&self, version: u64, grants: Vec<AccessGrant>) {
        let mut inner = self.lock();
        if inner.access.ledger.replace(version, grants, self.reading()) {
            inner.access.told = None;
            self.keep_access(&mut inner);
            self.publish(&mut inner);
        } else {
            tracing::warn!(
                version,
                held = inner.access.ledger.version(),
                "an older list of access was ignored"
            );
            inner.access.told = None;
            self.tell_access(&mut inner);
        }
    }

    /// Takes a list in place of the very version held, although it is an older one: the control plane knows which one we
    /// hold and that it is not of its own counting.
    pub fn replace_access(&self, held: u64, version: u64, grants: Vec<AccessGrant>) {
        let mut inner = self.lock();
        let present = inner.access.ledger.version();
        if held != present || version >= present {
            tracing::warn!(version, held, present, "a list of access in place of another one was ignored");
        } else {
            tracing::error!(
                version,
                held,
                "the control plane never had the list of access held here; its own is in force"
            );
            inner.access.ledger.forget_version();
        }
        drop(inner);
        self.set_access(version, grants);
    }

    /// Takes note of a list that cannot be read: it may be the one that revokes, so nothing stays in force.
    pub fn void_access(&self, list: Unreadable) {
        tracing::error!(
            why = list.why,
            "a list of access cannot be read; no approved access is in force any more"
        );
        let mut inner = self.lock();
        inner.access.ledger.void(list);
        inner.access.told = None;
        self.keep_access(&mut inner);
        self.publish(&mut inner);
        self.tell_access(&mut inner);
    }

    /// What became of the list held; none if there never was one.
    pub fn access_status(&self) -> Option<FromAgent> {
        let inner = self.lock();
        (inner.access.ledger.version() > 0).then(|| inner.access.ledger.status())
    }

    /// Lets begin what is due and end what is over, and writes down what could not be before.
    pub fn keep_time(&self) {
        let mut inner = self.lock();
        inner.revoked.keep(&self.state_dir, self.started.elapsed());
        if inner.access.ledger.is_empty() {
            return;
        }
        let now = self.reading();
        let may_start = may_start(&inner, now);
        if inner.access.ledger.advance(now, may_start) {
            self.publish(&mut inner);
            self.keep_access(&mut inner);
        } else if now.steady.saturating_sub(inner.access.written) >= WRITE {
            self.keep_access(&mut inner);
        }
    }

    /// When to call [`Keeper::keep_time`] next.
    pub fn next_look(&self) -> Duration {
        let inner = self.lock();
        inner.access.ledger.quiet_for(self.reading()).map_or(LOOK, |quiet| quiet.min(LOOK))
    }

    pub(super) fn reading(&self) -> Reading {
        Reading { unix: unix_now(), steady: self.started.elapsed() }
    }

    /// Judges all of it against what is about to be in force.
    pub(super) fn judge_access(&self, inner: &mut Inner, policies: &PolicySet) {
        if inner.access.ledger.is_empty() && inner.access.told.is_none() && inner.access.ledger.version() == 0
        {
            return;
        }
        let now = self.reading();
        let may_start = may_start(inner, now);
        let Inner { access, bundle, scoped, directory, .. } = inner;
        // Only what is in scope can be asked for: what is out of it is as unknown as what is not there.
        let facts = Facts { policies, catalog: scoped.catalog(), directory };
        access.ledger.judge(bundle.is_some().then_some(facts));
        if access.ledger.advance(now, may_start) {
            // What has begun goes on after a restart, even if the bundle is not known to be the latest then.
            self.keep_access(inner);
        }
        let outside = outside(inner);
        self.report(inner, outside);
        self.tell_access(inner);
    }

    fn tell_access(&self, inner: &mut Inner) {
        let status = inner.access.ledger.status();
        if inner.access.told.as_ref() == Some(&status) {
            return;
        }
        if let FromAgent::AccessStatus { version, grants } = &status {
            for grant in grants {
                let (request, state, reason) = (&grant.id, &grant.state, &grant.reason);
                tracing::info!(version, request, state, ?reason, "access request");
            }
        }
        if self.outbox.try_send(status.clone()).is_ok() {
            inner.access.told = Some(status);
        } else {
            tracing::warn!("the state of access requests waits for the next change or link");
        }
    }

    fn keep_access(&self, inner: &mut Inner) {
        let now = self.reading();
        inner.access.written = now.steady;
        if !self.keep_json(FILE, &inner.access.ledger.stored(now))
            && let Err(error) = kept_file::remove(&self.state_dir, FILE)
        {
            tracing::error!(%error, "an older list of access is still on disk; a restart without a link would follow it");
        }
    }
}

impl Inner {
    pub(super) fn requests(&self) -> crate::access::Requests {
        self.access.ledger.requests()
    }
}

/// Whether time-boxed access may begin: not while the bundle may be an old one.
fn may_start(inner: &Inner, now: Reading) -> bool {
    inner.active().is_some_and(|bundle| bundle.standing(now.unix).starts_requests())
}

/// Relations asked for outside the scope, as violations of the ceilings they were asked under.
fn outside(inner: &Inner) -> BTreeSet<Violation> {
    let mut found = BTreeSet::new();
    for (ceiling, relations) in inner.access.ledger.grants().filter_map(|grant| match &grant.what {
        AccessAsked::AdHoc { ceiling_id, relations } => Some((ceiling_id, relations)),
        AccessAsked::Policy { .. } => None,
    }) {
        for relation in relations {
            let name = RelationName::stored(&relation.schema, &relation.name);
            if name.is_ok_and(|name| inner.scope.is_active() && !inner.scope.admits(&name)) {
                found.insert(Violation {
                    policy: ceiling.clone(),
                    schema: relation.schema.clone(),
                    table: relation.name.clone(),
                    site: Site::Grant,
                });
            }
        }
    }
    found
}
