//! Certificates.

use crate::world::{Org, World};
use daam_api::v1::{CertificateIssued, WhoAmI};
use daam_identity::{CertificateFacts, Principal, facts_of_pem, make_csr};
use reqwest::Method;
use serde_json::json;

async fn certificate(world: &World, token: &str) -> (CertificateIssued, CertificateFacts) {
    let (_, csr_pem) = make_csr().unwrap();
    let request = json!({ "csr_pem": csr_pem, "device": "laptop-1" });
    let issued: CertificateIssued =
        world.call(Method::POST, "/v1/certificates", token, &request).await.json(200);
    let facts = facts_of_pem(&issued.certificate_pem).unwrap();
    (issued, facts)
}

pub(crate) async fn a_user_certificate_names_its_caller_for_at_most_twelve_hours(world: World) {
    let org = world.bootstrap().await;
    let bo = world.member(&org, "bo@example.com").await;
    let me: WhoAmI = world.get("/v1/whoami", &bo).await.json(200);
    let (issued, facts) = certificate(&world, &bo).await;
    let Principal::User(user) = facts.principal else { panic!("not a user") };
    assert_eq!((user.org, user.user_id), (org.slug.clone(), me.user_id));
    assert_eq!((user.email.as_str(), user.device.as_str()), ("bo@example.com", "laptop-1"));
    assert!(facts.not_after - facts.not_before <= 12 * 3600);
    assert!(facts.not_before <= world.now() && facts.not_after > world.now());
    assert_eq!(issued.ca_pem, world.get("/v1/ca", &bo).await.ok(200).text());
    let (_, again) = certificate(&world, &bo).await;
    assert_ne!(facts.serial_hex, again.serial_hex);

    let short = json!({ "name": "ci", "expires_in": 600 });
    let short: serde_json::Value = world.call(Method::POST, "/v1/tokens", &bo, &short).await.json(201);
    let (_, capped) = certificate(&world, short["token"].as_str().unwrap()).await;
    assert_eq!(capped.not_after, world.now() + 600, "never longer than the token");

    refusals(&world, &org).await;
}

async fn refusals(world: &World, org: &Org) {
    let (key, csr) = make_csr().unwrap();
    for bad in
        ["", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", key.as_str()]
    {
        let request = json!({ "csr_pem": bad, "device": "laptop" });
        let told = world.call(Method::POST, "/v1/certificates", &org.token, &request).await;
        told.refused(400, "certificate.request");
    }
    let request = json!({ "csr_pem": csr, "device": "" });
    world
        .call(Method::POST, "/v1/certificates", &org.token, &request)
        .await
        .refused(400, "certificate.names");
    let named = json!({ "csr_pem": csr, "device": "x", "email": "eve@evil.example" });
    world.call(Method::POST, "/v1/certificates", &org.token, &named).await.refused(400, "request.malformed");
}

pub(crate) async fn an_agent_renews_its_own_certificate(world: World) {
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    let (_, csr_pem) = make_csr().unwrap();
    let request = json!({ "csr_pem": csr_pem });
    let issued: CertificateIssued =
        world.call(Method::POST, "/v1/agent/certificate", &agent.link_token, &request).await.json(200);
    let Principal::Agent(named) = facts_of_pem(&issued.certificate_pem).unwrap().principal else {
        panic!("not an agent")
    };
    assert_eq!((named.agent_id, named.database.as_str()), (agent.id, "shop"));
}
