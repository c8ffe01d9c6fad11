//! Agents as admins see them, and the door to their link.

use crate::app::App;
use crate::link::{self, ONLINE_SECONDS};
use crate::problem::Refusal;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::{Extension, Json};
use daam_api::v1::Agent;
use daam_store::{AgentAuth, UserAuth};
use std::sync::Arc;

const WEEK_SECONDS: i64 = 7 * 86_400;

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(user): Extension<UserAuth>,
) -> Result<Json<Vec<Agent>>, Refusal> {
    let now = app.now();
    let (seen, week) = (now.saturating_sub(ONLINE_SECONDS), now.saturating_sub(WEEK_SECONDS));
    Ok(Json(app.db().agents(user.scope(), seen, week).await?))
}

pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Extension(user): Extension<UserAuth>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    if app.db().remove_agent(user.scope(), &id, app.now()).await? {
        app.changed(user.scope()).await;
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Refusal::missing("agent.unknown", "there is no such agent").allowed("an id from `GET /v1/agents`"))
}

pub(crate) async fn link(
    State(app): State<Arc<App>>,
    Extension(agent): Extension<AgentAuth>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refusal> {
    if headers.contains_key(header::ORIGIN) {
        let title = "a browser may not open an agent's link";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "link.origin", title));
    }
    let upgrade = upgrade.map_err(|_| {
        Refusal::new(StatusCode::UPGRADE_REQUIRED, "link.websocket", "the agent link is a WebSocket")
            .allowed("a WebSocket upgrade of this request")
    })?;
    let limits = upgrade.max_message_size(link::LARGEST_MESSAGE).max_frame_size(link::LARGEST_MESSAGE);
    Ok(limits.on_upgrade(move |socket| link::run(app, agent, socket)))
}
