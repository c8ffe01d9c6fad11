//! Certificates for keys made elsewhere. Every name in one comes from the verified token, never from the request.

use crate::app::App;
use crate::authorities;
use crate::body::JsonBody;
use crate::clock::rfc3339;
use crate::guard::Member;
use crate::keys;
use crate::problem::Refusal;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use daam_api::v1::{AgentCertificateRequest, CertificateIssued, CertificateRequest};
use daam_identity::{
    AgentPrincipal, AuthorityError, CertificateAuthority, Databases, Issued, Principal, UserPrincipal,
};
use daam_store::{AgentAuth, Caller, Holder, NewCertificate, StoredAuthority, TenantScope};
use std::sync::Arc;

/// For clocks that are a little behind ours.
const SKEW_SECONDS: i64 = 60;
const USER_SECONDS: i64 = 12 * 3600;
const AGENT_SECONDS: i64 = 30 * 86_400;

/// First and last second.
pub(crate) type Validity = (i64, i64);

pub(crate) async fn for_user(
    State(app): State<Arc<App>>,
    user: Member,
    JsonBody(request): JsonBody<CertificateRequest>,
) -> Result<Json<CertificateIssued>, Refusal> {
    let scope = user.scope();
    let (_, all) = app.db().authorities(scope).await?;
    let (number, ca) = keys::issuer(&app, scope, &all)?;
    let principal = Principal::User(UserPrincipal {
        org: scope.org().to_owned(),
        user_id: user.user_id().to_owned(),
        email: user.email().to_owned(),
        device: request.device,
        // Agents hold to it by themselves: what a certificate is not for it cannot be used for, whoever shows it where.
        databases: user.databases().cloned().map_or(Databases::Any, Databases::Only),
    });
    let issued = issue(&ca, &request.csr_pem, &principal, user_validity(app.now(), user.token_expires_at()))?;
    answer(&app, scope, (number, &all, issued), Holder::User(&user)).await
}

pub(crate) async fn for_agent(
    State(app): State<Arc<App>>,
    Extension(agent): Extension<AgentAuth>,
    JsonBody(request): JsonBody<AgentCertificateRequest>,
) -> Result<Json<CertificateIssued>, Refusal> {
    let scope = agent.scope();
    let (_, all) = app.db().authorities(scope).await?;
    let (number, ca) = keys::issuer(&app, scope, &all)?;
    let principal = Principal::Agent(AgentPrincipal {
        org: scope.org().to_owned(),
        agent_id: agent.agent_id().to_owned(),
        database: agent.database().to_owned(),
    });
    let issued = issue(&ca, &request.csr_pem, &principal, agent_validity(app.now()))?;
    answer(&app, scope, (number, &all, issued), Holder::Agent(agent.agent_id())).await
}

pub(crate) async fn authority(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<impl IntoResponse, Refusal> {
    let (_, all) = app.db().authorities(caller.scope()).await?;
    Ok(([(header::CONTENT_TYPE, "application/x-pem-file")], authorities::in_force(&all)))
}

/// Signs, or says what is wrong with the request.
pub(crate) fn issue(
    ca: &CertificateAuthority,
    csr: &str,
    principal: &Principal,
    (not_before, not_after): Validity,
) -> Result<Issued, Refusal> {
    ca.issue(csr, principal, not_before, not_after).map_err(|error| match error {
        AuthorityError::Request(why) => {
            Refusal::bad("certificate.request", format!("the certificate signing request was refused: {why}"))
                .allowed(
                    "a PKCS#10 request in PEM, signed by its own ECDSA P-256 or Ed25519 key, without names",
                )
        }
        AuthorityError::Principal(why) => Refusal::new(
            StatusCode::BAD_REQUEST,
            "certificate.names",
            format!("no certificate can name this: {why}"),
        ),
        other => Refusal::internal("issue a certificate", &other),
    })
}

/// Never longer than the token that asked for it.
fn user_validity(now: i64, token_expires_at: i64) -> Validity {
    let not_before = now.saturating_sub(SKEW_SECONDS);
    (not_before, not_before.saturating_add(USER_SECONDS).min(token_expires_at))
}

pub(crate) fn agent_validity(now: i64) -> Validity {
    (now.saturating_sub(SKEW_SECONDS), now.saturating_add(AGENT_SECONDS))
}

async fn answer(
    app: &App,
    scope: &TenantScope,
    (authority, all, issued): (i64, &[StoredAuthority], Issued),
    holder: Holder<'_>,
) -> Result<Json<CertificateIssued>, Refusal> {
    let new = NewCertificate { serial: &issued.serial_hex, holder, not_after: issued.not_after, authority };
    if !app.db().record_certificate(scope, &new, app.now()).await? {
        let title = "the token was deleted, or its holder disabled or removed, meanwhile";
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "auth.required", title).allowed("a valid token"));
    }
    Ok(Json(CertificateIssued {
        certificate_pem: issued.pem,
        ca_pem: authorities::in_force(all),
        not_after: rfc3339(issued.not_after),
        authorities: authorities::history(all),
    }))
}
