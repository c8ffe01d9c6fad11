//! DSSE v1: what is signed, and the envelope around it.
//!
//! The signed bytes name their type, so a signature made for one role cannot serve another. In the envelope
//! only `payload` and `payloadType` are covered; key ids are hints and further members are ignored, as the
//! protocol asks. Refused: a member twice, base64 without padding, more signatures than anyone needs.

use crate::refused::Refused;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::{Deserialize, Serialize};

/// The type of policy statements.
pub(crate) const PAYLOAD_TYPE: &str = "application/vnd.daam.policy-statement.v1+json";
/// The largest statement, so that key services can sign it without hashing it first.
pub(crate) const MAX_STATEMENT: usize = 4096;
/// The most signatures one envelope may carry.
pub(crate) const MAX_SIGNATURES: usize = 16;

/// An envelope with its base64 undone; nothing in it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Envelope {
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
    /// Reads an envelope, within the limits.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let wire: WireEnvelope = serde_json::from_slice(bytes).map_err(Refused::Envelope)?;
        if wire.payload_type != PAYLOAD_TYPE {
            return Err(Refused::PayloadType(shown(&wire.payload_type)));
        }
        if wire.signatures.len() > MAX_SIGNATURES {
            return Err(Refused::TooManySignatures(wire.signatures.len()));
        }
        let payload = decode(&wire.payload).ok_or(Refused::Base64("payload"))?;
        if payload.len() > MAX_STATEMENT {
            return Err(Refused::TooLarge { what: "statement", size: payload.len(), limit: MAX_STATEMENT });
        }
        let read = |wire: WireSignature| match decode(&wire.sig) {
            Some(signature) => Ok(EnvelopeSignature { keyid: wire.keyid, signature }),
            None => Err(Refused::Base64("signature")),
        };
        let signatures = wire.signatures.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { payload, signatures })
    }

    pub(crate) fn to_json(&self) -> String {
        let wire = WireEnvelope {
            payload: STANDARD.encode(&self.payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
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
        pae(PAYLOAD_TYPE, &self.payload)
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
