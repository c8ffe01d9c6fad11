//! The published vectors: `testdata/vectors/*.json`.
//!
//! They are language-neutral, so the files are the reference: they are read from disk and judged, and
//! separately compared with what [`super::cases`] generates. `DAAM_WRITE_VECTORS=1` writes them.

use super::cases::{Case, all};
use super::*;
use crate::dsse::pae;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors")
}

fn to_json(case: &Case) -> Value {
    let head = case.head.as_ref().map(|head| serde_json::from_str::<Value>(&head.to_json()).unwrap());
    json!({
        "name": case.name,
        "description": case.description,
        "trust": serde_json::from_str::<Value>(&case.trust).unwrap(),
        "database": case.database,
        "head": head,
        "now": case.now,
        "bundle": STANDARD.encode(&case.bundle),
        "expect": case.expect,
    })
}

/// What the verifier says, in the words of the vectors.
fn judge(vector: &Value) -> String {
    let Ok(trust) = TrustFile::parse(&vector["trust"].to_string()) else { return "refused:trust".into() };
    let head = match &vector["head"] {
        Value::Null => None,
        head => Some(Head::from_json(&head.to_string()).unwrap()),
    };
    let bundle = STANDARD.decode(vector["bundle"].as_str().unwrap()).unwrap();
    let database = vector["database"].as_str().unwrap();
    match verify(&bundle, &trust, database, head.as_ref(), vector["now"].as_i64().unwrap()) {
        Ok(Verified::New(_)) => "new".into(),
        Ok(Verified::Same(_)) => "same".into(),
        Err(refused) => format!("refused:{}:{}", refused.kind().as_str(), refused.reason()),
    }
}

fn stored() -> BTreeMap<String, Value> {
    let read = |path: PathBuf| {
        let value: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        (value["name"].as_str().unwrap().to_owned(), value)
    };
    std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(read)
        .collect()
}

#[test]
fn every_published_vector_is_judged_as_it_says() {
    let vectors = stored();
    assert!(vectors.len() > 50, "only {} vectors found", vectors.len());
    for (name, vector) in vectors.iter().filter(|(_, vector)| vector.get("bundle").is_some()) {
        assert_eq!(vector["expect"].as_str().unwrap(), judge(vector), "{name}");
    }
}

#[test]
fn the_published_vectors_are_the_generated_ones() {
    let cases = all();
    if std::env::var_os("DAAM_WRITE_VECTORS").is_some() {
        std::fs::create_dir_all(directory()).unwrap();
        for case in &cases {
            let text = serde_json::to_string_pretty(&to_json(case)).unwrap() + "\n";
            std::fs::write(directory().join(format!("{}.json", case.name)), text).unwrap();
        }
    }
    let mut stored = stored();
    for case in &cases {
        assert_eq!(stored.remove(case.name), Some(to_json(case)), "{}", case.name);
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
