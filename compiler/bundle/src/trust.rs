//! The trust file: which keys may sign policies, and how many of them must.
//!
//! Refused: a threshold of zero or above the number of keys, one key under two ids, ids that do not follow from
//! the key, weak keys, unknown fields. Roles for rotation and freshness are further members of `roles`, which
//! this version does not read and therefore does not accept.

use crate::key::{KeyError, PublicKey, Scheme};
use crate::statement::MAX_EXACT;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The `type` of a trust file.
pub const TRUST_TYPE: &str = "daam-trust.v1";
/// The epoch of a database the trust file says nothing about.
pub const FIRST_EPOCH: u64 = 1;
/// The most keys a role may have.
const MAX_KEYS: usize = 64;

/// The keys that are trusted, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustFile {
    org: String,
    version: u64,
    keys: Vec<TrustedKey>,
    threshold: usize,
    epochs: BTreeMap<String, u64>,
}

/// One trusted key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// The key.
    pub public: PublicKey,
    /// Whose it is, for readers.
    pub comment: String,
}

/// Why a text is not a trust file.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Not JSON of the expected shape.
    #[error("the trust file is not readable; what `daam trust init` writes is accepted")]
    Shape(#[source] serde_json::Error),
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
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireTrust {
    #[serde(rename = "type")]
    kind: String,
    org: String,
    version: u64,
    roles: WireRoles,
    epochs: Vec<WireEpoch>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireRoles {
    policy: WireRole,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireRole {
    threshold: usize,
    keys: Vec<WireKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireKey {
    keyid: String,
    scheme: String,
    public: String,
    #[serde(default)]
    comment: String,
}

/// A list rather than a map, so that a database named twice is seen.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEpoch {
    database: String,
    epoch: u64,
}

impl TrustFile {
    /// A first trust file.
    pub fn new(org: &str, keys: Vec<TrustedKey>, threshold: usize) -> Result<Self, TrustError> {
        Self { org: org.to_owned(), version: 1, keys, threshold, epochs: BTreeMap::new() }.checked()
    }

    /// The same keys under the next version, with another epoch for one database.
    pub fn with_epoch(mut self, database: &str, epoch: u64) -> Result<Self, TrustError> {
        self.version = self.version.saturating_add(1);
        self.epochs.insert(database.to_owned(), epoch);
        self.checked()
    }

    /// Reads and checks a trust file.
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        let wire: WireTrust = serde_json::from_str(text).map_err(TrustError::Shape)?;
        if wire.kind != TRUST_TYPE {
            return Err(TrustError::Field { field: "type", accepted: "`daam-trust.v1` is" });
        }
        let mut epochs = BTreeMap::new();
        for WireEpoch { database, epoch } in wire.epochs {
            if epochs.insert(database, epoch).is_some() {
                return Err(TrustError::Field { field: "epochs", accepted: "each database once is" });
            }
        }
        let WireRole { threshold, keys } = wire.roles.policy;
        let keys = keys.into_iter().map(read_key).collect::<Result<_, _>>()?;
        Self { org: wire.org, version: wire.version, keys, threshold, epochs }.checked()
    }

    /// The form [`TrustFile::parse`] reads.
    pub fn to_json(&self) -> String {
        let key = |key: &TrustedKey| WireKey {
            keyid: key.public.keyid(),
            scheme: key.public.scheme().as_str().to_owned(),
            public: key.public.to_base64(),
            comment: key.comment.clone(),
        };
        let epoch =
            |(database, epoch): (&String, &u64)| WireEpoch { database: database.clone(), epoch: *epoch };
        let wire = WireTrust {
            kind: TRUST_TYPE.to_owned(),
            org: self.org.clone(),
            version: self.version,
            roles: WireRoles {
                policy: WireRole { threshold: self.threshold, keys: self.keys.iter().map(key).collect() },
            },
            epochs: self.epochs.iter().map(epoch).collect(),
        };
        // Plain strings and numbers cannot fail to serialise; an empty trust file is refused when read.
        let mut text = serde_json::to_string_pretty(&wire).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The organization.
    pub fn org(&self) -> &str {
        &self.org
    }

    /// The version of the file.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The keys that may sign policies.
    pub fn keys(&self) -> &[TrustedKey] {
        &self.keys
    }

    /// How many distinct keys must sign.
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// The epoch of that database.
    pub fn epoch(&self, database: &str) -> u64 {
        self.epochs.get(database).copied().unwrap_or(FIRST_EPOCH)
    }

    fn checked(self) -> Result<Self, TrustError> {
        let field = |field, accepted| Err(TrustError::Field { field, accepted });
        if self.org.is_empty() {
            return field("org", "a name is");
        }
        if !(1..=MAX_EXACT).contains(&self.version) {
            return field("version", "whole numbers from 1 to 2^53-1 are");
        }
        if self.epochs.values().any(|epoch| !(FIRST_EPOCH..=MAX_EXACT).contains(epoch)) {
            return field("epochs", "whole numbers from 1 to 2^53-1 are");
        }
        if self.keys.len() > MAX_KEYS {
            return field("keys", "at most 64 are");
        }
        let mut seen = BTreeSet::new();
        for key in &self.keys {
            let keyid = key.public.keyid();
            if !seen.insert(keyid.clone()) {
                return Err(TrustError::Twice(keyid));
            }
        }
        if self.threshold == 0 || self.threshold > self.keys.len() {
            return Err(TrustError::Threshold { threshold: self.threshold, keys: self.keys.len() });
        }
        Ok(self)
    }
}

fn read_key(wire: WireKey) -> Result<TrustedKey, TrustError> {
    let unusable = |source| TrustError::Key { keyid: wire.keyid.clone(), source };
    let read = match Scheme::from_name(&wire.scheme) {
        Some(Scheme::Ed25519) => PublicKey::from_base64(&wire.public),
        None => Err(KeyError::Scheme(wire.scheme.clone())),
    };
    let public = read.map_err(unusable)?;
    let computed = public.keyid();
    if computed != wire.keyid {
        return Err(TrustError::KeyId { written: wire.keyid, computed });
    }
    Ok(TrustedKey { public, comment: wire.comment })
}
