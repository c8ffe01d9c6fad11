//! The published vectors, `vectors/*.json`, are what [`super::cases`] generates. `DAAM_WRITE_VECTORS=1` writes them.
//!
//! Whether they are judged as they say is the business of `tests/bundle/vectors.rs`, which knows nothing but the
//! files.

use super::cases::all;
use super::*;
use crate::dsse::pae;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn stored() -> BTreeMap<String, Value> {
    let read = |path: PathBuf| {
        let value: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), value)
    };
    std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(read)
        .collect()
}

#[test]
fn the_published_vectors_are_the_generated_ones() {
    let cases = all();
    if std::env::var_os("DAAM_WRITE_VECTORS").is_some() {
        for (name, vector) in &cases {
            let text = serde_json::to_string_pretty(vector).unwrap() + "\n";
            std::fs::write(directory().join(format!("{name}.json")), text).unwrap();
        }
    }
    let mut stored = stored();
    for (name, vector) in cases {
        assert_eq!(stored.remove(&name), Some(vector), "{name}");
    }
    assert_eq!(stored.into_keys().collect::<Vec<_>>(), ["dsse-signature"]);
}

/// Computed independently of this code.
#[test]
fn the_signature_oracle_agrees() {
    let path = directory().join("dsse-signature.json");
    let vector: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let text = |field: &str| vector[field].as_str().unwrap().to_owned();
    let message = pae(&text("payload_type"), text("payload").as_bytes());
    assert_eq!(String::from_utf8(message.clone()).unwrap(), text("pae"));
    let signature = key(7).sign(&message);
    assert_eq!(STANDARD.encode(&signature), text("signature"));
    assert_eq!(key(7).public().to_base64(), text("public"));
    assert!(key(7).public().verifies(&message, &signature));
}
