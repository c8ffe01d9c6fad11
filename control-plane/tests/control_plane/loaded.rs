//! A link over which both ends have more to say than the sockets between them hold.

use crate::bundles::{put_bundle, put_trust, signed, trust};
use crate::link::Peer;
use crate::world::{NOW, World};
use base64::Engine as _;
use daam_api::link::{FromAgent, ToAgent};
use daam_bundle::SigningKey;
use daam_model::{Origin, Policy, PolicySet, SessionLimits, Subjects};
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

pub(crate) async fn an_agent_that_says_much_before_it_listens_is_heard_and_told_much(world: World) {
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    let key = SigningKey::generate().unwrap();
    put_trust(&world, &org, &trust(&org.slug, &key)).await.ok(200);
    let large = Policy {
        name: "large".to_owned(),
        description: "x".repeat(5 << 20),
        subjects: Subjects { everyone: true, ..Subjects::default() },
        grants: Vec::new(),
        masks: Vec::new(),
        session: SessionLimits::default(),
        request: None,
        origin: Origin { file: "policies/all.yaml".to_owned(), line: 1 },
    };
    let set = PolicySet { database: "shop".to_owned(), policies: vec![large], ..PolicySet::default() };
    let published = signed(&org.slug, (1, NOW), Some(&key), &set);
    assert!(published.len() > 5 << 20, "it was made smaller on the way");
    put_bundle(&world, &org, 0, &published).await.ok(200);
    let mut peer = Peer::greeted(&world, &agent).await;
    let snapshot = daam_catalog::snapshot::to_json(&daam_catalog::Catalog::default());
    let report = serde_json::to_string(&FromAgent::SchemaReport { snapshot }).unwrap();
    let padded = report + &" ".repeat(15 << 20);
    let said = peer.raw(Message::Text(padded.into()));
    assert!(timeout(Duration::from_secs(18), said).await.is_ok(), "nobody took what the agent says");
    let told = loop {
        if let ToAgent::PolicyUpdate { bundle, .. } = peer.hear().await {
            break base64::engine::general_purpose::STANDARD.decode(bundle).unwrap();
        }
    };
    assert_eq!(told.len(), published.len());
    assert!(told == published);
    let stored = async || world.get("/v1/databases/shop/schema", &org.token).await.status == 200;
    world.until("what the agent said is stored", stored).await;
}
