//! What the server can do, by the tables of `daam-scim`.

use super::{Refused, answer, base};
use crate::app::App;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use daam_scim::discovery::{
    list, resource_type as described_type, schema as described, service as described_service,
};
use daam_scim::schema::{EVERY, Schema};
use daam_scim::{Kind, ScimError};
use serde_json::Value;
use std::sync::Arc;

/// Filters have no meaning here (RFC 7644, 4).
fn no_filter(uri: &Uri) -> Result<(), Refused> {
    match super::query(uri.query())?.filter {
        None => Ok(()),
        Some(_) => Err(Refused::Ours(crate::problem::Refusal::new(
            StatusCode::FORBIDDEN,
            "scim.filter",
            "what the server can do is not filtered",
        ))),
    }
}

pub(super) async fn service(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Refused> {
    no_filter(&uri)?;
    Ok(answer(StatusCode::OK, &described_service(&base(&app))))
}

pub(super) async fn resource_types(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Refused> {
    no_filter(&uri)?;
    let every: Vec<Value> = EVERY.iter().map(|schema| described_type(schema, &base(&app))).collect();
    Ok(answer(StatusCode::OK, &list(&every)))
}

pub(super) async fn resource_type(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let schema = found(&id, |schema| schema.name)?;
    Ok(answer(StatusCode::OK, &described_type(&schema, &base(&app))))
}

pub(super) async fn schemas(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Refused> {
    no_filter(&uri)?;
    let every: Vec<Value> = EVERY.iter().map(|schema| described(schema, &base(&app))).collect();
    Ok(answer(StatusCode::OK, &list(&every)))
}

pub(super) async fn schema(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Refused> {
    let schema = found(&id, |schema| schema.id)?;
    Ok(answer(StatusCode::OK, &described(&schema, &base(&app))))
}

fn found(id: &str, name: fn(&Schema) -> &'static str) -> Result<Schema, Refused> {
    EVERY.into_iter().find(|schema| name(schema) == id).ok_or_else(|| {
        Refused::Scim(ScimError::new(
            Kind::Missing,
            format!("there is nothing called `{}`", crate::name::shown(id)),
        ))
    })
}
