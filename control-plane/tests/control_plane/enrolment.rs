//! Admitting agents and relays.

use crate::world::World;
use daam_api::v1::Enrolled;
use daam_identity::ticket::{TicketGrant, TicketRole, TicketVerifier, TrafficClass};
use daam_identity::{Principal, facts_of_pem, make_csr};
use reqwest::Method;
use serde_json::json;

pub(crate) async fn an_agent_enrols_once_and_is_named_by_its_token(world: World) {
    let org = world.bootstrap().await;
    let token = world.enrolment(&org, &json!({ "kind": "agent", "database": "shop" })).await;
    let (_, csr) = make_csr().unwrap();
    let without = json!({ "name": "one" });
    world.call(Method::POST, "/v1/enrol", &token, &without).await.refused(400, "enrol.csr");
    let garbage = json!({ "name": "one", "csr_pem": "x" });
    world.call(Method::POST, "/v1/enrol", &token, &garbage).await.refused(400, "certificate.request");
    let good = json!({ "name": "one", "csr_pem": csr });
    let enrolled: Enrolled = world.call(Method::POST, "/v1/enrol", &token, &good).await.json(201);
    let facts = facts_of_pem(enrolled.certificate_pem.as_deref().unwrap()).unwrap();
    let Principal::Agent(agent) = facts.principal else { panic!("not an agent") };
    assert_eq!((agent.org, agent.agent_id, agent.database.as_str()), (org.slug.clone(), enrolled.id, "shop"));
    let life = facts.not_after - facts.not_before;
    assert!((86_400..=31 * 86_400).contains(&life), "{life}");
    assert_eq!(enrolled.ticket_key, None);
    world.call(Method::POST, "/v1/enrol", &token, &good).await.refused(401, "auth.required");

    let late = world.enrolment(&org, &json!({ "kind": "agent", "database": "shop", "expires_in": 60 })).await;
    world.pass(60);
    world.call(Method::POST, "/v1/enrol", &late, &good).await.refused(401, "auth.required");
    for (request, code) in [
        (json!({ "kind": "agent" }), "enrolment.database"),
        (json!({ "kind": "relay", "database": "shop" }), "enrolment.database"),
        (json!({ "kind": "proxy" }), "enrolment.kind"),
        (json!({ "kind": "agent", "database": "../shop" }), "database.name"),
    ] {
        world.call(Method::POST, "/v1/enrolment-tokens", &org.token, &request).await.refused(400, code);
    }
}

pub(crate) async fn a_relay_enrols_once_and_can_verify_tickets(world: World) {
    let org = world.bootstrap().await;
    let relay = world.relay(&org).await;
    assert_eq!(relay.certificate_pem, None);
    let address = json!({ "address": "127.0.0.1:7000" });
    world.call(Method::PUT, "/v1/relay/address", &relay.link_token, &address).await.ok(204);
    for bad in ["", "127.0.0.1", "127.0.0.1:0", "a b:1", "x:99999"] {
        let request = json!({ "address": bad });
        world
            .call(Method::PUT, "/v1/relay/address", &relay.link_token, &request)
            .await
            .refused(400, "relay.address");
    }
    let agent = world.agent(&org, "shop").await;
    let link = crate::link::Peer::connected(&world, &agent).await;
    let offer: daam_api::v1::ConnectOffer =
        world.call(Method::POST, "/v1/databases/shop/connect", &org.token, &json!({})).await.json(200);
    let held = daam_identity::ticket::HeldTicket::parse(&offer.relays[0].ticket).unwrap();
    let verifier = TicketVerifier::from_base64(&relay.ticket_key.unwrap(), "127.0.0.1:7000").unwrap();
    let ticket = verifier.verify(held.presented(), world.now()).unwrap();
    let grant = ticket.proven_by(b"challenge", &held.prove(b"challenge")).unwrap();
    let expected = TicketGrant {
        org: org.slug.clone(),
        role: TicketRole::Client,
        agent_id: agent.id,
        relay: "127.0.0.1:7000".into(),
        class: TrafficClass { bytes_per_second: 7_000_000, ..TrafficClass::usual(TicketRole::Client) },
        expires: world.now() + 300,
    };
    assert_eq!(grant.grant(), &expected);
    let offered = async || -> Vec<daam_api::link::RelayOffer> {
        let answer = world.call(Method::POST, "/v1/databases/shop/connect", &org.token, &json!({})).await;
        // The agent's own link is counted as offline until its next tick.
        if answer.status == 503 {
            vec![daam_api::link::RelayOffer { address: String::new(), ticket: String::new() }]
        } else {
            answer.json::<daam_api::v1::ConnectOffer>(200).relays
        }
    };
    world.pass(900);
    world.until("a silent relay is not offered", async || offered().await.is_empty()).await;
    world.call(Method::PUT, "/v1/relay/address", &relay.link_token, &address).await.ok(204);
    assert_eq!(offered().await.len(), 1);
    let path = format!("/v1/relays/{}", relay.id);
    world.call(Method::DELETE, &path, &org.token, &json!({})).await.ok(204);
    assert!(offered().await.is_empty());
    world.get("/v1/whoami", &relay.link_token).await.refused(401, "auth.required");
    drop(link);
}
