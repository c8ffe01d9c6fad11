//! Audit batches of an agent: every record is checked on its own and against the one before, and the last by the key the
//! agent enrolled with, then stored. Whoever has the link's token alone adds nothing to a history.

use crate::app::App;
use crate::link::{End, code};
use daam_api::link::{AuditRecord, ToAgent};
use daam_audit::Record;
use daam_identity::word::ChainEnd;
use daam_store::{AgentAuth, Continued, HeldChain, NewRecord};

/// Most records of one batch.
const MOST: usize = 1000;
/// Longest statement or reason, in bytes.
const LONGEST: usize = 16 * 1024;

/// How far the agent's audit is held.
pub(crate) async fn held(app: &App, agent: &AgentAuth) -> Result<ToAgent, End> {
    Ok(told(app.db().held_chain(agent).await?))
}

/// Stores what is new of a batch.
pub(crate) async fn store(
    app: &App,
    agent: &AgentAuth,
    (chain, signature): (&str, Option<String>),
    records: Vec<AuditRecord>,
) -> Result<ToAgent, End> {
    let named = chain.len() == 32 && chain.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !named || records.len() > MOST {
        return Err(unfit(
            "`audit_batch` names a chain by 32 hexadecimal digits and has at most 1000 records",
        ));
    }
    let mut records: Vec<NewRecord> = records.into_iter().map(checked).collect::<Result<_, _>>()?;
    for pair in records.windows(2) {
        let [before, after] = pair else { continue };
        if after.seq != before.seq.saturating_add(1) || after.prev != before.hash {
            return Err(unfit(&format!("`audit_batch`: record {} does not follow", after.seq)));
        }
    }
    vouched_for(app, agent, (chain, signature), &mut records).await?;
    match app.db().continue_chain(agent, chain, &records, app.now()).await? {
        Continued::Held(held) => Ok(told(held)),
        Continued::Forked(seq) => {
            let id = agent.agent_id();
            tracing::error!(agent = id, chain, seq, "an agent's audit does not continue what it sent before");
            Err(unfit(&format!("`audit_batch`: record {seq} does not continue the chain held here")))
        }
    }
}

fn checked(record: AuditRecord) -> Result<NewRecord, End> {
    let AuditRecord { line, statement, reason } = record;
    let short = |text: &Option<String>| {
        text.as_ref().is_none_or(|text| text.len() <= LONGEST && !text.contains('\0'))
    };
    let read = Record::parse_public(&line).map_err(|error| unfit(&format!("`audit_batch`: {error}")))?;
    if read.detail().is_some() || !short(&statement) || !short(&reason) {
        return Err(unfit("`audit_batch`: a text is too long, or a detail was sent along"));
    }
    let event = read.event();
    Ok(NewRecord {
        seq: read.seq(),
        prev: read.prev().to_string(),
        hash: read.hash().to_string(),
        at: read.at().chars().filter(|c| *c != '\0').take(40).collect(),
        kind: event.kind(),
        session_id: event.session().map(plain),
        user_id: event.who().map(|who| plain(&who.id)),
        refused: event.is_refusal(),
        line,
        statement,
        reason,
        signature: None,
    })
}

/// Keeps the agent's word with the last record, which it is for.
async fn vouched_for(
    app: &App,
    agent: &AgentAuth,
    (chain, signature): (&str, Option<String>),
    records: &mut [NewRecord],
) -> Result<(), End> {
    let Some(last) = records.last_mut() else { return Ok(()) };
    let id = agent.agent_id();
    let end = ChainEnd { agent_id: id, chain, seq: last.seq, hash: &last.hash };
    match (agent.audit_key(), signature) {
        (Some(key), Some(signature)) if end.is_signed_by(key, &signature) => {
            last.signature = Some(signature);
            Ok(())
        }
        // It enrolled when agents did not sign, and has no key that counts.
        (None, _) => Ok(()),
        (Some(_), _) => {
            tracing::error!(agent = id, chain, "audit records came without the agent's signature");
            app.db().records_unsigned(agent, chain, app.now()).await?;
            Err(unfit("`audit_batch` is not signed by the key this agent enrolled with"))
        }
    }
}

/// PostgreSQL cannot store NUL in text; in the line it is escaped.
fn plain(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(256).collect()
}

fn told(held: HeldChain) -> ToAgent {
    ToAgent::AuditHeld { chain: held.chain, through: held.through, hash: held.hash }
}

fn unfit(reason: &str) -> End {
    End::close(code::UNKNOWN, reason)
}
