//! What every page has around it, and refusals as pages.

use super::session::Session;
use crate::problem::Refusal;
use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};
use daam_store::Role;

/// The frame of a page.
#[derive(Debug)]
pub(super) struct Shell {
    pub(super) organization: String,
    pub(super) email: String,
    pub(super) role: &'static str,
    standing: Role,
    current: &'static str,
}

/// An entry of the main navigation.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) path: &'static str,
    pub(super) name: &'static str,
    pub(super) current: bool,
}

impl Shell {
    /// Around the page whose entry of the navigation is at `current`.
    pub(super) fn of(session: &Session, current: &'static str) -> Self {
        let user = session.user();
        Self {
            organization: session.organization().to_owned(),
            email: user.email().to_owned(),
            role: user.role().name(),
            standing: user.role(),
            current,
        }
    }

    pub(super) fn manages(&self) -> bool {
        self.standing == Role::Admin
    }

    pub(super) fn oversees(&self) -> bool {
        self.standing.oversees()
    }

    pub(super) fn items(&self) -> Vec<Item> {
        let everyone = [("/", "Overview"), ("/databases", "Databases"), ("/requests", "Requests")];
        let overseers = [
            ("/agents", "Agents"),
            ("/connections", "Connections"),
            ("/audit", "Audit"),
            ("/members", "Members"),
            ("/providers", "Identity providers"),
            ("/webhooks", "Webhooks"),
            ("/scim", "Provisioning"),
            ("/workloads", "Jobs of pipelines"),
            ("/authorities", "Certificate authorities"),
        ];
        let own = [("/tokens", "API tokens"), ("/account", "Account")];
        let shown = overseers.into_iter().filter(|_| self.oversees());
        let all = everyone.into_iter().chain(shown).chain(own);
        all.map(|(path, name)| Item { path, name, current: path == self.current }).collect()
    }
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct RefusalPage<'a> {
    heading: &'static str,
    title: &'a str,
    allowed: Option<&'a str>,
    code: &'a str,
}

/// The same refusal, for people.
pub(super) fn refusal_page(refusal: &Refusal) -> Response {
    let (status, code, title, allowed) = refusal.parts();
    let heading = match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::UNAUTHORIZED => "Not signed in",
        status if status.is_server_error() => "Not possible now",
        _ => "Refused",
    };
    match (RefusalPage { heading, title, allowed, code }).render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(_) => (status, "refused").into_response(),
    }
}
