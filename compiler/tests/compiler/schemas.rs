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

#[test]
fn a_waiver_says_everything_or_is_refused_by_schema_and_compiler() {
    let validators = validators();
    let whole = json!({ "rule": "self-approval", "policy": "oncall", "owner": "sec@acme.test", "reason": "three", "until": "2027-03-31" });
    let project = |waiver: &Value| {
        json!({
            "kind": "project",
            "databases": { "shop": { "lock": "schema/shop", "policies": [] } },
            "lint": { "levels": { "shadowed-grant": "off" } },
            "waivers": [waiver],
        })
    };
    let compiled = |document: &Value| {
        let files = daam_compiler::MemoryFiles::new().with("daam.yaml", document.to_string());
        let checked = daam_compiler::check(&files);
        // Rules about the lock and about unused waivers are no matter of shape.
        checked.diagnostics.iter().all(|found| matches!(found.code.number, 126 | 801))
    };
    let document = project(&whole);
    assert!(validators["project"].is_valid(&document) && compiled(&document));
    for key in ["rule", "policy", "owner", "reason", "until"] {
        let mut waiver = whole.clone();
        waiver.as_object_mut().unwrap().remove(key);
        let document = project(&waiver);
        assert!(!validators["project"].is_valid(&document), "the schema accepts a waiver without `{key}`");
        assert!(!compiled(&document), "the compiler accepts a waiver without `{key}`");
    }
    for (key, value) in [("until", "someday"), ("on", "public.*")] {
        let mut waiver = whole.clone();
        waiver[key] = json!(value);
        let document = project(&waiver);
        assert!(!validators["project"].is_valid(&document) && !compiled(&document), "{key}: {value}");
    }
}
