//! Databases, what is published for them, and what a policy means; with a chip where agents refused its targets because
//! of scope, which leads back to the agent.

use super::page;
use super::session::Session;
use super::shell::Shell;
use crate::app::App;
use crate::link::ONLINE_SECONDS;
use crate::name::shown;
use crate::problem::Refusal;
use crate::routes::agents::WEEK_SECONDS;
use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use daam_api::v1::Database;
use daam_bundle::UnsignedBundle;
use daam_catalog::Catalog;
use daam_store::{ListedViolation, TenantScope};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

mod policy_text;

use policy_text::PolicyText;

/// Relations shown at once.
const MOST: usize = 200;

#[derive(Template)]
#[template(path = "databases.html")]
struct Databases {
    shell: Shell,
    databases: Vec<Database>,
}

pub(super) async fn list(State(app): State<Arc<App>>, session: Session) -> Result<Response, Refusal> {
    let databases = app.db().databases(session.user().scope(), app.now() - ONLINE_SECONDS).await?;
    page(&Databases { shell: Shell::of(&session, "/databases"), databases })
}

#[derive(Template)]
#[template(path = "database.html")]
struct DatabasePage {
    shell: Shell,
    name: String,
    online: u32,
    serial: u64,
    policies: Vec<Line>,
    query: String,
    schema: Option<Vec<RelationLine>>,
    more: bool,
}

struct Line {
    name: String,
    subjects: String,
    held: String,
    violations: usize,
}

struct RelationLine {
    name: String,
    columns: String,
}

/// The search in the schema.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Find {
    #[serde(default)]
    q: String,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    session: Session,
    Path(name): Path<String>,
    find: Result<Query<Find>, QueryRejection>,
) -> Result<Response, Refusal> {
    let scope = session.user().scope();
    let shell = Shell::of(&session, "/databases");
    let known = app.db().databases(scope, app.now() - ONLINE_SECONDS).await?;
    let database = known.into_iter().find(|known| known.name == name).ok_or_else(|| unknown(&name))?;
    let violations = violations(&app, &shell, scope, &name).await?;
    let policies = policies(&app, scope, &name).await?.into_iter().map(|policy| Line {
        violations: violations.iter().filter(|row| row.policy_id == policy.name).count(),
        name: policy.name,
        subjects: policy.subjects,
        held: policy.held,
    });
    let query = find.map(|Query(find)| find.q).unwrap_or_default();
    // Names of columns tell about data; whoever oversees the organization sees them, as over the API.
    let mut schema = None;
    let mut more = false;
    if shell.oversees() {
        let found = relations(&app, scope, &name, query.trim()).await?;
        more = found.len() > MOST;
        schema = Some(found.into_iter().take(MOST).collect());
    }
    let policies = policies.collect();
    let (online, serial) = (database.agents_online, database.bundle_serial);
    page(&DatabasePage { shell, name, online, serial, policies, query, schema, more })
}

#[derive(Template)]
#[template(path = "policy.html")]
struct PolicyPage {
    shell: Shell,
    database: String,
    policy: PolicyText,
    chips: Vec<Chip>,
    violations: Vec<ListedViolation>,
}

/// How often an agent refused a policy's targets.
struct Chip {
    agent_id: String,
    agent: String,
    count: usize,
}

pub(super) async fn policy(
    State(app): State<Arc<App>>,
    session: Session,
    Path((database, name)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let scope = session.user().scope();
    let shell = Shell::of(&session, "/databases");
    let mut violations = violations(&app, &shell, scope, &database).await?;
    violations.retain(|row| row.policy_id == name);
    let policies = policies(&app, scope, &database).await?;
    let policy = policies.into_iter().find(|policy| policy.name == name).ok_or_else(|| {
        Refusal::missing("policy.unknown", format!("nothing published has a policy `{}`", shown(&name)))
            .allowed("a policy that is listed on the database's page")
    })?;
    let mut counted: BTreeMap<(String, String), usize> = BTreeMap::new();
    for row in &violations {
        let count = counted.entry((row.agent.clone(), row.agent_id.clone())).or_default();
        *count = count.saturating_add(1);
    }
    let chips =
        counted.into_iter().map(|((agent, agent_id), count)| Chip { agent_id, agent, count }).collect();
    page(&PolicyPage { shell, database, policy, chips, violations })
}

fn unknown(name: &str) -> Refusal {
    Refusal::missing("database.unknown", format!("there is no database `{}`", shown(name)))
        .allowed("one that is listed under Databases")
}

/// Of the last 7 days; for whoever oversees the organization.
async fn violations(
    app: &App,
    shell: &Shell,
    scope: &TenantScope,
    database: &str,
) -> Result<Vec<ListedViolation>, Refusal> {
    if !shell.oversees() {
        return Ok(Vec::new());
    }
    let mut violations = app.db().violations(scope, app.now() - WEEK_SECONDS).await?;
    violations.retain(|row| row.database == database);
    Ok(violations)
}

/// What is published, in words; nothing if that cannot be read by this version.
async fn policies(app: &App, scope: &TenantScope, database: &str) -> Result<Vec<PolicyText>, Refusal> {
    let Some(bundle) = app.db().bundle(scope, database).await? else { return Ok(Vec::new()) };
    let read = UnsignedBundle::from_bytes(&bundle.bytes).ok().and_then(|bundle| bundle.policies().ok());
    Ok(read.map(|set| policy_text::all(&set)).unwrap_or_default())
}

async fn relations(
    app: &App,
    scope: &TenantScope,
    database: &str,
    query: &str,
) -> Result<Vec<RelationLine>, Refusal> {
    let Some(snapshot) = app.db().schema(scope, database).await? else { return Ok(Vec::new()) };
    let catalog = serde_json::from_str(&snapshot)
        .ok()
        .and_then(|value| daam_catalog::snapshot::from_json(&value).ok())
        .unwrap_or_else(Catalog::default);
    let query = query.to_lowercase();
    let lines = catalog.relations.iter().map(|(name, relation)| RelationLine {
        name: name.to_string(),
        columns: relation
            .columns
            .iter()
            .map(|column| format!("{} {}", column.name, column.data_type.sql))
            .collect::<Vec<_>>()
            .join(", "),
    });
    let fits = |line: &RelationLine| {
        query.is_empty()
            || line.name.to_lowercase().contains(&query)
            || line.columns.to_lowercase().contains(&query)
    };
    Ok(lines.filter(fits).collect())
}
