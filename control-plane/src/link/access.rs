//! What an agent says became of the access it was told of.

use super::{End, code};
use crate::app::App;
use daam_api::link::AccessState;
use daam_store::AgentAuth;

/// More than an agent is ever told of.
const MOST: usize = 100_000;
const LONGEST_ID: usize = 64;
const LONGEST_REASON: usize = 2000;

/// Stores it, checked against what it may contain.
pub(super) async fn store(
    app: &App,
    agent: &AgentAuth,
    version: u64,
    mut states: Vec<AccessState>,
) -> Result<(), End> {
    let fits = |state: &AccessState| {
        state.id.len() <= LONGEST_ID
            && !state.id.contains('\0')
            && matches!(state.state.as_str(), "waiting" | "active" | "ended" | "refused")
    };
    if states.len() > MOST || !states.iter().all(fits) {
        return Err(End::close(code::UNKNOWN, "`access_status` is not one this version knows"));
    }
    for state in &mut states {
        let kept = |text: &str| text.chars().filter(|c| *c != '\0').take(LONGEST_REASON).collect();
        state.reason = state.reason.as_deref().map(kept);
        if state.state == "refused" {
            let reason = state.reason.as_deref().unwrap_or_default();
            tracing::warn!(
                agent = agent.agent_id(),
                request = state.id,
                reason,
                "an agent refused access that was approved"
            );
        }
    }
    if app.db().access_reported(agent, (version, &states), app.now()).await? {
        // Our own version may have moved on; whoever waits sees the state with the next look.
        app.changed(agent.scope()).await;
    }
    Ok(())
}
