//! The whole HTTP surface as one table. The router is built from it and the tests walk it, so a route without a guard
//! or without an unauthorised case cannot exist.

use crate::app::App;
use crate::console;
use crate::guard::{Who, guard};
use crate::openapi;
use crate::problem::{self, Refusal};
use crate::readiness;
use crate::scim;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, Uri};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use axum::{Json, Router};
use daam_api::v1::{Bootstrap, Bootstrapped};
use std::fmt;
use std::sync::Arc;

pub(crate) mod agents;
pub(crate) mod audit;
pub(crate) mod audit_export;
mod authorities;
mod bootstrap;
mod bundles;
mod certificates;
mod connect;
pub(crate) mod connections;
mod databases;
mod enrolment;
pub(crate) mod evidence;
pub(crate) mod export;
pub(crate) mod identity_links;
pub(crate) mod invites;
pub(crate) mod providers;
pub(crate) mod relays;
mod requests;
pub(crate) mod saml_providers;
pub(crate) mod scim_tokens;
mod sign_in;
pub(crate) mod tokens;
pub(crate) mod trust;
pub(crate) mod users;
pub(crate) mod webhooks;
pub(crate) mod workloads;

/// Bodies of most routes.
pub(crate) const SMALL: usize = 64 * 1024;
/// Metadata of an identity provider, or a message of one, however it is written down.
pub(crate) const METADATA: usize = 1024 * 1024;
/// A trust file.
const TRUST: usize = 256 * 1024;

/// One route.
#[derive(Clone)]
pub struct Route {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// As the router writes it.
    pub path: &'static str,
    /// Who it is for.
    pub who: Who,
    /// How they say who they are.
    pub surface: Surface,
    /// Most bytes of a body.
    pub body_limit: usize,
    pub(crate) handler: MethodRouter<Arc<App>>,
}

/// How callers say who they are, and how they are answered. No route takes both ways: a browser sends cookies with
/// requests nobody there meant to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// A bearer token; JSON.
    Api,
    /// A session cookie; pages and forms.
    Console,
    /// A bearer token; SCIM's JSON.
    Scim,
    /// What the message itself proves, and pages: identity providers send browsers here from pages of their own, which
    /// bring no session along.
    Federation,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} for {}", self.method, self.path, self.who.name())
    }
}

/// Every route.
pub fn table() -> Vec<Route> {
    let mut table = api();
    table.extend(sign_ins());
    table.extend(access_requests());
    table.extend(console::table());
    table.extend(console::arrivals());
    table.extend(scim::table());
    table
}

fn api() -> Vec<Route> {
    let surface = Surface::Api;
    let route = |method, path, who, handler| Route { method, path, who, surface, body_limit: SMALL, handler };
    let large =
        |method, path, who, (body_limit, handler)| Route { method, path, who, surface, body_limit, handler };
    vec![
        route("GET", "/healthz", Who::Anyone, get(async || "ok")),
        route("GET", "/readyz", Who::Anyone, get(readiness::show)),
        route("GET", openapi::PATH, Who::Anyone, get(async || Json(openapi::document()))),
        route("POST", "/v1/bootstrap", Who::Operator, post(bootstrap::create)),
        route("GET", "/v1/whoami", Who::AnyToken, get(users::whoami)),
        route("POST", "/v1/tokens", Who::User, post(tokens::create)),
        route("GET", "/v1/tokens", Who::User, get(tokens::list)),
        route("DELETE", "/v1/tokens/{id}", Who::User, delete(tokens::remove)),
        route("PUT", "/v1/users/{email}", Who::Admin, put(users::store)),
        route("GET", "/v1/users", Who::Overseer, get(users::list)),
        route("POST", "/v1/invites", Who::Admin, post(invites::create)),
        route("GET", "/v1/invites", Who::Overseer, get(invites::list)),
        route("DELETE", "/v1/invites/{id}", Who::Admin, delete(invites::remove)),
        route("POST", "/v1/console-link", Who::User, post(invites::console_link)),
        route("POST", "/v1/enrolment-tokens", Who::Admin, post(enrolment::create)),
        route("POST", "/v1/enrol", Who::Enrolment, post(enrolment::enrol)),
        route("POST", "/v1/certificates", Who::User, post(certificates::for_user)),
        route("POST", "/v1/agent/certificate", Who::Agent, post(certificates::for_agent)),
        route("GET", "/v1/ca", Who::AnyToken, get(certificates::authority)),
        route("GET", "/v1/authorities", Who::Overseer, get(authorities::list)),
        route("POST", "/v1/authorities", Who::Admin, post(authorities::begin)),
        route("POST", "/v1/authorities/retire", Who::Admin, post(authorities::retire)),
        large("PUT", "/v1/trust", Who::Admin, (TRUST, put(trust::store))),
        route("GET", "/v1/trust", Who::AnyToken, get(trust::show)),
        route("GET", "/v1/trust/{version}", Who::AnyToken, get(trust::version)),
        route("GET", "/v1/freshness-key", Who::Overseer, get(trust::freshness_key)),
        large("PUT", "/v1/databases/{db}/bundle", Who::Admin, (bundles::LIMIT, put(bundles::publish))),
        route("GET", "/v1/databases/{db}/bundle", Who::Reader, get(bundles::show)),
        route("GET", "/v1/databases/{db}/schema", Who::Overseer, get(databases::schema)),
        route("GET", "/v1/databases", Who::User, get(databases::list)),
        route("POST", "/v1/databases/{db}/connect", Who::User, post(connect::offer)),
        route("GET", "/v1/audit", Who::Overseer, get(audit::search)),
        route("GET", "/v1/audit/export", Who::Overseer, get(audit::export)),
        route("GET", "/v1/audit/log", Who::Overseer, get(evidence::log)),
        route("GET", "/v1/audit/checkpoints", Who::Overseer, get(evidence::checkpoints)),
        route("POST", "/v1/audit/checkpoints", Who::Overseer, post(evidence::make)),
        route("GET", "/v1/audit/key", Who::Overseer, get(evidence::key)),
        route("GET", "/v1/audit/retention", Who::Overseer, get(evidence::retention)),
        route("PUT", "/v1/audit/retention", Who::Admin, put(evidence::keep)),
        route("PUT", "/v1/audit/otlp", Who::Admin, put(audit_export::set)),
        route("GET", "/v1/audit/otlp", Who::Overseer, get(audit_export::show)),
        route("DELETE", "/v1/audit/otlp", Who::Admin, delete(audit_export::remove)),
        route("GET", "/v1/connections", Who::Overseer, get(connections::search)),
        route("GET", "/v1/connections/export", Who::Overseer, get(connections::export)),
        route("GET", "/v1/agents", Who::Overseer, get(agents::list)),
        route("DELETE", "/v1/agents/{id}", Who::Admin, delete(agents::remove)),
        route("GET", "/v1/agents/{id}/audit", Who::Overseer, get(agents::audit)),
        route("GET", "/v1/agent/link", Who::Agent, get(agents::link)),
        route("GET", "/v1/relays", Who::Overseer, get(relays::list)),
        route("DELETE", "/v1/relays/{id}", Who::Admin, delete(relays::remove)),
        route("PUT", "/v1/relay/address", Who::Relay, put(relays::set_address)),
    ]
}

fn sign_ins() -> Vec<Route> {
    let (surface, body_limit) = (Surface::Api, SMALL);
    let route = |method, path, who, handler| Route { method, path, who, surface, body_limit, handler };
    let saml = |method, path, handler| Route {
        method,
        path,
        who: Who::Admin,
        surface,
        body_limit: METADATA,
        handler,
    };
    vec![
        route("POST", "/v1/identity-providers", Who::Admin, post(providers::create)),
        route("GET", "/v1/identity-providers", Who::Overseer, get(providers::list)),
        route("DELETE", "/v1/identity-providers/{id}", Who::Admin, delete(providers::remove)),
        route("GET", "/v1/identity-links", Who::Overseer, get(identity_links::list)),
        route("DELETE", "/v1/users/{email}/identity-links/{id}", Who::Admin, delete(identity_links::remove)),
        route("POST", "/v1/identity-providers/{id}/backchannel-logout", Who::Anyone, post(providers::logout)),
        route("POST", "/v1/workloads", Who::Admin, post(workloads::create)),
        route("GET", "/v1/workloads", Who::Overseer, get(workloads::list)),
        route("DELETE", "/v1/workloads/{id}", Who::Admin, delete(workloads::remove)),
        route("POST", "/v1/workloads/{id}/token", Who::Anyone, post(workloads::exchange)),
        route("POST", "/v1/scim-tokens", Who::Admin, post(scim_tokens::create)),
        route("GET", "/v1/scim-tokens", Who::Overseer, get(scim_tokens::list)),
        route("DELETE", "/v1/scim-tokens/{id}", Who::Admin, delete(scim_tokens::remove)),
        saml("POST", "/v1/saml-providers", post(saml_providers::create)),
        saml("PUT", "/v1/saml-providers/{id}", put(saml_providers::change)),
        route("PUT", "/v1/sign-in-policy", Who::Admin, put(providers::policy)),
        route("POST", "/v1/sign-in/device", Who::Anyone, post(sign_in::device)),
        route("POST", "/v1/sign-in/fetch", Who::Anyone, post(sign_in::fetch)),
    ]
}

fn access_requests() -> Vec<Route> {
    let (surface, body_limit) = (Surface::Api, SMALL);
    let route = |method, path, who, handler| Route { method, path, who, surface, body_limit, handler };
    vec![
        route("GET", "/v1/databases/{db}/requestable", Who::User, get(requests::requestable)),
        route("POST", "/v1/requests", Who::User, post(requests::create)),
        route("GET", "/v1/requests", Who::User, get(requests::list)),
        route("GET", "/v1/requests/{id}", Who::User, get(requests::show)),
        route("POST", "/v1/requests/{id}/approve", Who::User, post(requests::approve)),
        route("POST", "/v1/requests/{id}/deny", Who::User, post(requests::deny)),
        route("POST", "/v1/requests/{id}/end", Who::User, post(requests::end)),
        route("POST", "/v1/requests/{id}/extend", Who::User, post(requests::extend)),
        route("POST", "/v1/webhooks", Who::Admin, post(webhooks::create)),
        route("GET", "/v1/webhooks", Who::Overseer, get(webhooks::list)),
        route("DELETE", "/v1/webhooks/{id}", Who::Admin, delete(webhooks::remove)),
    ]
}

/// A further organization, for the operator of the installation.
pub async fn make_organization(app: &App, request: &Bootstrap) -> Result<Bootstrapped, Refusal> {
    bootstrap::make(app, request, false).await
}

/// The router of [`table`].
pub fn router(app: &Arc<App>) -> Router {
    let mut router = Router::new();
    for route in table() {
        let bounded = route.handler.route_layer(DefaultBodyLimit::max(route.body_limit));
        let state = (Arc::clone(app), route.who);
        let guarded = match route.surface {
            Surface::Api => bounded.route_layer(from_fn_with_state(state, guard)),
            Surface::Console => bounded.route_layer(from_fn_with_state(state, console::guard)),
            Surface::Scim => bounded.route_layer(from_fn_with_state(state, scim::guard)),
            Surface::Federation => bounded.route_layer(from_fn_with_state(state.0, console::arrival_guard)),
        };
        router = router.route(route.path, guarded);
    }
    router
        .fallback(async |uri: Uri| {
            let title = "there is no such route";
            told_at(&uri, Refusal::missing("route.unknown", title).allowed("the routes under `/v1`"))
        })
        .method_not_allowed_fallback(async |uri: Uri| {
            let title = "this route does not take this method";
            told_at(&uri, Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "route.method", title))
        })
        // Whatever refuses before a handler does, refuses in the same words.
        .layer(map_response(problem::every))
        .with_state(Arc::clone(app))
}

/// Each surface refuses in its own words.
fn told_at(uri: &Uri, refusal: Refusal) -> Response {
    if uri.path().starts_with("/scim/") { scim::in_its_words(&refusal) } else { refusal.into_response() }
}
