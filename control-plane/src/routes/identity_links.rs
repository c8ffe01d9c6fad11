//! Members' accounts at identity providers: who may sign in as whom. Removing one ends what it began.

use crate::app::App;
use crate::clock::rfc3339;
use crate::guard::{Admin, Overseer};
use crate::list::{Paging, Part};
use crate::problem::Refusal;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use daam_api::v1::IdentityLink;
use daam_store::{ListedLink, Unlinked, UserAuth};
use std::sync::Arc;

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    user: Overseer,
    paging: Paging,
) -> Result<Part<IdentityLink>, Refusal> {
    let shown = |ListedLink { provider_id, provider, subject, email, created_at }| IdentityLink {
        provider_id,
        provider,
        subject,
        email,
        created_at: rfc3339(created_at),
    };
    let links = app.db().identity_links(user.scope()).await?.into_iter().map(shown).collect();
    Ok(paging
        .part(links, |link: &IdentityLink| format!("{}\n{}\n{}", link.email, link.provider_id, link.subject)))
}

pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    user: Admin,
    Path((email, id)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    unlink(&app, &user, (&email, &id)).await.map(|()| StatusCode::NO_CONTENT)
}

/// The removal itself, whichever surface asks.
pub(crate) async fn unlink(app: &App, admin: &UserAuth, which: (&str, &str)) -> Result<(), Refusal> {
    outcome(&app.db().unlink_member(admin, which, app.now()).await?)?;
    app.changed(admin.scope()).await;
    Ok(())
}

pub(crate) fn outcome(unlinked: &Unlinked) -> Result<(), Refusal> {
    match unlinked {
        Unlinked::Done => Ok(()),
        Unlinked::Unknown => {
            Err(Refusal::missing("link.unknown", "this member has no account at such a provider")
                .allowed("one that `GET /v1/identity-links` lists"))
        }
        Unlinked::Last => Err(Refusal::conflict("link.last", "nothing else would let you in")
            .allowed("this after adding a passkey or another account, or by an admin")),
    }
}
