//! The last accepted bundle, kept on disk exactly as it was signed, and the one way a new one gets in.
//!
//! Acceptance: signatures, target, succession, time and content (all in `daam_bundle`), then the customer's scope,
//! then the disk, then memory. A refused bundle changes nothing. At start the stored bytes pass the same signature
//! checks again, so a file edited on disk is worth nothing. A damaged head refuses the start: without it a bundle
//! from last year would look new.

use crate::kept_file;
use crate::scope::{self, Violation};
use daam_bundle::{Head, Refused, TrustFile, Verified, VerifiedBundle};
use daam_catalog::Scope;
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

const HEAD: &str = "bundle-head.json";

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
    trust: TrustFile,
    database: String,
    head: Option<Head>,
}

impl BundleStore {
    /// Opens the store of a state directory.
    pub fn open(dir: PathBuf, trust: TrustFile, database: String) -> Result<Self, StoreError> {
        let head = match kept_file::read(&dir, HEAD).map_err(StoreError::Read)? {
            None => None,
            Some(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                Some(Head::from_json(&text).map_err(StoreError::Head)?)
            }
        };
        Ok(Self { dir, trust, database, head })
    }

    /// The stored bundle, verified again; none if none was ever accepted.
    pub fn stored(&self, now_unix: i64) -> Result<Option<VerifiedBundle>, StoreError> {
        let Some(head) = &self.head else { return Ok(None) };
        let bytes = kept_file::read(&self.dir, &file_name(head)).map_err(StoreError::Read)?;
        let bytes = bytes.ok_or(StoreError::Missing)?;
        daam_bundle::reverify(&bytes, &self.trust, &self.database, head, now_unix)
            .map(Some)
            .map_err(StoreError::Refused)
    }

    /// Verifies, reviews and stores an offered bundle.
    pub fn accept(&mut self, bytes: &[u8], scope: &Scope, now_unix: i64) -> Result<Accepted, Rejected> {
        let verified = daam_bundle::verify(bytes, &self.trust, &self.database, self.head.as_ref(), now_unix)
            .map_err(Rejected::Refused)?;
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
