//! ECDSA over P-256 with SHA-256, for key services, smart cards and approved modules that have nothing else.
//!
//! Every ECDSA signature has a twin with the other `s`; only the lower one is accepted, as `r` and `s` of 32 bytes
//! each. Signers write DER and either twin, so signing goes through [`normalise`].

use super::KeyError;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};

/// DER of `SEQUENCE { SEQUENCE { OID ecPublicKey, OID prime256v1 }, BIT STRING (66) }`, before the 65 bytes of the
/// uncompressed point (RFC 5480).
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The first byte and the length of an uncompressed point.
const UNCOMPRESSED: u8 = 4;
const POINT: usize = 65;

#[derive(Clone, PartialEq, Eq)]
pub(super) struct P256Key {
    key: VerifyingKey,
}

impl P256Key {
    pub(super) fn new(key: VerifyingKey) -> Self {
        Self { key }
    }

    /// The SPKI form with an uncompressed point, the only one.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::from_point(bytes.strip_prefix(&SPKI_PREFIX).ok_or(KeyError::Encoding)?)
    }

    pub(super) fn from_point(point: &[u8]) -> Result<Self, KeyError> {
        if point.len() != POINT || point.first() != Some(&UNCOMPRESSED) {
            return Err(KeyError::Encoding);
        }
        VerifyingKey::from_sec1_bytes(point).map(|key| Self { key }).map_err(|_| KeyError::Invalid)
    }

    fn point(&self) -> Vec<u8> {
        self.key.to_sec1_point(false).as_bytes().to_vec()
    }

    pub(super) fn spki_der(&self) -> Vec<u8> {
        [SPKI_PREFIX.as_slice(), &self.point()].concat()
    }

    pub(super) fn material(&self) -> Vec<u8> {
        [b"p256:".as_slice(), &self.point()].concat()
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| {
            signature.normalize_s() == signature && self.key.verify(message, &signature).is_ok()
        })
    }
}

/// The 64 bytes with the lower `s` of a signature in either form.
pub(super) fn normalise(signature: &[u8]) -> Option<Vec<u8>> {
    let read = Signature::from_slice(signature).or_else(|_| Signature::from_der(signature));
    Some(read.ok()?.normalize_s().to_vec())
}
