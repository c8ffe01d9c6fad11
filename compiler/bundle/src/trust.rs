//! The trust file: whose signatures count, for what, and how many of them it takes.
//!
//! Four roles. *policy* keys sign bundles. *root* keys sign the next trust file and nothing else. The *freshness*
//! key, online at the control plane, says which bundle is the latest. *emergency* keys may publish what narrows
//! access, never what widens it. A file without a root role has no successor: agents keep it until somebody gives
//! them another one by hand.
//!
//! Refused: a threshold of zero or above the number of keys, one key twice in a role under whatever id or scheme,
//! ids that do not follow from the key, weak keys, unknown fields and unknown roles.

mod chain;
mod signed;
mod wire;

pub use chain::{ChainError, MAX_WALK, TrustChain, Walk};
pub use signed::{SignedTrust, TrustDocument};

use crate::head::Minimum;
use crate::key::{KeyError, PublicKey};
use crate::statement::MAX_EXACT;
use std::collections::{BTreeMap, BTreeSet};

/// The `type` of a trust file.
pub const TRUST_TYPE: &str = "daam-trust.v1";
/// The epoch of a database the trust file says nothing about.
pub const FIRST_EPOCH: u64 = 1;
/// The most keys a role may have.
const MAX_KEYS: usize = 64;

/// What a key may sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The next trust file.
    Root,
    /// Bundles.
    Policy,
    /// Which bundle is the latest, for at most an hour.
    Freshness,
    /// Bundles that only narrow.
    Emergency,
}

impl Role {
    /// Every role, in the order people read them.
    pub const ALL: [Self; 4] = [Self::Root, Self::Policy, Self::Freshness, Self::Emergency];

    /// Its name in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Policy => "policy",
            Self::Freshness => "freshness",
            Self::Emergency => "emergency",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// The keys of one role.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoleKeys {
    /// How many distinct keys must sign.
    pub threshold: usize,
    /// The keys.
    pub keys: Vec<TrustedKey>,
}

/// One trusted key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// The key.
    pub public: PublicKey,
    /// Whose it is, for readers.
    pub comment: String,
}

/// What the file says about one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseTrust {
    /// Its epoch; raising it makes every earlier bundle unacceptable.
    pub epoch: u64,
    /// The lowest serial that an agent which holds nothing accepts.
    pub minimum_serial: u64,
    /// Whether bundles built from uncommitted files are refused.
    pub protected: bool,
    /// A higher threshold of policy keys than the role's.
    pub threshold: Option<usize>,
}

impl Default for DatabaseTrust {
    fn default() -> Self {
        Self { epoch: FIRST_EPOCH, minimum_serial: 0, protected: false, threshold: None }
    }
}

/// Everything a trust file says, before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustDraft {
    /// The organization.
    pub org: String,
    /// The version, from 1.
    pub version: u64,
    /// From when nothing new is accepted under it, seconds since 1970.
    pub expires_at: Option<i64>,
    /// The roles.
    pub roles: BTreeMap<Role, RoleKeys>,
    /// The databases it says something about.
    pub databases: BTreeMap<String, DatabaseTrust>,
}

/// The keys that are trusted, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustFile {
    draft: TrustDraft,
    policy: RoleKeys,
}

/// Why a text is not a trust file.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Not JSON of the expected shape.
    #[error("the trust file is not readable; what `daam trust init` writes is accepted")]
    Shape(#[source] serde_json::Error),
    /// A signed one whose envelope is none.
    #[error("the signed trust file is not readable; what `daam trust rotate` writes is accepted")]
    Envelope(#[source] crate::refused::Refused),
    /// A field with an impossible value.
    #[error("`{field}` of the trust file is not acceptable; {accepted}")]
    Field {
        /// The field.
        field: &'static str,
        /// What would be accepted.
        accepted: &'static str,
    },
    /// A key that cannot be trusted.
    #[error("the key `{keyid}` of the trust file is not usable")]
    Key {
        /// The id as written.
        keyid: String,
        /// What is wrong.
        #[source]
        source: KeyError,
    },
    /// An id that is not the key's.
    #[error("the key listed as `{written}` has the id `{computed}`")]
    KeyId {
        /// The id as written.
        written: String,
        /// The id that follows from the key.
        computed: String,
    },
    /// The same key twice.
    #[error("the key `{0}` is listed twice; a threshold counts distinct keys")]
    Twice(String),
    /// More or fewer signatures than there can be.
    #[error(
        "the threshold {threshold} cannot be met by {keys} key(s); from 1 to the number of keys is accepted"
    )]
    Threshold {
        /// The threshold as written.
        threshold: usize,
        /// The number of keys.
        keys: usize,
    },
    /// No policy keys.
    #[error("the trust file has no role `policy`; without it no bundle could ever be accepted")]
    NoPolicyRole,
}

impl TrustFile {
    /// A first trust file with nothing but policy keys. It cannot be rotated.
    pub fn new(org: &str, keys: Vec<TrustedKey>, threshold: usize) -> Result<Self, TrustError> {
        let roles = BTreeMap::from([(Role::Policy, RoleKeys { threshold, keys })]);
        Self::check(TrustDraft { org: org.to_owned(), version: 1, roles, ..TrustDraft::default() })
    }

    /// The same keys under the next version, with another epoch for one database.
    pub fn with_epoch(&self, database: &str, epoch: u64) -> Result<Self, TrustError> {
        let mut next = self.successor();
        next.databases.entry(database.to_owned()).or_default().epoch = epoch;
        Self::check(next)
    }

    /// What it says, under the next version, to be changed and checked again.
    pub fn successor(&self) -> TrustDraft {
        let mut draft = self.draft.clone();
        draft.version = draft.version.saturating_add(1);
        draft
    }

    /// Checks a draft.
    pub fn check(draft: TrustDraft) -> Result<Self, TrustError> {
        let field = |field, accepted| Err(TrustError::Field { field, accepted });
        if draft.org.is_empty() {
            return field("org", "a name is");
        }
        if !(1..=MAX_EXACT).contains(&draft.version) {
            return field("version", "whole numbers from 1 to 2^53-1 are");
        }
        let time = |seconds: i64| u64::try_from(seconds).is_ok_and(|seconds| seconds <= MAX_EXACT);
        if !draft.expires_at.is_none_or(time) {
            return field("expires_at", "seconds since 1970 are");
        }
        for role in draft.roles.values() {
            check_role(role)?;
        }
        let policy = draft.roles.get(&Role::Policy).ok_or(TrustError::NoPolicyRole)?.clone();
        for database in draft.databases.values() {
            if !(FIRST_EPOCH..=MAX_EXACT).contains(&database.epoch) {
                return field("epochs", "whole numbers from 1 to 2^53-1 are");
            }
            if database.minimum_serial > MAX_EXACT {
                return field("minimum_serial", "whole numbers from 0 to 2^53-1 are");
            }
            let (lowest, highest) = (policy.threshold, policy.keys.len());
            if let Some(threshold) = database.threshold.filter(|own| !(lowest..=highest).contains(own)) {
                return Err(TrustError::Threshold { threshold, keys: highest });
            }
        }
        Ok(Self { draft, policy })
    }

    /// The organization.
    pub fn org(&self) -> &str {
        &self.draft.org
    }

    /// The version of the file.
    pub fn version(&self) -> u64 {
        self.draft.version
    }

    /// From when nothing new is accepted under it.
    pub fn expires_at(&self) -> Option<i64> {
        self.draft.expires_at
    }

    /// Whether it has expired.
    pub fn has_expired(&self, now_unix: i64) -> bool {
        self.draft.expires_at.is_some_and(|end| end <= now_unix)
    }

    /// The keys that may sign policies.
    pub fn keys(&self) -> &[TrustedKey] {
        &self.policy.keys
    }

    /// How many distinct policy keys must sign, unless a database asks for more.
    pub fn threshold(&self) -> usize {
        self.policy.threshold
    }

    /// The keys of a role, if the file has it.
    pub fn role(&self, role: Role) -> Option<&RoleKeys> {
        self.draft.roles.get(&role)
    }

    /// The databases it says something about.
    pub fn databases(&self) -> &BTreeMap<String, DatabaseTrust> {
        &self.draft.databases
    }

    /// What it says about that database.
    pub fn database(&self, name: &str) -> DatabaseTrust {
        self.draft.databases.get(name).cloned().unwrap_or_default()
    }

    /// The epoch of that database.
    pub fn epoch(&self, database: &str) -> u64 {
        self.database(database).epoch
    }

    /// How many distinct policy keys must sign for that database.
    pub fn policy_threshold(&self, database: &str) -> usize {
        self.database(database).threshold.unwrap_or(self.policy.threshold)
    }

    /// The lowest place in the order of bundles it admits for that database.
    pub fn minimum(&self, database: &str) -> Minimum {
        let known = self.database(database);
        Minimum { epoch: known.epoch, serial: known.minimum_serial }
    }

    /// Whose key that is, in words, and in which roles.
    pub fn label(&self, keyid: &str) -> Option<String> {
        let mut found: Option<(&str, Vec<&str>)> = None;
        for (role, keys) in &self.draft.roles {
            if let Some(key) = keys.keys.iter().find(|key| key.public.keyid() == keyid) {
                found.get_or_insert((&key.comment, Vec::new())).1.push(role.as_str());
            }
        }
        found.map(|(comment, roles)| format!("{comment} ({})", roles.join(", ")))
    }

    /// The record of a key, in whatever role.
    pub fn record(&self, public: &PublicKey) -> Option<&TrustedKey> {
        self.draft.roles.values().flat_map(|role| &role.keys).find(|key| key.public == *public)
    }
}

fn check_role(role: &RoleKeys) -> Result<(), TrustError> {
    if role.keys.len() > MAX_KEYS {
        return Err(TrustError::Field { field: "keys", accepted: "at most 64 are" });
    }
    let mut seen = BTreeSet::new();
    for key in &role.keys {
        if !seen.insert(key.public.material()) {
            return Err(TrustError::Twice(key.public.keyid()));
        }
    }
    if role.threshold == 0 || role.threshold > role.keys.len() {
        return Err(TrustError::Threshold { threshold: role.threshold, keys: role.keys.len() });
    }
    Ok(())
}
