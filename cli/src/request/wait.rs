//! Waiting for a decision, and saying on the way what it waits for.

use super::text::needed;
use crate::control_plane::ControlPlane;
use crate::error::CliError;
use crate::output;
use daam_api::v1::AccessRequest;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const POLL: Duration = Duration::from_secs(1);

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Nothing yet; what it waits for.
    Waits(String),
    /// It is held, or will be.
    Held(String),
    /// It will not be.
    Over(String),
}

/// Until it is in force, or approved for later; a failure if it will be neither.
pub(super) async fn until_held(
    plane: &ControlPlane,
    asked: AccessRequest,
) -> Result<AccessRequest, CliError> {
    until(plane, asked, |request| held(request, OffsetDateTime::now_utc())).await
}

/// Until more time was given or denied.
pub(super) async fn until_extended(plane: &ControlPlane, asked: AccessRequest) -> Result<(), CliError> {
    let before = asked.ends_at.clone();
    until(plane, asked, |request| extended(request, before.as_deref())).await.map(drop)
}

async fn until(
    plane: &ControlPlane,
    asked: AccessRequest,
    step: impl Fn(&AccessRequest) -> Step,
) -> Result<AccessRequest, CliError> {
    output::progress(format!("request {}", asked.id));
    let mut request = asked;
    let mut told = String::new();
    loop {
        match step(&request) {
            Step::Held(text) => {
                output::progress(text);
                return Ok(request);
            }
            Step::Over(text) => {
                let help = format!("`daam request show {}` says more", request.id);
                return Err(CliError::denied(text).remedy(help));
            }
            Step::Waits(text) if text != told => {
                output::progress(&text);
                told = text;
            }
            Step::Waits(_) => {}
        }
        tokio::time::sleep(POLL).await;
        match plane.access_request(&request.id).await {
            Ok(now) => request = now,
            Err(error) if error.is_final() => return Err(error),
            // It is decided and kept elsewhere; only the answer is missing.
            Err(error) => drop(std::mem::replace(&mut told, error.sentence())),
        }
    }
}

fn held(request: &AccessRequest, now: OffsetDateTime) -> Step {
    let begins = request.starts_at.as_deref().and_then(|at| OffsetDateTime::parse(at, &Rfc3339).ok());
    let note = request.note.as_deref().map_or_else(String::new, |note| format!(": {note}"));
    match request.state.as_str() {
        "pending" => Step::Waits(format!("waits for {}", needed(request).unwrap_or_default())),
        "approved" => match begins.filter(|at| *at > now + Duration::from_secs(60)) {
            Some(_) => {
                Step::Held(format!("approved; begins {}", request.starts_at.as_deref().unwrap_or_default()))
            }
            None => Step::Waits(format!("approved; waits for the agent{note}")),
        },
        "active" => Step::Held(format!("active until {}", request.ends_at.as_deref().unwrap_or_default())),
        state => Step::Over(format!("the request is {state}{note}")),
    }
}

fn extended(request: &AccessRequest, before: Option<&str>) -> Step {
    match (request.state.as_str(), &request.extension) {
        ("approved" | "active", Some(_)) => {
            Step::Waits(format!("waits for {}", needed(request).unwrap_or_default()))
        }
        ("approved" | "active", None) if request.ends_at.as_deref() != before => {
            Step::Held(format!("extended until {}", request.ends_at.as_deref().unwrap_or_default()))
        }
        ("approved" | "active", None) => Step::Over("more time was denied".to_owned()),
        (state, _) => Step::Over(format!("the request is {state}")),
    }
}
