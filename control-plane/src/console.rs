//! The console: pages and forms over the same store and the same rules as the API; only passkeys need a script.
//!
//! A browser says who it is by a session cookie, and only here; what changes something must come from our own pages.
//! Pages are rendered on the server by templates that escape what they are given, under a policy that lets nothing else
//! run. What it refuses: cross-site forms, other origins' frames, sessions that ended, and addresses to go on to that are
//! not paths of ours.

use crate::app::App;
use crate::clock::rfc3339;
use crate::guard::Who;
use crate::problem::Refusal;
use crate::routes::{
    METADATA, Route, SMALL, Surface, audit as audit_routes, connections as connection_routes,
    evidence as evidence_routes,
};
use askama::Template;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use std::borrow::Borrow;
use std::sync::Arc;

mod account;
mod agents;
mod audit;
mod audit_export;
mod authorities;
mod connections;
mod cookie;
mod databases;
mod door;
mod form;
mod members;
mod overview;
mod passkeys;
mod path;
mod programs;
mod providers;
mod requests;
mod saml;
mod scim;
mod session;
mod shell;
mod sso;
mod tokens;
mod webhooks;
mod workloads;

pub(crate) use session::{arrival_guard, guard};

/// The console's routes.
pub(crate) fn table() -> Vec<Route> {
    let route = |method, path, who, handler: MethodRouter<Arc<App>>| {
        let surface = Surface::Console;
        Route { method, path, who, surface, body_limit: SMALL, handler }
    };
    let mut table = vec![
        route("GET", "/assets/console.css", Who::Anyone, get(style)),
        route("GET", "/assets/icon.svg", Who::Anyone, get(icon)),
        route("GET", "/assets/passkeys.js", Who::Anyone, get(passkeys::script)),
        route("GET", "/", Who::User, get(overview::show)),
        route("POST", "/members/{email}/links/{id}/remove", Who::Admin, post(providers::unlink)),
        route("GET", "/databases", Who::User, get(databases::list)),
        route("GET", "/databases/{db}", Who::User, get(databases::show)),
        route("GET", "/databases/{db}/policies/{policy}", Who::User, get(databases::policy)),
        route("GET", "/requests", Who::User, get(requests::list)),
        route("POST", "/requests", Who::User, post(requests::ask)),
        route("POST", "/requests/tables", Who::User, post(requests::ask_tables)),
        route("GET", "/requests/{id}", Who::User, get(requests::show)),
        route("POST", "/requests/{id}/approve", Who::User, post(requests::approve)),
        route("POST", "/requests/{id}/deny", Who::User, post(requests::deny)),
        route("POST", "/requests/{id}/end", Who::User, post(requests::end)),
        route("POST", "/requests/{id}/extend", Who::User, post(requests::extend)),
        route("GET", "/tokens", Who::User, get(tokens::list)),
        route("POST", "/tokens", Who::User, post(tokens::create)),
        route("POST", "/tokens/{id}/delete", Who::User, post(tokens::remove)),
        route("GET", "/agents", Who::Overseer, get(agents::list)),
        route("GET", "/agents/{id}", Who::Overseer, get(agents::show)),
        route("GET", "/connections", Who::Overseer, get(connections::show)),
        route("GET", "/connections/export", Who::Overseer, get(connection_routes::export)),
        route("GET", "/audit", Who::Overseer, get(audit::show)),
        route("GET", "/audit/log", Who::Overseer, get(evidence_routes::log)),
        route("POST", "/audit/retention", Who::Admin, post(audit::keep)),
        route("GET", "/audit/export", Who::Overseer, get(audit_routes::export)),
        route("GET", "/members", Who::Overseer, get(members::list)),
        route("POST", "/members/invite", Who::Admin, post(members::invite)),
        route("POST", "/members/invites/{id}/withdraw", Who::Admin, post(members::withdraw)),
        route("POST", "/members/{email}/role", Who::Admin, post(members::role)),
        route("POST", "/members/{email}/disable", Who::Admin, post(members::disable)),
        route("GET", "/providers", Who::Overseer, get(providers::list)),
        route("POST", "/providers", Who::Admin, post(providers::create)),
        Route {
            body_limit: METADATA,
            ..route("POST", "/providers/saml", Who::Admin, post(providers::create_saml))
        },
        Route {
            body_limit: METADATA,
            ..route("POST", "/providers/{id}/metadata", Who::Admin, post(providers::replace_metadata))
        },
        route("POST", "/providers/policy", Who::Admin, post(providers::policy)),
        route("POST", "/providers/{id}/remove", Who::Admin, post(providers::remove)),
        route("POST", "/members/{email}/enable", Who::Admin, post(members::enable)),
    ];
    table.extend(settings());
    table.extend(own());
    table
}

/// What the organization is set up with.
fn settings() -> Vec<Route> {
    let (surface, body_limit) = (Surface::Console, SMALL);
    let route = |method, path, who, handler: MethodRouter<Arc<App>>| Route {
        method,
        path,
        who,
        surface,
        body_limit,
        handler,
    };
    vec![
        route("GET", "/webhooks", Who::Overseer, get(webhooks::list)),
        route("POST", "/webhooks", Who::Admin, post(webhooks::create)),
        route("POST", "/webhooks/{id}/remove", Who::Admin, post(webhooks::remove)),
        route("GET", "/audit/otlp", Who::Overseer, get(audit_export::show)),
        route("POST", "/audit/otlp", Who::Admin, post(audit_export::set)),
        route("POST", "/audit/otlp/remove", Who::Admin, post(audit_export::remove)),
        route("GET", "/authorities", Who::Overseer, get(authorities::show)),
        route("POST", "/authorities", Who::Admin, post(authorities::begin)),
        route("POST", "/authorities/retire", Who::Admin, post(authorities::retire)),
        route("GET", "/workloads", Who::Overseer, get(workloads::list)),
        route("POST", "/workloads", Who::Admin, post(workloads::create)),
        route("POST", "/workloads/{id}/remove", Who::Admin, post(workloads::remove)),
        route("GET", "/scim", Who::Overseer, get(scim::list)),
        route("POST", "/scim", Who::Admin, post(scim::create)),
        route("POST", "/scim/{id}/delete", Who::Admin, post(scim::remove)),
    ]
}

/// Signing in, and what is one's own.
fn own() -> Vec<Route> {
    let (surface, body_limit) = (Surface::Console, SMALL);
    let route = |method, path, who, handler: MethodRouter<Arc<App>>| Route {
        method,
        path,
        who,
        surface,
        body_limit,
        handler,
    };
    vec![
        route("POST", "/sign-in/passkey/begin", Who::Anyone, post(passkeys::begin_sign_in)),
        route("POST", "/sign-in/passkey", Who::Anyone, post(passkeys::finish_sign_in)),
        route("GET", "/passkeys", Who::User, get(passkeys::list)),
        route("POST", "/passkeys/begin", Who::User, post(passkeys::begin)),
        route("POST", "/passkeys", Who::User, post(passkeys::add)),
        route("POST", "/passkeys/{id}/remove", Who::User, post(passkeys::remove)),
        route("GET", "/sign-in", Who::Anyone, get(door::sign_in)),
        route("GET", "/sign-in/oidc/callback", Who::Anyone, get(sso::callback)),
        route("GET", "/sign-in/oidc/{id}", Who::Anyone, get(sso::start)),
        route("GET", "/sign-in/saml/{id}", Who::Anyone, get(saml::start)),
        route("GET", "/sign-in/saml/{id}/metadata", Who::Anyone, get(saml::metadata)),
        route("GET", "/device", Who::User, get(programs::show_device)),
        route("POST", "/device", Who::User, post(programs::answer_device)),
        route("GET", "/program", Who::User, get(programs::show_program)),
        route("POST", "/program", Who::User, post(programs::hand_to_program)),
        route("GET", "/sign-in/link/{secret}", Who::Anyone, get(door::show_link)),
        route("POST", "/sign-in/link/{secret}", Who::Anyone, post(door::use_link)),
        route("POST", "/sign-out", Who::User, post(door::sign_out)),
        route("POST", "/switch", Who::User, post(door::switch)),
        route("GET", "/account", Who::User, get(account::show)),
        route("POST", "/account/sessions/{id}/end", Who::User, post(account::end)),
        route("POST", "/account/links/{id}/remove", Who::User, post(account::unlink)),
    ]
}

/// Where identity providers send browsers to from pages of their own.
pub(crate) fn arrivals() -> Vec<Route> {
    let (surface, body_limit) = (Surface::Federation, METADATA);
    let route = |method, path, handler: MethodRouter<Arc<App>>| Route {
        method,
        path,
        who: Who::Anyone,
        surface,
        body_limit,
        handler,
    };
    vec![
        route("POST", "/sign-in/saml/{id}", post(saml::answer)),
        route("GET", "/sign-in/saml/{id}/logout", get(saml::logout_by_query)),
        route("POST", "/sign-in/saml/{id}/logout", post(saml::logout_by_form)),
    ]
}

/// A page.
fn page(template: &impl Template) -> Result<Response, Refusal> {
    let text = template.render().map_err(|error| Refusal::internal("render a page", &error))?;
    Ok(Html(text).into_response())
}

async fn icon() -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"));
    ([kind], include_str!("../assets/icon.svg")).into_response()
}

/// RFC 3339 as [`when`] writes it, for templates.
fn plainly(at: impl AsRef<str>) -> String {
    at.as_ref().replacen('T', " ", 1).trim_end_matches('Z').to_owned() + " UTC"
}

/// Unix seconds as a date and a time, for templates.
fn when(at: impl Borrow<i64>) -> String {
    plainly(rfc3339(*at.borrow()))
}

async fn style() -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
    ([kind], include_str!("../assets/console.css")).into_response()
}
