//! Where a relay listens. Agents learn of a new address at once, and nobody is sent to a relay that was removed or has
//! not announced itself for a while.

use crate::app::App;
use crate::body::JsonBody;
use crate::guard::{Admin, Overseer};
use crate::list::{Paging, Part};
use crate::name;
use crate::problem::Refusal;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use daam_api::v1::{Relay, RelayAddress};
use daam_store::RelayAuth;
use std::sync::Arc;

/// Three of a relay's announcements.
const SILENT_SECONDS: i64 = 900;

/// A relay that announced itself after this is alive.
pub(crate) fn announced_after(now: i64) -> i64 {
    now.saturating_sub(SILENT_SECONDS)
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    user: Overseer,
    paging: Paging,
) -> Result<Part<Relay>, Refusal> {
    let listed = app.db().relays(user.scope(), announced_after(app.now())).await?;
    Ok(paging.part(listed, |relay: &Relay| format!("{}\n{}", relay.name, relay.id)))
}

pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    user: Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    if app.db().remove_relay(user.scope(), &id, app.now()).await? {
        app.changed(user.scope()).await;
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Refusal::missing("relay.unknown", "there is no such relay").allowed("an id from `GET /v1/relays`"))
}

pub(crate) async fn set_address(
    State(app): State<Arc<App>>,
    Extension(relay): Extension<RelayAuth>,
    JsonBody(request): JsonBody<RelayAddress>,
) -> Result<StatusCode, Refusal> {
    if !name::address(&request.address) {
        let title = format!("`{}` is not an address others can dial", name::shown(&request.address));
        return Err(Refusal::bad("relay.address", title).allowed("`host:port` with a port of 1 to 65535"));
    }
    if app.db().set_relay_address(&relay, &request.address, app.now()).await? {
        app.changed(relay.scope()).await;
    }
    Ok(StatusCode::NO_CONTENT)
}
