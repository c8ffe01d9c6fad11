//! What agents report. Each message is checked against what it may contain before it is stored; one that does not
//! fit ends the link, because an agent that says impossible things is not the agent we know.

use crate::app::App;
use crate::link::{End, code};
use daam_api::link::FromAgent;
use daam_store::{AgentAuth, AuthoritiesStanding, BundleStanding, Enforced, Violation};

/// Longest name in an observation.
const LONGEST: usize = 256;
/// Longest reason kept.
const LONGEST_REASON: usize = 2000;
/// More than an agent can have.
const MOST_SESSIONS: usize = 100_000;

pub(crate) async fn store(app: &App, agent: &AgentAuth, message: FromAgent) -> Result<(), End> {
    let now = app.now();
    match message {
        FromAgent::Hello { .. } => Err(unfit("`hello` comes once")),
        FromAgent::Heartbeat {} => Ok(()),
        FromAgent::SchemaReport { snapshot } => {
            daam_catalog::snapshot::from_json(&snapshot)
                .map_err(|error| unfit(&format!("`schema_report`: {error}")))?;
            Ok(app.db().replace_schema(agent, &snapshot.to_string(), now).await?)
        }
        FromAgent::ScopeViolation { policy_id, schema, table, site } => {
            short(&[&policy_id, &schema, &table, &site])?;
            let seen = Violation { policy_id: &policy_id, schema: &schema, table: &table, site: &site };
            if app.db().violation(agent, seen, now).await? {
                tracing::warn!(
                    agent = agent.agent_id(),
                    policy_id,
                    site,
                    "a policy reaches outside an agent's scope"
                );
            }
            Ok(())
        }
        FromAgent::SessionEvent { session_id, user_id, event, reason, statements } => {
            short(&[&session_id, &user_id])?;
            match event.as_str() {
                "started" => Ok(app.db().session_started(agent, &session_id, &user_id, now).await?),
                "ended" => {
                    let reason = reason.as_deref().map(kept);
                    let session = (session_id.as_str(), user_id.as_str());
                    Ok(app.db().session_ended(agent, session, (reason.as_deref(), statements), now).await?)
                }
                _ => Err(unfit("`session_event` is `started` or `ended`")),
            }
        }
        FromAgent::OpenSessions { session_ids } => open_sessions(app, agent, session_ids).await,
        message => enforced(app, agent, message),
    }
}

async fn open_sessions(app: &App, agent: &AgentAuth, session_ids: Vec<String>) -> Result<(), End> {
    if session_ids.len() > MOST_SESSIONS {
        return Err(unfit("`open_sessions` names more than 100000"));
    }
    short(&session_ids.iter().map(String::as_str).collect::<Vec<_>>())?;
    let gone = app.db().sessions_are(agent, &session_ids.into_iter().collect(), app.now()).await?;
    if gone > 0 {
        tracing::info!(agent = agent.agent_id(), gone, "sessions ended that their agent no longer had");
    }
    Ok(())
}

/// What it says of what it was told. Stored with what others say in the same moment.
fn enforced(app: &App, agent: &AgentAuth, message: FromAgent) -> Result<(), End> {
    let said = match message {
        FromAgent::BundleStatus { serial, state, reason } => {
            let reason = kept(reason.as_deref().unwrap_or("no reason given"));
            let bundle = Some(bundle_status(agent, serial, (&state, reason))?);
            Enforced { bundle, ..Enforced::default() }
        }
        FromAgent::TrustStatus { version, reason } => {
            if let Some(reason) = reason.as_deref().map(kept) {
                let id = agent.agent_id();
                tracing::warn!(agent = id, version, reason, "an agent did not follow a trust file");
            }
            return Ok(());
        }
        FromAgent::DirectoryStatus { version } => {
            Enforced { directory: Some(version), ..Enforced::default() }
        }
        FromAgent::CaStatus { version, reason } => {
            let refused = reason.as_deref().map(kept);
            if let Some(reason) = &refused {
                let id = agent.agent_id();
                tracing::warn!(
                    agent = id,
                    version,
                    reason,
                    "an agent did not follow a new certificate authority"
                );
            }
            Enforced { authorities: Some(AuthoritiesStanding { version, refused }), ..Enforced::default() }
        }
        _ => return Err(unfit("the message is not taken here")),
    };
    app.roll().enforces(agent, said);
    Ok(())
}

fn bundle_status(
    agent: &AgentAuth,
    serial: u64,
    (state, reason): (&str, String),
) -> Result<BundleStanding, End> {
    Ok(match state {
        "active" => BundleStanding { serial: Some(serial), refused: None },
        "refused" => {
            tracing::warn!(agent = agent.agent_id(), serial, reason, "an agent refused a bundle");
            BundleStanding { serial: None, refused: Some(reason) }
        }
        "signer-revoked" => {
            let id = agent.agent_id();
            tracing::warn!(
                agent = id,
                serial,
                reason,
                "an agent enforces a bundle whose signers were revoked; publish one that is signed anew"
            );
            BundleStanding { serial: Some(serial), refused: Some(format!("signer-revoked: {reason}")) }
        }
        _ => return Err(unfit("`bundle_status` is `active`, `refused` or `signer-revoked`")),
    })
}

fn short(names: &[&str]) -> Result<(), End> {
    let fits = |name: &&str| name.len() <= LONGEST && !name.contains('\0');
    if names.iter().all(fits) {
        Ok(())
    } else {
        Err(unfit("a name is longer than 256 bytes or contains NUL"))
    }
}

/// PostgreSQL cannot store NUL in text.
fn kept(reason: &str) -> String {
    reason.chars().filter(|c| *c != '\0').take(LONGEST_REASON).collect()
}

fn unfit(reason: &str) -> End {
    End::close(code::UNKNOWN, reason)
}
