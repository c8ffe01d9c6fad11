//! The properties the fuzz targets look for a counterexample to, over what they start from and over every input that
//! broke one of them once: compiled and run with every change, without instrumentation.
//!
//! `DAAM_WRITE_SEEDS=DIRECTORY cargo test -p daam-compiler seeds` writes what the targets start from.

#[path = "../../fuzz/properties/lib.rs"]
#[expect(unreachable_pub, reason = "it is a crate of its own where the fuzzer runs it")]
mod properties;

use crate::{catalogue, examples, spec};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daam_bundle::{UnsignedBundle, encode_content};
use daam_catalog::{lock, snapshot};
use daam_compiler::is_yaml;
use daam_compiler::schema::schemas;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How many seeds of a target an ordinary test looks at.
const SEEDS: usize = 60;

type Seeds = BTreeMap<&'static str, BTreeSet<Vec<u8>>>;

fn seeds() -> Seeds {
    let mut seeds = Seeds::new();
    let mut add = |target, bytes: &[u8]| seeds.entry(target).or_default().extend([bytes.to_vec()]);
    let blocks = spec::blocks();
    let files =
        blocks.iter().filter_map(|(info, text)| Some((info.split_once(' ')?.1.to_owned(), text.clone())));
    for (path, text) in files.chain(examples::files()).filter(|(path, _)| is_yaml(path)) {
        add(if path.ends_with("daam.yaml") { "project" } else { "policy" }, text.as_bytes());
        for filter in filters(&text) {
            add("filter", filter.as_bytes());
        }
    }
    for (_, notation) in blocks.iter().filter(|(info, _)| info.starts_with("schema ")) {
        let catalog = catalogue::parse(notation);
        add("lock", snapshot::to_json(&catalog).to_string().as_bytes());
        for text in lock::to_files(&catalog).values() {
            add("lock", text.as_bytes());
        }
    }
    for vector in vectors() {
        let decoded = |field: &str| STANDARD.decode(vector[field].as_str().unwrap_or_default()).unwrap();
        for bytes in ["bundle", "stored", "held"].map(decoded) {
            add("bundle", &bytes);
            let Ok(bundle) = UnsignedBundle::from_bytes(&bytes) else { continue };
            add("bundle", serde_json::to_string(bundle.statement()).unwrap().as_bytes());
            add("bundle", &bundle.policies().map(|set| encode_content(&set)).unwrap_or_default());
        }
        add("bundle", &payload(&decoded("envelope")));
        for trust in
            ["trust", "pinned"].map(|field| &vector[field]).into_iter().filter(|value| value.is_object())
        {
            add("trust", trust.to_string().as_bytes());
        }
        for document in vector["documents"].as_array().into_iter().flatten() {
            add("trust", &STANDARD.decode(document.as_str().unwrap()).unwrap());
        }
    }
    seeds
}

/// What follows `rows:` or `restrict:` in a line, without quotes and brackets around it.
fn filters(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let start = ["rows: ", "restrict: "].iter().find_map(|key| Some(line.find(key)? + key.len()))?;
        Some(line.get(start..)?.trim_matches(['"', '\'', ' ', '}']))
    })
}

fn payload(envelope: &[u8]) -> Vec<u8> {
    let envelope: Value = serde_json::from_slice(envelope).unwrap_or_default();
    STANDARD.decode(envelope["payload"].as_str().unwrap_or_default()).unwrap_or_default()
}

fn vectors() -> Vec<Value> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("bundle/vectors");
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.map(|path| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()).collect()
}

/// Inputs that broke a property once.
fn kept(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/kept").join(target);
    let entries = std::fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// Runs a property and says of which input it does not hold.
fn holds(target: &str, what: &str, bytes: &[u8]) {
    let property = properties::target(target);
    let outcome = std::panic::catch_unwind(|| property(bytes));
    assert!(outcome.is_ok(), "{target} does not hold for {what}: {}", String::from_utf8_lossy(bytes));
}

fn all_hold(target: &'static str) {
    for (path, bytes) in kept(target) {
        holds(target, &path.display().to_string(), &bytes);
    }
    // Some of the seeds are enough to see that the property still runs; the rest is the fuzzer's.
    let seeds = seeds().remove(target).unwrap();
    let step = 1 + seeds.len() / SEEDS;
    for seed in seeds.into_iter().step_by(step) {
        holds(target, "a seed", &seed);
    }
}

#[test]
fn any_bundle_is_judged_as_the_properties_say() {
    all_hold("bundle");
}

#[test]
fn any_filter_is_read_as_the_properties_say() {
    all_hold("filter");
}

#[test]
fn any_lock_is_read_as_the_properties_say() {
    all_hold("lock");
}

#[test]
fn any_policy_is_checked_as_the_properties_say() {
    all_hold("policy");
}

#[test]
fn any_project_file_is_checked_as_the_properties_say() {
    all_hold("project");
}

#[test]
fn any_trust_file_is_read_as_the_properties_say() {
    all_hold("trust");
}

/// Words of the language, for the fuzzer to put together: keys and values of the JSON Schemas.
fn words(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                match (key.as_str(), field) {
                    ("properties", Value::Object(keys)) => {
                        found.extend(keys.keys().map(|key| format!("{key}: ")));
                    }
                    ("enum", Value::Array(list)) => {
                        found.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
                    }
                    ("const", Value::String(text)) => drop(found.insert(text.clone())),
                    _ => {}
                }
                words(field, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|item| words(item, found)),
        _ => {}
    }
}

#[test]
fn every_target_has_seeds() {
    let seeds = seeds();
    let mut dictionary = BTreeSet::new();
    for schema in schemas().values() {
        words(schema, &mut dictionary);
    }
    assert!(dictionary.contains("request-ceiling") && dictionary.contains("masks: "));
    let names: Vec<&str> = properties::TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(seeds.keys().copied().collect::<Vec<_>>(), names);
    let Some(directory) = std::env::var_os("DAAM_WRITE_SEEDS").map(PathBuf::from) else { return };
    for (target, seeds) in seeds {
        let folder = directory.join(target);
        std::fs::create_dir_all(&folder).unwrap();
        let kept = kept(target).into_iter().map(|(_, bytes)| bytes);
        for (index, seed) in seeds.into_iter().chain(kept).enumerate() {
            std::fs::write(folder.join(format!("seed-{index}")), seed).unwrap();
        }
    }
    let lines: Vec<String> = dictionary.iter().map(|word| format!("\"{word}\"\n")).collect();
    std::fs::write(directory.join("words.dict"), lines.concat()).unwrap();
}
