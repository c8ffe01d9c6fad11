//! Where a relay listens. Agents learn of a new address at once.

use crate::app::App;
use crate::body::JsonBody;
use crate::name;
use crate::problem::Refusal;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use daam_api::v1::RelayAddress;
use daam_store::RelayAuth;
use std::sync::Arc;

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
