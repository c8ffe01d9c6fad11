//! Whose pipelines' jobs act as which member. One that acts as an admin is trusted here alone, by a person.

use super::form::FormBody;
use super::page;
use super::session::Session;
use super::shell::Shell;
use crate::app::App;
use crate::guard::{Admin, Overseer};
use crate::problem::Refusal;
use crate::routes::workloads;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use daam_api::v1::{NewWorkload, Workload};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "jobs.html")]
struct JobsPage {
    shell: Shell,
    workloads: Vec<Workload>,
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    session: Session,
    user: Overseer,
) -> Result<Response, Refusal> {
    let workloads = workloads::every(&app, user.scope()).await?;
    page(&JobsPage { shell: Shell::of(&session, "/jobs"), workloads })
}

/// The form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    name: String,
    issuer: String,
    /// One a line, `name=pattern`.
    claims: String,
    email: String,
    minutes: u64,
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    user: Admin,
    FormBody(form): FormBody<New>,
) -> Result<Response, Refusal> {
    let New { name, issuer, claims, email, minutes } = form;
    let lines = claims.lines().map(str::trim).filter(|line| !line.is_empty());
    let said = |line: &str| {
        let (name, pattern) = line.split_once('=')?;
        Some((name.trim().to_owned(), pattern.trim().to_owned()))
    };
    let claims: Option<BTreeMap<String, String>> = lines.map(said).collect();
    let claims = claims.ok_or_else(|| {
        Refusal::bad("workload.claims", "a line says nothing of a claim")
            .allowed("a name, `=` and a pattern on every line, such as `repository=acme/shop`")
    })?;
    let lifetime = Some(minutes.saturating_mul(60));
    let new = NewWorkload { name, issuer, audience: None, claims, email, lifetime };
    workloads::make(&app, &user, new).await?;
    Ok(Redirect::to("/jobs").into_response())
}

pub(super) async fn remove(
    State(app): State<Arc<App>>,
    user: Admin,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    workloads::delete(&app, &user, &id).await?;
    Ok(Redirect::to("/jobs").into_response())
}
