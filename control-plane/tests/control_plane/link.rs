//! The agent link, from the agent's side.

use crate::bundles::{bundle, publish_first, put_bundle};
use crate::held::HeldDirectory;
use crate::world::World;
use base64::Engine as _;
use daam_api::link::{DirectoryUser, FromAgent, ToAgent, VERSION};
use daam_api::v1::{Agent, Enrolled};
use daam_control_plane::{Config, Server};
use daam_identity::ticket::{HeldTicket, TicketRole, TicketVerifier};
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

const SOON: Duration = Duration::from_secs(20);
const SESSIONS_REQUEST: &str = r#"{"type":"sessions_request"}"#;

/// An agent as far as the link is concerned.
pub(crate) struct Peer {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    held: HeldDirectory,
}

pub(crate) fn hello() -> FromAgent {
    FromAgent::Hello {
        version: VERSION,
        agent_version: "0.0.0".to_owned(),
        addresses: vec!["127.0.0.1:6432".to_owned()],
        bundle_serial: 0,
        directory_version: 0,
        directory_digest: None,
    }
}

impl Peer {
    async fn open(world: &World, token: &str, headers: &[(&'static str, &str)]) -> Result<Self, Error> {
        let mut request =
            format!("ws://{}/v1/agent/link", world.server.address()).into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (socket, _) = tokio_tungstenite::connect_async(request).await?;
        Ok(Self { socket, held: HeldDirectory::default() })
    }

    /// Connected, greeted, and past the first directory.
    pub(crate) async fn connected(world: &World, agent: &Enrolled) -> Self {
        let mut peer = Self::open(world, &agent.link_token, &[]).await.unwrap();
        peer.say(&hello()).await;
        peer.directory(1).await;
        peer
    }

    /// Connected and greeted.
    pub(crate) async fn greeted(world: &World, agent: &Enrolled) -> Self {
        let mut peer = Self::open(world, &agent.link_token, &[]).await.unwrap();
        peer.say(&hello()).await;
        peer
    }

    pub(crate) async fn say(&mut self, message: &FromAgent) {
        self.raw(Message::Text(serde_json::to_string(message).unwrap().into())).await;
    }

    pub(crate) async fn raw(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    pub(crate) async fn hear(&mut self) -> ToAgent {
        // A message that does not come is a failure, however many pings do.
        let heard = async {
            loop {
                match self.socket.next().await.unwrap().unwrap() {
                    // Asked of every agent at once; whether and what it answers is up to the test.
                    Message::Text(text) if text.as_str() == SESSIONS_REQUEST => {}
                    Message::Text(text) => return self.held.take(serde_json::from_str(&text).unwrap()),
                    Message::Ping(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        };
        timeout(SOON, heard).await.unwrap()
    }

    /// The close code and reason.
    pub(crate) async fn end(&mut self) -> (u16, String) {
        loop {
            match timeout(SOON, self.socket.next()).await.unwrap() {
                Some(Ok(Message::Close(Some(frame)))) => {
                    return (frame.code.into(), frame.reason.to_string());
                }
                Some(Ok(Message::Close(None)) | Err(_)) | None => return (0, String::new()),
                Some(Ok(_)) => {}
            }
        }
    }

    /// Hears until a directory of at least this version.
    pub(crate) async fn directory(&mut self, at_least: u64) -> Vec<DirectoryUser> {
        loop {
            if let ToAgent::DirectoryUpdate { version, users } = self.hear().await
                && version >= at_least
            {
                return users;
            }
        }
    }

    pub(crate) async fn leave(mut self) {
        self.socket.close(None).await.unwrap();
    }
}

impl World {
    /// Asks until it is so.
    pub(crate) async fn until(&self, what: &str, so: impl AsyncFn() -> bool) {
        let deadline = tokio::time::Instant::now() + SOON;
        while !so().await {
            assert!(tokio::time::Instant::now() < deadline, "not in time: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn only_agent(&self, token: &str) -> Agent {
        self.get("/v1/agents", token).await.json::<Vec<Agent>>(200).remove(0)
    }
}

pub(crate) async fn a_new_link_gets_everything_and_changes_at_once(world: World) {
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    let (key, first) = publish_first(&world, &org).await;
    let mut peer = Peer::open(&world, &agent.link_token, &[]).await.unwrap();
    peer.say(&hello()).await;
    let users = peer.directory(1).await;
    assert_eq!(users[0].email, "ana@example.com");
    let ToAgent::PolicyUpdate { serial: 1, bundle: pushed } = peer.hear().await else { panic!("no bundle") };
    assert_eq!(base64::engine::general_purpose::STANDARD.decode(pushed).unwrap(), first);

    let second = bundle(&org.slug, "shop", 2, Some(&key));
    put_bundle(&world, &org, 1, &second).await.ok(200);
    let ToAgent::PolicyUpdate { serial: 2, bundle: pushed } = peer.hear().await else { panic!("no bundle") };
    assert_eq!(base64::engine::general_purpose::STANDARD.decode(pushed).unwrap(), second);

    let stored = world.put_user(&org, "bo@example.com", false).await;
    let users = peer.directory(stored["directory_version"].as_u64().unwrap()).await;
    let bo = users.iter().find(|user| user.email == "bo@example.com").unwrap();
    assert_eq!((bo.disabled, bo.attributes["region"].as_str()), (false, Some("eu")));

    let token = world.member(&org, "bo@example.com").await;
    let (_, csr) = daam_identity::make_csr().unwrap();
    let request = json!({ "csr_pem": csr, "device": "d" });
    let issued: daam_api::v1::CertificateIssued =
        world.call(Method::POST, "/v1/certificates", &token, &request).await.json(200);
    world.put_user(&org, "bo@example.com", true).await;
    // Both are told at once, in either order.
    let (mut revoked, mut disabled) = (None, false);
    while revoked.is_none() || !disabled {
        match peer.hear().await {
            ToAgent::IdentityRevoked { serials } => revoked = Some(serials),
            ToAgent::DirectoryUpdate { users, .. } => disabled |= users.iter().any(|user| user.disabled),
            _ => {}
        }
    }
    let serial = daam_identity::facts_of_pem(&issued.certificate_pem).unwrap().serial_hex;
    assert!(revoked.unwrap().contains(&serial));

    let relay = world.relay(&org).await;
    let address = json!({ "address": "127.0.0.1:7000" });
    world.call(Method::PUT, "/v1/relay/address", &relay.link_token, &address).await.ok(204);
    let ToAgent::RelayUpdate { relays } = peer.hear().await else { panic!("no relay") };
    assert_eq!(relays[0].address, "127.0.0.1:7000");
    let verifier = TicketVerifier::from_base64(&relay.ticket_key.unwrap(), "127.0.0.1:7000").unwrap();
    let held = HeldTicket::parse(&relays[0].ticket).unwrap();
    let ticket = verifier.verify(held.presented(), world.now()).unwrap();
    let grant = ticket.proven_by(b"c", &held.prove(b"c")).unwrap().grant().clone();
    assert_eq!((grant.role, grant.agent_id), (TicketRole::Agent, agent.id));
    world.pass(1801);
    let ToAgent::RelayUpdate { relays } = peer.hear().await else { panic!("no withdrawal") };
    assert!(relays.is_empty(), "a relay that was not heard of for half an hour");
    world.call(Method::PUT, "/v1/relay/address", &relay.link_token, &address).await.ok(204);
    let ToAgent::RelayUpdate { relays } = peer.hear().await else { panic!("no renewed ticket") };
    let held = HeldTicket::parse(&relays[0].ticket).unwrap();
    assert!(verifier.verify(held.presented(), world.now() + 86_000).is_ok());
}

pub(crate) async fn an_agent_that_was_told_of_a_directory_out_of_reach_gets_ours_in_its_place(world: World) {
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    for held in [u64::MAX, 2_000_001] {
        let FromAgent::Hello { version, agent_version, addresses, bundle_serial, .. } = hello() else {
            panic!("no hello")
        };
        let mut peer = Peer::open(&world, &agent.link_token, &[]).await.unwrap();
        peer.say(&FromAgent::Hello {
            version,
            agent_version,
            addresses,
            bundle_serial,
            directory_version: held,
            directory_digest: None,
        })
        .await;
        peer.say(&FromAgent::DirectoryStatus { version: held }).await;
        let ours = loop {
            match peer.hear().await {
                ToAgent::DirectoryReplaced { held: named, version, users } => {
                    assert_eq!((named, users[0].email.as_str()), (held, "ana@example.com"));
                    break version;
                }
                ToAgent::DirectoryUpdate { .. } => panic!("it would ignore an older one"),
                _ => {}
            }
        };
        assert!(ours < held);
        let nothing = json!({ "groups": [], "attributes": {}, "disabled": false });
        world
            .call(Method::PUT, &format!("/v1/users/u{held}@example.com"), &org.token, &nothing)
            .await
            .ok(200);
        assert_eq!(peer.directory(ours + 1).await.len(), users_of(&world, &org).await);
        peer.leave().await;
    }
}

pub(crate) async fn an_agent_that_was_told_of_access_out_of_reach_gets_ours_in_its_place(world: World) {
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    let mut peer = Peer::connected(&world, &agent).await;
    for held in [u64::MAX, 2_000_001] {
        peer.say(&FromAgent::AccessStatus { version: held, grants: Vec::new() }).await;
        let ours = loop {
            match peer.hear().await {
                ToAgent::AccessReplaced { held: named, version, grants } => {
                    assert!(named == held && grants.is_empty());
                    break version;
                }
                ToAgent::AccessUpdate { .. } => panic!("it would ignore an older one"),
                _ => {}
            }
        };
        assert!(ours < held);
        peer.say(&FromAgent::AccessStatus { version: ours, grants: Vec::new() }).await;
    }
}

pub(crate) async fn somebody_with_a_links_token_takes_no_more_memory_than_its_agent(world: World) {
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    // What comes before a hello is not read to its end, whatever it is.
    let mut peer = Peer::open(&world, &agent.link_token, &[]).await.unwrap();
    drop(peer.socket.send(Message::Text("x".repeat(12 << 20).into())).await);
    assert_eq!(peer.end().await.0, 0, "nobody read it to say what is wrong with it");
    // A report behind the hello may be as large as it is.
    let mut honest = Peer::open(&world, &agent.link_token, &[]).await.unwrap();
    honest.say(&hello()).await;
    honest.raw(Message::Text(format!("{{\"type\":\"{}\"}}", "x".repeat(2 << 20)).into())).await;
    assert_eq!(honest.end().await.0, 4003, "it was read");
    let mut links = Vec::new();
    for _ in 0..6 {
        links.push(Peer::open(&world, &agent.link_token, &[]).await.unwrap());
    }
    for link in &mut links[..4] {
        let (code, reason) = link.end().await;
        assert!(code == 4004 && reason.contains("newer links"), "{code} {reason}");
    }
    let mut last = links.pop().unwrap();
    last.say(&hello()).await;
    last.directory(1).await;
}

pub(crate) async fn an_agent_that_missed_some_is_told_what_changed_since(world: World) {
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    for name in ["a", "b", "c"] {
        world.put_user(&org, &format!("{name}@example.com"), false).await;
    }
    let mut peer = Peer::connected(&world, &agent).await;
    let mut held = HeldDirectory::default();
    std::mem::swap(&mut held, &mut peer.held);
    peer.leave().await;
    world.put_user(&org, "b@example.com", true).await;
    let stored = world.put_user(&org, "d@example.com", false).await;
    let version = stored["directory_version"].as_u64().unwrap();
    let introduced = |digest: Option<String>| match hello() {
        FromAgent::Hello { version, agent_version, addresses, bundle_serial, .. } => FromAgent::Hello {
            version,
            agent_version,
            addresses,
            bundle_serial,
            directory_version: held.version,
            directory_digest: digest,
        },
        other => panic!("{other:?}"),
    };
    // As it comes, without an agent to keep it.
    let told = async |peer: &mut Peer| loop {
        match timeout(SOON, peer.socket.next()).await.unwrap().unwrap().unwrap() {
            Message::Text(text) if text.contains("\"directory_") => break text.to_string(),
            _ => {}
        }
    };
    let mut peer = Peer::open(&world, &agent.link_token, &[]).await.unwrap();
    peer.say(&introduced(Some(held.digest()))).await;
    let ToAgent::DirectoryDelta { from, version: to, users, .. } =
        serde_json::from_str(&told(&mut peer).await).unwrap()
    else {
        panic!("not a change")
    };
    let emails: Vec<&str> = users.iter().map(|user| user.email.as_str()).collect();
    assert_eq!((from, to, emails), (held.version, version, vec!["b@example.com", "d@example.com"]));
    peer.say(&FromAgent::DirectoryRequest {}).await;
    assert!(told(&mut peer).await.contains("directory_update"), "the whole, on request");
    peer.leave().await;
    // The version is one of ours, and what is held is not.
    for digest in [None, Some("0".repeat(64))] {
        let mut peer = Peer::open(&world, &agent.link_token, &[]).await.unwrap();
        peer.say(&introduced(digest)).await;
        assert!(told(&mut peer).await.contains("directory_update"));
        peer.leave().await;
    }
}

async fn users_of(world: &World, org: &crate::world::Org) -> usize {
    world.get("/v1/users", &org.token).await.json::<Vec<Value>>(200).len()
}

pub(crate) async fn a_deleted_token_takes_its_certificates_along(world: World) {
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    let request = json!({ "name": "laptop" });
    let token: daam_api::v1::TokenCreated =
        world.call(Method::POST, "/v1/tokens", &org.token, &request).await.json(201);
    let (_, csr) = daam_identity::make_csr().unwrap();
    let request = json!({ "csr_pem": csr, "device": "d" });
    let issued: daam_api::v1::CertificateIssued =
        world.call(Method::POST, "/v1/certificates", &token.token, &request).await.json(200);
    let mut peer = Peer::connected(&world, &agent).await;
    world.call(Method::DELETE, &format!("/v1/tokens/{}", token.id), &org.token, &json!({})).await.ok(204);
    let ToAgent::IdentityRevoked { serials } = peer.hear().await else { panic!("nothing revoked") };
    assert!(serials.contains(&daam_identity::facts_of_pem(&issued.certificate_pem).unwrap().serial_hex));
}

pub(crate) async fn what_an_agent_reports_is_stored(world: World) {
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    world.get("/v1/databases/shop/schema", &org.token).await.refused(404, "schema.unknown");
    let mut peer = Peer::connected(&world, &agent).await;
    let snapshot = daam_catalog::snapshot::to_json(&daam_catalog::Catalog::default());
    peer.say(&FromAgent::SchemaReport { snapshot: snapshot.clone() }).await;
    for _ in 0..3 {
        peer.say(&FromAgent::ScopeViolation {
            policy_id: "support".to_owned(),
            schema: "public".to_owned(),
            table: "salaries".to_owned(),
            site: "bundle".to_owned(),
        })
        .await;
    }
    for event in ["started", "ended"] {
        peer.say(&FromAgent::SessionEvent {
            session_id: "s1".to_owned(),
            user_id: org.admin_id.clone(),
            event: event.to_owned(),
            reason: Some("left\u{0}".to_owned()),
            statements: 3,
        })
        .await;
    }
    peer.say(&FromAgent::Heartbeat {}).await;
    let status = |state: &str| FromAgent::BundleStatus {
        serial: 4,
        state: state.to_owned(),
        reason: Some("why".to_owned()),
    };
    peer.say(&status("refused")).await;
    peer.say(&FromAgent::DirectoryStatus { version: 1 }).await;
    world
        .until("the refusal is shown", async || {
            let seen = world.only_agent(&org.token).await;
            seen.bundle_refused.as_deref() == Some("why") && seen.directory_version == 1
        })
        .await;
    let seen = world.only_agent(&org.token).await;
    assert_eq!((seen.online, seen.scope_violations, seen.bundle_serial), (true, 1, 0));
    let stored: Value = world.get("/v1/databases/shop/schema", &org.token).await.json(200);
    assert_eq!(stored, snapshot);
    peer.say(&status("active")).await;
    world.until("the bundle is active", async || world.only_agent(&org.token).await.bundle_serial == 4).await;
    peer.leave().await;
    world.until("the agent is offline", async || !world.only_agent(&org.token).await.online).await;
}

pub(crate) async fn impossible_messages_end_the_link_with_a_reason(world: World) {
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    let text = |text: &str| Message::Text(text.to_owned().into());
    let old = FromAgent::Hello {
        version: VERSION + 1,
        agent_version: String::new(),
        addresses: Vec::new(),
        bundle_serial: 0,
        directory_version: 0,
        directory_digest: None,
    };
    for (first, code) in [
        (text("{\"type\":\"heartbeat\"}"), 4001),
        (text(&serde_json::to_string(&old).unwrap()), 4002),
        (text("{\"type\":\"hullo\"}"), 4003),
        (Message::Binary(vec![1].into()), 4003),
    ] {
        let mut peer = Peer::open(&world, &agent.link_token, &[]).await.unwrap();
        peer.raw(first).await;
        let (found, reason) = peer.end().await;
        assert_eq!(found, code, "{reason}");
        assert!(!reason.is_empty());
    }
    for message in [
        "nonsense".to_owned(),
        "{\"type\":\"scope\",\"tables\":[]}".to_owned(),
        "{\"type\":\"scope_violation\",\"policy_id\":\"p\",\"schema\":\"s\",\"table\":\"t\",\"site\":\"x\",\"row\":1}".to_owned(),
        serde_json::to_string(&hello()).unwrap(),
        "{\"type\":\"schema_report\",\"snapshot\":{\"rows\":[]}}".to_owned(),
        "{\"type\":\"bundle_status\",\"serial\":1,\"state\":\"maybe\",\"reason\":null}".to_owned(),
        format!("{{\"type\":\"scope_violation\",\"policy_id\":\"{}\",\"schema\":\"s\",\"table\":\"t\",\"site\":\"x\"}}", "p".repeat(300)),
    ] {
        let mut peer = Peer::connected(&world, &agent).await;
        peer.raw(text(&message)).await;
        let (found, reason) = peer.end().await;
        assert_eq!(found, 4003, "{message}: {reason}");
    }
    let refused = Peer::open(&world, &agent.link_token, &[("origin", "https://evil.example")]).await;
    assert!(matches!(refused.err(), Some(Error::Http(answer)) if answer.status() == 403));
    let refused = Peer::open(&world, &org.token, &[]).await;
    assert!(matches!(refused.err(), Some(Error::Http(answer)) if answer.status() == 403));
    world.get("/v1/agent/link", &agent.link_token).await.refused(426, "link.websocket");
}

pub(crate) async fn a_second_link_replaces_the_first(world: World) {
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    let mut first = Peer::connected(&world, &agent).await;
    let second = Peer::connected(&world, &agent).await;
    let (code, _) = first.end().await;
    assert_eq!(code, 4004);
    assert!(world.only_agent(&org.token).await.online, "the first link's end says nothing of the second");
    drop(second);
}

pub(crate) async fn a_removed_agent_is_out_at_once(world: World) {
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    let mut peer = Peer::connected(&world, &agent).await;
    let path = format!("/v1/agents/{}", agent.id);
    world.call(Method::DELETE, &path, &org.token, &json!({})).await.ok(204);
    assert_eq!(peer.end().await.0, 4004);
    world.get("/v1/whoami", &agent.link_token).await.refused(401, "auth.required");
    world.call(Method::DELETE, &path, &org.token, &json!({})).await.refused(404, "agent.unknown");
    assert_eq!(world.get("/v1/agents", &org.token).await.json::<Vec<Agent>>(200).len(), 0);
}

/// Over PostgreSQL a second server with the same key file serves the same data; an embedded file has one server.
pub(crate) async fn servers_over_one_database_push_for_each_other(world: World) {
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    if world.config.database_url.is_none() {
        assert!(Server::start(&world.config).await.unwrap_err().to_string().contains("store"));
        return;
    }
    let data_dir = world.dir.path().join("second");
    std::fs::create_dir(&data_dir).unwrap();
    std::fs::copy(world.config.data_dir.join("keys.key"), data_dir.join("keys.key")).unwrap();
    let second = Server::start(&Config { data_dir, ..world.config.clone() }).await.unwrap();
    let mut peer = Peer::connected(&world, &agent).await;
    let url = format!("http://{}/v1/users/bo@example.com", second.address());
    let user = json!({ "groups": [], "attributes": {} }).to_string();
    let stored = reqwest::Client::new().put(url).bearer_auth(&org.token).body(user).send().await.unwrap();
    let stored: Value = serde_json::from_str(&stored.text().await.unwrap()).unwrap();
    let users = peer.directory(stored["directory_version"].as_u64().unwrap()).await;
    assert!(users.iter().any(|user| user.email == "bo@example.com"));
    second.stop().await;
}

pub(crate) async fn a_stopping_server_says_so(world: World) {
    let org = world.bootstrap().await;
    let agent = world.agent(&org, "shop").await;
    let mut peer = Peer::connected(&world, &agent).await;
    let World { server, dir: _dir, .. } = world;
    let (ended, ()) = tokio::join!(peer.end(), server.stop());
    assert_eq!(ended.0, 1001, "{}", ended.1);
}
