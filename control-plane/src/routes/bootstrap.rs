//! The first organization, once; and for the operator on the command line, further ones.

use crate::app::App;
use crate::body::JsonBody;
use crate::keys;
use crate::name;
use crate::problem::Refusal;
use crate::slug::slug;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use daam_api::v1::{Bootstrap, Bootstrapped};
use daam_store::{Created, NewKey, NewOrganization};
use std::sync::Arc;

/// How long the first admin's token lives.
const TOKEN_SECONDS: i64 = 30 * 86_400;
/// How long the first admin's link to the console lives.
const LINK_SECONDS: i64 = 86_400;
const ATTEMPTS: u32 = 20;

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    JsonBody(request): JsonBody<Bootstrap>,
) -> Result<(StatusCode, Json<Bootstrapped>), Refusal> {
    let made = make(&app, &request, true).await?;
    app.forget_bootstrap_token();
    Ok((StatusCode::CREATED, Json(made)))
}

/// Makes an organization with its keys and first admin; `first` only if there was never one.
pub(crate) async fn make(app: &App, request: &Bootstrap, first: bool) -> Result<Bootstrapped, Refusal> {
    name::label(&request.organization)?;
    let email = name::email(&request.admin_email)?;
    let now = app.now();
    for attempt in 0..ATTEMPTS {
        let mut random = [0_u8; 4];
        getrandom::fill(&mut random)
            .map_err(|error| Refusal::internal("get random bytes", &std::io::Error::other(error)))?;
        let org = slug(random, attempt);
        let sealed = keys::generate(app.vault(), &org, now)?;
        let new = NewOrganization {
            slug: &org,
            name: &request.organization,
            admin_email: &email,
            authority: NewKey { public: &sealed.ca_cert, sealed: &sealed.ca_sealed },
            ticket: NewKey { public: &sealed.ticket_public, sealed: &sealed.ticket_sealed },
            token_expires_at: now.saturating_add(TOKEN_SECONDS),
            link_expires_at: now.saturating_add(LINK_SECONDS),
        };
        let created = if first {
            app.db().bootstrap(&new, now).await?
        } else {
            app.db().create_organization(&new, now).await?
        };
        match created {
            Created::Made { user_id, token, link } => {
                let sign_in_link = app.base().link(link);
                return Ok(Bootstrapped { org, user_id, token: token.reveal(), sign_in_link });
            }
            Created::SlugTaken => {}
            Created::AlreadyBootstrapped => {
                return Err(Refusal::conflict(
                    "bootstrap.done",
                    "the first organization was already created",
                )
                .allowed("`daam login` with a token from one of its admins"));
            }
        }
    }
    Err(Refusal::internal("find a free slug", &std::io::Error::other("every attempt was taken")))
}
