//! Access requests: those that wait for whoever looks, their own, and everybody's for whoever oversees; asking, deciding
//! and ending by plain forms. The rules are those of the API.

use super::form::FormBody;
use super::page;
use super::session::Session;
use super::shell::Shell;
use crate::app::App;
use crate::problem::Refusal;
use crate::requests::decide::Doing;
use crate::requests::{self, Show};
use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use daam_api::link::{AccessAsked, AskedRelation};
use daam_api::v1::{AccessRequest, NewAccessRequest, Requestable};
use daam_store::{Act, UserAuth};
use serde::Deserialize;
use std::sync::Arc;

const MOST: u32 = 50;

#[derive(Template)]
#[template(path = "requests.html")]
struct Requests {
    shell: Shell,
    waiting: Vec<AccessRequest>,
    mine: Vec<AccessRequest>,
    all: Option<Vec<AccessRequest>>,
    before: Option<String>,
    policies: Vec<Choice>,
    ceilings: Vec<Choice>,
}

/// Something that can be asked for.
struct Choice {
    value: String,
    name: String,
    terms: String,
}

#[derive(Template)]
#[template(path = "request.html")]
struct RequestPage {
    shell: Shell,
    request: AccessRequest,
    gives: Vec<String>,
    needed: Option<String>,
}

impl RequestPage {
    fn can(&self, act: &str) -> bool {
        self.request.can.contains(act)
    }
}

/// Where to go on.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Further {
    before: Option<String>,
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    session: Session,
    further: Result<Query<Further>, QueryRejection>,
) -> Result<Response, Refusal> {
    let user = session.user();
    let before = further.map(|Query(further)| further.before).unwrap_or_default();
    let before = before.filter(|id| !id.contains('\0'));
    let sees_all = requests::sees_all(user.role());
    let waiting = requests::list(&app, user, Show::Waiting, (None, MOST)).await?;
    let mine =
        requests::list(&app, user, Show::Mine, (before.as_deref().filter(|_| !sees_all), MOST)).await?;
    let all = if sees_all {
        Some(requests::list(&app, user, Show::All, (before.as_deref(), MOST)).await?)
    } else {
        None
    };
    let longest = all.as_ref().unwrap_or(&mine);
    let full = longest.len() == usize::try_from(MOST).unwrap_or(usize::MAX);
    let before = longest.last().filter(|_| full).map(|last| last.id.clone());
    let (policies, ceilings) = choices(&app, user).await?;
    page(&Requests {
        shell: Shell::of(&session, "/requests"),
        waiting,
        mine,
        all,
        before,
        policies,
        ceilings,
    })
}

/// Policies and ceilings of every database.
async fn choices(app: &App, user: &UserAuth) -> Result<(Vec<Choice>, Vec<Choice>), Refusal> {
    let (mut policies, mut ceilings) = (Vec::new(), Vec::new());
    for database in app.db().databases(user.scope(), 0).await? {
        for option in requests::requestable(app, user, &database.name).await? {
            let Requestable { kind, name, max_seconds, reason_required, approvals, approvers, .. } = option;
            let groups = approvers.into_iter().collect::<Vec<_>>().join(", ");
            let reason = if reason_required { ", reason required" } else { "" };
            let choice = Choice {
                value: format!("{}/{name}", database.name),
                name: format!("{name} on {}", database.name),
                terms: format!(
                    "at most {} min, {approvals} approval(s) by {groups}{reason}",
                    max_seconds / 60
                ),
            };
            if kind == "policy" { policies.push(choice) } else { ceilings.push(choice) }
        }
    }
    Ok((policies, ceilings))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let request = requests::find(&app, session.user(), &id).await?;
    let gives = match &request.what {
        AccessAsked::Policy { .. } => Vec::new(),
        AccessAsked::AdHoc { relations, .. } => relations.iter().map(AskedRelation::words).collect(),
    };
    let needed = request.needed.as_ref().map(|needed| {
        let groups = needed.groups.iter().cloned().collect::<Vec<_>>().join(" or ");
        format!("{} of {} approvals, by members of {groups}", needed.given, needed.approvals)
    });
    page(&RequestPage { shell: Shell::of(&session, "/requests"), request, gives, needed })
}

/// The form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    what: String,
    minutes: u64,
    #[serde(default)]
    start: String,
    reason: String,
}

pub(super) async fn ask(
    State(app): State<Arc<App>>,
    session: Session,
    FormBody(Ask { what, minutes, start, reason }): FormBody<Ask>,
) -> Result<Response, Refusal> {
    let (database, policy_id) = named(&what)?;
    asked(&app, &session, database, (AccessAsked::Policy { policy_id }, (minutes, start), reason)).await
}

/// The form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskTables {
    what: String,
    tables: String,
    minutes: u64,
    #[serde(default)]
    start: String,
    reason: String,
}

pub(super) async fn ask_tables(
    State(app): State<Arc<App>>,
    session: Session,
    FormBody(AskTables { what, tables, minutes, start, reason }): FormBody<AskTables>,
) -> Result<Response, Refusal> {
    let (database, ceiling_id) = named(&what)?;
    let lines = tables.lines().map(str::trim).filter(|line| !line.is_empty());
    let relations = lines
        .map(AskedRelation::parse)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Refusal::bad("request.asked", error.to_string()))?;
    let what = AccessAsked::AdHoc { ceiling_id, relations };
    asked(&app, &session, database, (what, (minutes, start), reason)).await
}

/// `database/name`.
fn named(what: &str) -> Result<(String, String), Refusal> {
    let parts = what.split_once('/').map(|(database, name)| (database.to_owned(), name.to_owned()));
    parts.ok_or_else(|| {
        Refusal::bad("request.malformed", "the form is not the one this page has")
            .allowed("one of what the page offers")
    })
}

async fn asked(
    app: &App,
    session: &Session,
    database: String,
    (what, (minutes, start), reason): (AccessAsked, (u64, String), String),
) -> Result<Response, Refusal> {
    let seconds = minutes.saturating_mul(60);
    let new = NewAccessRequest { database, what, seconds, starts_at: begins(&start), reason };
    let made = requests::ask(app, session.user(), &new).await?;
    Ok(Redirect::to(&format!("/requests/{}", made.id)).into_response())
}

/// What a browser's field for date and time says, which is without seconds and of no zone: the page asks for UTC.
fn begins(start: &str) -> Option<String> {
    let start = start.trim();
    let seconds = if start.matches(':').count() == 1 { ":00Z" } else { "Z" };
    (!start.is_empty()).then(|| format!("{start}{seconds}"))
}

/// The form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Word {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    minutes: u64,
}

macro_rules! words {
    ($($name:ident = $act:expr;)*) => {$(
        pub(super) async fn $name(
            State(app): State<Arc<App>>,
            session: Session,
            Path(id): Path<String>,
            FormBody(Word { reason, minutes }): FormBody<Word>,
        ) -> Result<Response, Refusal> {
            let doing = Doing { act: $act, reason, seconds: minutes.saturating_mul(60) };
            let request = requests::act(&app, session.user(), &id, &doing).await?;
            Ok(Redirect::to(&format!("/requests/{}", request.id)).into_response())
        }
    )*};
}

words! {
    approve = Act::Approve;
    deny = Act::Deny;
    end = Act::End;
    extend = Act::Extend;
}
