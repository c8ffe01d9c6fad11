//! An identity provider as its metadata describes it, uploaded by an admin: that upload is what pins its keys. Metadata
//! is read once; nothing is fetched from anywhere later. Refused: metadata without a key to sign with (then nothing could
//! be believed), keys that are too weak, more than one provider at once, addresses that are not reached over TLS, and
//! metadata that is out of date.

use crate::message::{LARGEST_MESSAGE, bounded};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use gamlastan::core::constants::{BINDING_HTTP_REDIRECT, NAMEID_ENTITY};
use gamlastan::crypto::keys::loader;
use gamlastan::crypto::{Key, KeyUsage};
use gamlastan::metadata::{Endpoint, EntityDescriptorRef, IdpSsoDescriptor};
use gamlastan::xml::{parse_saml, parse_secure_metadata};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;

const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
const LEAST_RSA_BITS: usize = 2048;
/// For a rotation two are enough; whoever has more than this has something else in mind.
const MOST_KEYS: usize = 8;
const LONGEST_ID: usize = 1024;

/// A provider, with the keys it is believed by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityProvider {
    /// Who it says it is.
    pub entity_id: String,
    /// Where people are sent to sign in.
    pub sign_in: String,
    /// Where logouts are told and answered, if it takes them by a redirect.
    pub logout: Option<LogoutService>,
    /// The certificates of its keys, DER in base64.
    certificates: Vec<String>,
}

/// Where a provider hears of logouts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogoutService {
    /// Where to it is said that somebody signed out here.
    pub requests: String,
    /// Where to its own notices are answered.
    pub answers: String,
}

/// A key a provider is believed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// SHA-256 of its certificate, lower-case hexadecimal.
    pub sha256: String,
    /// Until when its certificate says it is good, unix seconds. What is pinned is the key: nothing ends by this.
    pub not_after: i64,
}

/// Why metadata is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// It is too large.
    #[error("it is larger than 256 KiB")]
    Size,
    /// It cannot be read.
    #[error("it is not the metadata of one entity (`EntityDescriptor`)")]
    Form,
    /// It is of something else.
    #[error("it does not describe exactly one identity provider that speaks SAML 2.0")]
    NoProvider,
    /// There is nothing to believe it by.
    #[error("it has no certificate of a key the provider signs with")]
    NoKey,
    /// One of its keys is not good enough.
    #[error("a key in it is not RSA of 2048 bits or more, or ECDSA on P-256, P-384 or P-521")]
    WeakKey,
    /// There are too many.
    #[error("it has more keys than a rotation needs")]
    ManyKeys,
    /// Nobody can be sent there.
    #[error("it names no address for signing in by a redirect (`HTTP-Redirect`), or one that is not `https`")]
    Address,
    /// It is out of date.
    #[error("it was good until a time that has passed (`validUntil`)")]
    Expired,
}

impl IdentityProvider {
    /// Reads metadata.
    pub fn from_metadata(xml: &str, now: i64) -> Result<Self, MetadataError> {
        if xml.len() > LARGEST_MESSAGE {
            return Err(MetadataError::Size);
        }
        bounded(xml).map_err(|_| MetadataError::Form)?;
        let document =
            parse_secure_metadata(xml.trim_start_matches('\u{feff}')).map_err(|_| MetadataError::Form)?;
        let entity: EntityDescriptorRef<'_> = parse_saml(&document).map_err(|_| MetadataError::Form)?;
        let entity = entity.to_owned();
        let [provider] = entity.idp_sso_descriptors() else { return Err(MetadataError::NoProvider) };
        let base = &provider.sso_base.base;
        if !base.supports_protocol(PROTOCOL)
            || entity.entity_id.is_empty()
            || entity.entity_id.len() > LONGEST_ID
        {
            return Err(MetadataError::NoProvider);
        }
        let over = |until: Option<DateTime<Utc>>| until.is_some_and(|until| until.timestamp() <= now);
        if over(entity.valid_until) || over(base.valid_until) {
            return Err(MetadataError::Expired);
        }
        let sign_in = by_redirect(&provider.single_sign_on_services).ok_or(MetadataError::Address)?;
        let sign_in = address(&sign_in.location).ok_or(MetadataError::Address)?;
        let logout = match by_redirect(&provider.sso_base.single_logout_services) {
            None => None,
            Some(service) => {
                let requests = address(&service.location).ok_or(MetadataError::Address)?;
                let answers = service.response_location.as_deref().unwrap_or(&service.location);
                Some(LogoutService { requests, answers: address(answers).ok_or(MetadataError::Address)? })
            }
        };
        Ok(Self { sign_in, logout, certificates: certificates(provider)?, entity_id: entity.entity_id })
    }

    /// The keys it is believed by.
    pub fn pinned(&self) -> Vec<Pinned> {
        self.certificates().iter().filter_map(|der| pinned(der)).collect()
    }

    /// DER.
    pub(crate) fn certificates(&self) -> Vec<Vec<u8>> {
        self.certificates.iter().filter_map(|text| STANDARD.decode(text).ok()).collect()
    }

    /// Whether an issuer is this provider.
    pub(crate) fn is(&self, issuer: &gamlastan::core::assertion::issuer::Issuer) -> bool {
        issuer.value == self.entity_id
            && issuer.format.as_deref().is_none_or(|format| format == NAMEID_ENTITY)
    }
}

fn by_redirect(services: &[Endpoint]) -> Option<&Endpoint> {
    services.iter().find(|service| service.binding == BINDING_HTTP_REDIRECT)
}

/// Browsers are sent there: over TLS, or to this very machine.
fn address(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let host = authority.rsplit_once(':').map_or(authority, |(host, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) { host } else { authority }
    });
    let local = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'"' | b'<' | b'>' | b'\\'));
    let good = plain
        && !host.is_empty()
        && !authority.contains('@')
        && (scheme == "https" || scheme == "http" && local);
    good.then(|| text.to_owned())
}

fn certificates(provider: &IdpSsoDescriptor) -> Result<Vec<String>, MetadataError> {
    let found: BTreeSet<Vec<u8>> = provider.signing_certificates_der().into_iter().collect();
    if found.is_empty() {
        return Err(MetadataError::NoKey);
    }
    if found.len() > MOST_KEYS {
        return Err(MetadataError::ManyKeys);
    }
    if !found.iter().all(|der| is_strong(der) && pinned_key(der).is_some()) {
        return Err(MetadataError::WeakKey);
    }
    Ok(found.into_iter().map(|der| STANDARD.encode(der)).collect())
}

fn is_strong(der: &[u8]) -> bool {
    let Ok((rest, certificate)) = X509Certificate::from_der(der) else { return false };
    rest.is_empty()
        && match certificate.public_key().parsed() {
            Ok(PublicKey::RSA(key)) => key.key_size() >= LEAST_RSA_BITS,
            Ok(PublicKey::EC(point)) => matches!(point.key_size(), 256 | 384 | 521 | 528),
            _ => false,
        }
}

fn pinned(der: &[u8]) -> Option<Pinned> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let mut sha256 = String::new();
    for byte in Sha256::digest(der) {
        let _ = write!(sha256, "{byte:02x}");
    }
    Some(Pinned { sha256, not_after: certificate.validity().not_after.timestamp() })
}

/// The key of a certificate, without what would make the library look at who vouches for that: an admin did.
pub(crate) fn pinned_key(der: &[u8]) -> Option<Key> {
    let mut key = loader::load_x509_cert_der(der).ok()?;
    key.usage = KeyUsage::Verify;
    key.x509_chain.clear();
    Some(key)
}
