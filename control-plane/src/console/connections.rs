//! Who was connected, searched in the database.

use super::page;
use super::session::Session;
use super::shell::Shell;
use crate::app::App;
use crate::guard::Overseer;
use crate::problem::Refusal;
use crate::routes::connections::{Asked, key};
use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use daam_store::Connection;
use std::sync::Arc;

const MOST: u32 = 100;

#[derive(Template)]
#[template(path = "connections.html")]
struct ConnectionsPage {
    shell: Shell,
    asked: Asked,
    connections: Vec<Connection>,
    after: Option<String>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    session: Session,
    user: Overseer,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(asked) =
        query.map_err(|_| Refusal::bad("request.malformed", "the search is not understood"))?;
    let connections = app.db().connections(user.scope(), &asked.filter()?, MOST).await?;
    let full = u32::try_from(connections.len()).is_ok_and(|count| count >= MOST);
    let after = connections.last().filter(|_| full).map(|last| key(&last.place()));
    page(&ConnectionsPage { shell: Shell::of(&session, "/connections"), asked, connections, after })
}
