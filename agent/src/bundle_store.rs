//! The last accepted bundle, kept on disk exactly as it was signed, and the one way a new one gets in.
//!
//! Acceptance: signatures, target, succession, time and content (all in `daam_bundle`), then the customer's scope,
//! then the disk, then memory. A refused bundle changes nothing. At start the stored bytes pass the same signature
//! checks again, so a file edited on disk is worth nothing. A damaged head refuses the start: without it a bundle
//! from last year would look new. Where there is no head, the minimum of the enrolment token and of the trust file
//! stands guard.

mod revoked;

pub use revoked::{GRACE, Revoked};

use crate::kept_file;
use crate::scope::{self, Violation};
use crate::trust_store::{Followed, TrustStore, TrustStoreError};
use daam_bundle::{
    Acceptance, Head, Minimum, RefusalKind, Refused, Role, TrustFile, Verified, VerifiedBundle,
};
use daam_catalog::Scope;
use daam_model::PolicySet;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

const HEAD: &str = "bundle-head.json";
const MINIMUM: &str = "bundle-minimum.json";

/// Why a bundle was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// It did not verify.
    #[error("the bundle was refused: {0}")]
    Refused(Refused),
    /// Masks or row filters reach outside the scope.
    #[error("the bundle was refused: its masks or row filters name objects outside the agent's scope")]
    OutOfScope(BTreeSet<Violation>),
    /// A row filter cannot be read, so its reach is unknown.
    #[error("the bundle was refused: a row filter of policy `{0}` cannot be read")]
    Unreadable(String),
    /// It could not be stored, and a bundle that would be lost at the next start is not used.
    #[error("the bundle could not be stored")]
    Store(#[source] io::Error),
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Disk.
    #[error("could not read the stored bundle")]
    Read(#[source] io::Error),
    /// The head is damaged.
    #[error(
        "the stored bundle's head is damaged; restore `{HEAD}` in the state directory from a backup, or enrol the agent anew with an empty one"
    )]
    Head(#[source] daam_bundle::HeadError),
    /// The minimum is damaged.
    #[error("`{MINIMUM}` in the state directory is damaged; write it anew, or enrol the agent anew")]
    Minimum,
    /// The trust files.
    #[error(transparent)]
    Trust(TrustStoreError),
    /// The bundle the head names is gone.
    #[error("the stored bundle's head is there but the bundle is not; restore the state directory")]
    Missing,
    /// It does not verify any more.
    #[error("the stored bundle does not verify: {0}")]
    Refused(Refused),
}

/// What acceptance led to.
#[derive(Debug)]
pub struct Accepted {
    /// The bundle.
    pub bundle: VerifiedBundle,
    /// Whether it was already in force.
    pub same: bool,
    /// Grant targets outside the scope, which will not be granted.
    pub dropped: BTreeSet<Violation>,
}

/// The bundle of one database on disk.
#[derive(Debug)]
pub struct BundleStore {
    dir: PathBuf,
    trust: TrustStore,
    database: String,
    head: Option<Head>,
    minimum: Minimum,
    revoked: Option<Revoked>,
}

impl BundleStore {
    /// Opens the store of a state directory, with the trust file the configuration pins.
    pub fn open(dir: PathBuf, pinned: TrustFile, database: String) -> Result<Self, StoreError> {
        let head = match kept_file::read(&dir, HEAD).map_err(StoreError::Read)? {
            None => None,
            Some(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                Some(Head::from_json(&text).map_err(StoreError::Head)?)
            }
        };
        let minimum = kept_file::read(&dir, MINIMUM).map_err(StoreError::Read)?;
        let minimum = minimum.map(|bytes| serde_json::from_slice(&bytes).map_err(|_| StoreError::Minimum));
        let revoked = kept_file::read(&dir, revoked::FILE).map_err(StoreError::Read)?;
        let trust = TrustStore::open(dir.clone(), pinned).map_err(StoreError::Trust)?;
        Ok(Self {
            dir,
            trust,
            database,
            head,
            minimum: minimum.transpose()?.unwrap_or_default(),
            // A marker that cannot be read gives no grace.
            revoked: revoked.and_then(|bytes| serde_json::from_slice(&bytes).ok()),
        })
    }

    /// Remembers the lowest bundle the enrolment token allows; it only rises.
    pub fn keep_minimum(dir: &Path, minimum: Minimum) -> io::Result<()> {
        let held = kept_file::read(dir, MINIMUM)?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let highest = minimum.max(held.unwrap_or_default());
        let bytes = serde_json::to_vec(&highest).map_err(io::Error::other)?;
        kept_file::replace(dir, MINIMUM, &bytes)
    }

    /// The trust file in force.
    pub fn trust(&self) -> &TrustFile {
        self.trust.current()
    }

    /// The database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// What was accepted last.
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// Whether somebody other than the control plane said which bundle is the lowest.
    pub fn knows_minimum(&self) -> bool {
        self.minimum.max(self.trust().minimum(&self.database)).serial > 0
    }

    /// Whether anything keeps a first bundle from being an old one.
    pub fn is_guarded(&self) -> bool {
        self.head.is_some() || self.knows_minimum() || self.trust().role(Role::Freshness).is_some()
    }

    /// Why the trust file in force no longer vouches for the bundle in force, if it does not.
    pub fn revoked(&self) -> Option<&Revoked> {
        let digest = &self.head.as_ref()?.statement_sha256;
        self.revoked.as_ref().filter(|revoked| revoked.statement_sha256 == *digest)
    }

    /// The stored bundle, verified again; none if none was ever accepted.
    pub fn stored(&self, now_unix: i64) -> Result<Option<VerifiedBundle>, StoreError> {
        let Some(head) = &self.head else { return Ok(None) };
        match self.reverify(head, self.trust(), now_unix) {
            Err(StoreError::Refused(refused)) => {
                self.in_grace(head, now_unix).unwrap_or(Err(StoreError::Refused(refused)))
            }
            verified => verified,
        }
        .map(Some)
    }

    fn reverify(&self, head: &Head, trust: &TrustFile, now_unix: i64) -> Result<VerifiedBundle, StoreError> {
        let bytes = kept_file::read(&self.dir, &file_name(head)).map_err(StoreError::Read)?;
        let bytes = bytes.ok_or(StoreError::Missing)?;
        daam_bundle::reverify(&bytes, trust, &self.database, head, now_unix).map_err(StoreError::Refused)
    }

    /// The same under the trust file that last vouched for it, while there is grace.
    fn in_grace(&self, head: &Head, now_unix: i64) -> Option<Result<VerifiedBundle, StoreError>> {
        let now = now_unix.max(head.time_floor);
        let revoked =
            self.revoked.as_ref().filter(|revoked| revoked.in_grace(&head.statement_sha256, now))?;
        let trust = self.trust.at(revoked.vouched)?;
        let under = Head { trust_version: trust.version(), ..head.clone() };
        Some(self.reverify(&under, trust, now_unix))
    }

    /// Follows offered trust files, then asks whether the last one still vouches for the bundle held.
    pub fn follow(&mut self, offered: &[String], now_unix: i64) -> Followed {
        let followed = self.trust.follow(offered, now_unix);
        if followed.steps > 0
            && let Err(error) = self.recheck(now_unix)
        {
            tracing::error!(%error, "the rotation is in force but could not be recorded with the bundle");
        }
        followed
    }

    fn recheck(&mut self, now_unix: i64) -> io::Result<()> {
        let Some(head) = self.head.clone() else { return Ok(()) };
        let version = self.trust().version();
        match self.reverify(&head, self.trust(), now_unix) {
            Ok(_) => self.set_revoked(None)?,
            // What is outside its window or damaged was so before; the rotation has nothing to do with it.
            Err(StoreError::Refused(refused))
                if refused.kind() == RefusalKind::Signature || matches!(refused, Refused::Epoch { .. }) =>
            {
                let known = self.revoked().is_some();
                if !known {
                    self.set_revoked(Some(Revoked {
                        statement_sha256: head.statement_sha256.clone(),
                        since: now_unix.max(head.time_floor),
                        vouched: head.trust_version,
                        why: refused.to_string(),
                    }))?;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the stored bundle could not be verified after the rotation");
            }
        }
        let raised = Head { trust_version: version.max(head.trust_version), ..head };
        kept_file::replace(&self.dir, HEAD, raised.to_json().as_bytes())?;
        self.head = Some(raised);
        Ok(())
    }

    fn set_revoked(&mut self, revoked: Option<Revoked>) -> io::Result<()> {
        if revoked != self.revoked {
            let bytes = serde_json::to_vec(&revoked).map_err(io::Error::other)?;
            kept_file::replace(&self.dir, revoked::FILE, &bytes)?;
            self.revoked = revoked;
        }
        Ok(())
    }

    /// Verifies, reviews and stores an offered bundle.
    pub fn accept(
        &mut self,
        bytes: &[u8],
        held: Option<&PolicySet>,
        scope: &Scope,
        now_unix: i64,
    ) -> Result<Accepted, Rejected> {
        let acceptance = Acceptance {
            trust: self.trust.current(),
            database: &self.database,
            head: self.head.as_ref(),
            minimum: self.minimum,
            held,
            now_unix,
        };
        let verified = acceptance.verify(bytes).map_err(Rejected::Refused)?;
        let same = matches!(verified, Verified::Same(_));
        let bundle = verified.into_bundle();
        let review = scope::review(bundle.policies(), scope);
        if !review.refused.is_empty() {
            return Err(Rejected::OutOfScope(review.refused));
        }
        if let Some(policy) = review.unreadable.into_iter().next() {
            return Err(Rejected::Unreadable(policy));
        }
        self.keep(&bundle).map_err(Rejected::Store)?;
        Ok(Accepted { bundle, same, dropped: review.dropped })
    }

    /// The bundle first, then the head that names it: whatever is interrupted, the head names a whole bundle.
    fn keep(&mut self, bundle: &VerifiedBundle) -> io::Result<()> {
        let old = self.head.as_ref().map(file_name);
        let new = file_name(bundle.head());
        kept_file::replace(&self.dir, &new, bundle.bytes())?;
        kept_file::replace(&self.dir, HEAD, bundle.head().to_json().as_bytes())?;
        self.head = Some(bundle.head().clone());
        self.set_revoked(None)?;
        if let Some(old) = old.filter(|old| *old != new)
            && let Err(error) = std::fs::remove_file(self.dir.join(old))
        {
            tracing::warn!(%error, "a superseded bundle could not be removed");
        }
        Ok(())
    }
}

/// The digest is part of the name, so a head can never name another bundle's bytes.
fn file_name(head: &Head) -> String {
    format!("bundle-{}.daam", head.statement_sha256)
}
