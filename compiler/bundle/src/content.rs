//! Policies as bytes.
//!
//! Equal policy sets give equal bytes, and only those bytes are read back: what is decoded is encoded again
//! and compared, so a member twice, another order or other spellings are all refused. Every pattern and name
//! is checked again on the way in.

mod read;
mod wire;

use crate::digest::sha256_hex;
use crate::statement::REQUEST_CEILING;
use daam_catalog::{NameError, PatternError};
use daam_model::{Grant, Mask, MaskRule, Origin, PolicySet};

/// The version this module writes, and the only one it reads.
pub const VERSION: u32 = 1;

/// Why bytes are not policies.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// Not JSON of the expected shape.
    #[error("the policies are not readable")]
    Shape(#[source] serde_json::Error),
    /// Written by another version.
    #[error("the policies have format version {0}; only version {VERSION} is accepted")]
    Version(u32),
    /// Readable, but not what the compiler writes for it.
    #[error("the policies are not in the one form the compiler writes; build the bundle again")]
    NotCanonical,
    /// A pattern that is none.
    #[error("policy `{policy}` has an unusable pattern")]
    Pattern {
        /// The policy.
        policy: String,
        /// What is wrong.
        #[source]
        source: PatternError,
    },
    /// A column name that is none.
    #[error("policy `{policy}` has an unusable column name")]
    Name {
        /// The policy.
        policy: String,
        /// What is wrong.
        #[source]
        source: NameError,
    },
    /// Two policies of one name.
    #[error("the policy `{0}` appears twice")]
    Duplicate(String),
    /// A value outside its range.
    #[error("`{field}` of `{place}` is not acceptable; {accepted}")]
    Value {
        /// The policy or group it belongs to.
        place: String,
        /// The field.
        field: &'static str,
        /// What would be accepted.
        accepted: &'static str,
    },
}

/// The one byte form of a policy set.
pub fn encode_content(set: &PolicySet) -> Vec<u8> {
    // Plain strings and numbers cannot fail to serialise; empty content is refused when read.
    let mut bytes = serde_json::to_vec(&wire::WirePolicySet::from(set)).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// Reads what [`encode_content`] wrote.
pub fn decode_content(bytes: &[u8]) -> Result<PolicySet, ContentError> {
    let wire: wire::WirePolicySet = serde_json::from_slice(bytes).map_err(ContentError::Shape)?;
    let set = read::policy_set(wire)?;
    if encode_content(&set) == bytes { Ok(set) } else { Err(ContentError::NotCanonical) }
}

/// A mask in the form that policies have in a bundle, on its own.
pub fn decode_mask(value: &serde_json::Value) -> Result<Mask, ContentError> {
    let wire: wire::WireMask = serde_json::from_value(value.clone()).map_err(ContentError::Shape)?;
    read::mask(wire, "the mask")
}

/// What a reader has to know beyond the base format to read these policies.
pub fn features(set: &PolicySet) -> Vec<String> {
    if set.ceilings.is_empty() { Vec::new() } else { vec![REQUEST_CEILING.to_owned()] }
}

/// A digest of what the policies say: equal wherever they are written, however they are described, and in
/// whatever order their clauses stand.
pub fn fingerprint(set: &PolicySet) -> String {
    let mut set = set.clone();
    for policy in &mut set.policies {
        policy.description.clear();
        policy.origin = Origin::default();
        settle(&mut policy.grants, &mut policy.masks);
    }
    for ceiling in &mut set.ceilings {
        ceiling.description.clear();
        ceiling.origin = Origin::default();
        settle(&mut ceiling.grants, &mut ceiling.masks);
    }
    sha256_hex(&encode_content(&set))
}

fn settle(grants: &mut [Grant], masks: &mut [MaskRule]) {
    for grant in &mut *grants {
        grant.origin = Origin::default();
        grant.on.sort();
        grant.on.dedup();
        grant.functions.sort();
        grant.functions.dedup();
    }
    for rule in &mut *masks {
        rule.origin = Origin::default();
        rule.on.sort();
        rule.on.dedup();
    }
    masks.sort_by(|a, b| (&a.on, &a.with).cmp(&(&b.on, &b.with)));
    grants.sort_by_cached_key(wire::grant_key);
}

#[cfg(test)]
pub(crate) mod tests;
