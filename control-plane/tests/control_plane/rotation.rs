//! Trust files of later versions and freshness, on their way from root signers to agents.

use crate::bundles::{bundle, put_bundle};
use crate::link::Peer;
use crate::world::{Answer, NOW, Org, World};
use daam_api::link::ToAgent;
use daam_api::v1::FreshnessKey;
use daam_bundle::{
    PublicKey, Role, RoleKeys, SignedTrust, SigningKey, TrustChain, TrustFile, TrustedKey, verify_freshness,
};
use reqwest::Method;

fn role(key: PublicKey) -> RoleKeys {
    RoleKeys { threshold: 1, keys: vec![TrustedKey { public: key, comment: "test".to_owned() }] }
}

/// A first trust file with a root key.
fn rooted(org: &Org, root: &SigningKey, policy: &SigningKey) -> TrustFile {
    let plain = crate::bundles::trust(&org.slug, policy);
    let mut draft = plain.successor();
    draft.version = 1;
    draft.roles.insert(Role::Root, role(root.public()));
    TrustFile::check(draft).unwrap()
}

async fn put(world: &World, org: &Org, text: &str) -> Answer {
    world.send(Method::PUT, "/v1/trust", &org.token, text.as_bytes().to_vec()).await
}

pub(crate) async fn a_rotation_reaches_agents_and_cannot_be_forged(world: World) {
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    let (root, policy) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let first = rooted(&org, &root, &policy);
    put(&world, &org, &first.to_json()).await.ok(200);
    let next = first.with_epoch("shop", 2).unwrap();
    put(&world, &org, &next.to_json()).await.refused(400, "trust.unsigned");
    let mut signed = SignedTrust::new(next);
    put(&world, &org, &signed.to_json()).await.refused(400, "trust.not-followed");
    signed.sign(&policy).unwrap();
    put(&world, &org, &signed.to_json()).await.refused(400, "trust.not-followed");
    signed.sign(&root).unwrap();
    put(&world, &org, &signed.to_json()).await.ok(200);
    put(&world, &org, &signed.to_json()).await.ok(200);
    assert_eq!(world.get("/v1/trust/1", &org.token).await.ok(200).text(), first.to_json());
    assert_eq!(world.get("/v1/trust/2", &org.token).await.ok(200).text(), signed.to_json());
    world.get("/v1/trust/3", &org.token).await.refused(404, "trust.missing");
    world.get("/v1/trust/x", &org.token).await.refused(404, "trust.missing");
    let mut peer = Peer::connected(&world, &agent).await;
    let ToAgent::TrustUpdate { documents } = peer.hear().await else { panic!("no trust file") };
    let walk = TrustChain::of(first).walk(documents.iter().map(String::as_str), 0);
    assert!(walk.ended.is_none());
    assert_eq!(walk.chain.current().epoch("shop"), 2);
    peer.leave().await;
}

pub(crate) async fn freshness_is_said_of_the_published_bundle_once_the_trust_file_allows(world: World) {
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    let said: FreshnessKey = world.get("/v1/freshness-key", &org.token).await.json(200);
    let again: FreshnessKey = world.get("/v1/freshness-key", &org.token).await.json(200);
    assert_eq!(said.keyid, again.keyid);
    let key = PublicKey::from_text(&said.public).unwrap();
    assert_eq!(key.keyid(), said.keyid);
    let (root, policy) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let first = rooted(&org, &root, &policy);
    put(&world, &org, &first.to_json()).await.ok(200);
    let file = bundle(&org.slug, "shop", 1, Some(&policy));
    put_bundle(&world, &org, 0, &file).await.ok(200);
    let mut peer = Peer::connected(&world, &agent).await;
    assert!(matches!(peer.hear().await, ToAgent::PolicyUpdate { serial: 1, .. }));
    // The trust file does not name the key yet; the next one does, and nothing else has to happen.
    let mut draft = first.successor();
    draft.roles.insert(Role::Freshness, role(key));
    let next = TrustFile::check(draft).unwrap();
    let mut signed = SignedTrust::new(next.clone());
    signed.sign(&root).unwrap();
    put(&world, &org, &signed.to_json()).await.ok(200);
    assert!(matches!(peer.hear().await, ToAgent::TrustUpdate { .. }));
    let ToAgent::Freshness { envelope } = peer.hear().await else { panic!("no freshness") };
    let now = NOW;
    let held = daam_bundle::verify(&file, &next, "shop", None, now).unwrap().into_bundle();
    let said = verify_freshness(envelope.as_bytes(), &next, "shop", Some(held.head()), now).unwrap();
    assert!(said.is_current());
    assert_eq!(said.statement().expires_at, now + 3600);
    // A later bundle brings its own word.
    let second = bundle(&org.slug, "shop", 2, Some(&policy));
    put_bundle(&world, &org, 1, &second).await.ok(200);
    assert!(matches!(peer.hear().await, ToAgent::PolicyUpdate { serial: 2, .. }));
    let ToAgent::Freshness { envelope } = peer.hear().await else { panic!("no freshness") };
    let held_back = verify_freshness(envelope.as_bytes(), &next, "shop", Some(held.head()), now).unwrap();
    assert!(!held_back.is_current());
    peer.leave().await;
}
