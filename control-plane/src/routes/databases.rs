//! Databases and what their agents reported of them.

use crate::app::App;
use crate::guard::{Member, Overseer};
use crate::link::ONLINE_SECONDS;
use crate::list::{Paging, Part};
use crate::name::shown;
use crate::problem::Refusal;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use daam_api::v1::Database;
use std::sync::Arc;

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    user: Member,
    paging: Paging,
) -> Result<Part<Database>, Refusal> {
    let seen_after = app.now().saturating_sub(ONLINE_SECONDS);
    let mut listed = app.db().databases(user.scope(), seen_after).await?;
    listed.retain(|database| user.may_reach(&database.name));
    Ok(paging.part(listed, |database: &Database| database.name.clone()))
}

pub(crate) async fn schema(
    State(app): State<Arc<App>>,
    user: Overseer,
    Path(database): Path<String>,
) -> Result<impl IntoResponse, Refusal> {
    let snapshot = app.db().schema(user.scope(), &database).await?.ok_or_else(|| {
        Refusal::missing(
            "schema.unknown",
            format!("no agent has reported a schema of `{}`", shown(&database)),
        )
        .allowed("a database with an agent that has been connected")
    })?;
    Ok(([(header::CONTENT_TYPE, "application/json")], snapshot))
}
