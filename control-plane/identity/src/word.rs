//! An agent's word that a history is its own: a signature by the key it enrolled with, which only its machine has. Whoever
//! holds the token of its link, or the database the history lies in, cannot give it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, SigningKey as _};
use rustls::SignatureScheme;

/// Why there is no word.
#[derive(Debug, thiserror::Error)]
#[error("the agent's key cannot sign")]
pub struct WordError(#[source] rcgen::Error);

/// The end of a chain of audit records.
#[derive(Debug, Clone, Copy)]
pub struct ChainEnd<'a> {
    /// Whose.
    pub agent_id: &'a str,
    /// The chain's name.
    pub chain: &'a str,
    /// The last record.
    pub seq: u64,
    /// That record's hash, which covers all before.
    pub hash: &'a str,
}

impl ChainEnd<'_> {
    /// What is signed; no part can contain a line's end.
    fn message(&self) -> String {
        format!("daam agent audit 1\n{}\n{}\n{}\n{}\n", self.agent_id, self.chain, self.seq, self.hash)
    }

    /// By the key in PKCS#8 PEM; base64.
    pub fn sign(&self, key_pem: &str) -> Result<String, WordError> {
        let key = KeyPair::from_pem(key_pem).map_err(WordError)?;
        key.sign(self.message().as_bytes()).map(|signature| STANDARD.encode(signature)).map_err(WordError)
    }

    /// Whether the holder of `public_key` (a point of P-256, base64) signed it. Fails closed.
    pub fn is_signed_by(&self, public_key: &str, signature: &str) -> bool {
        let (Ok(key), Ok(signature)) = (STANDARD.decode(public_key), STANDARD.decode(signature)) else {
            return false;
        };
        is_signed_by_point(&key, self.message().as_bytes(), &signature)
    }
}

/// Whether the holder of a key (a point of P-256) signed it. Fails closed.
pub(crate) fn is_signed_by_point(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let known = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    let scheme = known.mapping.iter().find(|(scheme, _)| *scheme == SignatureScheme::ECDSA_NISTP256_SHA256);
    let mut of_p256 = scheme.into_iter().flat_map(|(_, algorithms)| algorithms.iter());
    of_p256.any(|algorithm| algorithm.verify_signature(key, message, signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::{CertificateAuthority, make_csr};
    use crate::principal::{AgentPrincipal, Principal};

    #[test]
    fn a_word_is_of_one_key_one_agent_and_one_end() {
        let authority = CertificateAuthority::generate("acme", 1_790_000_000).unwrap();
        let agent = AgentPrincipal { org: "acme".into(), agent_id: "a1".into(), database: "shop".into() };
        let agent = Principal::Agent(agent);
        let issue =
            |csr: &str| authority.issue(csr, &agent, 1_790_000_000, 1_790_000_060).unwrap().public_key;
        let ((key, csr), (_, other)) = (make_csr().unwrap(), make_csr().unwrap());
        let end = ChainEnd { agent_id: "a1", chain: "00ff", seq: 7, hash: "abc" };
        let word = end.sign(&key).unwrap();
        let public = issue(&csr);
        assert!(end.is_signed_by(&public, &word));
        assert!(!end.is_signed_by(&issue(&other), &word));
        for forged in [
            ChainEnd { agent_id: "a2", ..end },
            ChainEnd { chain: "00fe", ..end },
            ChainEnd { seq: 8, ..end },
            ChainEnd { hash: "abd", ..end },
        ] {
            assert!(!forged.is_signed_by(&public, &word), "{forged:?}");
        }
        for nothing in ["", "!", "AAAA"] {
            assert!(!end.is_signed_by(&public, nothing) && !end.is_signed_by(nothing, &word));
        }
        assert!(end.sign("no key").is_err());
    }
}
