//! The first page: how things stand.

use super::session::Session;
use super::shell::Shell;
use super::{page, passkeys};
use crate::app::App;
use crate::link::ONLINE_SECONDS;
use crate::problem::Refusal;
use crate::routes::agents::WEEK_SECONDS;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use daam_store::PasskeyStanding;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    shell: Shell,
    org: &'a str,
    origin: &'a str,
    databases: usize,
    lacks_passkey: bool,
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
    let lacks_passkey = lacks_passkey(&app, &session).await?;
    page(&Overview { shell, org: scope.org(), origin: app.base().origin(), databases, lacks_passkey, seen })
}

/// Whoever could add one and has none.
async fn lacks_passkey(app: &App, session: &Session) -> Result<bool, Refusal> {
    match app.db().passkey_standing(session, app.now()).await? {
        PasskeyStanding::May(person) if passkeys::possible(app) => {
            Ok(app.db().passkeys(&person).await?.is_empty())
        }
        _ => Ok(false),
    }
}
