//! Trust files and freshness on their way in.
//!
//! Both come from the control plane and both are judged by signatures alone: it can withhold a rotation or its own word
//! on freshness, and neither makes anything more open. When a rotation takes the signers of the bundle in force away,
//! the bundle stays in force and is reported.

use super::{Inner, Keeper};
use crate::bundle_store::{BundleStore, Revoked};
use crate::cause;
use crate::kept_file;
use daam_api::link::FromAgent;
use daam_bundle::{Attested, Role, Standing, VerifiedFreshness, verify_freshness};
use std::path::Path;

const FRESHNESS: &str = "freshness.json";

/// The last freshness statement, as it came and as it was judged.
#[derive(Debug)]
pub(super) struct Said {
    envelope: Option<String>,
    verified: Option<VerifiedFreshness>,
    /// One was accepted at some time, in this run or an earlier one.
    before: bool,
}

impl Said {
    /// What is on disk, judged again.
    pub(super) fn stored(dir: &Path, store: &BundleStore, now_unix: i64) -> Self {
        let envelope = kept_file::read(dir, FRESHNESS).unwrap_or_default();
        let envelope = envelope.and_then(|bytes| String::from_utf8(bytes).ok());
        let before = envelope.is_some();
        let mut said = Self { envelope, verified: None, before };
        said.judge(store, now_unix);
        said
    }

    /// Judges the last one against the bundle now held; one that was said before its bundle arrived counts then.
    pub(super) fn judge(&mut self, store: &BundleStore, now_unix: i64) {
        let Some(envelope) = &self.envelope else { return };
        self.verified = verify(envelope, store, now_unix).ok();
        self.before |= self.verified.is_some();
    }

    pub(super) fn attested(&self, store: &BundleStore) -> Attested {
        Attested {
            required: store.trust().role(Role::Freshness).is_some(),
            before: self.before || store.knows_minimum(),
            said: self.verified.clone(),
        }
    }
}

fn verify(envelope: &str, store: &BundleStore, now_unix: i64) -> Result<VerifiedFreshness, String> {
    verify_freshness(envelope.as_bytes(), store.trust(), store.database(), store.head(), now_unix)
        .map_err(|error| cause::chain(&error))
}

impl Keeper {
    /// Follows offered trust files; the answers are the statuses to report.
    pub fn offer_trust(&self, documents: &[String], now_unix: i64) -> Vec<FromAgent> {
        let mut inner = self.lock();
        let followed = inner.store.follow(documents, now_unix);
        let version = inner.store.trust().version();
        if let Some(reason) = &followed.ended {
            tracing::warn!(version, reason, "the trust file offered was not followed to its end");
        }
        let mut answers = vec![FromAgent::TrustStatus { version, reason: followed.ended }];
        if followed.steps > 0 {
            tracing::info!(version, "a new trust file is in force");
            let Inner { freshness, store, .. } = &mut *inner;
            freshness.judge(store, now_unix);
            self.publish(&mut inner);
            if inner.bundle.is_some() {
                answers.push(status(&inner));
            }
        }
        drop(inner);
        self.watch_standing(now_unix);
        answers
    }

    /// Takes a freshness statement, if it counts.
    pub fn offer_freshness(&self, envelope: &str, now_unix: i64) {
        let mut inner = self.lock();
        match verify(envelope, &inner.store, now_unix) {
            Err(reason) => tracing::warn!(reason, "a freshness statement was refused"),
            Ok(verified) => {
                if let Err(error) = kept_file::replace(&self.state_dir, FRESHNESS, envelope.as_bytes()) {
                    tracing::error!(%error, "freshness could not be stored; it counts until the next restart");
                }
                inner.freshness.envelope = Some(envelope.to_owned());
                inner.freshness.verified = Some(verified);
                inner.freshness.before = true;
                self.publish(&mut inner);
            }
        }
        drop(inner);
        self.watch_standing(now_unix);
    }

    /// The status of the bundle in force.
    pub fn bundle_status(&self, serial: u64) -> FromAgent {
        let inner = self.lock();
        if inner.bundle.is_some() {
            return status(&inner);
        }
        FromAgent::BundleStatus { serial, state: "active".to_owned(), reason: None }
    }

    /// Why the trust file no longer vouches for the bundle in force, if it does not.
    pub fn revoked_signer(&self) -> Option<Revoked> {
        self.lock().store.revoked().cloned()
    }

    /// Version and end of the trust file in force.
    pub fn trust(&self) -> (u64, Option<i64>) {
        let inner = self.lock();
        (inner.store.trust().version(), inner.store.trust().expires_at())
    }

    /// Says in the log when the standing of the bundle in force changed.
    pub fn watch_standing(&self, now_unix: i64) {
        let mut inner = self.lock();
        let standing = self.state.borrow().bundle.as_ref().map(|bundle| bundle.standing(now_unix));
        if standing == inner.standing {
            return;
        }
        inner.standing = standing;
        let serial = inner.bundle.as_ref().map_or(0, |bundle| bundle.statement().serial);
        match standing {
            None => {}
            Some(Standing::Fresh) => tracing::info!(serial, "the policy bundle is fresh"),
            Some(Standing::Stale) => tracing::warn!(
                serial,
                "the policy bundle is stale: nobody says that it is the latest; serving on, no time-boxed access begins"
            ),
            Some(Standing::Unknown) => tracing::warn!(
                serial,
                "it is not known whether the policy bundle is the latest; nobody gets in until the control plane says so"
            ),
            Some(Standing::Expired) => {
                tracing::error!(serial, "the policy bundle has expired; no new sessions begin");
            }
        }
    }
}

fn status(inner: &Inner) -> FromAgent {
    let serial = inner.bundle.as_ref().map_or(0, |bundle| bundle.statement().serial);
    match inner.store.revoked() {
        None => FromAgent::BundleStatus { serial, state: "active".to_owned(), reason: None },
        Some(revoked) => {
            tracing::error!(
                serial,
                why = revoked.why,
                "the trust file no longer vouches for the bundle in force; it stays in force, but a restart after the time of grace does not bring it back"
            );
            let (state, reason) = ("signer-revoked".to_owned(), Some(revoked.why.clone()));
            FromAgent::BundleStatus { serial, state, reason }
        }
    }
}
