//! Tokens that identity providers provision with.

use crate::app::App;
use crate::body::JsonBody;
use crate::clock::rfc3339;
use crate::guard::{Admin, Overseer};
use crate::list::{Paging, Part};
use crate::name;
use crate::problem::Refusal;
use crate::routes::tokens::end;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use daam_api::v1::{NewScimToken, ScimToken, ScimTokenCreated};
use daam_store::{ListedScimToken, UserAuth};
use std::sync::Arc;

const DEFAULT_SECONDS: u64 = 366 * 86_400;
const MOST_SECONDS: u64 = 2 * DEFAULT_SECONDS;

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    user: Admin,
    JsonBody(request): JsonBody<NewScimToken>,
) -> Result<(StatusCode, Json<ScimTokenCreated>), Refusal> {
    make(&app, &user, &request).await.map(|made| (StatusCode::CREATED, Json(made)))
}

/// The token itself, whichever surface asks.
pub(crate) async fn make(
    app: &App,
    user: &UserAuth,
    request: &NewScimToken,
) -> Result<ScimTokenCreated, Refusal> {
    name::label(&request.name)?;
    let expires_at = end(user, app.now(), request.expires_in, (DEFAULT_SECONDS, MOST_SECONDS))?;
    let made = app.db().create_scim_token(user, (&request.name, expires_at), app.now()).await?;
    let (id, secret) = made.ok_or_else(|| {
        Refusal::new(StatusCode::UNAUTHORIZED, "auth.required", "what you asked with has ended meanwhile")
            .allowed("the same with another token, or after signing in again")
    })?;
    let base_url = app.base().url("/scim/v2");
    Ok(ScimTokenCreated { id, token: secret.reveal(), base_url, expires_at: rfc3339(expires_at) })
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    user: Overseer,
    paging: Paging,
) -> Result<Part<ScimToken>, Refusal> {
    let tokens = app.db().scim_tokens(user.scope(), app.now()).await?;
    let shown =
        |ListedScimToken { id, name, expires_at }| ScimToken { id, name, expires_at: rfc3339(expires_at) };
    Ok(paging.part(tokens.into_iter().map(shown).collect(), |token: &ScimToken| {
        format!("{}\n{}", token.name, token.id)
    }))
}

pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    user: Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    delete(&app, &user, &id).await.map(|()| StatusCode::NO_CONTENT)
}

pub(crate) async fn delete(app: &App, user: &UserAuth, id: &str) -> Result<(), Refusal> {
    if app.db().delete_scim_token(user, id, app.now()).await? {
        return Ok(());
    }
    Err(Refusal::missing("scim-token.unknown", "there is no such SCIM token")
        .allowed("an id from `GET /v1/scim-tokens`"))
}
