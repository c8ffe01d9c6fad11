//! Public keys and their ids.
//!
//! A key id is always recomputed from the key; a written one is only ever compared. Refused: weak keys (points
//! of small order, under which one signature fits many messages) and encodings of other algorithms.

use crate::digest::sha256_hex;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use std::fmt;

/// A signature algorithm. It comes from the trust file, never from a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// Pure Ed25519.
    Ed25519,
}

impl Scheme {
    /// The name in trust files and key ids.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
        }
    }

    /// The scheme of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        (name == Self::Ed25519.as_str()).then_some(Self::Ed25519)
    }
}

/// Why something is not a usable key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// An algorithm this version does not know.
    #[error("the key scheme `{0}` is not supported; `ed25519` is accepted")]
    Scheme(String),
    /// Not base64, or not of the right length.
    #[error("the public key is not base64 of a 32-byte Ed25519 key or of its SPKI form")]
    Encoding,
    /// Not a point of the curve.
    #[error("the public key is not a valid Ed25519 key")]
    Invalid,
    /// A point of small order.
    #[error("the public key is weak: signatures under it prove nothing; generate another")]
    Weak,
    /// Not a PKCS#8 PEM of an Ed25519 private key.
    #[error("the private key is not an Ed25519 key in PKCS#8 PEM form (`-----BEGIN PRIVATE KEY-----`)")]
    Private,
    /// The operating system gave no randomness.
    #[error("the operating system provided no random bytes")]
    Randomness,
}

/// A public key that may be trusted; never a weak one.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
}

/// DER of `SEQUENCE { SEQUENCE { OID 1.3.101.112 }, BIT STRING (33) }`, before the key's 32 bytes (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

impl PublicKey {
    /// Takes the 32 bytes of an Ed25519 key.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Invalid)?;
        if key.is_weak() { Err(KeyError::Weak) } else { Ok(Self { key }) }
    }

    /// Reads base64 of the 32 bytes or of the SPKI form.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        let bytes = STANDARD.decode(text).map_err(|_| KeyError::Encoding)?;
        let raw = bytes.strip_prefix(&SPKI_PREFIX).unwrap_or(&bytes);
        Self::from_bytes(raw.try_into().map_err(|_| KeyError::Encoding)?)
    }

    /// Its algorithm.
    pub fn scheme(&self) -> Scheme {
        Scheme::Ed25519
    }

    /// The SPKI form in DER.
    pub fn spki_der(&self) -> Vec<u8> {
        [SPKI_PREFIX.as_slice(), self.key.as_bytes()].concat()
    }

    /// Base64 of the SPKI form, as trust files hold it.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.spki_der())
    }

    /// The id: `hex(sha256("daam-key-v1" NUL scheme NUL SPKI))`.
    pub fn keyid(&self) -> String {
        let scheme = self.scheme().as_str().as_bytes();
        sha256_hex(&[b"daam-key-v1\0".as_slice(), scheme, b"\0", &self.spki_der()].concat())
    }

    /// Strict verification: one signature per message and key, no malleable forms.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.keyid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_order_points_are_refused() {
        let mut one = [0_u8; 32];
        one[0] = 1;
        assert_eq!(PublicKey::from_bytes(&one), Err(KeyError::Weak));
        assert_eq!(PublicKey::from_bytes(&[0; 32]), Err(KeyError::Weak));
    }

    #[test]
    fn raw_and_spki_forms_give_the_same_key_and_id() {
        let key = crate::SigningKey::from_seed(&[7; 32]).public();
        let raw = STANDARD.encode(&key.spki_der()[12..]);
        assert_eq!(PublicKey::from_base64(&raw).unwrap().keyid(), key.keyid());
        assert_eq!(PublicKey::from_base64(&key.to_base64()).unwrap(), key);
        assert_eq!(key.keyid().len(), 64);
    }

    #[test]
    fn other_encodings_are_refused() {
        for text in ["", "AAAA", "not base64", "ssh-ed25519 AAAA"] {
            assert_eq!(PublicKey::from_base64(text), Err(KeyError::Encoding));
        }
    }
}
