//! The first page: how things stand.

use super::page;
use super::session::Session;
use super::shell::Shell;
use crate::app::App;
use crate::link::ONLINE_SECONDS;
use crate::problem::Refusal;
use crate::routes::agents::WEEK_SECONDS;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    shell: Shell,
    org: &'a str,
    origin: &'a str,
    databases: usize,
    seen: Option<Seen>,
}

/// What admins and auditors see.
struct Seen {
    agents: usize,
    online: usize,
    sessions: i64,
    violations: u64,
}

pub(super) async fn show(State(app): State<Arc<App>>, session: Session) -> Result<Response, Refusal> {
    let shell = Shell::of(&session, "/");
    let scope = session.user().scope();
    let (seen_after, week) = (app.now() - ONLINE_SECONDS, app.now() - WEEK_SECONDS);
    let seen = if shell.oversees() {
        let agents = app.db().agents(scope, seen_after, week).await?;
        Some(Seen {
            online: agents.iter().filter(|agent| agent.online).count(),
            violations: agents.iter().map(|agent| agent.scope_violations).sum(),
            agents: agents.len(),
            sessions: app.db().open_sessions(scope).await?,
        })
    } else {
        None
    };
    let databases = app.db().databases(scope, seen_after).await?.len();
    page(&Overview { shell, org: scope.org(), origin: app.base().origin(), databases, seen })
}
