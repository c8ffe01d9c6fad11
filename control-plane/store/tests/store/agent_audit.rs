//! Audits of agents.

use crate::engine::{NOW, admin, agent};
use daam_store::{AgentAuth, Continued, Db, HeldChain, NewRecord};

const CHAIN: &str = "0123456789abcdef0123456789abcdef";

fn record(seq: u64) -> NewRecord {
    NewRecord {
        seq,
        prev: format!("h{}", seq - 1),
        hash: format!("h{seq}"),
        at: "2026-01-02T03:04:05.000000Z".into(),
        kind: "statement",
        session_id: Some("s".into()),
        user_id: None,
        refused: seq == 2,
        line: format!("line {seq}"),
        statement: Some("select $1".into()),
        reason: None,
        signature: None,
    }
}

fn records(seqs: std::ops::RangeInclusive<u64>) -> Vec<NewRecord> {
    seqs.map(record).collect()
}

fn held(through: u64) -> HeldChain {
    HeldChain { chain: CHAIN.into(), through, hash: format!("h{through}") }
}

async fn seqs(db: &Db, scope: &daam_store::TenantScope, agent: &AgentAuth, after: u64) -> Vec<(u64, bool)> {
    let found = db.agent_audit(scope, agent.agent_id(), ("", after), 100).await.unwrap();
    found.iter().map(|record| (record.seq, record.after_gap)).collect()
}

pub(crate) async fn a_chain_is_continued_whatever_comes_twice(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let one = agent(&db, &ana, "one", "shop").await;
    assert_eq!(db.held_chain(&one).await.unwrap(), HeldChain::default());
    for (batch, through) in [(1..=3, 3), (1..=3, 3), (2..=5, 5), (4..=4, 5), (6..=6, 6)] {
        let done = db.continue_chain(&one, CHAIN, &records(batch), NOW).await.unwrap();
        assert_eq!(done, Continued::Held(held(through)));
        assert_eq!(db.held_chain(&one).await.unwrap(), held(through));
    }
    let all: Vec<_> = (1..=6).map(|seq| (seq, false)).collect();
    assert_eq!(seqs(&db, ana.scope(), &one, 0).await, all);
    assert_eq!(seqs(&db, ana.scope(), &one, 4).await, all[4..]);
}

pub(crate) async fn a_record_that_does_not_follow_is_refused_and_a_gap_stays_visible(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    let one = agent(&db, &ana, "one", "shop").await;
    db.continue_chain(&one, CHAIN, &records(1..=2), NOW).await.unwrap();
    let other = NewRecord { prev: "another".into(), ..record(3) };
    let done = db.continue_chain(&one, CHAIN, &[other, record(4)], NOW).await.unwrap();
    assert_eq!(done, Continued::Forked(3));
    assert_eq!(db.held_chain(&one).await.unwrap(), held(2), "nothing of it is kept");
    db.continue_chain(&one, CHAIN, &records(7..=8), NOW).await.unwrap();
    assert_eq!(seqs(&db, ana.scope(), &one, 0).await, [(1, false), (2, false), (7, true), (8, false)]);
    let (entries, whole) = db.audit(ana.scope()).await.unwrap();
    let gap = entries.iter().find(|entry| entry.action == "agent_audit.gap").unwrap();
    assert!(whole && gap.detail.ends_with("records 3 to 6 did not come"), "{gap:?}");
}

pub(crate) async fn a_new_chain_takes_over_and_tenants_see_their_own(db: Db) {
    let (ana, eve) = (admin(&db, "calm-otter").await, admin(&db, "sly-fox").await);
    let one = agent(&db, &ana, "one", "shop").await;
    let two = agent(&db, &eve, "two", "shop").await;
    db.continue_chain(&one, CHAIN, &records(1..=2), NOW).await.unwrap();
    db.continue_chain(&two, CHAIN, &records(1..=1), NOW).await.unwrap();
    assert_eq!(seqs(&db, eve.scope(), &one, 0).await, []);
    assert_eq!(seqs(&db, eve.scope(), &two, 0).await, [(1, false)]);
    let new = "f".repeat(32);
    db.continue_chain(&one, &new, &[], NOW).await.unwrap();
    assert_eq!(db.held_chain(&one).await.unwrap(), held(2), "a name alone begins nothing");
    db.continue_chain(&one, &new, &records(1..=1), NOW).await.unwrap();
    assert_eq!(db.held_chain(&one).await.unwrap().chain, new);
    let all = [(1, false), (2, false), (1, false)];
    assert_eq!(seqs(&db, ana.scope(), &one, 0).await, all, "and a new one hides none");
    for (chain, after, rest) in
        [(CHAIN, 1, &all[1..]), (CHAIN, 2, &all[2..]), (&new, 0, &all[2..]), (&new, 1, &[])]
    {
        let found = db.agent_audit(ana.scope(), "one", (chain, after), 100).await.unwrap();
        let found: Vec<_> = found.iter().map(|record| (record.seq, record.after_gap)).collect();
        assert_eq!(found, rest, "{chain} {after}");
    }
    assert!(db.audit(ana.scope()).await.unwrap().1);
}
