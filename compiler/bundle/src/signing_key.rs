//! Private keys, for machines that sign.
//!
//! Never printed, wiped when dropped. Only PKCS#8 PEM is read; encrypted and other forms are refused, because keys
//! that people hold belong into an agent or a token and sign through `ssh-agent:` or `exec:`.

use crate::key::{KeyError, PublicKey};
use ed25519_dalek::Signer;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use std::fmt;
use zeroize::Zeroizing;

/// An Ed25519 or P-256 private key.
pub struct SigningKey {
    secret: Secret,
    public: PublicKey,
}

enum Secret {
    Ed25519(ed25519_dalek::SigningKey),
    P256(p256::ecdsa::SigningKey),
}

impl SigningKey {
    /// A new Ed25519 key from the operating system's randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0_u8; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|_| KeyError::Randomness)?;
        Self::ed25519(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// Reads PKCS#8 PEM of either algorithm.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        match ed25519_dalek::SigningKey::from_pkcs8_pem(text) {
            Ok(key) => Self::ed25519(key),
            Err(_) => {
                p256::ecdsa::SigningKey::from_pkcs8_pem(text).map(Self::p256).map_err(|_| KeyError::Private)
            }
        }
    }

    /// Writes PKCS#8 PEM.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let pem = match &self.secret {
            Secret::Ed25519(key) => key.to_pkcs8_pem(LineEnding::LF),
            Secret::P256(key) => key.to_pkcs8_pem(LineEnding::LF),
        };
        pem.map_err(|_| KeyError::Private)
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        self.public.clone()
    }

    /// Signs, in the one form verification accepts.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Secret::P256(key) => {
                let signature: p256::ecdsa::Signature = Signer::sign(key, message);
                signature.normalize_s().to_vec()
            }
        }
    }

    fn ed25519(key: ed25519_dalek::SigningKey) -> Result<Self, KeyError> {
        let public = PublicKey::from_bytes(key.verifying_key().as_bytes())?;
        Ok(Self { secret: Secret::Ed25519(key), public })
    }

    fn p256(key: p256::ecdsa::SigningKey) -> Self {
        let public = PublicKey::p256(*key.verifying_key());
        Self { secret: Secret::P256(key), public }
    }

    #[cfg(test)]
    pub(crate) fn from_seed(seed: &[u8; 32]) -> Self {
        Self::ed25519(ed25519_dalek::SigningKey::from_bytes(seed)).unwrap()
    }

    #[cfg(test)]
    pub(crate) fn p256_from_seed(seed: &[u8; 32]) -> Self {
        Self::p256(p256::ecdsa::SigningKey::from_slice(seed).unwrap())
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
        for key in [SigningKey::generate().unwrap(), SigningKey::p256_from_seed(&[7; 32])] {
            let pem = key.to_pem().unwrap();
            assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
            let again = SigningKey::from_pem(&pem).unwrap();
            assert_eq!(again.public(), key.public());
            assert!(again.public().verifies(b"m", &key.sign(b"m")));
            assert_eq!(format!("{key:?}"), "SigningKey(..)");
        }
    }

    #[test]
    fn other_private_keys_are_refused() {
        let public_label = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n";
        for text in ["", "secret", public_label] {
            assert_eq!(SigningKey::from_pem(text).unwrap_err(), KeyError::Private);
        }
    }
}
