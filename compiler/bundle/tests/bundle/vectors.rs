//! Every published vector is judged as it says. This file knows nothing but the files in `vectors/` and their README.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daam_bundle::{
    Acceptance, Head, Minimum, PublicKey, Refused, TrustChain, TrustFile, UnsignedBundle, Verified, reverify,
    verify_freshness,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

fn stored() -> Vec<Value> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let mut paths: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().map(|path| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()).collect()
}

fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field].as_str().unwrap()
}

fn bytes(vector: &Value, field: &str) -> Vec<u8> {
    STANDARD.decode(text(vector, field)).unwrap()
}

fn head(vector: &Value) -> Option<Head> {
    let head = &vector["head"];
    (!head.is_null()).then(|| Head::from_json(&head.to_string()).unwrap())
}

fn refused(refused: &Refused) -> String {
    format!("refused:{}:{}", refused.kind().as_str(), refused.reason())
}

fn judge(vector: &Value) -> String {
    let now = vector["now"].as_i64().unwrap_or_default();
    if text(vector, "kind") == "trust" {
        return judge_chain(vector, now);
    }
    let Ok(trust) = TrustFile::parse(&vector["trust"].to_string()) else { return "refused:trust".into() };
    let (database, head) = (text(vector, "database"), head(vector));
    match text(vector, "kind") {
        "bundle" => judge_bundle(vector, &trust, head.as_ref()),
        "start" => match reverify(&bytes(vector, "stored"), &trust, database, &head.unwrap(), now) {
            Ok(_) => "active".into(),
            Err(error) => refused(&error),
        },
        "freshness" => {
            match verify_freshness(&bytes(vector, "envelope"), &trust, database, head.as_ref(), now) {
                Ok(said) if said.is_current() => "fresh".into(),
                Ok(_) => "behind".into(),
                Err(error) => format!("refused:{}", error.reason()),
            }
        }
        other => panic!("a vector of the unknown kind `{other}`"),
    }
}

fn judge_bundle(vector: &Value, trust: &TrustFile, head: Option<&Head>) -> String {
    let in_force = vector.get("held").map(|_| UnsignedBundle::from_bytes(&bytes(vector, "held")).unwrap());
    let in_force = in_force.map(|bundle| bundle.policies().unwrap());
    let number = |field: &str| vector["minimum"][field].as_u64().unwrap_or(0);
    let acceptance = Acceptance {
        trust,
        database: text(vector, "database"),
        head,
        minimum: Minimum { epoch: number("epoch"), serial: number("serial") },
        held: in_force.as_ref(),
        now_unix: vector["now"].as_i64().unwrap(),
    };
    match acceptance.verify(&bytes(vector, "bundle")) {
        Ok(Verified::New(_)) => "new".into(),
        Ok(Verified::Same(_)) => "same".into(),
        Err(error) => refused(&error),
    }
}

fn judge_chain(vector: &Value, now: i64) -> String {
    let chain = TrustChain::pin(&vector["pinned"].to_string()).unwrap();
    let documents: Vec<String> = vector["documents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|document| String::from_utf8(STANDARD.decode(document.as_str().unwrap()).unwrap()).unwrap())
        .collect();
    let walk = chain.walk(documents.iter().map(String::as_str), now);
    let version = walk.chain.current().version();
    match walk.ended {
        None => format!("followed:{version}"),
        Some(error) => format!("followed:{version}:{}", error.reason()),
    }
}

#[test]
fn every_published_vector_is_judged_as_it_says() {
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for vector in stored().iter().filter(|vector| vector.get("expect").is_some()) {
        assert_eq!(judge(vector), text(vector, "expect"), "{}", text(vector, "name"));
        *counted.entry(text(vector, "kind").to_owned()).or_default() += 1;
    }
    let enough = [("bundle", 100), ("freshness", 17), ("start", 7), ("trust", 19)];
    for (kind, least) in enough {
        assert!(counted.get(kind).copied().unwrap_or(0) >= least, "{counted:?}");
    }
}

#[test]
fn the_first_vector_is_the_published_signature() {
    let vectors = stored();
    let first = vectors.iter().find(|vector| vector["name"] == "dsse-signature").unwrap();
    let public = PublicKey::from_text(text(first, "public")).unwrap();
    assert!(public.verifies(text(first, "pae").as_bytes(), &bytes(first, "signature")));
    let published =
        "ILIMqstiVLu7k5mUGuKPvzlUvjQ1ZcO450Nt/I0toCdgLJ+adL5Y4B+b42MR2YCkjckyAfE1KcJLamg4LCYtDw==";
    assert_eq!(text(first, "signature"), published);
}
