//! Jobs of pipelines: whose are trusted, as whom they act, what that lets them do, and when one last came.

use super::form::FormBody;
use super::page;
use super::session::Session;
use super::shell::Shell;
use crate::app::App;
use crate::guard::{Admin, Overseer};
use crate::problem::Refusal;
use crate::routes::workloads::{add, delete, known};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use daam_api::v1::{NewWorkload, User, Workload};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const AT: &str = "/workloads";

#[derive(Template)]
#[template(path = "workloads.html")]
struct WorkloadsPage {
    shell: Shell,
    lines: Vec<Line>,
}

struct Line {
    known: Workload,
    /// What the member they act as is here.
    role: String,
    groups: String,
}

impl Line {
    fn of(known: Workload, users: &[User]) -> Self {
        let member = users.iter().find(|user| user.email == known.email);
        let role =
            member.map_or("nobody any more", |user| if user.disabled { "disabled" } else { &user.role });
        let groups: Vec<&str> = member.iter().flat_map(|user| &user.groups).map(String::as_str).collect();
        Self { role: role.to_owned(), groups: groups.join(", "), known }
    }

    fn databases(&self) -> Option<String> {
        let named = self.known.databases.as_ref()?;
        Some(named.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    session: Session,
    user: Overseer,
) -> Result<Response, Refusal> {
    let users = app.db().users(user.scope()).await?;
    let known = known(&app, user.scope()).await?;
    let lines = known.into_iter().map(|known| Line::of(known, &users)).collect();
    page(&WorkloadsPage { shell: Shell::of(&session, AT), lines })
}

/// The form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    name: String,
    issuer: String,
    email: String,
    claims: String,
    #[serde(default)]
    databases: String,
    #[serde(default)]
    audience: String,
    minutes: u64,
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    user: Admin,
    FormBody(form): FormBody<New>,
) -> Result<Response, Refusal> {
    let databases: BTreeSet<String> =
        form.databases.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let new = NewWorkload {
        name: form.name,
        issuer: form.issuer,
        audience: Some(form.audience.trim().to_owned()).filter(|audience| !audience.is_empty()),
        claims: claims(&form.claims)?,
        email: form.email,
        lifetime: Some(form.minutes.saturating_mul(60)),
        // The form says that nothing here is no limit.
        databases: Some(databases).filter(|named| !named.is_empty()),
    };
    add(&app, &user, new).await?;
    Ok(Redirect::to(AT).into_response())
}

/// One claim to a line, each once.
fn claims(text: &str) -> Result<BTreeMap<String, String>, Refusal> {
    let mut read = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let pair = line.split_once('=').map(|(name, pattern)| (name.trim(), pattern.trim()));
        let fresh =
            pair.is_some_and(|(name, pattern)| read.insert(name.to_owned(), pattern.to_owned()).is_none());
        if !fresh {
            return Err(Refusal::bad("workload.claims", "a line of the claims is none, or names one twice")
                .allowed("lines such as `repository = acme/shop`, each claim once"));
        }
    }
    Ok(read)
}

pub(super) async fn remove(
    State(app): State<Arc<App>>,
    user: Admin,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    delete(&app, &user, &id).await?;
    Ok(Redirect::to(AT).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_lines_and_each_is_said_once() {
        let read = claims(" repository = acme/shop \r\n\nref=refs/heads/a=b\n").unwrap();
        let pairs: Vec<_> = read.iter().map(|(name, pattern)| (name.as_str(), pattern.as_str())).collect();
        assert_eq!(pairs, [("ref", "refs/heads/a=b"), ("repository", "acme/shop")]);
        for bad in ["repository", "a=b\na=c"] {
            assert!(claims(bad).is_err(), "{bad}");
        }
    }
}
