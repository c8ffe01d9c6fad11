//! A signed statement of how long the log was and what was in it.

use crate::entry::Hash;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daam_bundle::{PublicKey, SigningKey};
use serde::{Deserialize, Serialize};

const DOMAIN: &str = "daam audit checkpoint v1";

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The organization's slug.
    pub org: String,
    /// The organization's id, which every entry's hash covers.
    pub org_id: String,
    /// How many entries.
    pub size: u64,
    /// The root of the tree over their hashes.
    pub root: Hash,
    /// The hash of the last of them; none of an empty log.
    pub head: Option<Hash>,
    /// When it was signed, unix seconds.
    pub at: i64,
}

/// A checkpoint with a signature that nobody has checked yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    checkpoint: Checkpoint,
    /// The key's id, as a hint.
    key: String,
    signature: String,
}

/// Why a checkpoint does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCheckpoint {
    /// Another key, or not what was signed.
    #[error("the checkpoint of {size} entries is not signed by the key `{wanted}`; it names `{named}`")]
    Signature {
        /// Its size.
        size: u64,
        /// Whose signature counts.
        wanted: String,
        /// Whose it says it is.
        named: String,
    },
    /// It could be read in two ways.
    #[error("a checkpoint's organization has characters that no organization's name has")]
    Name,
}

impl Checkpoint {
    /// Signs it.
    pub fn sign(self, key: &SigningKey) -> Signed {
        let signature = STANDARD.encode(key.sign(self.text().as_bytes()));
        Signed { checkpoint: self, key: key.public().keyid(), signature }
    }

    /// One line per field; names are plain, so none can hold a line of its own.
    fn text(&self) -> String {
        let Self { org, org_id, size, root, head, at } = self;
        let head = head.map(|head| head.to_string()).unwrap_or_default();
        format!("{DOMAIN}\n{org}\n{org_id}\n{size}\n{root}\n{head}\n{at}\n")
    }
}

impl Signed {
    /// What it says, if this key signed it.
    pub fn verify(&self, key: &PublicKey) -> Result<&Checkpoint, BadCheckpoint> {
        let said = &self.checkpoint;
        let plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !plain(&said.org) || !plain(&said.org_id) {
            return Err(BadCheckpoint::Name);
        }
        let signature = STANDARD.decode(&self.signature).unwrap_or_default();
        if key.verifies(said.text().as_bytes(), &signature) {
            return Ok(said);
        }
        let named = self.key.chars().take(100).flat_map(char::escape_debug).collect();
        Err(BadCheckpoint::Signature { size: said.size, wanted: key.keyid(), named })
    }

    /// What it says, whoever signed it: to show, and to put it in its place.
    pub fn unverified(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The key's id, as it says.
    pub fn key(&self) -> &str {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let root = Hash::over(&[b"x"]);
        Checkpoint {
            org: "calm-otter".into(),
            org_id: "id-1".into(),
            size: 3,
            root,
            head: Some(root),
            at: 1_800_000_000,
        }
    }

    #[test]
    fn whatever_is_changed_the_signature_no_longer_fits() {
        let key = SigningKey::generate().unwrap();
        let signed = checkpoint().sign(&key);
        assert_eq!(signed.verify(&key.public()), Ok(&checkpoint()));
        let other = Hash::over(&[b"y"]);
        let ways: [fn(&mut Checkpoint, Hash); 6] = [
            |c, _| c.org.push('s'),
            |c, _| c.org_id.push('1'),
            |c, _| c.size = 2,
            |c, other| c.root = other,
            |c, _| c.head = None,
            |c, _| c.at += 1,
        ];
        for change in ways {
            let mut forged = signed.clone();
            change(&mut forged.checkpoint, other);
            assert!(forged.verify(&key.public()).is_err());
        }
        assert!(signed.verify(&SigningKey::generate().unwrap().public()).is_err());
        let mut odd = checkpoint();
        odd.org = "a\nb".into();
        assert_eq!(odd.sign(&key).verify(&key.public()), Err(BadCheckpoint::Name));
    }
}
