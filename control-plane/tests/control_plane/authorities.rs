//! One certificate authority takes the place of another.

use crate::link::Peer;
use crate::world::{Org, World};
use daam_api::link::{Authority, FromAgent, ToAgent};
use daam_api::v1::{AuditEntry, AuthorityList, CertificateIssued, ConnectOffer, Enrolled};
use daam_identity::{Authorities, Successor, facts_of_pem, make_csr};
use reqwest::Method;
use serde_json::json;

impl World {
    async fn authorities(&self, org: &Org) -> AuthorityList {
        self.get("/v1/authorities", &org.token).await.json(200)
    }

    async fn states(&self, org: &Org) -> Vec<String> {
        self.authorities(org).await.authorities.into_iter().map(|authority| authority.state).collect()
    }

    async fn certificate(&self, token: &str) -> CertificateIssued {
        let request = json!({ "csr_pem": make_csr().unwrap().1, "device": "laptop" });
        self.call(Method::POST, "/v1/certificates", token, &request).await.json(200)
    }

    async fn agents_certificate(&self, agent: &Enrolled) -> CertificateIssued {
        let request = json!({ "csr_pem": make_csr().unwrap().1 });
        self.call(Method::POST, "/v1/agent/certificate", &agent.link_token, &request).await.json(200)
    }
}

fn follow(held: &Authorities, told: &[Authority]) -> Authorities {
    let successor = |authority: &'static Authority| Successor {
        certificate_pem: &authority.certificate_pem,
        handover_pem: authority.handover_pem.as_deref(),
        in_force: authority.in_force,
    };
    let told: &'static [Authority] = told.to_vec().leak();
    held.follow(told.iter().map(successor)).unwrap()
}

async fn told(peer: &mut Peer) -> (u64, Vec<Authority>) {
    loop {
        if let ToAgent::CaUpdate { version, authorities } = peer.hear().await {
            return (version, authorities);
        }
    }
}

async fn believes(peer: &mut Peer, version: u64) {
    peer.say(&FromAgent::CaStatus { version, reason: None }).await;
}

pub(crate) async fn a_new_authority_takes_the_place_of_the_old_while_everything_goes_on(world: World) {
    let org = world.bootstrap().await;
    let bo = world.member(&org, "bo@example.com").await;
    let agent = world.agent(&org, "shop").await;
    assert!(agent.authorities.is_empty(), "there never was but one");
    let old = Authorities::pinned(&agent.ca_pem).unwrap();
    let mut peer = Peer::connected(&world, &agent).await;
    let before = world.certificate(&bo).await;
    assert!(old.signed(&before.certificate_pem) && before.authorities.is_empty());
    let nothing = json!({});
    world
        .call(Method::POST, "/v1/authorities/retire", &org.token, &nothing)
        .await
        .refused(409, "authority.alone");

    let begun = world.call(Method::POST, "/v1/authorities", &org.token, &nothing).await;
    assert_eq!(begun.json::<AuthorityList>(201).authorities.len(), 2);
    world
        .call(Method::POST, "/v1/authorities", &org.token, &nothing)
        .await
        .refused(409, "authority.under-way");
    // As long as an agent that is here does not say that it believes it, it signs nothing.
    let (version, history) = told(&mut peer).await;
    let both = follow(&old, &history);
    assert_eq!((both.fingerprints().len(), history[1].issues), (2, false));
    assert_eq!(world.states(&org).await, ["issuing", "offered"]);
    let meanwhile = world.certificate(&bo).await;
    assert!(old.signed(&meanwhile.certificate_pem));
    assert_eq!(Authorities::pinned(&meanwhile.ca_pem).unwrap(), both, "people are told as well");
    believes(&mut peer, version).await;
    world.until("it issues", async || world.states(&org).await == ["overlapping", "issuing"]).await;
    let (version, history) = told(&mut peer).await;
    assert!(history[1].issues && !history[0].issues && history[0].in_force);
    believes(&mut peer, version).await;

    let after = world.certificate(&bo).await;
    assert!(!old.signed(&after.certificate_pem) && both.signed(&after.certificate_pem));
    let offer = world.call(Method::POST, "/v1/databases/shop/connect", &bo, &nothing).await;
    assert_eq!(follow(&old, &offer.json::<ConnectOffer>(200).authorities), both);
    // People's certificates and the agent's own stand on the old one.
    let refused = world.call(Method::POST, "/v1/authorities/retire", &org.token, &nothing).await;
    let said = refused.refused(409, "authority.in-use");
    assert!(said.contains("2 certificates of people, 1 agents have none of the new one"), "{said}");
    let renewed = world.agents_certificate(&agent).await;
    assert!(both.signed(&renewed.certificate_pem) && !old.signed(&renewed.certificate_pem));
    it_goes_when_nothing_stands_on_it(&world, &org, &mut peer, (&old, &both)).await;
}

async fn it_goes_when_nothing_stands_on_it(
    world: &World,
    org: &Org,
    peer: &mut Peer,
    (old, both): (&Authorities, &Authorities),
) {
    let nothing = json!({});
    world.pass(12 * 3600 + 60);
    world
        .until("nothing stands on it", async || {
            let standing = world.authorities(org).await.standing.unwrap();
            standing.agents_behind.is_empty()
                && standing.agents_on_it.is_empty()
                && standing.certificates == 0
        })
        .await;
    let retired = world.call(Method::POST, "/v1/authorities/retire", &org.token, &nothing).await;
    assert!(retired.json::<AuthorityList>(200).standing.is_none());
    assert_eq!(world.states(org).await, ["retired", "issuing"]);
    let (_, history) = told(peer).await;
    let new = follow(both, &history);
    assert_eq!(Authorities::pinned(&world.get("/v1/ca", &org.token).await.ok(200).text()).unwrap(), new);
    assert!(new.signed(&world.certificate(&org.token).await.certificate_pem));
    // Whoever enrols now is told how it came to this one.
    let late = world.agent(org, "shop").await;
    assert_eq!(follow(old, &late.authorities), new);
    let again = world.call(Method::POST, "/v1/authorities", &org.token, &nothing).await;
    assert_eq!(again.json::<AuthorityList>(201).authorities.len(), 3);
}

pub(crate) async fn an_agent_that_was_away_follows_and_a_forced_end_is_the_end(world: World) {
    let org = world.bootstrap().await;
    let bo = world.member(&org, "bo@example.com").await;
    let (agent, other) = (world.agent(&org, "shop").await, world.agent(&org, "shop").await);
    let old = Authorities::pinned(&agent.ca_pem).unwrap();
    let issued = world.certificate(&bo).await;
    // Nobody is here who would not believe it.
    world.call(Method::POST, "/v1/authorities", &org.token, &json!({})).await.ok(201);
    assert_eq!(world.states(&org).await, ["overlapping", "issuing"]);
    let mut peer = Peer::greeted(&world, &agent).await;
    let (version, history) = told(&mut peer).await;
    let both = follow(&old, &history);
    assert!(both.signed(&world.certificate(&bo).await.certificate_pem));
    peer.say(&FromAgent::CaStatus { version, reason: Some("pinned by hand".to_owned()) }).await;
    let refusing = "one: pinned by hand".to_owned();
    world
        .until("it is seen who refuses", async || {
            world.authorities(&org).await.standing.unwrap().agents_behind.contains(&refusing)
        })
        .await;
    let retire = async |force: bool| {
        world.call(Method::POST, "/v1/authorities/retire", &org.token, &json!({ "force": force })).await
    };
    let said = retire(false).await.refused(409, "authority.in-use");
    assert!(said.contains("1 certificates") && said.contains("2 agents do not believe"), "{said}");
    retire(true).await.ok(200);
    // What stood on it ends, and nothing else.
    let serial = facts_of_pem(&issued.certificate_pem).unwrap().serial_hex;
    let revoked = loop {
        if let ToAgent::IdentityRevoked { serials } = peer.hear().await {
            break serials;
        }
    };
    assert_eq!(revoked.into_iter().collect::<Vec<_>>(), [serial]);
    peer.leave().await;
    // One that slept through all of it.
    let mut peer = Peer::greeted(&world, &other).await;
    let (_, history) = told(&mut peer).await;
    let new = follow(&old, &history);
    assert_eq!(new.fingerprints().len(), 1);
    assert!(!new.signed(&issued.certificate_pem));
    assert!(new.signed(&world.agents_certificate(&other).await.certificate_pem));
    // A key that is gone signs nothing, after a restart either; and each was sealed for its own place.
    let world = world.restart().await;
    assert!(new.signed(&world.certificate(&bo).await.certificate_pem));
}

pub(crate) async fn the_page_says_whom_a_change_waits_for_and_an_auditor_only_looks_on(world: World) {
    let org = world.bootstrap().await;
    let ana = world.sign_in(&org.link).await;
    let cy = world.session(&world.in_role(&org, "cy@example.com", "auditor").await).await;
    let agent = world.agent(&org, "shop").await;
    world.agent(&org, "archive").await;
    let mut peer = Peer::connected(&world, &agent).await;
    let looked = async |session: &str| world.look("/authorities", session).await.ok(200).text();
    let first = world.authorities(&org).await.authorities.remove(0);
    assert!(first.not_before < first.created_at && first.created_at < first.not_after, "{first:?}");
    let page = looked(&cy).await;
    assert!(page.contains(&first.fingerprint) && page.contains("current: "), "{page}");
    assert!(!page.contains("action=\"/authorities"), "{page}");
    for path in ["/authorities", "/authorities/retire"] {
        world.submit(path, Some(&cy), "").await.page_refused(403, "auth.wrong-role");
    }
    world.submit("/authorities/retire", Some(&ana), "").await.page_refused(409, "authority.alone");

    assert_eq!(world.submit("/authorities", Some(&ana), "").await.location(), "/authorities");
    world.submit("/authorities", Some(&ana), "").await.page_refused(409, "authority.under-way");
    let agents = world.authorities(&org).await.agents;
    let seen: Vec<_> = agents.iter().map(|one| (one.database.as_str(), one.online, one.believes)).collect();
    assert!(seen.contains(&("shop", true, false)) && seen.contains(&("archive", false, false)), "{seen:?}");
    let held: Vec<_> = agents.iter().filter(|one| one.holds_up).map(|one| one.database.as_str()).collect();
    assert_eq!(held, ["shop"]);
    let page = looked(&cy).await;
    assert!(page.contains("1 hold it up") && page.contains("next: offered"), "{page}");
    let (version, _) = told(&mut peer).await;
    peer.say(&FromAgent::CaStatus { version, reason: Some("pinned <by> hand".to_owned()) }).await;
    world.until("its refusal is seen", async || looked(&cy).await.contains("refuses: pinned &#60;by")).await;
    believes(&mut peer, version).await;
    world.until("it issues", async || looked(&cy).await.contains("previous: its certificates count")).await;
    let (version, _) = told(&mut peer).await;
    believes(&mut peer, version).await;
    world.agents_certificate(&agent).await;
    let done = |list: AuthorityList| list.agents.iter().any(|one| one.believes && one.renewed && one.online);
    world.until("the agent is done", async || done(world.authorities(&org).await)).await;
    let refused = world.submit("/authorities/retire", Some(&ana), "").await;
    refused.page_refused(409, "authority.in-use");
    let retired = world.submit("/authorities/retire", Some(&ana), "force=yes").await;
    assert_eq!(retired.location(), "/authorities");
    let page = looked(&ana).await;
    assert!(page.contains("retired: its") && page.contains("Begin with a new authority"), "{page}");
    assert!(world.authorities(&org).await.agents.is_empty(), "nothing is under way");
}

/// The last entry about authorities: who did what to which.
async fn last_step(world: &World, org: &Org) -> (String, String, String) {
    let entries: Vec<AuditEntry> =
        world.get("/v1/audit?action=authority.&limit=1", &org.token).await.json(200);
    let AuditEntry { actor, action, target, .. } = entries.into_iter().next().unwrap();
    (actor, action, target)
}

/// By the server alone: nobody asks for anything once the change has begun.
pub(crate) async fn a_change_goes_on_and_ends_by_itself_and_not_before_nothing_stands_on_the_old_one(
    world: World,
) {
    let org = world.bootstrap().await;
    let bo = world.member(&org, "bo@example.com").await;
    let (shop, hr) = (world.agent(&org, "shop").await, world.agent(&org, "hr").await);
    let mut peer = Peer::connected(&world, &shop).await;
    let holding = Peer::connected(&world, &hr).await;
    world.certificate(&bo).await;
    world.call(Method::POST, "/v1/authorities", &org.token, &json!({})).await.ok(201);
    let (version, _) = told(&mut peer).await;
    believes(&mut peer, version).await;
    // One that is here and has not said so is waited for, whoever else has.
    world.server.look_after().await;
    assert_eq!(world.states(&org).await, ["issuing", "offered"]);
    holding.leave().await;
    // Whoever was here a minute ago may come back.
    world.server.look_after().await;
    assert_eq!(world.states(&org).await, ["issuing", "offered"]);
    world.pass(62);
    world
        .until("the other one is gone, and nobody is waited for", async || {
            world.server.look_after().await;
            world.states(&org).await == ["overlapping", "issuing"]
        })
        .await;
    let (version, _) = told(&mut peer).await;
    // What stands on the old one goes, one after the other; as long as anything does, so does that.
    let stays = async |why: &str| {
        world.server.look_after().await;
        assert_eq!(world.states(&org).await, ["overlapping", "issuing"], "{why}");
    };
    stays("an agent does not say that it believes the one that issues").await;
    believes(&mut peer, version).await;
    world.agents_certificate(&shop).await;
    stays("the other agent has slept through all of it").await;
    let mut late = Peer::greeted(&world, &hr).await;
    let (version, _) = told(&mut late).await;
    believes(&mut late, version).await;
    let behind = async || world.authorities(&org).await.standing.unwrap().agents_behind.len();
    world.until("both believe it", async || behind().await == 0).await;
    stays("its certificate is of the old one").await;
    world.agents_certificate(&hr).await;
    stays("a certificate of somebody has not ended").await;
    let until = world.authorities(&org).await.standing.unwrap();
    assert_eq!((until.certificates, until.agents_on_it.len()), (1, 0));
    world.pass(12 * 3600);
    // A server that starts does it, and nobody asked for it.
    let world = world.restart().await;
    world.until("it is retired", async || world.states(&org).await == ["retired", "issuing"]).await;
    let step = last_step(&world, &org).await;
    assert_eq!(step, ("control-plane".to_owned(), "authority.retire".to_owned(), "1".to_owned()));
    let new = Authorities::pinned(&world.get("/v1/ca", &org.token).await.ok(200).text()).unwrap();
    assert_eq!(new.fingerprints(), [world.authorities(&org).await.authorities[1].fingerprint.clone()]);
    // And then there is nothing to do.
    world.server.look_after().await;
    assert_eq!(last_step(&world, &org).await, step);
    assert_eq!(world.states(&org).await, ["retired", "issuing"]);
}
