//! Where an organization wants to be told of access requests. The secret that deliveries are signed with is made here,
//! shown once and kept encrypted.

use crate::app::App;
use crate::body::JsonBody;
use crate::delivery;
use crate::guard::{Admin, Overseer};
use crate::list::{Paging, Part};
use crate::name::{self, shown};
use crate::oidc::origin_of;
use crate::problem::Refusal;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use daam_api::v1::{NewWebhook, Webhook, WebhookCreated};
use daam_store::{UserAuth, new_webhook_id};
use reqwest::Url;
use std::sync::Arc;

const MOST: usize = 10;
const LONGEST_URL: usize = 1000;

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    user: Admin,
    JsonBody(new): JsonBody<NewWebhook>,
) -> Result<(StatusCode, Json<WebhookCreated>), Refusal> {
    make(&app, &user, &new).await.map(|made| (StatusCode::CREATED, Json(made)))
}

/// The webhook itself, whichever surface asks.
pub(crate) async fn make(app: &App, user: &UserAuth, new: &NewWebhook) -> Result<WebhookCreated, Refusal> {
    name::label(&new.name)?;
    let url =
        new.url.parse::<Url>().ok().filter(|url| new.url.len() <= LONGEST_URL && app.outbound().may_ask(url));
    let url = url.ok_or_else(|| {
        Refusal::bad("webhook.url", format!("{} is not where notices can be sent", origin_of(&new.url)))
            .allowed("`https` at a public address, without a user name or password in it")
    })?;
    if app.db().webhooks(user.scope()).await?.len() >= MOST {
        return Err(Refusal::conflict("webhook.too-many", format!("there are {MOST} webhooks already"))
            .allowed("another one after one was removed"));
    }
    let id = new_webhook_id();
    let secret = delivery::new_secret().map_err(|error| Refusal::internal("make a secret", &error))?;
    let sealed = app
        .vault()
        .seal(&delivery::place(user.scope().org(), &id), &secret)
        .map_err(|error| Refusal::internal("seal a secret", &error))?;
    app.db().add_webhook(user.scope(), (&id, &new.name, url.as_str(), &sealed), app.now()).await?;
    Ok(WebhookCreated { id, secret })
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    user: Overseer,
    paging: Paging,
) -> Result<Part<Webhook>, Refusal> {
    let listed = app.db().webhooks(user.scope()).await?;
    Ok(paging.part(listed, |webhook: &Webhook| format!("{}\n{}", webhook.name, webhook.id)))
}

pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    user: Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    delete(&app, &user, &id).await.map(|()| StatusCode::NO_CONTENT)
}

pub(crate) async fn delete(app: &App, user: &UserAuth, id: &str) -> Result<(), Refusal> {
    if app.db().remove_webhook(user.scope(), id, app.now()).await? {
        return Ok(());
    }
    Err(Refusal::missing("webhook.unknown", format!("there is no webhook `{}`", shown(id)))
        .allowed("an id from `GET /v1/webhooks`"))
}
