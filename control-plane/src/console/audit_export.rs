//! Where the audit goes as OpenTelemetry logs, and whether it arrives. What is sent along is asked for and never shown.

use super::form::FormBody;
use super::page;
use super::session::Session;
use super::shell::Shell;
use crate::app::App;
use crate::guard::{Admin, Overseer};
use crate::problem::Refusal;
use crate::routes::audit_export::{delete, found, put};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use daam_api::v1::{AuditExport, NewAuditExport};
use serde::Deserialize;
use std::sync::Arc;

const AT: &str = "/audit/otlp";

#[derive(Template)]
#[template(path = "audit_export.html")]
struct AuditExportPage {
    shell: Shell,
    export: Option<AuditExport>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    session: Session,
    user: Overseer,
) -> Result<Response, Refusal> {
    let export = found(&app, user.scope()).await?;
    page(&AuditExportPage { shell: Shell::of(&session, "/audit"), export })
}

/// The form: one header at most. Where it is left out nothing is sent along, whatever was before: what was given for one
/// address is not sent to another by whoever changes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Set {
    endpoint: String,
    #[serde(default)]
    header: String,
    #[serde(default)]
    value: String,
}

pub(super) async fn set(
    State(app): State<Arc<App>>,
    user: Admin,
    FormBody(form): FormBody<Set>,
) -> Result<Response, Refusal> {
    let header = Some(form.header.trim()).filter(|name| !name.is_empty());
    if header.is_none() && !form.value.is_empty() {
        return Err(Refusal::bad("audit.otlp-headers", "the value is of no header")
            .allowed("a header's name and its value, or neither"));
    }
    let headers = header.map(|name| (name.to_owned(), form.value)).into_iter().collect();
    put(&app, &user, NewAuditExport { endpoint: form.endpoint, headers }).await?;
    Ok(Redirect::to(AT).into_response())
}

pub(super) async fn remove(State(app): State<Arc<App>>, user: Admin) -> Result<Response, Refusal> {
    delete(&app, &user).await?;
    Ok(Redirect::to(AT).into_response())
}
