//! Agents as admins see them, and the door to their link.

use crate::app::App;
use crate::guard::{Admin, Overseer};
use crate::link::{self, ONLINE_SECONDS};
use crate::list::{Paging, Part, link as next_link};
use crate::problem::Refusal;
use crate::serve::Meter;
use axum::extract::rejection::QueryRejection;
use axum::extract::{OriginalUri, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use axum::{Extension, Json};
use daam_api::v1::{Agent, AgentAuditRecord};
use daam_store::AgentAuth;
use serde::Deserialize;
use std::sync::Arc;

pub(crate) const WEEK_SECONDS: i64 = 7 * 86_400;

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    user: Overseer,
    paging: Paging,
) -> Result<Part<Agent>, Refusal> {
    let now = app.now();
    let (seen, week) = (now.saturating_sub(ONLINE_SECONDS), now.saturating_sub(WEEK_SECONDS));
    let listed = app.db().agents(user.scope(), seen, week).await?;
    Ok(paging.part(listed, |agent: &Agent| format!("{}\n{}\n{}", agent.database, agent.name, agent.id)))
}

pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    user: Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    if app.db().remove_agent(user.scope(), &id, app.now()).await? {
        app.changed(user.scope()).await;
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Refusal::missing("agent.unknown", "there is no such agent").allowed("an id from `GET /v1/agents`"))
}

/// Most records of one answer.
const MOST_RECORDS: u32 = 500;

/// Where to begin.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct After {
    /// The last record that is known.
    #[serde(default)]
    after: u64,
    /// The chain it is of; none for every chain from its beginning.
    #[serde(default)]
    chain: String,
}

/// What an agent recorded, oldest first, in pages.
pub(crate) async fn audit(
    State(app): State<Arc<App>>,
    user: Overseer,
    Path(id): Path<String>,
    OriginalUri(uri): OriginalUri,
    query: Result<Query<After>, QueryRejection>,
) -> Result<Part<AgentAuditRecord>, Refusal> {
    let known = query.map(|Query(known)| known).ok().filter(|known| i64::try_from(known.after).is_ok());
    let After { after, chain } = known.ok_or_else(|| {
        Refusal::new(StatusCode::BAD_REQUEST, "request.malformed", "the query is not understood")
            .allowed("`chain=NAME` and `after=NUMBER` of the last record you have")
    })?;
    let found = app.db().agent_audit(user.scope(), &id, (&chain, after), MOST_RECORDS).await?;
    let full = u32::try_from(found.len()).is_ok_and(|count| count >= MOST_RECORDS);
    let last = found.last().filter(|_| full).map(|record| (record.chain.clone(), record.seq.to_string()));
    let next = |(chain, seq): (String, String)| next_link(&uri, &[("chain", &chain), ("after", &seq)]);
    Ok((last.map(next).unwrap_or_default(), Json(found)))
}

pub(crate) async fn link(
    State(app): State<Arc<App>>,
    Extension(agent): Extension<AgentAuth>,
    Extension(meter): Extension<Meter>,
    request: Request,
) -> Result<Response, Refusal> {
    if request.headers().contains_key(header::ORIGIN) {
        let title = "a browser may not open an agent's link";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "link.origin", title));
    }
    let (answer, accepted) = link::accept(request)?;
    let Some(seat) = app.seats().take(agent.agent_id()) else {
        let title = "there are as many agents connected here as there can be";
        return Err(
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "link.full", title).allowed("the same, later")
        );
    };
    link::before_hello(&meter);
    tokio::spawn(link::run(app, agent, (seat, meter), accepted));
    Ok(answer)
}
