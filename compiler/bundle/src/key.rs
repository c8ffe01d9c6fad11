//! Public keys, their ids, and the one way to check a signature.
//!
//! A key id is always recomputed from the key; a written one is only ever compared. The algorithm comes from the
//! trust record, never from the signature. Refused: weak keys (points of small order, under which one signature
//! fits many messages), encodings of other algorithms, and every form of a signature but one: Ed25519 is verified
//! strictly, ECDSA takes the lower of its two twins only.

mod ecdsa;
mod ed25519;
mod ssh;

use crate::digest::sha256_hex;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ecdsa::P256Key;
use ed25519::Ed25519Key;
use sha2::{Digest, Sha256};
use ssh::SshKey;
use std::fmt;

/// A signature algorithm. It comes from the trust file, never from a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// Pure Ed25519; the signature is its 64 bytes.
    Ed25519,
    /// ECDSA over P-256 with SHA-256; the signature is `r` and `s`, 32 bytes each, `s` the lower one.
    EcdsaP256Sha256,
    /// The signatures of `ssh-keygen -Y sign -n daam`, without their armour.
    Sshsig,
}

impl Scheme {
    /// The name in trust files and key ids.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::Sshsig => "sshsig",
        }
    }

    /// The scheme of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Ed25519, Self::EcdsaP256Sha256, Self::Sshsig]
            .into_iter()
            .find(|scheme| scheme.as_str() == name)
    }
}

/// Why something is not a usable key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// An algorithm this version does not know.
    #[error(
        "the key scheme `{0}` is not supported; `ed25519`, `ecdsa-p256-sha256` and `sshsig` are accepted"
    )]
    Scheme(String),
    /// Not base64, or not of the right length.
    #[error(
        "the public key is not readable; base64 of an Ed25519 or P-256 key in SPKI form, its PEM, or a line of `id_ed25519.pub` is accepted"
    )]
    Encoding,
    /// An SSH key of another kind.
    #[error(
        "SSH keys of the kind `{0}` are not supported; `ssh-ed25519`, `ecdsa-sha2-nistp256` and `sk-ssh-ed25519@openssh.com` are accepted"
    )]
    SshKind(String),
    /// Not a point of the curve.
    #[error("the public key is not a point of its curve")]
    Invalid,
    /// A point of small order.
    #[error("the public key is weak: signatures under it prove nothing; generate another")]
    Weak,
    /// Not a PKCS#8 PEM of a private key.
    #[error(
        "the private key is not an unencrypted Ed25519 or P-256 key in PKCS#8 PEM form (`-----BEGIN PRIVATE KEY-----`); SSH keys sign through `ssh-agent:`"
    )]
    Private,
    /// The operating system gave no randomness.
    #[error("the operating system provided no random bytes")]
    Randomness,
}

/// A public key that may be trusted; never a weak one.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: Kind,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Ed25519(Ed25519Key),
    P256(P256Key),
    Ssh(SshKey),
}

impl PublicKey {
    /// Takes the 32 bytes of an Ed25519 key.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        Ok(Self { kind: Kind::Ed25519(Ed25519Key::from_bytes(bytes)?) })
    }

    pub(crate) fn p256(key: p256::ecdsa::VerifyingKey) -> Self {
        Self { kind: Kind::P256(P256Key::new(key)) }
    }

    /// Reads a key as a trust file lists it: base64 of the SPKI form, or of the SSH wire form for `sshsig`.
    pub fn from_record(scheme: Scheme, text: &str) -> Result<Self, KeyError> {
        let bytes = STANDARD.decode(text).map_err(|_| KeyError::Encoding)?;
        let kind = match scheme {
            Scheme::Ed25519 => Kind::Ed25519(Ed25519Key::decode(&bytes)?),
            Scheme::EcdsaP256Sha256 => Kind::P256(P256Key::decode(&bytes)?),
            Scheme::Sshsig => Kind::Ssh(SshKey::decode(&bytes)?),
        };
        Ok(Self { kind })
    }

    /// Reads what people have in files: an SSH public key line, a `PUBLIC KEY` PEM, or base64 of the SPKI form.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if let Some(body) = text.strip_prefix("-----BEGIN PUBLIC KEY-----") {
            let body = body.strip_suffix("-----END PUBLIC KEY-----").ok_or(KeyError::Encoding)?;
            return Self::from_spki_base64(&body.split_whitespace().collect::<String>());
        }
        match text.split_whitespace().collect::<Vec<_>>().as_slice() {
            [kind, body, ..] => {
                let key = SshKey::decode(&STANDARD.decode(body).map_err(|_| KeyError::Encoding)?)?;
                if key.algorithm() != *kind {
                    return Err(KeyError::Encoding);
                }
                Ok(Self { kind: Kind::Ssh(key) })
            }
            [body] => Self::from_spki_base64(body),
            [] => Err(KeyError::Encoding),
        }
    }

    fn from_spki_base64(text: &str) -> Result<Self, KeyError> {
        match Self::from_record(Scheme::Ed25519, text) {
            Err(KeyError::Encoding) => Self::from_record(Scheme::EcdsaP256Sha256, text),
            read => read,
        }
    }

    /// Reads an SSH public key in its wire form.
    pub fn from_ssh_wire(bytes: &[u8]) -> Result<Self, KeyError> {
        Ok(Self { kind: Kind::Ssh(SshKey::decode(bytes)?) })
    }

    /// Its algorithm.
    pub fn scheme(&self) -> Scheme {
        match &self.kind {
            Kind::Ed25519(_) => Scheme::Ed25519,
            Kind::P256(_) => Scheme::EcdsaP256Sha256,
            Kind::Ssh(_) => Scheme::Sshsig,
        }
    }

    /// The one encoding of the key: SPKI in DER, or the SSH wire form for `sshsig`.
    pub fn encoded(&self) -> Vec<u8> {
        match &self.kind {
            Kind::Ed25519(key) => key.spki_der(),
            Kind::P256(key) => key.spki_der(),
            Kind::Ssh(key) => key.wire().to_vec(),
        }
    }

    /// Base64 of [`PublicKey::encoded`], as trust files hold it.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.encoded())
    }

    /// The id: `hex(sha256("daam-key-v1" NUL scheme NUL encoded))`.
    pub fn keyid(&self) -> String {
        let scheme = self.scheme().as_str().as_bytes();
        sha256_hex(&[b"daam-key-v1\0".as_slice(), scheme, b"\0", &self.encoded()].concat())
    }

    /// How SSH tools name the key, `SHA256:…`; none for keys that are not SSH keys.
    pub fn ssh_fingerprint(&self) -> Option<String> {
        let Kind::Ssh(key) = &self.kind else { return None };
        Some(format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(key.wire()))))
    }

    /// What a threshold counts: the point itself, so that one key under two schemes is one key.
    pub(crate) fn material(&self) -> Vec<u8> {
        match &self.kind {
            Kind::Ed25519(key) => key.material(),
            Kind::P256(key) => key.material(),
            Kind::Ssh(key) => key.material(),
        }
    }

    /// Whether the signature, in the one form its scheme allows, is this key's over the message.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.kind {
            Kind::Ed25519(key) => key.verifies(message, signature),
            Kind::P256(key) => key.verifies(message, signature),
            Kind::Ssh(key) => key.verifies(message, signature),
        }
    }

    /// The one form of a signature that signers write in several: DER or a high `s` from key services, armour
    /// from `ssh-keygen`. It is not verified by this; `None` if it is no signature of the scheme.
    pub fn normalise(&self, signature: &[u8]) -> Option<Vec<u8>> {
        match &self.kind {
            Kind::Ed25519(_) => (signature.len() == 64).then(|| signature.to_vec()),
            Kind::P256(_) => ecdsa::normalise(signature),
            Kind::Ssh(_) => ssh::normalise(signature),
        }
    }

    /// What an SSH agent has to sign so that [`PublicKey::attach_ssh`] makes a signature over the message; `None`
    /// for keys that are not SSH keys.
    pub fn ssh_signing_input(&self, message: &[u8]) -> Option<Vec<u8>> {
        matches!(self.kind, Kind::Ssh(_)).then(|| ssh::signing_input(message))
    }

    /// A signature of the scheme `sshsig` around what an SSH agent answered; `None` if that is none.
    pub fn attach_ssh(&self, answer: &[u8]) -> Option<Vec<u8>> {
        match &self.kind {
            Kind::Ssh(key) => ssh::normalise(&key.envelope(answer)),
            Kind::Ed25519(_) | Kind::P256(_) => None,
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.keyid())
    }
}

#[cfg(test)]
pub(crate) use ssh::tests as ssh_samples;
#[cfg(test)]
mod tests;
