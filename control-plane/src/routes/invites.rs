//! Inviting people, and one's own way from the command line into the console. The address is shown once; whoever has
//! it is believed to be whom it names, so it goes to that person and nobody else.

use crate::app::App;
use crate::body::JsonBody;
use crate::clock::rfc3339;
use crate::guard::{Admin, Member, Overseer};
use crate::list::{Paging, Part};
use crate::name::{self, shown};
use crate::problem::Refusal;
use crate::routes::tokens::expiry;
use crate::routes::users::role;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use daam_api::v1::{Invite, LinkCreated, NewInvite};
use daam_store::{Invited, ListedInvite, UserAuth};
use std::sync::Arc;

const DEFAULT_SECONDS: u64 = 7 * 86_400;
const MOST_SECONDS: u64 = 30 * 86_400;
/// A link somebody made for themselves is used at once.
const OWN_SECONDS: i64 = 300;

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    user: Admin,
    JsonBody(request): JsonBody<NewInvite>,
) -> Result<(StatusCode, Json<LinkCreated>), Refusal> {
    invite(&app, &user, &request).await.map(|made| (StatusCode::CREATED, Json(made)))
}

/// The invite itself, whichever surface asks.
pub(crate) async fn invite(app: &App, admin: &UserAuth, request: &NewInvite) -> Result<LinkCreated, Refusal> {
    let email = name::email(&request.email)?;
    if let Some(groups) = &request.groups {
        name::groups(groups.iter())?;
    }
    let expires_at = expiry(app.now(), request.expires_in, DEFAULT_SECONDS, MOST_SECONDS)?;
    let role = request.role.as_deref().map(role).transpose()?;
    let new = daam_store::NewInvite {
        email: &email,
        role,
        groups: request.groups.as_ref(),
        recover: request.recover,
        expires_at,
    };
    match app.db().invite(admin, &new, app.now()).await? {
        Invited::Done { id, secret } => {
            app.changed(admin.scope()).await;
            let link = app.base().link(secret);
            Ok(LinkCreated { id: Some(id), link, expires_at: rfc3339(expires_at) })
        }
        Invited::Joined => {
            Err(Refusal::conflict("invite.joined", format!("`{email}` has joined this organization already"))
                .allowed("to sign in; for whoever lost every way in, an invite with `recover`"))
        }
        Invited::Disabled => Err(Refusal::conflict("invite.disabled", format!("`{email}` is disabled"))
            .allowed("an invite once the user is enabled again")),
        Invited::Exists => {
            Err(Refusal::conflict("invite.exists", format!("`{email}` is in the directory already")).allowed(
                "an invite without `role` and `groups`; those are changed with `PUT /v1/users/{email}`",
            ))
        }
    }
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    user: Overseer,
    paging: Paging,
) -> Result<Part<Invite>, Refusal> {
    let shown = |ListedInvite { id, email, role, created_by, expires_at }| Invite {
        id,
        email,
        role,
        created_by,
        expires_at: rfc3339(expires_at),
    };
    let invites = app.db().invites(user.scope(), app.now()).await?;
    let key = |invite: &Invite| format!("{}\n{}", invite.email, invite.id);
    Ok(paging.part(invites.into_iter().map(shown).collect(), key))
}

pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    user: Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    withdraw(&app, &user, &id).await.map(|()| StatusCode::NO_CONTENT)
}

pub(crate) async fn withdraw(app: &App, admin: &UserAuth, id: &str) -> Result<(), Refusal> {
    if app.db().withdraw_invite(admin.scope(), id, app.now()).await? {
        return Ok(());
    }
    Err(Refusal::missing("invite.unknown", format!("there is no open invite `{}`", shown(id)))
        .allowed("an id from `GET /v1/invites`"))
}

/// From the command line into the console, as the same member and for no longer than the token lives.
pub(crate) async fn console_link(
    State(app): State<Arc<App>>,
    user: Member,
) -> Result<(StatusCode, Json<LinkCreated>), Refusal> {
    let expires_at = app.now().saturating_add(OWN_SECONDS);
    let link = app.base().link(app.db().link_for_token(&user, expires_at, app.now()).await?);
    Ok((StatusCode::CREATED, Json(LinkCreated { id: None, link, expires_at: rfc3339(expires_at) })))
}
