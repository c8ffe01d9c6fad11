//! Connect offers.

use crate::link::Peer;
use crate::world::World;
use daam_api::v1::{ConnectOffer, Database};
use reqwest::Method;
use serde_json::json;

pub(crate) async fn an_offer_has_addresses_and_tickets_for_one_agent(world: World) {
    let org = world.bootstrap().await;
    let bo = world.member(&org, "bo@example.com").await;
    let connect = async |database: &str| {
        world.call(Method::POST, &format!("/v1/databases/{database}/connect"), &bo, &json!({})).await
    };
    connect("shop").await.refused(404, "database.unknown");
    let agent = world.agent(&org, "shop").await;
    connect("shop").await.refused(503, "database.no-agent");
    let peer = Peer::connected(&world, &agent).await;
    let offer: ConnectOffer = connect("shop").await.json(200);
    assert_eq!(
        (offer.org, offer.agent_id, offer.database.as_str()),
        (org.slug.clone(), agent.id.clone(), "shop")
    );
    assert_eq!(offer.direct, ["127.0.0.1:6432"]);
    assert!(offer.relays.is_empty());
    let databases: Vec<Database> = world.get("/v1/databases", &bo).await.json(200);
    assert_eq!((databases[0].name.as_str(), databases[0].agents_online), ("shop", 1));
    peer.leave().await;
    world.until("the agent is gone", async || connect("shop").await.status == 503).await;
}
