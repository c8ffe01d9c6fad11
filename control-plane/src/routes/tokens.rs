//! API tokens. A deleted token stops working with its next request, and the certificates it asked for at once.

use crate::app::App;
use crate::body::JsonBody;
use crate::clock::rfc3339;
use crate::guard::Member;
use crate::list::{Paging, Part};
use crate::name;
use crate::problem::Refusal;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use daam_api::v1::{NewToken, Token, TokenCreated};
use daam_store::{ListedToken, Role, TokenOwner, UserAuth};
use std::sync::Arc;

const DEFAULT_SECONDS: u64 = 30 * 86_400;
const MOST_SECONDS: u64 = 366 * 86_400;

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    user: Member,
    JsonBody(request): JsonBody<NewToken>,
) -> Result<(StatusCode, Json<TokenCreated>), Refusal> {
    make(&app, &user, &request).await.map(|made| (StatusCode::CREATED, Json(made)))
}

/// The token itself, whichever surface asks.
pub(crate) async fn make(app: &App, user: &UserAuth, request: &NewToken) -> Result<TokenCreated, Refusal> {
    name::label(&request.name)?;
    let email = request.email.as_deref().map_or_else(|| Ok(user.email().to_owned()), name::email)?;
    if email != user.email() && user.role() != Role::Admin {
        let title = "only admins may make tokens for others";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "auth.wrong-role", title)
            .allowed("a token for yourself, without `email`"));
    }
    let expires_at = end(user, app.now(), request.expires_in, (DEFAULT_SECONDS, MOST_SECONDS))?;
    let owner = TokenOwner { email: &email, name: &request.name, expires_at };
    let (id, secret) = app.db().create_token(user, &owner, app.now()).await?.ok_or_else(|| {
        Refusal::missing("user.unknown", format!("there is no enabled user `{email}`"))
            .allowed("a user created with `PUT /v1/users/{email}`")
    })?;
    Ok(TokenCreated { id, token: secret.reveal(), expires_at: rfc3339(expires_at) })
}

/// When a token ends that somebody makes now for `wanted` seconds. One that is made with a token, or in a session that
/// one began, cannot outlive it, whatever its role, or an end would be none.
pub(crate) fn end(
    by: &UserAuth,
    now: i64,
    wanted: Option<u64>,
    (default, most): (u64, u64),
) -> Result<i64, Refusal> {
    let asked = expiry(now, wanted, default, most)?;
    let expires_at = by.until(asked);
    if expires_at == asked || wanted.is_none() {
        return Ok(expires_at);
    }
    let title = "a token cannot make one that outlives it";
    let allowed = format!(
        "an end by {}, or one made in the console, signed in there by something no token began",
        rfc3339(expires_at)
    );
    Err(Refusal::bad("request.expiry", title).allowed(allowed))
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    user: Member,
    paging: Paging,
) -> Result<Part<Token>, Refusal> {
    let tokens = app.db().tokens(&user, app.now()).await?;
    let shown = |ListedToken { id, name, email, expires_at }| Token {
        id,
        name,
        email,
        expires_at: rfc3339(expires_at),
    };
    let key = |token: &Token| format!("{}\n{}\n{}", token.email, token.expires_at, token.id);
    Ok(paging.part(tokens.into_iter().map(shown).collect(), key))
}

pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    user: Member,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    delete(&app, &user, &id).await.map(|()| StatusCode::NO_CONTENT)
}

pub(crate) async fn delete(app: &App, user: &UserAuth, id: &str) -> Result<(), Refusal> {
    if app.db().delete_token(user, id, app.now()).await? {
        app.changed(user.scope()).await;
        return Ok(());
    }
    Err(Refusal::missing("token.unknown", "there is no such token of yours"))
}

/// When something made now for `wanted` seconds ends.
pub(crate) fn expiry(now: i64, wanted: Option<u64>, default: u64, most: u64) -> Result<i64, Refusal> {
    let seconds = wanted.unwrap_or(default);
    if seconds == 0 || seconds > most {
        return Err(Refusal::bad("request.expiry", format!("a life of {seconds} seconds is not possible"))
            .allowed(format!("1 to {most} seconds")));
    }
    Ok(now.saturating_add_unsigned(seconds))
}
