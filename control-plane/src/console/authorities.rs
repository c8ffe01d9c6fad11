//! Certificate authorities: which one issues, which one comes, whom the change waits for, and what ending it early ends.

use super::form::FormBody;
use super::page;
use super::session::Session;
use super::shell::Shell;
use crate::app::App;
use crate::authorities;
use crate::guard::{Admin, Overseer};
use crate::problem::Refusal;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use daam_api::v1::{AuthorityAgent, AuthorityList, AuthorityStanding, ListedAuthority};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "authorities.html")]
struct AuthoritiesPage {
    shell: Shell,
    authorities: Vec<ListedAuthority>,
    agents: Vec<AuthorityAgent>,
    standing: Option<AuthorityStanding>,
    /// Agents that hold it up.
    waits_for: usize,
    phase: Phase,
}

/// How far a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// One authority alone.
    Alone,
    /// A new one that does not issue yet.
    Offered,
    /// A new one issues, and the old one counts.
    Overlapping,
}

impl Phase {
    fn of(list: &AuthorityList) -> Self {
        let any = |state: &str| list.authorities.iter().any(|authority| authority.state == state);
        match (any("offered"), any("overlapping")) {
            (true, _) => Self::Offered,
            (_, true) => Self::Overlapping,
            _ => Self::Alone,
        }
    }
}

/// As a page says a state.
fn in_words(state: &str) -> &'static str {
    match state {
        "offered" => "next: offered to agents, issues nothing yet",
        "issuing" => "current: new certificates come from it",
        "overlapping" => "previous: its certificates count until it is retired",
        _ => "retired: its certificates do not count",
    }
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    session: Session,
    user: Overseer,
) -> Result<Response, Refusal> {
    let list = authorities::list(&app, user.scope()).await?;
    let phase = Phase::of(&list);
    let AuthorityList { mut authorities, standing, agents } = list;
    authorities.reverse();
    let waits_for = agents.iter().filter(|agent| agent.holds_up).count();
    page(&AuthoritiesPage {
        shell: Shell::of(&session, "/authorities"),
        authorities,
        agents,
        standing,
        waits_for,
        phase,
    })
}

pub(super) async fn begin(State(app): State<Arc<App>>, user: Admin) -> Result<Response, Refusal> {
    authorities::begin(&app, user.scope()).await?;
    Ok(Redirect::to("/authorities").into_response())
}

/// The form; `force` is ticked by whoever read what it ends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Retire {
    #[serde(default)]
    force: String,
}

pub(super) async fn retire(
    State(app): State<Arc<App>>,
    user: Admin,
    FormBody(form): FormBody<Retire>,
) -> Result<Response, Refusal> {
    authorities::retire(&app, user.scope(), form.force == "yes").await?;
    Ok(Redirect::to("/authorities").into_response())
}
