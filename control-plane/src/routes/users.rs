//! The directory of people. A change is pushed to every connected agent at once.

use crate::app::App;
use crate::body::JsonBody;
use crate::guard::{Admin, Overseer};
use crate::list::{Paging, Part};
use crate::name;
use crate::problem::Refusal;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use daam_api::v1::{PutUser, User, UserStored, WhoAmI};
use daam_store::{Caller, Role, Stored, UserChange};
use std::sync::Arc;

pub(crate) async fn whoami(Extension(caller): Extension<Caller>) -> Json<WhoAmI> {
    let org = caller.scope().org().to_owned();
    let (user_id, email, role) = match &caller {
        Caller::User(user) => (user.user_id(), user.email(), user.role().name()),
        Caller::Agent(agent) => (agent.agent_id(), "", "agent"),
        Caller::Relay(relay) => (relay.relay_id(), "", "relay"),
        Caller::Enrolment(token) => (token.id(), "", "enrolment"),
        Caller::Scim(_) => ("", "", "scim"),
    };
    let databases = match &caller {
        Caller::User(user) => user.databases().cloned(),
        _ => None,
    };
    Json(WhoAmI {
        databases,
        org,
        user_id: user_id.to_owned(),
        email: email.to_owned(),
        role: role.to_owned(),
    })
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    user: Overseer,
    paging: Paging,
) -> Result<Part<User>, Refusal> {
    let most = u32::try_from(paging.limit).unwrap_or(u32::MAX).saturating_add(1);
    let mut users =
        app.db().users_after(user.scope(), paging.after.as_deref().unwrap_or_default(), most).await?;
    let more = users.len() > paging.limit;
    users.truncate(paging.limit);
    let last = users.last().map(|user| user.email.clone()).filter(|_| more);
    Ok(paging.answer(users, last.as_deref()))
}

pub(crate) async fn store(
    State(app): State<Arc<App>>,
    user: Admin,
    Path(email): Path<String>,
    JsonBody(request): JsonBody<PutUser>,
) -> Result<Json<UserStored>, Refusal> {
    let email = name::email(&email)?;
    name::groups(request.groups.iter())?;
    name::attributes(request.attributes.iter())?;
    let change = UserChange {
        email: &email,
        role: request.role.as_deref().map(role).transpose()?,
        groups: &request.groups,
        attributes: &request.attributes,
        disabled: request.disabled,
    };
    match app.db().put_user(user.scope(), &change, app.now()).await? {
        Stored::Done(stored) => {
            app.changed(user.scope()).await;
            Ok(Json(stored))
        }
        Stored::LastAdmin => Err(last_admin(&email)),
    }
}

pub(crate) fn last_admin(email: &str) -> Refusal {
    Refusal::conflict("user.last-admin", format!("`{email}` is the last enabled admin"))
        .allowed("this change after another user is made an admin")
}

pub(crate) fn role(text: &str) -> Result<Role, Refusal> {
    Role::from_name(text).ok_or_else(|| {
        Refusal::bad("user.role", format!("`{}` is not a role", name::shown(text)))
            .allowed("`admin`, `member`, `approver` or `auditor`")
    })
}
