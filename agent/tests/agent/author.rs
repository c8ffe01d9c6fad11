//! Somebody who signs policies, and Jane, whom they are about.

use daam_api::link::DirectoryUser;
use daam_bundle::{SigningKey, Source, StatementInput, TrustFile, TrustedKey, build};
use daam_model::PolicySet;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) struct Author {
    key: SigningKey,
}

impl Author {
    pub(crate) fn new() -> Self {
        Self { key: SigningKey::generate().unwrap() }
    }

    pub(crate) fn trust(&self) -> TrustFile {
        let key = TrustedKey { public: self.key.public(), comment: "test".into() };
        TrustFile::new("acme", vec![key], 1).unwrap()
    }

    pub(crate) fn bundle_at(&self, now: i64, serial: u64, set: &PolicySet) -> Vec<u8> {
        let digest = "0".repeat(64);
        let input = StatementInput {
            org: "acme".into(),
            epoch: 1,
            serial,
            prev: None,
            effects_sha256: digest.clone(),
            lock_sha256: digest,
            issued_at: now,
            not_before: now,
            expires_at: now + 1000,
            requires: vec![],
            min_agent: "0.0.0".into(),
            compiler: "test".into(),
            source: Source::default(),
            rollback_of: None,
            trust_version: 1,
        };
        let mut unsigned = build(set, input).unwrap();
        unsigned.sign(&self.key).unwrap();
        unsigned.to_bytes()
    }
}

pub(crate) fn jane(disabled: bool) -> DirectoryUser {
    DirectoryUser {
        id: "u1".into(),
        email: "jane@example.com".into(),
        disabled,
        groups: BTreeSet::new(),
        attributes: BTreeMap::new(),
    }
}
