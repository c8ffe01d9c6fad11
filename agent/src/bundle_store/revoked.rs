//! What becomes of the bundle in force when a new trust file no longer vouches for it.
//!
//! It stays in force: to drop it would end every session because of an event that the people at work did not cause, and
//! to loosen it is out of the question. But it is reported, and after a time of grace a restart does not bring it back
//! unless it was signed again. The time counts from when the agent learnt of it and is kept on disk.

use serde::{Deserialize, Serialize};

pub(super) const FILE: &str = "signer-revoked.json";
/// How long after a rotation a restart still brings the bundle back, in seconds.
pub const GRACE: i64 = 86_400;

/// A bundle in force whose signers were revoked, or whose epoch is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// Which bundle.
    pub statement_sha256: String,
    /// Since when, seconds since 1970.
    pub since: i64,
    /// The version of the trust file that last vouched for it.
    pub vouched: u64,
    /// Why the present one does not.
    pub why: String,
}

impl Revoked {
    /// Whether a restart may still bring it back.
    pub(super) fn in_grace(&self, digest: &str, now_unix: i64) -> bool {
        self.statement_sha256 == digest && now_unix < self.since.saturating_add(GRACE)
    }
}
