//! `.search` at the root: users and groups together.

use super::{Refused, answer, groups, read, users};
use crate::app::App;
use crate::body::RawBody;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use daam_scim::filter::parse;
use daam_scim::schema::{GROUP, USER};
use daam_scim::{Object, Query};
use daam_store::ScimAuth;
use serde_json::Value;
use std::sync::Arc;

pub(super) async fn everything(
    State(app): State<Arc<App>>,
    Extension(by): Extension<ScimAuth>,
    body: RawBody,
) -> Result<Response, Refused> {
    let query = Query::of_body(&read(&body)?)?;
    let only = query.projection()?;
    // A filter may name what only one of the two has; it finds nothing of the other then.
    let of_users = query.filter.as_deref().map_or(Ok(()), |text| parse(text, &USER).map(drop));
    let of_groups = query.filter.as_deref().map_or(Ok(()), |text| parse(text, &GROUP).map(drop));
    let mut all: Vec<(bool, Object)> = Vec::new();
    if of_users.is_ok() {
        all.extend(users::fitting(&app, &by, &query).await?.into_iter().map(|object| (true, object)));
    }
    if of_groups.is_ok() {
        all.extend(groups::fitting(&app, &by, &query).await?.into_iter().map(|object| (false, object)));
    } else {
        of_users?;
    }
    let page = query.page();
    let shown = all.into_iter().map(|(user, object)| only.apply(if user { &USER } else { &GROUP }, object));
    let (total, part) = page.of(shown.collect());
    let part: Vec<Value> = part.into_iter().map(Value::Object).collect();
    Ok(answer(StatusCode::OK, &page.answer(total, &part)))
}
