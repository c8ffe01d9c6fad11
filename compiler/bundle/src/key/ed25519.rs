//! Ed25519, verified strictly: one signature per message and key, no malleable forms, no weak keys.

use super::KeyError;
use ed25519_dalek::{Signature, VerifyingKey};

/// DER of `SEQUENCE { SEQUENCE { OID 1.3.101.112 }, BIT STRING (33) }`, before the key's 32 bytes (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Ed25519Key {
    key: VerifyingKey,
}

impl Ed25519Key {
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Invalid)?;
        if key.is_weak() { Err(KeyError::Weak) } else { Ok(Self { key }) }
    }

    /// The 32 bytes or their SPKI form.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, KeyError> {
        let raw = bytes.strip_prefix(&SPKI_PREFIX).unwrap_or(bytes);
        Self::from_bytes(raw.try_into().map_err(|_| KeyError::Encoding)?)
    }

    pub(super) fn spki_der(&self) -> Vec<u8> {
        [SPKI_PREFIX.as_slice(), self.key.as_bytes()].concat()
    }

    pub(super) fn material(&self) -> Vec<u8> {
        [b"ed25519:".as_slice(), self.key.as_bytes()].concat()
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }
}
