//! Who may use a route. The guard runs before any handler of the route table, so a route without one cannot exist.
//!
//! What it found out is a value only it can make: a handler that takes an [`Admin`] cannot be reached by anybody else,
//! and one that asks for more than its route's guard admits fails at every request rather than at none.

use crate::app::App;
use crate::limit;
use crate::once;
use crate::problem::Refusal;
use axum::RequestExt as _;
use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use daam_store::{Caller, Role, UserAuth};
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// For reading the body and answering; a bundle of 8 MiB at 600 kbit/s fits.
const PATIENCE: Duration = Duration::from_secs(120);
/// With somebody nobody vouches for, whose requests are small.
const PATIENCE_WITH_STRANGERS: Duration = Duration::from_secs(20);

/// Who a route is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Anyone, without a token.
    Anyone,
    /// The operator, with the bootstrap token.
    Operator,
    /// Whoever holds an unused enrolment token.
    Enrolment,
    /// Any user, agent or relay.
    AnyToken,
    /// A user or an agent: relays stand on the open internet and have no business with policies.
    Reader,
    /// Any user.
    User,
    /// Admins and auditors: whoever sees what everybody in the organization has.
    Overseer,
    /// Admins.
    Admin,
    /// Agents.
    Agent,
    /// Relays.
    Relay,
    /// Identity providers that provision.
    Scim,
}

impl Who {
    /// In the words of a refusal.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Operator => "the bootstrap token",
            Self::Enrolment => "an unused enrolment token",
            Self::AnyToken => "the token of a user, agent or relay",
            Self::Reader => "the token of a user or agent",
            Self::User => "a user's API token",
            Self::Overseer => "an admin's or auditor's API token",
            Self::Admin => "an admin's API token",
            Self::Agent => "an agent's link token",
            Self::Relay => "a relay's link token",
            Self::Scim => "a SCIM token",
        }
    }

    fn admits(self, caller: &Caller) -> bool {
        match (self, caller) {
            (Self::Anyone, _)
            | (Self::AnyToken, Caller::User(_) | Caller::Agent(_) | Caller::Relay(_))
            | (Self::Reader, Caller::User(_) | Caller::Agent(_))
            | (Self::User, Caller::User(_))
            | (Self::Agent, Caller::Agent(_))
            | (Self::Relay, Caller::Relay(_))
            | (Self::Scim, Caller::Scim(_))
            | (Self::Enrolment, Caller::Enrolment(_)) => true,
            (Self::Overseer, Caller::User(user)) => user.role().oversees(),
            (Self::Admin, Caller::User(user)) => matches!(user.role(), Role::Admin),
            _ => false,
        }
    }
}

macro_rules! admitted {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name(UserAuth);

        impl Deref for $name {
            type Target = UserAuth;

            fn deref(&self) -> &UserAuth {
                &self.0
            }
        }

        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = Refusal;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
                parts.extensions.get::<Self>().cloned().ok_or_else(|| {
                    let error = io::Error::other(concat!("its guard does not admit ", stringify!($name)));
                    Refusal::internal("reach a route's handler", &error)
                })
            }
        }
    )*};
}

admitted! {
    /// Somebody who belongs to the organization.
    Member;
    /// An admin or auditor.
    Overseer;
    /// An admin.
    Admin;
}

impl Who {
    /// The values handlers of such a route may ask for.
    pub(crate) fn hand_over(self, user: &UserAuth, extensions: &mut Extensions) {
        if matches!(self, Self::User | Self::Overseer | Self::Admin) {
            extensions.insert(Member(user.clone()));
        }
        if matches!(self, Self::Overseer | Self::Admin) {
            extensions.insert(Overseer(user.clone()));
        }
        if self == Self::Admin {
            extensions.insert(Admin(user.clone()));
        }
    }
}

/// The guard as middleware of one route.
pub(crate) async fn guard(
    State((app, who)): State<(Arc<App>, Who)>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut response = match check(&app, who, &mut request).await {
        Ok(()) => {
            let patience = if who == Who::Anyone { PATIENCE_WITH_STRANGERS } else { PATIENCE };
            let answered = timeout(patience, once::answer(&app, who, request, next)).await;
            let answered = answered.unwrap_or_else(|_| {
                let title = "the request did not arrive or was not answered in time";
                Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "request.slow", title))
            });
            answered.unwrap_or_else(Refusal::into_response)
        }
        Err(refusal) => refusal.into_response(),
    };
    // Answers carry secrets shown once and other people's data.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn check(app: &App, who: Who, request: &mut Request) -> Result<(), Refusal> {
    // No name contains NUL, and PostgreSQL would fail on it rather than find nothing.
    if request.uri().path().contains("%00") {
        return Err(Refusal::missing("route.unknown", "no name contains a NUL character"));
    }
    if request.uri().query().is_some_and(|query| query.contains("%00")) {
        return Err(Refusal::bad("request.malformed", "the query contains a NUL character").allowed("text"));
    }
    if who == Who::Anyone {
        return app.rates().stranger(request);
    }
    let unknown = || {
        Refusal::new(StatusCode::UNAUTHORIZED, "auth.required", "no valid bearer token was presented")
            .allowed(format!("`Authorization: Bearer …` with {}", who.name()))
    };
    let Some(secret) = bearer(request.headers()).map(str::to_owned) else {
        app.rates().stranger(request)?;
        return Err(unknown());
    };
    if who == Who::Operator && app.is_bootstrap_token(&secret) {
        return Ok(());
    }
    let Some(caller) = app.db().authenticate(&secret, app.now()).await? else {
        app.rates().stranger(request)?;
        return Err(unknown());
    };
    app.rates().caller(&caller, request)?;
    if !who.admits(&caller) {
        let title = "this token may not do this";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "auth.wrong-role", title).allowed(who.name()));
    }
    if let Caller::User(user) = &caller
        && let Some(named) = user.databases()
    {
        within(named, request).await?;
    }
    let extensions = request.extensions_mut();
    match &caller {
        Caller::User(user) => who.hand_over(user, extensions),
        Caller::Agent(agent) => drop(extensions.insert(agent.clone())),
        Caller::Relay(relay) => drop(extensions.insert(relay.clone())),
        Caller::Enrolment(token) => drop(extensions.insert(token.clone())),
        Caller::Scim(provider) => drop(extensions.insert(provider.clone())),
    }
    extensions.insert(caller);
    Ok(())
}

/// Whether a job limited to databases may ask this.
async fn within(named: &BTreeSet<String>, request: &mut Request) -> Result<(), Refusal> {
    let broken = |error: &dyn fmt::Display| {
        Refusal::internal("read a route's path", &io::Error::other(error.to_string()))
    };
    let route = request.extract_parts::<MatchedPath>().await.map_err(|error| broken(&error))?;
    let filled = request.extract_parts::<RawPathParams>().await;
    let filled = filled
        .map_err(|_| Refusal::missing("route.unknown", "the path is no text").allowed("a path in UTF-8"))?;
    limit::check(named, (request.method().as_str(), route.as_str()), &filled)
}

/// Only from the header: a query string ends up in logs.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
