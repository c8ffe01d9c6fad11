//! The statement: the few facts that are signed.
//!
//! Refused: unknown or missing fields, numbers other readers would round, digests that are not digests, and a
//! time window that is none. An extension must be named in `requires`, where an unknown name refuses.

use crate::digest::is_sha256_hex;
use serde::{Deserialize, Deserializer, Serialize};

/// The `type` of a statement.
pub const STATEMENT_TYPE: &str = "daam-policy-statement.v1";
/// The media type of the content.
pub const CONTENT_TYPE: &str = "application/vnd.daam.policy-content.v1+json";
/// What this version understands beyond the base format; a bundle that requires anything else is refused.
pub const SUPPORTED_FEATURES: [&str; 1] = [REQUEST_CEILING];
/// The content has request ceilings.
pub(crate) const REQUEST_CEILING: &str = "request-ceiling";
/// The largest number every JSON reader keeps exact.
pub(crate) const MAX_EXACT: u64 = (1 << 53) - 1;

/// What the signatures cover.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// [`STATEMENT_TYPE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The organization.
    pub org: String,
    /// The database.
    pub database: String,
    /// The epoch; only the trust file can raise it.
    pub epoch: u64,
    /// The serial within the epoch.
    pub serial: u64,
    /// The statement this one follows.
    #[serde(deserialize_with = "present")]
    pub prev: Option<Previous>,
    /// The content it vouches for.
    pub content: ContentRef,
    /// Digest of the effects: equal effects, equal meaning.
    pub effects_sha256: String,
    /// Digest of the schema lock it was checked against.
    pub lock_sha256: String,
    /// When it was made, seconds since 1970.
    pub issued_at: i64,
    /// From when it may be used.
    pub not_before: i64,
    /// From when it may no longer be used.
    pub expires_at: i64,
    /// Features the reader must have.
    pub requires: Vec<String>,
    /// The oldest agent that may use it, `major.minor.patch`.
    pub min_agent: String,
    /// The compiler that made it.
    pub compiler: String,
    /// What it was made from.
    pub source: Source,
    /// The serial whose content this one brings back.
    #[serde(deserialize_with = "present")]
    pub rollback_of: Option<u64>,
    /// The trust file version its signers belong to.
    pub trust_version: u64,
}

/// The statement before this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Previous {
    /// Its serial.
    pub serial: u64,
    /// Its digest.
    pub statement_sha256: String,
}

/// The content a statement vouches for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentRef {
    /// Its digest.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
    /// [`CONTENT_TYPE`].
    pub media_type: String,
}

/// What a bundle was made from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The repository.
    pub uri: String,
    /// The commit.
    pub commit: String,
    /// The tree.
    pub tree: String,
    /// Whether there were uncommitted changes.
    pub dirty: bool,
    /// The pipeline run, if one made it.
    #[serde(deserialize_with = "present")]
    pub ci: Option<CiRun>,
}

/// A pipeline run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CiRun {
    /// Who runs the pipeline.
    pub issuer: String,
    /// The run.
    pub run: String,
}

/// Why a statement is not acceptable.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// Not JSON of the expected shape.
    #[error("the statement is not readable")]
    Shape(#[source] serde_json::Error),
    /// A field with an impossible value.
    #[error("`{field}` is not acceptable; {accepted}")]
    Field {
        /// The field.
        field: &'static str,
        /// What would be accepted.
        accepted: &'static str,
    },
}

impl Statement {
    /// Reads a statement strictly.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        let statement: Self = serde_json::from_slice(bytes).map_err(StatementError::Shape)?;
        statement.check()?;
        Ok(statement)
    }

    /// The bytes to sign.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Plain strings and numbers cannot fail to serialise; an empty statement is refused when read.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(crate) fn check(&self) -> Result<(), StatementError> {
        let digest = "64 lower-case hexadecimal digits are";
        let exact = "whole numbers from 0 to 2^53-1 are";
        let previous = self.prev.as_ref();
        let time = |seconds: i64| u64::try_from(seconds).is_ok_and(|seconds| seconds <= MAX_EXACT);
        let checks = [
            ("type", self.kind == STATEMENT_TYPE, "`daam-policy-statement.v1` is"),
            ("org", !self.org.is_empty(), "a name is"),
            ("database", !self.database.is_empty(), "a name is"),
            ("epoch", self.epoch <= MAX_EXACT, exact),
            ("serial", (1..=MAX_EXACT).contains(&self.serial), "whole numbers from 1 to 2^53-1 are"),
            ("prev", previous.is_none_or(|prev| is_sha256_hex(&prev.statement_sha256)), digest),
            ("prev", previous.is_none_or(|prev| prev.serial < self.serial), "a lower serial is"),
            ("content.sha256", is_sha256_hex(&self.content.sha256), digest),
            ("content.size", self.content.size <= MAX_EXACT, exact),
            ("content.media_type", self.content.media_type == CONTENT_TYPE, "the policy content type is"),
            ("effects_sha256", is_sha256_hex(&self.effects_sha256), digest),
            ("lock_sha256", is_sha256_hex(&self.lock_sha256), digest),
            ("issued_at", time(self.issued_at), exact),
            ("not_before", time(self.not_before), exact),
            ("expires_at", time(self.expires_at), exact),
            ("expires_at", self.expires_at > self.not_before.max(self.issued_at), "a later time is"),
            ("min_agent", version(&self.min_agent).is_some(), "`major.minor.patch` is"),
            ("rollback_of", self.rollback_of.is_none_or(|of| of < self.serial), "a lower serial is"),
            ("trust_version", (1..=MAX_EXACT).contains(&self.trust_version), exact),
        ];
        match checks.into_iter().find(|(_, holds, _)| !holds) {
            None => Ok(()),
            Some((field, _, accepted)) => Err(StatementError::Field { field, accepted }),
        }
    }
}

/// `major.minor.patch` as numbers.
pub(crate) fn version(text: &str) -> Option<[u64; 3]> {
    let numbers: Option<Vec<u64>> = text.split('.').map(|part| part.parse().ok()).collect();
    numbers?.try_into().ok()
}

/// An optional value whose field must be written: absence of a field never means anything.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(from)
}
