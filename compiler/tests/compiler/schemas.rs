//! The committed JSON Schemas are current, and judge the example as the compiler does.
//!
//! `DAAM_WRITE_SCHEMAS=1 cargo test -p daam-compiler schemas` writes them.

use crate::examples;
use daam_compiler::schema::schemas;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas")
}

fn validators() -> BTreeMap<String, jsonschema::Validator> {
    schemas()
        .into_iter()
        .map(|(name, schema)| {
            let kind = name.trim_end_matches(".schema.json").to_owned();
            (kind, jsonschema::validator_for(&schema).unwrap())
        })
        .collect()
}

#[test]
fn committed_schemas_are_current() {
    let write = std::env::var_os("DAAM_WRITE_SCHEMAS").is_some();
    for (name, schema) in schemas() {
        let path = directory().join(name);
        let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        if write {
            std::fs::create_dir_all(directory()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "{name} is not current");
    }
}

#[test]
fn every_document_of_the_example_is_valid() {
    let validators = validators();
    let mut seen = 0;
    for (path, text) in examples::files() {
        for document in serde_yaml::Deserializer::from_str(&text) {
            let value: Value = serde::Deserialize::deserialize(document).unwrap();
            let kind = value["kind"].as_str().unwrap();
            let problems: Vec<String> =
                validators[kind].iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(problems.is_empty(), "{path}: {problems:?}");
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen}");
}

#[test]
fn mistakes_the_compiler_refuses_are_refused_by_the_schema() {
    let validators = validators();
    let policy =
        json!({ "kind": "policy", "name": "a", "database": "shop", "subjects": { "everyone": true } });
    assert!(validators["policy"].is_valid(&policy));
    for (key, value) in [
        ("maks", json!([])),
        ("masks", Value::Null),
        ("name", json!("a b")),
        ("grants", json!([{ "on": "public.users", "allow": ["read"] }])),
        ("masks", json!([{ "on": "public.users.email", "with": "hsh" }])),
        ("masks", json!([{ "on": "public.users.email", "with": { "bucket": 0 } }])),
        ("session", json!({ "idle_timeout": 30 })),
        ("request", json!({ "who": { "groups": ["dev"] } })),
    ] {
        let mut wrong = policy.clone();
        wrong[key] = value.clone();
        assert!(!validators["policy"].is_valid(&wrong), "{key}: {value}");
    }
}
