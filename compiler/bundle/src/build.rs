//! Making a bundle: from policies to a file that can be signed.
//!
//! Refused: policies and statements no reader would accept, so that a mistake shows where it is made.

use crate::content::{ContentError, decode_content, encode_content, features};
use crate::digest::sha256_hex;
use crate::dsse::{Envelope, MAX_SIGNATURES, MAX_STATEMENT, Payload};
use crate::file::{self, MAX_CONTENT};
use crate::key::PublicKey;
use crate::refused::Refused;
use crate::signing_key::SigningKey;
use crate::statement::{
    CONTENT_TYPE, ContentRef, Previous, STATEMENT_TYPE, SUPPORTED_FEATURES, Source, Statement, StatementError,
};
use crate::trust::{Role, TrustFile};
use daam_model::PolicySet;
use std::collections::BTreeSet;

/// What a statement says beyond the policies themselves. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementInput {
    /// The organization.
    pub org: String,
    /// The epoch of the database in the trust file.
    pub epoch: u64,
    /// The serial, above every earlier one of the epoch.
    pub serial: u64,
    /// The statement before this one.
    pub prev: Option<Previous>,
    /// Digest of the effects.
    pub effects_sha256: String,
    /// Digest of the schema lock.
    pub lock_sha256: String,
    /// Now.
    pub issued_at: i64,
    /// From when it may be used.
    pub not_before: i64,
    /// From when it may no longer be used.
    pub expires_at: i64,
    /// Features the reader must have.
    pub requires: Vec<String>,
    /// The oldest agent that may use it, `major.minor.patch`.
    pub min_agent: String,
    /// The compiler and its version.
    pub compiler: String,
    /// What it was made from.
    pub source: Source,
    /// The serial whose content this one brings back.
    pub rollback_of: Option<u64>,
    /// The version of the trust file.
    pub trust_version: u64,
}

/// Why no bundle could be made, or a signature not added.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The statement has an impossible field.
    #[error("the statement is not acceptable")]
    Statement(#[source] StatementError),
    /// The policies would not be read back.
    #[error("the policies are not acceptable")]
    Content(#[source] ContentError),
    /// A feature no reader has.
    #[error("`{0}` is required but not supported by any agent of this version")]
    Requires(String),
    /// Too long.
    #[error("the {what} has {size} bytes; at most {limit} are accepted")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// No room for another signature.
    #[error("the bundle already carries {MAX_SIGNATURES} signatures, the most that are accepted")]
    TooManySignatures,
    /// A signature from elsewhere that does not verify.
    #[error("the signature does not verify under the key `{0}`; sign exactly the bytes that were handed out")]
    Signature(String),
}

/// A bundle whose signatures, if it has any, nobody has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedBundle {
    envelope: Envelope,
    statement: Statement,
    content: Vec<u8>,
}

/// Makes a bundle of these policies. Equal input gives equal bytes.
pub fn build(set: &PolicySet, input: StatementInput) -> Result<UnsignedBundle, BuildError> {
    let content = encode_content(set);
    decode_content(&content).map_err(BuildError::Content)?;
    if content.len() > MAX_CONTENT {
        return Err(BuildError::TooLarge { what: "content", size: content.len(), limit: MAX_CONTENT });
    }
    if let Some(unknown) = input.requires.iter().find(|name| !SUPPORTED_FEATURES.contains(&name.as_str())) {
        return Err(BuildError::Requires(unknown.clone()));
    }
    // What the content needs is never left to the caller: an older reader has to be told before it decodes.
    let requires: BTreeSet<String> = input.requires.into_iter().chain(features(set)).collect();
    let requires: Vec<String> = requires.into_iter().collect();
    let statement = Statement {
        kind: STATEMENT_TYPE.to_owned(),
        org: input.org,
        database: set.database.clone(),
        epoch: input.epoch,
        serial: input.serial,
        prev: input.prev,
        content: ContentRef {
            sha256: sha256_hex(&content),
            size: u64::try_from(content.len()).unwrap_or(u64::MAX),
            media_type: CONTENT_TYPE.to_owned(),
        },
        effects_sha256: input.effects_sha256,
        lock_sha256: input.lock_sha256,
        issued_at: input.issued_at,
        not_before: input.not_before,
        expires_at: input.expires_at,
        requires,
        min_agent: input.min_agent,
        compiler: input.compiler,
        source: input.source,
        rollback_of: input.rollback_of,
        trust_version: input.trust_version,
    };
    statement.check().map_err(BuildError::Statement)?;
    let payload = statement.to_bytes();
    if payload.len() > MAX_STATEMENT {
        return Err(BuildError::TooLarge { what: "statement", size: payload.len(), limit: MAX_STATEMENT });
    }
    Ok(UnsignedBundle { envelope: Envelope::new(Payload::Policy, payload), statement, content })
}

impl UnsignedBundle {
    /// Reads a bundle file for signing or inspection. The statement and the content are checked against each
    /// other; signatures are not.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Refused> {
        let parts = file::split(bytes)?;
        let envelope = Envelope::parse(parts.envelope, &[Payload::Policy, Payload::Emergency])?;
        let statement = Statement::parse(&envelope.payload).map_err(Refused::Statement)?;
        statement.vouches_for(parts.content)?;
        Ok(Self { envelope, statement, content: parts.content.to_vec() })
    }

    /// The bundle file.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Sixteen short signatures and a statement of 4 KiB always fit; an empty file is refused when read.
        file::join(self.envelope.to_json().as_bytes(), &self.content).unwrap_or_default()
    }

    /// What it says.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The digest later statements and heads refer to it by.
    pub fn statement_sha256(&self) -> String {
        sha256_hex(&self.envelope.payload)
    }

    /// What it contains.
    pub fn policies(&self) -> Result<PolicySet, ContentError> {
        decode_content(&self.content)
    }

    /// The ids the signatures claim to be from; hints, not facts.
    pub fn claimed_signers(&self) -> impl Iterator<Item = &str> {
        self.envelope.signatures.iter().map(|signature| signature.keyid.as_str())
    }

    /// The bytes to sign, for keys that live elsewhere.
    pub fn signing_input(&self) -> Vec<u8> {
        self.envelope.pae()
    }

    /// Adds a signature with a key held here; replaces an earlier one of the same key.
    pub fn sign(&mut self, key: &SigningKey) -> Result<(), BuildError> {
        let signature = key.sign(&self.signing_input());
        self.attach(&key.public(), &signature)
    }

    /// Adds a signature made elsewhere over [`UnsignedBundle::signing_input`]; replaces an earlier one of the
    /// same key.
    pub fn attach(&mut self, key: &PublicKey, signature: &[u8]) -> Result<(), BuildError> {
        self.envelope.attach(key, signature)
    }

    /// The same for the emergency role: other keys, another type, and agents accept it only if it narrows. Signatures
    /// made before do not count for it.
    #[must_use]
    pub fn for_emergency(self) -> Self {
        Self { envelope: Envelope::new(Payload::Emergency, self.envelope.payload), ..self }
    }

    /// The ids of the keys of its role whose signature verifies, whether or not they are enough.
    pub fn signers(&self, trust: &TrustFile) -> BTreeSet<String> {
        trust.role(self.role()).map(|role| self.envelope.signers(&role.keys)).unwrap_or_default()
    }

    /// The role whose signatures it needs.
    pub fn role(&self) -> Role {
        if self.envelope.kind == Payload::Emergency { Role::Emergency } else { Role::Policy }
    }
}
