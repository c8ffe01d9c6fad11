//! SSH keys and the signatures of `ssh-keygen -Y sign` (PROTOCOL.sshsig of OpenSSH).
//!
//! Such a signature is not one over the message but over a short text that names a purpose and the message's
//! hash. Refused: another namespace than `daam`, another hash than SHA-512, an embedded key that is not the one of
//! the trust record, bytes left over anywhere, a hardware key that was not touched. The reader here is a few
//! length-prefixed strings; verification is that of [`super::ed25519`] and [`super::ecdsa`], strict as everywhere.

use super::KeyError;
use super::ecdsa::{self, P256Key};
use super::ed25519::Ed25519Key;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha512};

const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;
/// The purpose our signatures are made for, so that one made for Git or a file is none for policies.
pub(super) const NAMESPACE: &[u8] = b"daam";
const HASH: &[u8] = b"sha512";
const ED25519: &str = "ssh-ed25519";
const P256: &str = "ecdsa-sha2-nistp256";
const SK_ED25519: &str = "sk-ssh-ed25519@openssh.com";
/// The bit of a hardware key's answer that says somebody touched it.
const USER_PRESENT: u8 = 1;
/// The largest signature read; real ones have a few hundred bytes.
const MAX: usize = 4096;

/// An SSH public key and its wire form.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct SshKey {
    wire: Vec<u8>,
    kind: Kind,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Ed25519(Ed25519Key),
    P256(P256Key),
    /// A hardware key; the application is part of what it signs.
    SkEd25519(Ed25519Key, Vec<u8>),
}

/// A signature taken apart.
struct Parts<'a> {
    key: &'a [u8],
    namespace: &'a [u8],
    reserved: &'a [u8],
    hash: &'a [u8],
    signature: &'a [u8],
}

impl SshKey {
    /// Reads the wire form, all of it.
    pub(super) fn decode(wire: &[u8]) -> Result<Self, KeyError> {
        let mut reader = Reader(wire);
        let algorithm = reader.text().ok_or(KeyError::Encoding)?;
        let kind = match algorithm {
            ED25519 => Kind::Ed25519(ed25519(&mut reader)?),
            SK_ED25519 => {
                let key = ed25519(&mut reader)?;
                Kind::SkEd25519(key, reader.string().ok_or(KeyError::Encoding)?.to_vec())
            }
            P256 => {
                if reader.string() != Some(b"nistp256") {
                    return Err(KeyError::Encoding);
                }
                Kind::P256(P256Key::from_point(reader.string().ok_or(KeyError::Encoding)?)?)
            }
            other => return Err(KeyError::SshKind(other.chars().take(60).collect())),
        };
        if !reader.0.is_empty() {
            return Err(KeyError::Encoding);
        }
        Ok(Self { wire: wire.to_vec(), kind })
    }

    pub(super) fn wire(&self) -> &[u8] {
        &self.wire
    }

    pub(super) fn algorithm(&self) -> &'static str {
        match &self.kind {
            Kind::Ed25519(_) => ED25519,
            Kind::P256(_) => P256,
            Kind::SkEd25519(..) => SK_ED25519,
        }
    }

    pub(super) fn material(&self) -> Vec<u8> {
        match &self.kind {
            Kind::Ed25519(key) | Kind::SkEd25519(key, _) => key.material(),
            Kind::P256(key) => key.material(),
        }
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.check(message, signature).unwrap_or(false)
    }

    fn check(&self, message: &[u8], signature: &[u8]) -> Option<bool> {
        let parts = Parts::read(signature)?;
        let as_agreed = parts.key == self.wire
            && parts.namespace == NAMESPACE
            && parts.reserved.is_empty()
            && parts.hash == HASH;
        if !as_agreed {
            return Some(false);
        }
        let message = signing_input(message);
        let mut reader = Reader(parts.signature);
        if reader.text()? != self.algorithm() {
            return Some(false);
        }
        let blob = reader.string()?;
        Some(match &self.kind {
            Kind::Ed25519(key) => reader.0.is_empty() && key.verifies(&message, blob),
            Kind::P256(key) => reader.0.is_empty() && key.verifies(&message, &scalars(blob)?),
            Kind::SkEd25519(key, application) => {
                let (&flags, counter) = reader.0.split_first()?;
                let signed = [
                    Sha256::digest(application).as_slice(),
                    &[flags],
                    counter,
                    Sha256::digest(&message).as_slice(),
                ]
                .concat();
                counter.len() == 4 && flags & USER_PRESENT != 0 && key.verifies(&signed, blob)
            }
        })
    }

    /// A whole signature around an agent's answer, which is the inner signature.
    pub(super) fn envelope(&self, answer: &[u8]) -> Vec<u8> {
        write(&Parts { key: &self.wire, namespace: NAMESPACE, reserved: b"", hash: HASH, signature: answer })
    }
}

fn ed25519(reader: &mut Reader<'_>) -> Result<Ed25519Key, KeyError> {
    let bytes = reader.string().ok_or(KeyError::Encoding)?;
    Ed25519Key::from_bytes(bytes.try_into().map_err(|_| KeyError::Encoding)?)
}

/// What is really signed: the purpose and the hash of the message.
pub(super) fn signing_input(message: &[u8]) -> Vec<u8> {
    let hash = Sha512::digest(message);
    let mut out = MAGIC.to_vec();
    for part in [NAMESPACE, b"", HASH, hash.as_slice()] {
        put(&mut out, part);
    }
    out
}

/// Armour undone and, for ECDSA, the lower `s`.
pub(super) fn normalise(signature: &[u8]) -> Option<Vec<u8>> {
    let binary = if signature.starts_with(MAGIC) { signature.to_vec() } else { unarmour(signature)? };
    let parts = Parts::read(&binary)?;
    let mut reader = Reader(parts.signature);
    if reader.text()? != P256 {
        return Some(binary);
    }
    let lower = ecdsa::normalise(&scalars(reader.string()?)?)?;
    let (r, s) = lower.split_at_checked(32)?;
    let mut blob = Vec::new();
    put(&mut blob, &mpint(r));
    put(&mut blob, &mpint(s));
    let mut inner = Vec::new();
    put(&mut inner, P256.as_bytes());
    put(&mut inner, &blob);
    Some(write(&Parts { signature: &inner, ..parts }))
}

fn unarmour(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let body = text.strip_prefix("-----BEGIN SSH SIGNATURE-----")?;
    let body = body.strip_suffix("-----END SSH SIGNATURE-----")?;
    STANDARD.decode(body.split_whitespace().collect::<String>()).ok()
}

impl<'a> Parts<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC).filter(|_| bytes.len() <= MAX)?;
        let (version, rest) = rest.split_first_chunk::<4>()?;
        if u32::from_be_bytes(*version) != VERSION {
            return None;
        }
        let mut reader = Reader(rest);
        let parts = Self {
            key: reader.string()?,
            namespace: reader.string()?,
            reserved: reader.string()?,
            hash: reader.string()?,
            signature: reader.string()?,
        };
        reader.0.is_empty().then_some(parts)
    }
}

fn write(parts: &Parts<'_>) -> Vec<u8> {
    let mut out = [MAGIC, &VERSION.to_be_bytes()].concat();
    for part in [parts.key, parts.namespace, parts.reserved, parts.hash, parts.signature] {
        put(&mut out, part);
    }
    out
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    // Nothing here is longer than a few hundred bytes; a length that did not fit would not be read back.
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(bytes);
}

/// `r` and `s` of 32 bytes each from two multiple-precision integers in their shortest form.
fn scalars(blob: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader(blob);
    let mut out = Vec::new();
    for _ in 0..2 {
        let written = reader.string()?;
        let digits = written.strip_prefix(&[0]).unwrap_or(written);
        if digits.len() > 32 || mpint(digits) != written {
            return None;
        }
        out.extend(std::iter::repeat_n(0, 32 - digits.len()));
        out.extend(digits);
    }
    reader.0.is_empty().then_some(out)
}

/// The shortest two's-complement form of a positive number (RFC 4251, section 5).
fn mpint(digits: &[u8]) -> Vec<u8> {
    let mut rest = digits;
    while let [0, tail @ ..] = rest {
        rest = tail;
    }
    let sign = rest.first().is_some_and(|first| first & 0x80 != 0).then_some(0);
    sign.into_iter().chain(rest.iter().copied()).collect()
}

/// Length-prefixed strings, one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn string(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let (string, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        self.0 = rest;
        Some(string)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.string()?).ok()
    }
}

#[cfg(test)]
pub(crate) mod tests;
