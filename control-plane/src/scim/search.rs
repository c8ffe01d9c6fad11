//! `.search` at the root: users and groups together.

use super::{Refused, answer, groups, read, users};
use crate::app::App;
use crate::body::RawBody;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use daam_scim::filter::parse;
use daam_scim::schema::{GROUP, Schema, USER};
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
    let page = query.page();
    let (mut total, mut all) = (0_usize, Vec::new());
    let mut show = |schema: &Schema, found: Vec<Object>| {
        all.extend(found.into_iter().map(|object| Value::Object(only.apply(schema, object))));
    };
    let mut window = page.window();
    if of_users.is_ok() {
        let (users, found) = users::part(&app, &by, &query, window).await?;
        (total, window) = (users, window.behind(users, found.len()));
        show(&USER, found);
    }
    if of_groups.is_ok() {
        let (groups, found) = groups::part(&app, &by, &query, window).await?;
        total = total.saturating_add(groups);
        show(&GROUP, found);
    } else {
        of_users?;
    }
    Ok(answer(StatusCode::OK, &page.answer(total, &all)))
}
