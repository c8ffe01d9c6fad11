//! From a pinned trust file to the one in force: version N+1 counts only if enough root keys of N *and* of N+1
//! signed it.
//!
//! The old keys say who comes next, the new ones show that they exist and agree, so a typing error or a key nobody
//! holds cannot lock everybody out. Versions are followed one by one and never skipped; one in the middle may have
//! expired, because an agent that was away has to get past it. Refused: another organization, a lower epoch or
//! minimum than before, more than [`MAX_WALK`] steps at once. Only this module makes a [`TrustChain`].

use super::{Role, RoleKeys, SignedTrust, TrustDocument, TrustError, TrustFile};

/// The most versions followed in one update.
pub const MAX_WALK: usize = 64;

/// A trust file that follows from the pinned one by signatures alone, with every file between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustChain {
    pinned: TrustFile,
    steps: Vec<TrustFile>,
}

/// How far a walk came.
#[derive(Debug)]
pub struct Walk {
    /// The chain with every step that held.
    pub chain: TrustChain,
    /// The documents of those steps, to be stored in this order.
    pub accepted: Vec<String>,
    /// Why it ended before the last document, or why the last one is of no use.
    pub ended: Option<ChainError>,
}

/// Why a trust file is not the successor of the one held.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// It cannot be read.
    #[error("the next trust file is not acceptable")]
    Trust(#[source] TrustError),
    /// Not exactly one higher.
    #[error("version {found} does not follow version {held}; only version {} is accepted next", held.saturating_add(1))]
    Version {
        /// The document's.
        found: u64,
        /// Ours.
        held: u64,
    },
    /// Another organization's.
    #[error("the next trust file is for the organization `{found}`; only `{expected}` is accepted here")]
    Organization {
        /// The document's.
        found: String,
        /// Ours.
        expected: String,
    },
    /// No root keys.
    #[error(
        "trust file version {version} has no `root` role, so nobody can sign a successor; give the agents a file that has one by hand"
    )]
    NoRoot {
        /// The version without.
        version: u64,
    },
    /// Too few root keys of the version held.
    #[error("{found} root key(s) of version {version} signed the next trust file; {threshold} are needed")]
    OldThreshold {
        /// Distinct keys whose signature verifies.
        found: usize,
        /// How many are needed.
        threshold: usize,
        /// The version held.
        version: u64,
    },
    /// Too few root keys of the new version.
    #[error(
        "{found} root key(s) of version {version} signed it themselves; {threshold} are needed, so that no version comes into force that nobody could follow"
    )]
    NewThreshold {
        /// Distinct keys whose signature verifies.
        found: usize,
        /// How many are needed.
        threshold: usize,
        /// The new version.
        version: u64,
    },
    /// An epoch or a minimum lower than before.
    #[error("the next trust file lowers the epoch or the minimum serial of `{0}`; they only rise")]
    Backwards(String),
    /// The last one has expired.
    #[error(
        "trust file version {version} has expired; a later one is needed before anything new is accepted"
    )]
    Expired {
        /// The version.
        version: u64,
    },
    /// Too many at once.
    #[error("more than {MAX_WALK} trust files at once; the rest is followed with the next update")]
    TooMany,
}

impl ChainError {
    /// A stable word for it, in logs, alarms and the published test vectors.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Trust(_) => "trust",
            Self::Version { .. } => "version",
            Self::Organization { .. } => "organization",
            Self::NoRoot { .. } => "no-root",
            Self::OldThreshold { .. } => "old-threshold",
            Self::NewThreshold { .. } => "new-threshold",
            Self::Backwards(_) => "backwards",
            Self::Expired { .. } => "expired",
            Self::TooMany => "too-many",
        }
    }
}

impl TrustChain {
    /// Starts from what was given by hand, plain or signed: whoever wrote it there vouches for it.
    pub fn pin(text: &str) -> Result<Self, TrustError> {
        Ok(Self::of(TrustDocument::parse(text)?.trust().clone()))
    }

    /// Starts from a trust file in hand.
    pub fn of(pinned: TrustFile) -> Self {
        Self { pinned, steps: Vec::new() }
    }

    /// The trust file in force.
    pub fn current(&self) -> &TrustFile {
        self.steps.last().unwrap_or(&self.pinned)
    }

    /// The file of a version, if the chain came past it.
    pub fn at(&self, version: u64) -> Option<&TrustFile> {
        std::iter::once(&self.pinned).chain(&self.steps).find(|trust| trust.version() == version)
    }

    /// Follows documents in order, as far as they hold. Ones at or below the version held are passed over.
    pub fn walk<'a>(mut self, documents: impl IntoIterator<Item = &'a str>, now_unix: i64) -> Walk {
        let mut accepted = Vec::new();
        let mut ended = None;
        for document in documents {
            if accepted.len() >= MAX_WALK {
                ended = Some(ChainError::TooMany);
                break;
            }
            match self.step(document) {
                Ok(None) => {}
                Ok(Some(next)) => {
                    self.steps.push(next);
                    accepted.push(document.to_owned());
                }
                Err(error) => {
                    ended = Some(error);
                    break;
                }
            }
        }
        let current = self.current();
        if ended.is_none() && !accepted.is_empty() && current.has_expired(now_unix) {
            ended = Some(ChainError::Expired { version: current.version() });
        }
        Walk { chain: self, accepted, ended }
    }

    /// The next trust file, if this is one; none if it is at or below the version held.
    fn step(&self, document: &str) -> Result<Option<TrustFile>, ChainError> {
        let held = self.current();
        let signed = SignedTrust::parse(document).map_err(ChainError::Trust)?;
        let next = signed.trust();
        if next.version() <= held.version() {
            return Ok(None);
        }
        if next.version() != held.version().saturating_add(1) {
            return Err(ChainError::Version { found: next.version(), held: held.version() });
        }
        if next.org() != held.org() {
            let (found, expected) = (next.org().to_owned(), held.org().to_owned());
            return Err(ChainError::Organization { found, expected });
        }
        let (old, new) = (root(held)?, root(next)?);
        let (found, threshold) = (signed.envelope.signers(&old.keys).len(), old.threshold);
        if found < threshold {
            return Err(ChainError::OldThreshold { found, threshold, version: held.version() });
        }
        let (found, threshold) = (signed.envelope.signers(&new.keys).len(), new.threshold);
        if found < threshold {
            return Err(ChainError::NewThreshold { found, threshold, version: next.version() });
        }
        let backwards = held.databases().keys().find(|name| next.minimum(name) < held.minimum(name));
        match backwards {
            Some(name) => Err(ChainError::Backwards(name.clone())),
            None => Ok(Some(next.clone())),
        }
    }
}

fn root(trust: &TrustFile) -> Result<&RoleKeys, ChainError> {
    trust.role(Role::Root).ok_or(ChainError::NoRoot { version: trust.version() })
}
