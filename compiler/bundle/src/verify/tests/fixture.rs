//! Fixed keys, policies and statements.

use super::*;
use crate::build::build as build_bundle;
use crate::key::PublicKey;
pub(super) use crate::key::ssh_samples;
use crate::signing_key::SigningKey;
use crate::statement::Source;
pub(super) use crate::trust::{RoleKeys, TrustDraft, TrustedKey};
use daam_catalog::pattern::{ColumnPattern, RelationPattern};
use daam_model::{Grant, Mask, MaskRule, Origin, Policy, SessionLimits, Subjects, Verb};

pub(super) use crate::build::{StatementInput, build};

pub(super) const NOW: i64 = 1_790_000_000;
pub(super) const KEY_A: u8 = 7;
pub(super) const KEY_B: u8 = 8;
pub(super) const KEY_C: u8 = 9;
/// Trusted by nobody.
pub(super) const STRANGER: u8 = 99;

pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

pub(super) fn trust() -> TrustFile {
    trust_of(&[KEY_A], 1)
}

pub(super) fn trust_of(seeds: &[u8], threshold: usize) -> TrustFile {
    let trusted = |seed: &u8| TrustedKey { public: key(*seed).public(), comment: format!("key {seed}") };
    TrustFile::new("acme", seeds.iter().map(trusted).collect(), threshold).unwrap()
}

pub(super) fn trusted_key(public: PublicKey, comment: &str) -> TrustedKey {
    TrustedKey { public, comment: comment.into() }
}

pub(super) fn trust_keys(keys: Vec<TrustedKey>, threshold: usize) -> TrustFile {
    TrustFile::new("acme", keys, threshold).unwrap()
}

/// The same version with changes.
pub(super) fn trust_with(trust: &TrustFile, change: impl FnOnce(&mut TrustDraft)) -> TrustFile {
    let mut draft = TrustDraft { version: trust.version(), ..trust.successor() };
    change(&mut draft);
    TrustFile::check(draft).unwrap()
}

pub(super) fn expired_trust() -> TrustFile {
    trust_with(&trust(), |draft| draft.expires_at = Some(NOW - 1))
}

pub(super) fn p256_key() -> SigningKey {
    SigningKey::p256_from_seed(&[KEY_A; 32])
}

pub(super) fn role(seeds: &[u8], threshold: usize) -> RoleKeys {
    let keys = seeds.iter().map(|seed| trusted_key(key(*seed).public(), &format!("key {seed}"))).collect();
    RoleKeys { threshold, keys }
}

/// What the signatures of the plain bundle are over.
pub(super) fn plain_input() -> Vec<u8> {
    build(&policies("shop"), input(5)).unwrap().signing_input()
}

/// The plain bundle with any bytes as its one signature.
pub(super) fn with_signature(signature: &[u8]) -> Vec<u8> {
    let bundle = build(&policies("shop"), input(5)).unwrap();
    let bytes = bundle.to_bytes();
    let parts = file::split(&bytes).unwrap();
    let mut envelope: serde_json::Value = serde_json::from_slice(parts.envelope).unwrap();
    let sig = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, signature);
    envelope["signatures"] = serde_json::json!([{ "keyid": "", "sig": sig }]);
    file::join(envelope.to_string().as_bytes(), parts.content).unwrap()
}

pub(super) fn input(serial: u64) -> StatementInput {
    StatementInput {
        org: "acme".into(),
        epoch: 1,
        serial,
        prev: None,
        effects_sha256: "e".repeat(64),
        lock_sha256: "1".repeat(64),
        issued_at: NOW - 60,
        not_before: NOW - 60,
        expires_at: NOW + 86_400,
        requires: vec![],
        min_agent: "0.0.0".into(),
        compiler: "daam 0.0.0".into(),
        source: Source { uri: "https://git.example/policies".into(), ..Source::default() },
        rollback_of: None,
        trust_version: 1,
    }
}

pub(super) fn policies(database: &str) -> PolicySet {
    let origin = Origin { file: "policies/support.yaml".into(), line: 6 };
    PolicySet {
        database: database.into(),
        policies: vec![Policy {
            name: "support".into(),
            description: "Support reads customers.".into(),
            subjects: Subjects { everyone: true, ..Subjects::default() },
            grants: vec![Grant {
                on: vec![RelationPattern::parse("public.customers").unwrap()],
                allow: [Verb::Select].into(),
                rows: Some("region = subject.region".into()),
                origin: origin.clone(),
                ..Grant::default()
            }],
            masks: vec![MaskRule {
                on: vec![ColumnPattern::parse("public.*.email").unwrap()],
                with: Mask::Email,
                origin: origin.clone(),
            }],
            session: SessionLimits::default(),
            request: None,
            origin,
        }],
        ..PolicySet::default()
    }
}

/// A bundle of the fixture policies, signed by these keys.
pub(super) fn signed(input: StatementInput, seeds: &[u8]) -> Vec<u8> {
    let mut bundle = build_bundle(&policies("shop"), input).unwrap();
    for seed in seeds {
        bundle.sign(&key(*seed)).unwrap();
    }
    bundle.to_bytes()
}

pub(super) fn accept(bytes: &[u8], head: Option<&Head>) -> Head {
    verify(bytes, &trust(), "shop", head, NOW).unwrap().into_bundle().head().clone()
}

pub(super) fn find(haystack: &[u8], needle: &[u8]) -> usize {
    haystack.windows(needle.len()).position(|window| window == needle).unwrap()
}
