//! How to reach an agent of a database: its own addresses, and relays with a short ticket for this agent only.

use crate::app::App;
use crate::authorities;
use crate::guard::Member;
use crate::keys;
use crate::link::{ONLINE_SECONDS, relay_offers};
use crate::name::shown;
use crate::problem::Refusal;
use crate::routes::relays::announced_after;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use daam_api::v1::ConnectOffer;
use daam_identity::ticket::{TicketGrant, TicketRole};
use std::sync::Arc;

const TICKET_SECONDS: i64 = 300;

pub(crate) async fn offer(
    State(app): State<Arc<App>>,
    user: Member,
    Path(database): Path<String>,
) -> Result<Json<ConnectOffer>, Refusal> {
    let scope = user.scope();
    let seen_after = app.now().saturating_sub(ONLINE_SECONDS);
    let known = app.db().databases(scope, seen_after).await?;
    if !known.iter().any(|known| known.name == database) {
        return Err(Refusal::missing(
            "database.unknown",
            format!("there is no database `{}`", shown(&database)),
        )
        .allowed("a name from `GET /v1/databases`"));
    }
    let Some(agent) = app.db().online_agents(scope, &database, seen_after).await?.into_iter().next() else {
        let title = format!("no agent of `{database}` is connected");
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "database.no-agent", title)
            .allowed("the same request once an agent is connected"));
    };
    let grant = TicketGrant {
        org: scope.org().to_owned(),
        role: TicketRole::Client,
        agent_id: agent.id.clone(),
        relay: String::new(),
        class: app.traffic().clients,
        expires: app.now().saturating_add(TICKET_SECONDS),
    };
    let addresses = app.db().relay_addresses(scope, announced_after(app.now())).await?;
    let relays = relay_offers(&keys::ticket_signer(&app, scope).await?, addresses, &grant)?;
    let (_, all) = app.db().authorities(scope).await?;
    Ok(Json(ConnectOffer {
        org: scope.org().to_owned(),
        agent_id: agent.id,
        database,
        direct: agent.addresses,
        relays,
        authorities: authorities::history(&all),
    }))
}
