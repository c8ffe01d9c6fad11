//! The audit of an agent, sent over its link.

use crate::link::Peer;
use crate::world::World;
use daam_api::link::{AuditRecord, FromAgent, ToAgent};
use daam_api::v1::{AgentAuditRecord, AuditEntry, Enrolled};
use daam_audit::{Chain, Event, Record, Who};
use daam_identity::word::ChainEnd;

pub(crate) const CHAIN: &str = "0123456789abcdef0123456789abcdef";

pub(crate) fn refused(chain: &mut Chain) -> Record {
    let who = Who { id: "u1".into(), email: "sam@acme.test".into(), device: "laptop".into() };
    let event = Event::SessionRefused { who, bundle: 1, sqlstate: "28000".into() };
    chain.append("2026-01-02T03:04:05.000000Z".into(), event, None)
}

pub(crate) fn batch((agent, key): (&Enrolled, &str), records: &[Record]) -> FromAgent {
    let told = |record: &Record| AuditRecord {
        line: record.line_without_detail(),
        statement: None,
        reason: Some("no policy".into()),
    };
    let signature = records.last().map(|last| {
        let hash = last.hash().to_string();
        ChainEnd { agent_id: &agent.id, chain: CHAIN, seq: last.seq(), hash: &hash }.sign(key).unwrap()
    });
    FromAgent::AuditBatch { chain: CHAIN.into(), records: records.iter().map(told).collect(), signature }
}

/// What the control plane says it holds.
async fn held(peer: &mut Peer) -> (String, u64, String) {
    loop {
        if let ToAgent::AuditHeld { chain, through, hash } = peer.hear().await {
            return (chain, through, hash);
        }
    }
}

pub(crate) async fn what_an_agent_recorded_is_stored_once_and_confirmed(world: World) {
    let org = world.bootstrap().await;
    let (agent, key) = world.agent_with_key(&org, "shop").await;
    let by = (&agent, key.as_str());
    let mut chain = Chain::new();
    let records: Vec<Record> = (0..5).map(|_| refused(&mut chain)).collect();
    let mut peer = Peer::connected(&world, &agent).await;
    peer.say(&batch(by, &records[..3])).await;
    assert_eq!(held(&mut peer).await, (CHAIN.to_owned(), 3, records[2].hash().to_string()));
    // The answer got lost: the same again, and more.
    peer.say(&batch(by, &records)).await;
    assert_eq!(held(&mut peer).await.1, 5);
    peer.leave().await;
    let mut peer = Peer::greeted(&world, &agent).await;
    assert_eq!(held(&mut peer).await, (CHAIN.to_owned(), 5, records[4].hash().to_string()));
    let path = format!("/v1/agents/{}/audit", agent.id);
    let stored: Vec<AgentAuditRecord> = world.get(&path, &org.token).await.json(200);
    let lines: Vec<&str> = stored.iter().map(|record| record.line.as_str()).collect();
    let sent: Vec<String> = records.iter().map(Record::line).collect();
    assert_eq!(lines, sent);
    assert_eq!(stored[0].reason.as_deref(), Some("no policy"));
    let later: Vec<AgentAuditRecord> = world.get(&format!("{path}?after=4"), &org.token).await.json(200);
    assert_eq!(later.iter().map(|record| record.seq).collect::<Vec<_>>(), [5]);
    world.get(&format!("{path}?after=x"), &org.token).await.refused(400, "request.malformed");
}

pub(crate) async fn a_batch_that_does_not_hang_together_ends_the_link_and_is_not_stored(world: World) {
    let org = world.bootstrap().await;
    let (agent, key) = world.agent_with_key(&org, "shop").await;
    let by = (&agent, key.as_str());
    let mut chain = Chain::new();
    let records: Vec<Record> = (0..4).map(|_| refused(&mut chain)).collect();
    let mut peer = Peer::connected(&world, &agent).await;
    peer.say(&batch(by, &records[..1])).await;
    assert_eq!(held(&mut peer).await.1, 1);
    let mut changed = batch(by, &records[1..2]);
    if let FromAgent::AuditBatch { records, .. } = &mut changed {
        records[0].line = records[0].line.replace("sam@", "eve@");
    }
    let strange = FromAgent::AuditBatch { chain: "../x".into(), records: Vec::new(), signature: None };
    // Another history: the second record of it follows another first one.
    let forked = {
        let mut fork = Chain::new();
        let who = Who { id: "u2".into(), email: "eve@acme.test".into(), device: "laptop".into() };
        fork.append("2026-01-02T03:04:05.000000Z".into(), Event::AgentStopped {}, None);
        let event = Event::SessionRefused { who, bundle: 1, sqlstate: "28000".into() };
        fork.append("2026-01-02T03:04:05.000000Z".into(), event, None)
    };
    let skipping = batch(by, &[records[1].clone(), records[3].clone()]);
    for bad in [changed, strange, batch(by, &[forked]), skipping] {
        peer.say(&bad).await;
        let (code, reason) = peer.end().await;
        assert_eq!(code, 4003, "{reason}");
        peer = Peer::connected(&world, &agent).await;
    }
    let path = format!("/v1/agents/{}/audit", agent.id);
    let stored: Vec<AgentAuditRecord> = world.get(&path, &org.token).await.json(200);
    assert_eq!(stored.len(), 1);
}

pub(crate) async fn whoever_has_only_the_links_token_adds_nothing_to_a_history(world: World) {
    let org = world.bootstrap().await;
    let (agent, key) = world.agent_with_key(&org, "shop").await;
    let (_, other) = world.agent_with_key(&org, "shop").await;
    let by = (&agent, key.as_str());
    let mut chain = Chain::new();
    let records: Vec<Record> = (0..3).map(|_| refused(&mut chain)).collect();
    let mut peer = Peer::connected(&world, &agent).await;
    peer.say(&batch(by, &records[..2])).await;
    assert_eq!(held(&mut peer).await.1, 2);
    let without = |signature| match batch(by, &records[2..]) {
        FromAgent::AuditBatch { chain, records, .. } => FromAgent::AuditBatch { chain, records, signature },
        other => other,
    };
    let FromAgent::AuditBatch { signature: earlier, .. } = batch(by, &records[..2]) else {
        panic!("no batch")
    };
    for bad in [without(None), without(earlier), batch((&agent, &other), &records[2..])] {
        peer.say(&bad).await;
        let (code, reason) = peer.end().await;
        assert!(code == 4003 && reason.contains("not signed by the key"), "{code} {reason}");
        peer = Peer::connected(&world, &agent).await;
    }
    let path = format!("/v1/agents/{}/audit", agent.id);
    let stored: Vec<AgentAuditRecord> = world.get(&path, &org.token).await.json(200);
    assert_eq!(stored.len(), 2);
    assert!(stored[0].signature.is_none());
    assert!(stored[1].signature.is_some(), "kept as evidence");
    let noted = world.get("/v1/audit?action=agent_audit.unsigned", &org.token).await;
    assert_eq!(noted.json::<Vec<AuditEntry>>(200).len(), 3);
    peer.say(&batch(by, &records[2..])).await;
    while held(&mut peer).await.1 != 3 {}
}
