//! Publishing bundles.

use crate::world::{Answer, NOW, Org, World};
use daam_api::v1::BundleAccepted;
use daam_bundle::{SigningKey, Source, StatementInput, TrustFile, TrustedKey, build};
use daam_model::{Origin, Policy, PolicySet, SessionLimits, Subjects};
use reqwest::Method;

pub(crate) fn trust(org: &str, key: &SigningKey) -> TrustFile {
    TrustFile::new(org, vec![TrustedKey { public: key.public(), comment: "test".to_owned() }], 1).unwrap()
}

pub(crate) fn bundle(org: &str, database: &str, serial: u64, key: Option<&SigningKey>) -> Vec<u8> {
    let policy = Policy {
        name: "everything".to_owned(),
        description: String::new(),
        subjects: Subjects { everyone: true, ..Subjects::default() },
        grants: Vec::new(),
        masks: Vec::new(),
        session: SessionLimits::default(),
        request: None,
        origin: Origin { file: "policies/all.yaml".to_owned(), line: 1 },
    };
    let set = PolicySet { database: database.to_owned(), policies: vec![policy], ..PolicySet::default() };
    signed(org, (serial, NOW), key, &set)
}

/// A bundle of these policies.
pub(crate) fn signed(
    org: &str,
    (serial, now): (u64, i64),
    key: Option<&SigningKey>,
    set: &PolicySet,
) -> Vec<u8> {
    let input = StatementInput {
        org: org.to_owned(),
        epoch: 1,
        serial,
        prev: None,
        effects_sha256: "0".repeat(64),
        lock_sha256: "0".repeat(64),
        issued_at: now - 10,
        not_before: now - 10,
        expires_at: now + 86_400,
        requires: Vec::new(),
        min_agent: "0.0.0".to_owned(),
        compiler: "test".to_owned(),
        source: Source::default(),
        rollback_of: None,
        trust_version: 1,
    };
    let mut unsigned = build(set, input).unwrap();
    if let Some(key) = key {
        unsigned.sign(key).unwrap();
    }
    unsigned.to_bytes()
}

pub(crate) async fn put_trust(world: &World, org: &Org, trust: &TrustFile) -> Answer {
    world.send(Method::PUT, "/v1/trust", &org.token, trust.to_json().into_bytes()).await
}

pub(crate) async fn put_bundle(world: &World, org: &Org, expect: u64, bytes: &[u8]) -> Answer {
    let path = format!("/v1/databases/shop/bundle?expect_head={expect}");
    world.send(Method::PUT, &path, &org.token, bytes.to_vec()).await
}

/// Serial 1 for `shop`, and the key that signed it.
pub(crate) async fn publish_first(world: &World, org: &Org) -> (SigningKey, Vec<u8>) {
    let key = SigningKey::generate().unwrap();
    put_trust(world, org, &trust(&org.slug, &key)).await.ok(200);
    let bytes = bundle(&org.slug, "shop", 1, Some(&key));
    put_bundle(world, org, 0, &bytes).await.ok(200);
    (key, bytes)
}

pub(crate) async fn only_signed_bundles_for_this_place_are_published(world: World) {
    let org = world.bootstrap().await;
    let key = SigningKey::generate().unwrap();
    let good = bundle(&org.slug, "shop", 1, Some(&key));
    put_bundle(&world, &org, 0, &good).await.refused(404, "trust.missing");
    put_trust(&world, &org, &trust(&org.slug, &key)).await.ok(200);
    let stranger = SigningKey::generate().unwrap();
    for (bytes, code) in [
        (bundle(&org.slug, "shop", 1, None), "bundle.signature"),
        (bundle(&org.slug, "shop", 1, Some(&stranger)), "bundle.signature"),
        (bundle("other-org", "shop", 1, Some(&key)), "bundle.wrong-target"),
        (bundle(&org.slug, "till", 1, Some(&key)), "bundle.wrong-target"),
        (b"not a bundle".to_vec(), "bundle.malformed"),
        (Vec::new(), "bundle.malformed"),
    ] {
        put_bundle(&world, &org, 0, &bytes).await.refused(400, code);
    }
    // Whichever byte is flipped (every one in 31 is tried), it is not published; only the key id is a hint that nothing depends on.
    let hint = format!("\"keyid\":\"{}", key.public().keyid());
    let start = good.windows(hint.len()).position(|window| window == hint.as_bytes()).unwrap();
    for index in (0..good.len()).filter(|index| !(start..start + hint.len()).contains(index)).step_by(31) {
        let mut flipped = good.clone();
        flipped[index] ^= 1;
        let answer = put_bundle(&world, &org, 0, &flipped).await;
        assert!((400..500).contains(&answer.status.as_u16()), "byte {index}: {}", answer.text());
    }
    world.get("/v1/databases/shop/bundle", &org.token).await.refused(404, "bundle.missing");
    let large = vec![0; 9 * 1024 * 1024];
    put_bundle(&world, &org, 0, &large).await.refused(413, "request.too-large");
    let accepted: BundleAccepted = put_bundle(&world, &org, 0, &good).await.json(200);
    assert_eq!(accepted.serial, 1);
    assert_eq!(world.get("/v1/databases/shop/bundle", &org.token).await.ok(200).body, good);
    world.pass(86_400);
    let other = bundle(&org.slug, "shop", 2, Some(&key));
    put_bundle(&world, &org, 1, &other).await.refused(400, "bundle.expired");
}

pub(crate) async fn the_head_moves_forward_by_compare_and_swap(world: World) {
    let org = world.bootstrap().await;
    let (key, first) = publish_first(&world, &org).await;
    let signed = |serial| bundle(&org.slug, "shop", serial, Some(&key));
    let missing = world.send(Method::PUT, "/v1/databases/shop/bundle", &org.token, signed(2)).await;
    missing.refused(400, "bundle.expect-head");
    for wrong in [0, 2, 7] {
        let told = put_bundle(&world, &org, wrong, &signed(5)).await.refused(409, "bundle.head-moved");
        assert!(told.contains("serial 1"), "{told}");
    }
    put_bundle(&world, &org, 1, &signed(5)).await.ok(200);
    put_bundle(&world, &org, 5, &signed(4)).await.refused(409, "bundle.serial-behind");
    put_bundle(&world, &org, 5, &first).await.refused(409, "bundle.serial-behind");
    // The answer to an upload may get lost: the same file again is no error.
    let again: BundleAccepted = put_bundle(&world, &org, 1, &signed(5)).await.json(200);
    assert_eq!(again.serial, 5);
    assert_eq!(world.get("/v1/databases/shop/bundle", &org.token).await.ok(200).body, signed(5));
}

pub(crate) async fn trust_files_are_for_this_organization(world: World) {
    let org = world.bootstrap().await;
    let key = SigningKey::generate().unwrap();
    world.get("/v1/trust", &org.token).await.refused(404, "trust.missing");
    put_trust(&world, &org, &trust("other-org", &key)).await.refused(400, "trust.organization");
    world.send(Method::PUT, "/v1/trust", &org.token, b"{}".to_vec()).await.refused(400, "trust.malformed");
    let first = trust(&org.slug, &key);
    put_trust(&world, &org, &first).await.ok(200);
    let other = trust(&org.slug, &SigningKey::generate().unwrap());
    put_trust(&world, &org, &other).await.refused(409, "trust.version-behind");
    let second = first.clone().with_epoch("shop", 2).unwrap();
    put_trust(&world, &org, &second).await.ok(200);
    put_trust(&world, &org, &first).await.refused(409, "trust.version-behind");
    assert_eq!(world.get("/v1/trust", &org.token).await.ok(200).text(), second.to_json());
}
