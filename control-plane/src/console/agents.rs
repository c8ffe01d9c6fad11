//! Agents: health, what they enforce, what they refused because of scope, who is connected.

use super::page;
use super::session::Session;
use super::shell::Shell;
use crate::app::App;
use crate::guard::Overseer;
use crate::link::ONLINE_SECONDS;
use crate::problem::Refusal;
use crate::routes::agents::WEEK_SECONDS;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use daam_api::v1::Agent;
use daam_store::{Connection, ConnectionFilter, ListedViolation};
use std::sync::Arc;

const MOST: u32 = 200;

#[derive(Template)]
#[template(path = "agents.html")]
struct Agents {
    shell: Shell,
    agents: Vec<Agent>,
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    session: Session,
    user: Overseer,
) -> Result<Response, Refusal> {
    let agents = app.db().agents(user.scope(), app.now() - ONLINE_SECONDS, app.now() - WEEK_SECONDS).await?;
    page(&Agents { shell: Shell::of(&session, "/agents"), agents })
}

#[derive(Template)]
#[template(path = "agent.html")]
struct AgentPage {
    shell: Shell,
    agent: Agent,
    published: u64,
    violations: Vec<ListedViolation>,
    connections: Vec<Connection>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    session: Session,
    user: Overseer,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let (scope, week) = (user.scope(), app.now() - WEEK_SECONDS);
    let agents = app.db().agents(scope, app.now() - ONLINE_SECONDS, week).await?;
    let agent = agents.into_iter().find(|agent| agent.id == id).ok_or_else(|| {
        Refusal::missing("agent.unknown", "there is no such agent").allowed("one that is listed under Agents")
    })?;
    let mut violations = app.db().violations(scope, week).await?;
    violations.retain(|violation| violation.agent_id == id);
    let filter = ConnectionFilter { agent: Some(id), ..ConnectionFilter::default() };
    let connections = app.db().connections(scope, &filter, MOST).await?;
    let published = app.db().bundle(scope, &agent.database).await?.map_or(0, |bundle| bundle.serial);
    page(&AgentPage { shell: Shell::of(&session, "/agents"), agent, published, violations, connections })
}
