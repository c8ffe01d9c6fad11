//! Access requests over the API. Who may do what is decided in [`crate::requests`].

use crate::app::App;
use crate::body::JsonBody;
use crate::guard::Member;
use crate::list::{Paging, Part, link};
use crate::problem::Refusal;
use crate::requests::decide::Doing;
use crate::requests::{self, Show};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{OriginalUri, Path, Query, State};
use axum::http::StatusCode;
use daam_api::v1::{AccessExtension, AccessRequest, AccessWord, NewAccessRequest, Requestable};
use daam_store::Act;
use serde::Deserialize;
use std::sync::Arc;

const MOST: u32 = 200;
const DEFAULT: u32 = 50;

/// The query of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    #[serde(default)]
    show: Shown,
    before: Option<String>,
    limit: Option<u32>,
}

/// Which of them.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Shown {
    #[default]
    Mine,
    Waiting,
    All,
}

pub(crate) async fn requestable(
    State(app): State<Arc<App>>,
    user: Member,
    Path(database): Path<String>,
    paging: Paging,
) -> Result<Part<Requestable>, Refusal> {
    let listed = requests::requestable(&app, &user, &database).await?;
    Ok(paging.part(listed, |one| format!("{}\n{}", u8::from(one.kind != "policy"), one.name)))
}

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    user: Member,
    JsonBody(new): JsonBody<NewAccessRequest>,
) -> Result<(StatusCode, Json<AccessRequest>), Refusal> {
    requests::ask(&app, &user, &new).await.map(|made| (StatusCode::CREATED, Json(made)))
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    user: Member,
    OriginalUri(uri): OriginalUri,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Part<AccessRequest>, Refusal> {
    let Query(Wanted { show, before, limit }) = query.map_err(|_| {
        Refusal::bad("request.malformed", "the query is not understood")
            .allowed("`show` (`mine`, `waiting` or `all`), `before` (the last id you have), `limit`")
    })?;
    let limit = limit.unwrap_or(DEFAULT);
    if limit == 0 || limit > MOST {
        return Err(Refusal::bad("request.malformed", format!("a limit of {limit} is not possible"))
            .allowed(format!("1 to {MOST}")));
    }
    let more = !matches!(show, Shown::Waiting);
    let show = match show {
        Shown::Mine => Show::Mine,
        Shown::Waiting => Show::Waiting,
        Shown::All => Show::All,
    };
    // No id contains NUL, and PostgreSQL would fail on it rather than find nothing.
    let before = before.filter(|id| !id.contains('\0'));
    let found = requests::list(&app, &user, show, (before.as_deref(), limit)).await?;
    let full = u32::try_from(found.len()).is_ok_and(|count| count >= limit);
    let last = found.last().filter(|_| full && more);
    let headers = last.map(|last| link(&uri, &[("before", &last.id)])).unwrap_or_default();
    Ok((headers, Json(found)))
}

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    user: Member,
    Path(id): Path<String>,
) -> Result<Json<AccessRequest>, Refusal> {
    requests::find(&app, &user, &id).await.map(Json)
}

pub(crate) async fn approve(
    State(app): State<Arc<App>>,
    user: Member,
    Path(id): Path<String>,
    JsonBody(AccessWord { reason }): JsonBody<AccessWord>,
) -> Result<Json<AccessRequest>, Refusal> {
    done(&app, &user, &id, Doing { act: Act::Approve, reason, seconds: 0 }).await
}

pub(crate) async fn deny(
    State(app): State<Arc<App>>,
    user: Member,
    Path(id): Path<String>,
    JsonBody(AccessWord { reason }): JsonBody<AccessWord>,
) -> Result<Json<AccessRequest>, Refusal> {
    done(&app, &user, &id, Doing { act: Act::Deny, reason, seconds: 0 }).await
}

pub(crate) async fn end(
    State(app): State<Arc<App>>,
    user: Member,
    Path(id): Path<String>,
    JsonBody(AccessWord { reason }): JsonBody<AccessWord>,
) -> Result<Json<AccessRequest>, Refusal> {
    done(&app, &user, &id, Doing { act: Act::End, reason, seconds: 0 }).await
}

pub(crate) async fn extend(
    State(app): State<Arc<App>>,
    user: Member,
    Path(id): Path<String>,
    JsonBody(AccessExtension { seconds, reason }): JsonBody<AccessExtension>,
) -> Result<Json<AccessRequest>, Refusal> {
    done(&app, &user, &id, Doing { act: Act::Extend, reason, seconds }).await
}

async fn done(app: &App, user: &Member, id: &str, doing: Doing) -> Result<Json<AccessRequest>, Refusal> {
    requests::act(app, user, id, &doing).await.map(Json)
}
