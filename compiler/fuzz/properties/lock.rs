//! A catalogue of any content: refused, or one that comes back from its files and its wire form as it was.
//!
//! The bytes are taken for three things: a snapshot, a `lock.json`, and the file of a schema under a `lock.json`
//! that lists it with its digest, since nothing gets past a wrong one.

use daam_catalog::{Catalog, lock, snapshot};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;

pub(crate) fn holds(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(value) = serde_json::from_str(text)
        && let Ok(catalog) = snapshot::from_json(&value)
    {
        comes_back(&catalog);
    }
    let alone = BTreeMap::from([(lock::LOCK_FILE.to_owned(), text.to_owned())]);
    if let Ok(catalog) = lock::from_files(&alone) {
        comes_back(&catalog);
    }
    let digest = hex(&Sha256::digest(text.replace("\r\n", "\n").as_bytes()));
    for name in ["public.json", "casts.json"] {
        let list = json!({
            "version": snapshot::VERSION,
            "server_version": 170_000,
            "files": [{ "name": name, "sha256": digest }],
        });
        let files = BTreeMap::from([
            (lock::LOCK_FILE.to_owned(), list.to_string()),
            (name.to_owned(), text.to_owned()),
        ]);
        if let Ok(catalog) = lock::from_files(&files) {
            comes_back(&catalog);
        }
    }
}

fn comes_back(catalog: &Catalog) {
    let files = lock::to_files(catalog);
    let read = lock::from_files(&files).expect("what was written can be read");
    assert_eq!(&read, catalog, "the lock says something else than the catalogue");
    assert_eq!(lock::to_files(&read), files, "a lock has two forms");
    assert_eq!(lock::fingerprint(&read), lock::fingerprint(catalog));
    let wire = snapshot::from_json(&snapshot::to_json(catalog)).expect("what was sent can be read");
    assert_eq!(&wire, catalog, "the snapshot says something else than the catalogue");
    for name in catalog.relations.keys() {
        assert!(
            !daam_catalog::pattern::is_system_schema(name.schema.as_str()),
            "`{name}` is PostgreSQL's own"
        );
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
