//! Jobs of pipelines: an admin says whose may act as which member, and a job exchanges the token its runner gave it for a
//! short one of ours (RFC 8693). No secret is kept in the pipeline.

use crate::app::App;
use crate::clock::rfc3339;
use crate::guard::{Admin, Overseer};
use crate::list::{Paging, Part};
use crate::name::{self, shown};
use crate::oidc::{self, OidcError, Wanted, origin_of};
use crate::problem::Refusal;
use crate::routes::providers::chain;
use crate::workload;
use axum::extract::rejection::FormRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Form, Json};
use daam_api::v1::{NewWorkload, TokenExchanged, Workload};
use daam_identity::principal::MAX_DATABASES;
use daam_store::{Exchanged, ProvenJob, StoredWorkload, TenantScope, new_provider_id};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;

const DEFAULT_SECONDS: u64 = 900;
const MOST_SECONDS: u64 = 3600;
const LONGEST_AUDIENCE: usize = 255;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const GIVEN: [&str; 2] =
    ["urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"];
const ISSUED: &str = "urn:ietf:params:oauth:token-type:access_token";

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    user: Admin,
    crate::body::JsonBody(request): crate::body::JsonBody<NewWorkload>,
) -> Result<(StatusCode, Json<Workload>), Refusal> {
    Ok((StatusCode::CREATED, Json(add(&app, &user, request).await?)))
}

/// Trusts jobs, if what is said of them is enough.
pub(crate) async fn add(app: &App, user: &Admin, request: NewWorkload) -> Result<Workload, Refusal> {
    name::label(&request.name)?;
    let email = name::email(&request.email)?;
    let lifetime = request.lifetime.unwrap_or(DEFAULT_SECONDS);
    if !(60..=MOST_SECONDS).contains(&lifetime) {
        let title = format!("a job cannot act for {lifetime} seconds");
        return Err(Refusal::bad("workload.lifetime", title).allowed(format!("60 to {MOST_SECONDS}")));
    }
    workload::check(&request.issuer, &request.claims).map_err(|bad| {
        Refusal::bad("workload.claims", format!("these claims are not enough: {bad}")).allowed(
            "claims that say whose jobs they are, such as `repository` with `acme/shop` and `ref` with `refs/heads/main`",
        )
    })?;
    let id = new_provider_id();
    let audience = request.audience.unwrap_or_else(|| app.base().url(&endpoint(&id)));
    if audience.is_empty() || audience.len() > LONGEST_AUDIENCE || audience.chars().any(char::is_control) {
        return Err(Refusal::bad("workload.audience", "this is no audience")
            .allowed("1 to 255 bytes without control characters, or none for the address of the exchange"));
    }
    databases(request.databases.as_ref())?;
    answers(app, &request.issuer).await?;
    let new = StoredWorkload {
        id,
        name: request.name,
        issuer: request.issuer,
        audience,
        claims: request.claims,
        email,
        lifetime,
        created_by: user.email().to_owned(),
        created_at: app.now(),
        databases: request.databases,
        used_at: None,
    };
    if !app.db().add_workload(user, &new, app.now()).await? {
        return Err(Refusal::missing("user.unknown", format!("there is no enabled user `{}`", new.email))
            .allowed("a user created with `PUT /v1/users/{email}`"));
    }
    Ok(listed(app, new))
}

/// Whether a limit to these databases is one.
fn databases(named: Option<&BTreeSet<String>>) -> Result<(), Refusal> {
    let Some(named) = named else { return Ok(()) };
    if named.is_empty() || named.len() > MAX_DATABASES {
        let title = format!("a limit to {} databases is none", named.len());
        return Err(Refusal::bad("workload.databases", title)
            .allowed(format!("1 to {MAX_DATABASES} names, or no limit at all")));
    }
    named.iter().try_for_each(|database| name::database(database))
}

/// Whether somebody answers there as an issuer.
async fn answers(app: &App, issuer: &str) -> Result<(), Refusal> {
    let url = reqwest::Url::parse(issuer).ok();
    let url =
        url.filter(|url| app.outbound().may_ask(url) && url.query().is_none() && url.fragment().is_none());
    let answers = match url {
        Some(_) => oidc::published(app.outbound(), issuer).await,
        None => Err(OidcError::Setup("it is no address that may be asked")),
    };
    answers.map(|_| ()).map_err(|error| {
        let issuer = origin_of(issuer);
        tracing::warn!(issuer, error = %chain(&error), "an issuer of jobs does not answer");
        let title = format!("{issuer} does not answer as an issuer");
        Refusal::bad("workload.issuer", title).allowed(
            "an `https` address outside the operator's network that publishes `/.well-known/openid-configuration` naming itself",
        )
    })
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    user: Overseer,
    paging: Paging,
) -> Result<Part<Workload>, Refusal> {
    let workloads = known(&app, user.scope()).await?;
    Ok(paging.part(workloads, |one: &Workload| format!("{}\n{}", one.name, one.id)))
}

/// All of them, by name.
pub(crate) async fn known(app: &App, scope: &TenantScope) -> Result<Vec<Workload>, Refusal> {
    let known = app.db().workloads(scope).await?;
    Ok(known.into_iter().map(|known| listed(app, known)).collect())
}

pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    user: Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    delete(&app, &user, &id).await.map(|()| StatusCode::NO_CONTENT)
}

/// Trusts them no longer.
pub(crate) async fn delete(app: &App, user: &Admin, id: &str) -> Result<(), Refusal> {
    if app.db().remove_workload(user, id, app.now()).await? {
        app.changed(user.scope()).await;
        return Ok(());
    }
    Err(Refusal::missing("workload.unknown", format!("there is no workload `{}`", shown(id)))
        .allowed("an id from `GET /v1/workloads`"))
}

/// What a job posts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    grant_type: String,
    subject_token: String,
    subject_token_type: String,
}

pub(crate) async fn exchange(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    form: Result<Form<Exchange>, FormRejection>,
) -> Result<Json<TokenExchanged>, Refusal> {
    let form = form.map(|Form(form)| form).ok();
    let form =
        form.filter(|form| form.grant_type == GRANT && GIVEN.contains(&form.subject_token_type.as_str()));
    let form = form.ok_or_else(|| {
        Refusal::bad("workload.malformed", "this is no exchange of a job's token").allowed(
            "a form with `grant_type`, `subject_token_type` and `subject_token` as RFC 8693 describes them, for a signed token",
        )
    })?;
    let at = app.db().workload_door(&id).await?.ok_or_else(refused)?;
    let known = at.workload();
    let wanted = Wanted { issuer: &known.issuer, audience: &known.audience };
    let job = oidc::verify((app.outbound(), app.job_keys()), wanted, &form.subject_token, app.now()).await;
    let job = job.map_err(|error| {
        tracing::warn!(workload = id, error = %chain(&error), "a job's token was refused");
        refused()
    })?;
    if let Some(claim) = workload::missing(&known.claims, &job.claims) {
        tracing::warn!(workload = id, subject = job.subject, claim, "a job that is not trusted asked");
        return Err(refused());
    }
    let lifetime = i64::try_from(known.lifetime).unwrap_or(0);
    let proven = ProvenJob {
        subject: &job.subject,
        sha256: &job.sha256,
        forgotten_at: job.expires_at,
        expires_at: app.now().saturating_add(lifetime),
    };
    match app.db().exchange(&at, &proven, app.now()).await? {
        Exchanged::Done(secret) => Ok(Json(TokenExchanged {
            access_token: secret.reveal(),
            issued_token_type: ISSUED.to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: known.lifetime,
        })),
        Exchanged::Replayed | Exchanged::Gone => Err(refused()),
    }
}

/// The same whatever is wrong: strangers ask here. The log says more.
fn refused() -> Refusal {
    Refusal::bad("workload.refused", "this token signs no job in here").allowed(
        "a token of the trusted issuer, for the audience of this exchange, of a job the organization trusts, in force and once",
    )
}

fn endpoint(id: &str) -> String {
    format!("/v1/workloads/{id}/token")
}

fn listed(app: &App, known: StoredWorkload) -> Workload {
    Workload {
        token_endpoint: app.base().url(&endpoint(&known.id)),
        created_at: rfc3339(known.created_at),
        last_used_at: known.used_at.map(rfc3339),
        id: known.id,
        name: known.name,
        issuer: known.issuer,
        audience: known.audience,
        claims: known.claims,
        email: known.email,
        lifetime: known.lifetime,
        created_by: known.created_by,
        databases: known.databases,
    }
}
