//! The trust file as JSON. A member that says nothing is left out, so that a file without the newer ones is the
//! same file to every version; one that is not known is refused.

use super::{DatabaseTrust, Role, RoleKeys, TRUST_TYPE, TrustDraft, TrustError, TrustFile, TrustedKey};
use crate::key::{KeyError, PublicKey, Scheme};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireTrust {
    #[serde(rename = "type")]
    kind: String,
    org: String,
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    roles: WireRoles,
    epochs: Vec<WireEpoch>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireRoles {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<WireRole>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<WireRole>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    freshness: Option<WireRole>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    emergency: Option<WireRole>,
}

impl WireRoles {
    fn slot(&mut self, role: Role) -> &mut Option<WireRole> {
        match role {
            Role::Root => &mut self.root,
            Role::Policy => &mut self.policy,
            Role::Freshness => &mut self.freshness,
            Role::Emergency => &mut self.emergency,
        }
    }
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    minimum_serial: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    protected: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    threshold: Option<usize>,
}

impl TrustFile {
    /// Reads and checks a trust file.
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        let mut wire: WireTrust = serde_json::from_str(text).map_err(TrustError::Shape)?;
        if wire.kind != TRUST_TYPE {
            return Err(TrustError::Field { field: "type", accepted: "`daam-trust.v1` is" });
        }
        let mut databases = BTreeMap::new();
        for entry in wire.epochs {
            let known = DatabaseTrust {
                epoch: entry.epoch,
                minimum_serial: entry.minimum_serial.unwrap_or(0),
                protected: entry.protected.unwrap_or(false),
                threshold: entry.threshold,
            };
            if databases.insert(entry.database, known).is_some() {
                return Err(TrustError::Field { field: "epochs", accepted: "each database once is" });
            }
        }
        let mut roles = BTreeMap::new();
        for role in Role::ALL {
            if let Some(WireRole { threshold, keys }) = wire.roles.slot(role).take() {
                let keys = keys.into_iter().map(read_key).collect::<Result<_, _>>()?;
                roles.insert(role, RoleKeys { threshold, keys });
            }
        }
        let (org, version, expires_at) = (wire.org, wire.version, wire.expires_at);
        Self::check(TrustDraft { org, version, expires_at, roles, databases })
    }

    /// The form [`TrustFile::parse`] reads.
    pub fn to_json(&self) -> String {
        let mut roles = WireRoles::default();
        for (role, keys) in &self.draft.roles {
            let keys =
                WireRole { threshold: keys.threshold, keys: keys.keys.iter().map(write_key).collect() };
            *roles.slot(*role) = Some(keys);
        }
        let epoch = |(database, known): (&String, &DatabaseTrust)| WireEpoch {
            database: database.clone(),
            epoch: known.epoch,
            minimum_serial: Some(known.minimum_serial).filter(|serial| *serial > 0),
            protected: known.protected.then_some(true),
            threshold: known.threshold,
        };
        let wire = WireTrust {
            kind: TRUST_TYPE.to_owned(),
            org: self.draft.org.clone(),
            version: self.draft.version,
            expires_at: self.draft.expires_at,
            roles,
            epochs: self.draft.databases.iter().map(epoch).collect(),
        };
        // Plain strings and numbers cannot fail to serialise; an empty trust file is refused when read.
        let mut text = serde_json::to_string_pretty(&wire).unwrap_or_default();
        text.push('\n');
        text
    }
}

fn write_key(key: &TrustedKey) -> WireKey {
    WireKey {
        keyid: key.public.keyid(),
        scheme: key.public.scheme().as_str().to_owned(),
        public: key.public.to_base64(),
        comment: key.comment.clone(),
    }
}

fn read_key(wire: WireKey) -> Result<TrustedKey, TrustError> {
    let unusable = |source| TrustError::Key { keyid: wire.keyid.clone(), source };
    let read = match Scheme::from_name(&wire.scheme) {
        Some(scheme) => PublicKey::from_record(scheme, &wire.public),
        None => Err(KeyError::Scheme(wire.scheme.clone())),
    };
    let public = read.map_err(unusable)?;
    let computed = public.keyid();
    if computed != wire.keyid {
        return Err(TrustError::KeyId { written: wire.keyid, computed });
    }
    Ok(TrustedKey { public, comment: wire.comment })
}
