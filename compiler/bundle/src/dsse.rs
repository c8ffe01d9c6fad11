//! DSSE v1: what is signed, and the envelope around it.
//!
//! The signed bytes name their type, so a signature made for one role cannot serve another. In the envelope
//! only `payload` and `payloadType` are covered; key ids are hints and further members are ignored, as the
//! protocol asks. Refused: a member twice, base64 without padding, more signatures than anyone needs.

use crate::build::BuildError;
use crate::key::PublicKey;
use crate::refused::Refused;
use crate::trust::TrustedKey;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The largest statement, so that key services can sign it without hashing it first.
pub(crate) const MAX_STATEMENT: usize = 4096;
/// The largest trust file.
pub(crate) const MAX_TRUST: usize = 64 * 1024;
/// The most signatures one envelope may carry.
pub(crate) const MAX_SIGNATURES: usize = 16;

/// What an envelope may hold. The type is part of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Payload {
    /// A policy statement.
    Policy,
    /// A policy statement of the emergency role.
    Emergency,
    /// A trust file.
    Trust,
    /// A freshness statement.
    Freshness,
}

impl Payload {
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Policy => "application/vnd.daam.policy-statement.v1+json",
            Self::Emergency => "application/vnd.daam.emergency-statement.v1+json",
            Self::Trust => "application/vnd.daam.trust.v1+json",
            Self::Freshness => "application/vnd.daam.freshness.v1+json",
        }
    }

    fn limit(self) -> usize {
        if self == Self::Trust { MAX_TRUST } else { MAX_STATEMENT }
    }
}

/// An envelope with its base64 undone; nothing in it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) kind: Payload,
    pub(crate) payload: Vec<u8>,
    pub(crate) signatures: Vec<EnvelopeSignature>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EnvelopeSignature {
    /// A hint.
    pub(crate) keyid: String,
    pub(crate) signature: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct WireEnvelope {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<WireSignature>,
}

#[derive(Serialize, Deserialize)]
struct WireSignature {
    #[serde(default)]
    keyid: String,
    sig: String,
}

/// The pre-authentication encoding: `DSSEv1 SP len(type) SP type SP len(body) SP body`.
pub(crate) fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

impl Envelope {
    pub(crate) fn new(kind: Payload, payload: Vec<u8>) -> Self {
        Self { kind, payload, signatures: Vec::new() }
    }

    /// Reads an envelope that holds one of these, within the limits.
    pub(crate) fn parse(bytes: &[u8], accepted: &[Payload]) -> Result<Self, Refused> {
        let wire: WireEnvelope = serde_json::from_slice(bytes).map_err(Refused::Envelope)?;
        let kind = accepted.iter().copied().find(|kind| kind.media_type() == wire.payload_type);
        let kind = kind.ok_or_else(|| Refused::PayloadType {
            found: shown(&wire.payload_type),
            expected: accepted.first().map_or("nothing", |kind| kind.media_type()),
        })?;
        if wire.signatures.len() > MAX_SIGNATURES {
            return Err(Refused::TooManySignatures(wire.signatures.len()));
        }
        let payload = decode(&wire.payload).ok_or(Refused::Base64("payload"))?;
        if payload.len() > kind.limit() {
            return Err(Refused::TooLarge { what: "statement", size: payload.len(), limit: kind.limit() });
        }
        let read = |wire: WireSignature| match decode(&wire.sig) {
            Some(signature) => Ok(EnvelopeSignature { keyid: wire.keyid, signature }),
            None => Err(Refused::Base64("signature")),
        };
        let signatures = wire.signatures.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { kind, payload, signatures })
    }

    pub(crate) fn to_json(&self) -> String {
        let wire = WireEnvelope {
            payload: STANDARD.encode(&self.payload),
            payload_type: self.kind.media_type().to_owned(),
            signatures: self
                .signatures
                .iter()
                .map(|signature| WireSignature {
                    keyid: signature.keyid.clone(),
                    sig: STANDARD.encode(&signature.signature),
                })
                .collect(),
        };
        // Plain strings cannot fail to serialise; an empty envelope is refused when read.
        serde_json::to_string(&wire).unwrap_or_default()
    }

    pub(crate) fn pae(&self) -> Vec<u8> {
        pae(self.kind.media_type(), &self.payload)
    }

    /// The keys whose signature verifies, by id: every key is tried on every signature, ids decide nothing. What is
    /// counted are distinct points, so one key listed twice in any form counts once.
    pub(crate) fn signers(&self, keys: &[TrustedKey]) -> BTreeSet<String> {
        let message = self.pae();
        let mut counted = BTreeSet::new();
        keys.iter()
            .filter(|key| self.signatures.iter().any(|one| key.public.verifies(&message, &one.signature)))
            .filter(|key| counted.insert(key.public.material()))
            .map(|key| key.public.keyid())
            .collect()
    }

    /// Adds a signature that verifies under the key; replaces an earlier one of the same key.
    pub(crate) fn attach(&mut self, key: &PublicKey, signature: &[u8]) -> Result<(), BuildError> {
        let keyid = key.keyid();
        let signature = key.normalise(signature).filter(|signature| key.verifies(&self.pae(), signature));
        let Some(signature) = signature else { return Err(BuildError::Signature(keyid)) };
        self.signatures.retain(|present| present.keyid != keyid);
        if self.signatures.len() >= MAX_SIGNATURES {
            return Err(BuildError::TooManySignatures);
        }
        self.signatures.push(EnvelopeSignature { keyid, signature });
        Ok(())
    }
}

/// Text nobody vouches for, short and without control characters, fit for a log.
fn shown(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}

/// Standard or URL-safe, always padded.
fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}
