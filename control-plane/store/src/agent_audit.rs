//! The audits of agents: their records as they wrote them, each chain continued and never rewritten.
//!
//! Records come in order; one that is here already is passed over, so a batch may come twice. A record that does not
//! follow what is here is refused: nobody can put another history in its place later. Missing records are a gap that
//! stays visible, here and in the organization's own audit.

use crate::audit::{Happened, append};
use crate::db::{Db, Tx, run, statements};
use crate::error::{read_number, stored_number};
use crate::{AgentAuth, StoreError, TenantScope};
use daam_api::v1::AgentAuditRecord;

statements! {
    LATEST = "SELECT chain, last_seq, head FROM agent_audit_chains WHERE org_id = $1 AND agent_id = $2 \
              ORDER BY place DESC LIMIT 1";
    OF_CHAIN = "SELECT last_seq, head FROM agent_audit_chains WHERE org_id = $1 AND agent_id = $2 AND chain = $3";
    LOCK = "UPDATE agent_audit_chains SET last_seq = last_seq WHERE org_id = $1 AND agent_id = $2 AND chain = $3 \
            RETURNING last_seq, head";
    BEGIN = "INSERT INTO agent_audit_chains (org_id, agent_id, chain, place, last_seq, head, started_at) \
             SELECT $1, $2, $3, COALESCE(MAX(place), 0) + 1, 0, '', $4 FROM agent_audit_chains WHERE agent_id = $2";
    ADVANCE = "UPDATE agent_audit_chains SET last_seq = $4, head = $5 WHERE org_id = $1 AND agent_id = $2 AND chain = $3";
    INSERT = "INSERT INTO agent_audit (org_id, agent_id, chain, seq, at, kind, session_id, user_id, refused, line, \
              statement, reason, after_gap, received_at, signature) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    LIST = "SELECT r.chain, r.seq, r.line, r.statement, r.reason, r.after_gap, r.signature FROM agent_audit r \
            JOIN agent_audit_chains c ON c.agent_id = r.agent_id AND c.chain = r.chain \
            WHERE r.org_id = $1 AND r.agent_id = $2 AND (CASE WHEN $5 = '' THEN r.seq > $3 ELSE c.place > \
            (SELECT l.place FROM agent_audit_chains l WHERE l.agent_id = $2 AND l.chain = $5) OR (r.chain = $5 AND r.seq > $3) END) \
            ORDER BY c.place, r.seq LIMIT $4";
}

/// A record whose hash was checked.
#[derive(Debug, Clone)]
pub struct NewRecord {
    /// Its place in the chain.
    pub seq: u64,
    /// The hash of the one before.
    pub prev: String,
    /// Its own hash.
    pub hash: String,
    /// When, as it says.
    pub at: String,
    /// What kind.
    pub kind: &'static str,
    /// The session.
    pub session_id: Option<String>,
    /// The user.
    pub user_id: Option<String>,
    /// Whether something was refused.
    pub refused: bool,
    /// The record itself.
    pub line: String,
    /// The statement, as far as the agent tells.
    pub statement: Option<String>,
    /// Why, as far as the agent tells.
    pub reason: Option<String>,
    /// The agent's word for it and all before; checked by the caller.
    pub signature: Option<String>,
}

/// How far a chain is held here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldChain {
    /// Its name; empty for none.
    pub chain: String,
    /// The last record, 0 for none.
    pub through: u64,
    /// That record's hash; empty for none.
    pub hash: String,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Continued {
    /// The chain is held to here now.
    Held(HeldChain),
    /// This record does not follow what is held; nothing of the batch was kept.
    Forked(u64),
}

impl Db {
    /// The agent's latest chain.
    pub async fn held_chain(&self, agent: &AgentAuth) -> Result<HeldChain, StoreError> {
        let mut tx = self.read_tx(agent.scope()).await?;
        let row =
            run!(&mut tx, optional: (String, i64, String), LATEST, &agent.scope().org_id, agent.agent_id())?;
        let Some((chain, last, hash)) = row else { return Ok(HeldChain::default()) };
        Ok(HeldChain { chain, through: read_number(last, "audit place")?, hash })
    }

    /// Continues a chain by what is new of a batch.
    pub async fn continue_chain(
        &self,
        agent: &AgentAuth,
        chain: &str,
        records: &[NewRecord],
        now: i64,
    ) -> Result<Continued, StoreError> {
        if records.is_empty() {
            // A name alone begins nothing.
            return self.held_of(agent, chain).await.map(Continued::Held);
        }
        let mut tx = self.write_tx(agent.scope()).await?;
        let mut held = locked(&mut tx, agent, chain, now).await?;
        let (org, id) = (&agent.scope().org_id, agent.agent_id());
        let known = held.through;
        for record in records.iter().skip_while(|record| record.seq <= known) {
            let expected = held.through.saturating_add(1);
            let gap = record.seq > expected;
            let follows = gap || (record.prev == held.hash || held.through == 0);
            if record.seq < expected || !follows {
                return Ok(Continued::Forked(record.seq));
            }
            if gap {
                let detail =
                    format!("{chain}: records {expected} to {} did not come", record.seq.saturating_sub(1));
                let what = Happened { action: "agent_audit.gap", target: id, detail: &detail };
                append(&mut tx, agent.scope(), what, now).await?;
            }
            let seq = stored_number(record.seq, "audit place")?;
            run!(&mut tx, execute INSERT, org, id, chain, seq, &record.at, record.kind, &record.session_id,
                &record.user_id, record.refused, &record.line, &record.statement, &record.reason, gap, now, &record.signature)?;
            held.through = record.seq;
            held.hash.clone_from(&record.hash);
        }
        let last = stored_number(held.through, "audit place")?;
        run!(&mut tx, execute ADVANCE, org, id, chain, last, &held.hash)?;
        tx.commit().await?;
        Ok(Continued::Held(held))
    }

    /// Writes down that somebody with the agent's token sent records without the agent's word for them.
    pub async fn records_unsigned(&self, agent: &AgentAuth, chain: &str, now: i64) -> Result<(), StoreError> {
        let mut tx = self.write_tx(agent.scope()).await?;
        let what = Happened { action: "agent_audit.unsigned", target: agent.agent_id(), detail: chain };
        append(&mut tx, agent.scope(), what, now).await?;
        tx.commit().await
    }

    async fn held_of(&self, agent: &AgentAuth, chain: &str) -> Result<HeldChain, StoreError> {
        let mut tx = self.read_tx(agent.scope()).await?;
        let row =
            run!(&mut tx, optional: (i64, String), OF_CHAIN, &agent.scope().org_id, agent.agent_id(), chain)?;
        let Some((last, hash)) = row else { return Ok(HeldChain::default()) };
        Ok(HeldChain { chain: chain.to_owned(), through: read_number(last, "audit place")?, hash })
    }

    /// Records of an agent after a place of a chain, and of the chains that began after it; of every chain if none is
    /// named. Oldest chain first: one that begins later puts none out of sight.
    pub async fn agent_audit(
        &self,
        scope: &TenantScope,
        agent_id: &str,
        (chain, after): (&str, u64),
        most: u32,
    ) -> Result<Vec<AgentAuditRecord>, StoreError> {
        type Row = (String, i64, String, Option<String>, Option<String>, bool, Option<String>);
        let after = stored_number(after, "audit place")?;
        let mut tx = self.read_tx(scope).await?;
        let rows = run!(&mut tx, all: Row, LIST,
            &scope.org_id, agent_id, after, i64::from(most), chain)?;
        rows.into_iter()
            .map(|(chain, seq, line, statement, reason, after_gap, signature)| {
                let seq = read_number(seq, "audit place")?;
                Ok(AgentAuditRecord { chain, seq, line, statement, reason, after_gap, signature })
            })
            .collect()
    }
}

/// The chain's end, held against anybody else who would continue it; a chain that is new begins.
async fn locked(tx: &mut Tx, agent: &AgentAuth, chain: &str, now: i64) -> Result<HeldChain, StoreError> {
    let (org, id) = (&agent.scope().org_id, agent.agent_id());
    let row = run!(tx, optional: (i64, String), LOCK, org, id, chain)?;
    let Some((last, hash)) = row else {
        run!(tx, execute BEGIN, org, id, chain, now)?;
        let what = Happened { action: "agent_audit.begin", target: id, detail: chain };
        append(tx, agent.scope(), what, now).await?;
        return Ok(HeldChain { chain: chain.to_owned(), ..HeldChain::default() });
    };
    Ok(HeldChain { chain: chain.to_owned(), through: read_number(last, "audit place")?, hash })
}
