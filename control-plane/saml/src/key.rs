//! The key our requests, notices and answers are signed with: RSA, because that is what every provider verifies. It is
//! made here, kept sealed by the caller and used by `ring`; nothing is ever decrypted with it.

use gamlastan::crypto::kryptering::{Error, HashAlgorithm, SignatureAlgorithm, Signer};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_RSA_SHA256};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey as _, LineEnding};
use rsa::rand_core::OsRng;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use std::fmt;
use zeroize::Zeroizing;

const BITS: usize = 2048;
/// Providers pin the key, not the time.
const NOT_BEFORE: (i32, u8, u8) = (2020, 1, 1);
const NOT_AFTER: (i32, u8, u8) = (2060, 1, 1);

/// Our key at one provider.
pub struct OurKey {
    pair: RsaKeyPair,
}

impl fmt::Debug for OurKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OurKey")
    }
}

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// None could be made.
    #[error("no key could be made")]
    Make,
    /// What was kept is none.
    #[error("what was kept is not a key of ours")]
    Kept,
}

impl OurKey {
    /// Makes one: the private key in PEM, and a certificate for it in DER. Takes a moment.
    pub fn make() -> Result<(Zeroizing<String>, Vec<u8>), KeyError> {
        let private = RsaPrivateKey::new(&mut OsRng, BITS).map_err(|_| KeyError::Make)?;
        let pem = private.to_pkcs8_pem(LineEnding::LF).map_err(|_| KeyError::Make)?;
        let der = private.to_pkcs8_der().map_err(|_| KeyError::Make)?;
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(
            &PrivatePkcs8KeyDer::from(der.as_bytes()),
            &PKCS_RSA_SHA256,
        )
        .map_err(|_| KeyError::Make)?;
        let mut params = CertificateParams::default();
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, "daam");
        params.distinguished_name = name;
        params.not_before = rcgen::date_time_ymd(NOT_BEFORE.0, NOT_BEFORE.1, NOT_BEFORE.2);
        params.not_after = rcgen::date_time_ymd(NOT_AFTER.0, NOT_AFTER.1, NOT_AFTER.2);
        let certificate = params.self_signed(&pair).map_err(|_| KeyError::Make)?;
        Ok((pem, certificate.der().to_vec()))
    }

    /// Reads one that was kept.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError::Kept)?;
        let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| KeyError::Kept)?;
        Ok(Self { pair })
    }
}

impl Signer for OurKey {
    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::RsaPkcs1v15(HashAlgorithm::Sha256)
    }

    fn sign(&self, data: &[u8]) -> Result<Vec<u8>, Error> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), data, &mut signature)
            .map_err(|_| Error::Crypto("ring did not sign".to_owned()))?;
        Ok(signature)
    }
}
