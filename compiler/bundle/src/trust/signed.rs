//! A trust file in its envelope, on the way from one root signer to the next and then to the agents.
//!
//! The payload is the trust file's text, byte for byte; signing never writes it anew. Nothing here is verified:
//! that is [`super::TrustChain`]'s part, which alone makes a successor count.

use super::{Role, TrustError, TrustFile};
use crate::build::BuildError;
use crate::dsse::{Envelope, Payload};
use crate::key::PublicKey;
use crate::signing_key::SigningKey;
use std::collections::BTreeSet;

/// A trust file with signatures nobody has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTrust {
    pub(super) envelope: Envelope,
    trust: TrustFile,
}

/// A trust file as people hold it: the first as plain JSON, its successors signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustDocument {
    /// Plain, to be pinned by hand.
    Plain(TrustFile),
    /// In an envelope.
    Signed(SignedTrust),
}

impl TrustDocument {
    /// Reads either.
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        // Only a hint which of two strict readers to ask: whatever it says, one of them judges all of the text.
        let value: serde_json::Value = serde_json::from_str(text).map_err(TrustError::Shape)?;
        if value.get("payloadType").is_some() {
            SignedTrust::parse(text).map(Self::Signed)
        } else {
            TrustFile::parse(text).map(Self::Plain)
        }
    }

    /// What it says.
    pub fn trust(&self) -> &TrustFile {
        match self {
            Self::Plain(trust) => trust,
            Self::Signed(signed) => signed.trust(),
        }
    }
}

impl SignedTrust {
    /// A trust file without signatures yet.
    pub fn new(trust: TrustFile) -> Self {
        Self { envelope: Envelope::new(Payload::Trust, trust.to_json().into_bytes()), trust }
    }

    /// Reads an envelope.
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        let envelope = Envelope::parse(text.as_bytes(), &[Payload::Trust]).map_err(TrustError::Envelope)?;
        let payload = std::str::from_utf8(&envelope.payload)
            .map_err(|_| TrustError::Field { field: "payload", accepted: "UTF-8 text is" })?;
        let trust = TrustFile::parse(payload)?;
        Ok(Self { envelope, trust })
    }

    /// The envelope.
    pub fn to_json(&self) -> String {
        self.envelope.to_json() + "\n"
    }

    /// What it says.
    pub fn trust(&self) -> &TrustFile {
        &self.trust
    }

    /// The bytes to sign, for keys that live elsewhere.
    pub fn signing_input(&self) -> Vec<u8> {
        self.envelope.pae()
    }

    /// The ids the signatures claim to be from; hints, not facts.
    pub fn claimed_signers(&self) -> impl Iterator<Item = &str> {
        self.envelope.signatures.iter().map(|signature| signature.keyid.as_str())
    }

    /// The root keys of a version whose signature on this document verifies, by id.
    pub fn root_signers(&self, of: &TrustFile) -> BTreeSet<String> {
        of.role(Role::Root).map(|role| self.envelope.signers(&role.keys)).unwrap_or_default()
    }

    /// Adds a signature with a key held here.
    pub fn sign(&mut self, key: &SigningKey) -> Result<(), BuildError> {
        let signature = key.sign(&self.signing_input());
        self.attach(&key.public(), &signature)
    }

    /// Adds a signature made elsewhere over [`SignedTrust::signing_input`]; replaces an earlier one of the key.
    pub fn attach(&mut self, key: &PublicKey, signature: &[u8]) -> Result<(), BuildError> {
        self.envelope.attach(key, signature)
    }
}
