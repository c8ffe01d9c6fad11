//! A key nobody else has, and what it vouches for: one bundle and one trust file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daam_bundle::{
    Role, RoleKeys, SigningKey, Source, StatementInput, TrustDraft, TrustFile, TrustedKey, UnsignedBundle,
    build,
};
use daam_model::PolicySet;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// When everything here was made.
pub(crate) const NOW: i64 = 1_790_000_000;
pub(crate) const DATABASE: &str = "shop";

pub(crate) struct Signer {
    pub(crate) key: SigningKey,
    pub(crate) trust: TrustFile,
    pub(crate) genuine: UnsignedBundle,
}

pub(crate) fn signer() -> &'static Signer {
    static SIGNER: OnceLock<Signer> = OnceLock::new();
    SIGNER.get_or_init(|| {
        // PKCS#8 of an Ed25519 key: what comes before the 32 bytes is always the same.
        let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        let text = STANDARD.encode([head.as_slice(), &[201; 32]].concat());
        let label = "PRIVATE KEY";
        let pem = format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n");
        let key = SigningKey::from_pem(&pem).expect("the key is one");
        let keys = vec![TrustedKey { public: key.public(), comment: String::new() }];
        let roles = [Role::Root, Role::Policy, Role::Freshness]
            .map(|role| (role, RoleKeys { threshold: 1, keys: keys.clone() }));
        let draft = TrustDraft {
            org: "acme".to_owned(),
            version: 1,
            roles: BTreeMap::from(roles),
            ..TrustDraft::default()
        };
        let trust = TrustFile::check(draft).expect("the trust file is one");
        let set = PolicySet { database: DATABASE.to_owned(), ..PolicySet::default() };
        let mut genuine = build(&set, statement()).expect("the bundle is one");
        genuine.sign(&key).expect("it can be signed");
        Signer { key, trust, genuine }
    })
}

fn statement() -> StatementInput {
    StatementInput {
        org: "acme".to_owned(),
        epoch: 1,
        serial: 2,
        prev: None,
        effects_sha256: "0".repeat(64),
        lock_sha256: "0".repeat(64),
        issued_at: NOW,
        not_before: NOW,
        expires_at: NOW + 86_400,
        requires: Vec::new(),
        min_agent: "0.0.0".to_owned(),
        compiler: "daam".to_owned(),
        source: Source::default(),
        rollback_of: None,
        trust_version: 1,
    }
}

/// An envelope around any payload, rightly signed.
pub(crate) fn sealed(kind: &str, payload: &[u8]) -> String {
    let mut message = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    message.extend(payload);
    let signature = STANDARD.encode(signer().key.sign(&message));
    let payload = STANDARD.encode(payload);
    format!(
        r#"{{"payload":"{payload}","payloadType":"{kind}","signatures":[{{"keyid":"","sig":"{signature}"}}]}}"#
    )
}
