//! Admitting agents and relays: a one-time token, used with a key made where it will stay.

use crate::app::App;
use crate::body::JsonBody;
use crate::clock::rfc3339;
use crate::guard::Admin;
use crate::problem::Refusal;
use crate::routes::certificates::{agent_validity, issue};
use crate::routes::tokens::expiry;
use crate::{authorities, keys, name};
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use daam_api::v1::{Enrol, Enrolled, NewEnrolment, TokenCreated};
use daam_identity::{AgentPrincipal, Principal};
use daam_store::{AgentEnrolment, Enrolment, EnrolmentAuth, EnrolmentKind, Holder, NewAgent, NewCertificate};
use std::sync::Arc;
use uuid::Uuid;

const DEFAULT_SECONDS: u64 = 3600;
const MOST_SECONDS: u64 = 7 * 86_400;

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    user: Admin,
    JsonBody(request): JsonBody<NewEnrolment>,
) -> Result<(StatusCode, Json<TokenCreated>), Refusal> {
    let kind = kind(&request)?;
    let expires_at = expiry(app.now(), request.expires_in, DEFAULT_SECONDS, MOST_SECONDS)?;
    let new = Enrolment { kind: &kind, expires_at };
    let (id, secret) = app.db().create_enrolment(&user, &new, app.now()).await?;
    let created = TokenCreated { id, token: secret.reveal(), expires_at: rfc3339(expires_at) };
    Ok((StatusCode::CREATED, Json(created)))
}

pub(crate) async fn enrol(
    State(app): State<Arc<App>>,
    Extension(token): Extension<EnrolmentAuth>,
    JsonBody(request): JsonBody<Enrol>,
) -> Result<(StatusCode, Json<Enrolled>), Refusal> {
    name::label(&request.name)?;
    let enrolled = match (token.kind(), &request.csr_pem) {
        (EnrolmentKind::Agent { database }, Some(csr)) => {
            enrol_agent(&app, &token, (&request.name, database, csr)).await?
        }
        (EnrolmentKind::Relay, None) => enrol_relay(&app, &token, &request.name).await?,
        (EnrolmentKind::Agent { .. }, None) => {
            return Err(Refusal::bad("enrol.csr", "an agent enrols with a certificate signing request")
                .allowed("`csr_pem` with a request for a key made on the agent's machine"));
        }
        (EnrolmentKind::Relay, Some(_)) => {
            return Err(Refusal::bad("enrol.csr", "a relay gets no certificate").allowed("no `csr_pem`"));
        }
    };
    Ok((StatusCode::CREATED, Json(enrolled)))
}

async fn enrol_agent(
    app: &App,
    token: &EnrolmentAuth,
    (label, database, csr): (&str, &str, &str),
) -> Result<Enrolled, Refusal> {
    let scope = token.scope();
    let (_, all) = app.db().authorities(scope).await?;
    let (authority, ca) = keys::issuer(app, scope, &all)?;
    let id = Uuid::now_v7().to_string();
    let principal = Principal::Agent(AgentPrincipal {
        org: scope.org().to_owned(),
        agent_id: id.clone(),
        database: database.to_owned(),
    });
    let issued = issue(&ca, csr, &principal, agent_validity(app.now()))?;
    let certificate = NewCertificate {
        serial: &issued.serial_hex,
        holder: Holder::Agent(&id),
        not_after: issued.not_after,
        authority,
    };
    let new = NewAgent { id: &id, name: label, audit_key: &issued.public_key, certificate };
    let link = match app.db().enrol_agent(token, &new, app.now()).await? {
        AgentEnrolment::Made(link) => link,
        AgentEnrolment::Used => return Err(used()),
        AgentEnrolment::Retired => {
            let title = "the certificate authority was retired meanwhile; nothing was done";
            return Err(Refusal::conflict("enrol.authority-retired", title)
                .allowed("the same again: the token was not used"));
        }
    };
    Ok(Enrolled {
        id,
        org: scope.org().to_owned(),
        certificate_pem: Some(issued.pem),
        ca_pem: authorities::in_force(&all),
        link_token: link.reveal(),
        ticket_key: None,
        authorities: authorities::history(&all),
    })
}

async fn enrol_relay(app: &App, token: &EnrolmentAuth, label: &str) -> Result<Enrolled, Refusal> {
    let scope = token.scope();
    let (_, all) = app.db().authorities(scope).await?;
    let ticket = app.db().ticket_key(scope).await?;
    let (id, link) = app.db().enrol_relay(token, label, app.now()).await?.ok_or_else(used)?;
    Ok(Enrolled {
        id,
        org: scope.org().to_owned(),
        certificate_pem: None,
        ca_pem: authorities::in_force(&all),
        link_token: link.reveal(),
        ticket_key: Some(ticket.public),
        authorities: authorities::history(&all),
    })
}

fn kind(request: &NewEnrolment) -> Result<EnrolmentKind, Refusal> {
    match (request.kind.as_str(), &request.database) {
        ("agent", Some(database)) => {
            name::database(database)?;
            Ok(EnrolmentKind::Agent { database: database.clone() })
        }
        ("relay", None) => Ok(EnrolmentKind::Relay),
        ("agent", None) => {
            Err(Refusal::bad("enrolment.database", "an agent serves one database, and none is named")
                .allowed("`database` with its name"))
        }
        ("relay", Some(_)) => {
            Err(Refusal::bad("enrolment.database", "a relay serves no database in particular")
                .allowed("no `database`"))
        }
        (other, _) => {
            Err(Refusal::bad("enrolment.kind", format!("`{}` cannot be enrolled", name::shown(other)))
                .allowed("`agent` or `relay`"))
        }
    }
}

fn used() -> Refusal {
    Refusal::conflict("enrol.used", "the enrolment token was used meanwhile")
        .allowed("a new enrolment token from an admin")
}
