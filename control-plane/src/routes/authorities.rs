//! The organization's certificate authorities, and how one takes the place of another.

use crate::app::App;
use crate::authorities;
use crate::body::JsonBody;
use crate::guard::{Admin, Overseer};
use crate::problem::Refusal;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use daam_api::v1::{AuthorityList, RetireAuthority};
use std::sync::Arc;

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    user: Overseer,
) -> Result<Json<AuthorityList>, Refusal> {
    authorities::list(&app, user.scope()).await.map(Json)
}

pub(crate) async fn begin(
    State(app): State<Arc<App>>,
    user: Admin,
) -> Result<(StatusCode, Json<AuthorityList>), Refusal> {
    Ok((StatusCode::CREATED, Json(authorities::begin(&app, user.scope()).await?)))
}

pub(crate) async fn retire(
    State(app): State<Arc<App>>,
    user: Admin,
    JsonBody(request): JsonBody<RetireAuthority>,
) -> Result<Json<AuthorityList>, Refusal> {
    authorities::retire(&app, user.scope(), request.force).await.map(Json)
}
