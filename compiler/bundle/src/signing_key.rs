//! Private keys, for machines that sign.
//!
//! Never printed, wiped when dropped. Only PKCS#8 PEM is read, encrypted or other forms are refused.

use crate::key::{KeyError, PublicKey};
use ed25519_dalek::Signer;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use std::fmt;
use zeroize::Zeroizing;

/// An Ed25519 private key.
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    public: PublicKey,
}

impl SigningKey {
    /// A new key from the operating system's randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0_u8; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|_| KeyError::Randomness)?;
        Self::of(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// Reads PKCS#8 PEM.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        Self::of(ed25519_dalek::SigningKey::from_pkcs8_pem(text).map_err(|_| KeyError::Private)?)
    }

    /// Writes PKCS#8 PEM.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        self.key.to_pkcs8_pem(LineEnding::LF).map_err(|_| KeyError::Private)
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        self.public.clone()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(message).to_bytes().to_vec()
    }

    fn of(key: ed25519_dalek::SigningKey) -> Result<Self, KeyError> {
        let public = PublicKey::from_bytes(key.verifying_key().as_bytes())?;
        Ok(Self { key, public })
    }

    #[cfg(test)]
    pub(crate) fn from_seed(seed: &[u8; 32]) -> Self {
        Self::of(ed25519_dalek::SigningKey::from_bytes(seed)).unwrap()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_pem_form_and_never_prints() {
        let key = SigningKey::generate().unwrap();
        let pem = key.to_pem().unwrap();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        let again = SigningKey::from_pem(&pem).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(format!("{key:?}"), "SigningKey(..)");
    }

    #[test]
    fn other_private_keys_are_refused() {
        let public_label = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n";
        for text in ["", "secret", public_label] {
            assert_eq!(SigningKey::from_pem(text).unwrap_err(), KeyError::Private);
        }
    }
}
