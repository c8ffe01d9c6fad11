//! Who was connected where and when: found in the database, not in a page of it, and taken out whole. Taking it out is in the
//! audit.

use crate::app::App;
use crate::clock::rfc3339;
use crate::guard::Overseer;
use crate::list::{Paging, Part};
use crate::problem::Refusal;
use crate::routes::export::{Format, Row, days, file, given};
use axum::extract::rejection::QueryRejection;
use axum::extract::{MatchedPath, OriginalUri, Query, State};
use axum::response::Response;
use daam_api::v1::Connection;
use daam_store::{ConnectionFilter, ConnectionPlace, StoreError, TenantScope};
use serde::Deserialize;
use std::sync::Arc;

/// Of one reading of a file.
const PAGE: u32 = 500;

/// Whether it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Standing {
    Open,
    Ended,
}

/// What to look for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    user: Option<String>,
    database: Option<String>,
    agent: Option<String>,
    reason: Option<String>,
    state: Option<Standing>,
    since: Option<i64>,
    until: Option<i64>,
    limit: Option<usize>,
    cursor: Option<String>,
}

pub(crate) async fn search(
    State(app): State<Arc<App>>,
    user: Overseer,
    OriginalUri(uri): OriginalUri,
    path: MatchedPath,
    query: Result<Query<Search>, QueryRejection>,
) -> Result<Part<Connection>, Refusal> {
    let Query(asked) = query.map_err(|_| {
        Refusal::bad("request.malformed", "the query is not understood").allowed(
            "`user`, `database`, `agent`, `reason`, `state=open` or `state=ended`, `since` and `until` (unix seconds), \
             `limit`, and `cursor` as the last answer's `Link` has it",
        )
    })?;
    let paging = Paging::of(uri, path.as_str(), (asked.limit, asked.cursor.as_deref()))?;
    let filter = ConnectionFilter {
        agent: asked.agent,
        user: asked.user.map(|user| user.to_ascii_lowercase()),
        database: asked.database,
        reason: asked.reason,
        open: asked.state.map(|state| state == Standing::Open),
        since: asked.since,
        until: asked.until,
        after: paging.after.as_deref().map(place).transpose()?,
    };
    // One more, to know whether there is more.
    let most = u32::try_from(paging.limit).unwrap_or(PAGE).saturating_add(1);
    let mut found = app.db().connections(user.scope(), &filter, most).await?;
    let more = found.len() > paging.limit;
    found.truncate(paging.limit);
    let last = found.last().filter(|_| more).map(|last| key(&last.place()));
    Ok(paging.answer(found.into_iter().map(listed).collect(), last.as_deref()))
}

/// Where a list goes on, as a text.
pub(crate) fn key(place: &ConnectionPlace) -> String {
    format!("{} {} {}", place.started_at, place.agent_id, place.id)
}

/// The same, read.
pub(crate) fn place(key: &str) -> Result<ConnectionPlace, Refusal> {
    let mut parts = key.splitn(3, ' ');
    let read = (|| {
        let (started_at, agent_id, id) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
        Some(ConnectionPlace { started_at, agent_id: agent_id.to_owned(), id: id.to_owned() })
    })();
    read.ok_or_else(|| {
        Refusal::bad("request.cursor", "the cursor is none of this list")
            .allowed("one from the last part of this list, or none for its beginning")
    })
}

fn listed(found: daam_store::Connection) -> Connection {
    Connection {
        agent_id: found.agent_id,
        agent: found.agent,
        session_id: found.id,
        database: found.database,
        user_id: found.user_id,
        email: found.email,
        started_at: rfc3339(found.started_at),
        ended_at: found.ended_at.map(rfc3339),
        reason: found.reason,
        statements: found.statements,
    }
}

/// What the page's form asks for; an empty field asks for nothing.
#[derive(Debug, Default, Clone, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    pub(crate) user: String,
    #[serde(default)]
    pub(crate) database: String,
    #[serde(default)]
    pub(crate) agent: String,
    #[serde(default)]
    pub(crate) reason: String,
    /// `open`, `ended`, or either.
    #[serde(default)]
    pub(crate) state: String,
    /// A day.
    #[serde(default)]
    pub(crate) from: String,
    /// A day, included.
    #[serde(default)]
    pub(crate) to: String,
    /// Where the page goes on.
    #[serde(default)]
    pub(crate) after: String,
}

impl Asked {
    pub(crate) fn filter(&self) -> Result<ConnectionFilter, Refusal> {
        let (since, until) = days(&self.from, &self.to)?;
        let open = match self.state.as_str() {
            "" => None,
            "open" => Some(true),
            "ended" => Some(false),
            _ => {
                return Err(Refusal::bad("request.malformed", "the state is not understood")
                    .allowed("`open`, `ended` or nothing"));
            }
        };
        Ok(ConnectionFilter {
            agent: given(&self.agent),
            user: given(&self.user).map(|user| user.to_ascii_lowercase()),
            database: given(&self.database),
            reason: given(&self.reason),
            open,
            since,
            until,
            after: given(&self.after).as_deref().map(place).transpose()?,
        })
    }
}

/// What to take out, in the words of the page's form.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Export {
    #[serde(default)]
    format: Format,
    #[serde(flatten)]
    asked: Asked,
}

impl Row for Connection {
    const COLUMNS: &'static [&'static str] = &[
        "started_at",
        "ended_at",
        "email",
        "user_id",
        "database",
        "agent",
        "agent_id",
        "session_id",
        "statements",
        "reason",
    ];

    fn fields(&self) -> Vec<String> {
        let or_nothing = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![
            self.started_at.clone(),
            or_nothing(&self.ended_at),
            or_nothing(&self.email),
            self.user_id.clone(),
            self.database.clone(),
            self.agent.clone(),
            self.agent_id.clone(),
            self.session_id.clone(),
            self.statements.to_string(),
            or_nothing(&self.reason),
        ]
    }
}

pub(crate) async fn export(
    State(app): State<Arc<App>>,
    user: Overseer,
    query: Result<Query<Export>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(Export { format, asked }) = query.map_err(|_| {
        Refusal::bad("request.malformed", "the query is not understood").allowed(
            "`format=csv` or `format=jsonl`, and `user`, `database`, `agent`, `reason`, `state`, `from`, `to`",
        )
    })?;
    let filter = asked.filter()?;
    app.db().connections_exported(&user, &format!("{format:?} {filter:?}"), app.now()).await?;
    let scope = user.scope().clone();
    Ok(file((format, "connections"), filter, move |filter| page(Arc::clone(&app), scope.clone(), filter)))
}

async fn page(
    app: Arc<App>,
    scope: TenantScope,
    mut filter: ConnectionFilter,
) -> Result<(Vec<Connection>, Option<ConnectionFilter>), StoreError> {
    let found = app.db().connections(&scope, &filter, PAGE).await?;
    let full = u32::try_from(found.len()).is_ok_and(|count| count >= PAGE);
    filter.after = found.last().map(daam_store::Connection::place);
    Ok((found.into_iter().map(listed).collect(), full.then_some(filter)))
}
