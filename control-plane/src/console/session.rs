//! The console's guard: what changes something comes from our own pages, a session is whole and in time, its role is
//! enough. What it found out is a [`Session`], which nothing else makes.

use super::cookie;
use super::shell::refusal_page;
use crate::app::App;
use crate::guard::Who;
use crate::problem::Refusal;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use daam_store::{Role, SessionAuth};
use reqwest::Url;
use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

/// No script at all, and nothing from anywhere else; two pages let our own one run.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// Whoever is signed in with this browser.
#[derive(Debug, Clone)]
pub(crate) struct Session(SessionAuth);

impl Deref for Session {
    type Target = SessionAuth;

    fn deref(&self) -> &SessionAuth {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            Refusal::internal("reach a page", &io::Error::other("its guard does not ask for a session"))
        })
    }
}

/// A session on a page that does not need one.
#[derive(Debug, Clone)]
pub(crate) struct MaybeSession(pub(crate) Option<Session>);

impl<S: Send + Sync> FromRequestParts<S> for MaybeSession {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Ok(Self(parts.extensions.get::<Session>().cloned()))
    }
}

/// The guard as middleware of one route.
pub(crate) async fn guard(
    State((app, who)): State<(Arc<App>, Who)>,
    mut request: Request,
    next: Next,
) -> Response {
    let for_script = request.headers().get(header::ACCEPT).is_some_and(|kind| kind == "application/json");
    let response = match check(&app, who, &mut request).await {
        Ok(None) => in_time(request, next).await,
        Ok(Some(elsewhere)) => elsewhere,
        Err(refusal) => refusal.into_response(),
    };
    dressed(&app, response, for_script)
}

/// The guard of what identity providers send browsers to from pages of their own: no session is read and none is needed,
/// since whatever counts is in the message.
pub(crate) async fn arrival_guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let response = match no_nul(request.uri()).and_then(|()| app.rates().stranger(&request)) {
        Ok(()) => in_time(request, next).await,
        Err(refusal) => refusal.into_response(),
    };
    dressed(&app, response, false)
}

async fn in_time(request: Request, next: Next) -> Response {
    timeout(PATIENCE, next.run(request)).await.unwrap_or_else(|_| {
        let title = "the request did not arrive or was not answered in time";
        Refusal::new(StatusCode::REQUEST_TIMEOUT, "request.slow", title).into_response()
    })
}

/// As a page, with what protects it.
fn dressed(app: &App, response: Response, for_script: bool) -> Response {
    let mut response = match response.extensions().get::<Refusal>().cloned() {
        Some(refusal) if !for_script => {
            let mut page = refusal_page(&refusal);
            if let Some(wait) = response.headers().get(header::RETRY_AFTER) {
                page.headers_mut().insert(header::RETRY_AFTER, wait.clone());
            }
            page
        }
        _ => response,
    };
    protect(response.headers_mut(), app.base().origin().starts_with("https:"));
    response
}

fn protect(headers: &mut HeaderMap, tls: bool) {
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // One-time links are paths.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        // A page that has to say it otherwise has said so.
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

/// A response if the request ends here.
async fn check(app: &App, who: Who, request: &mut Request) -> Result<Option<Response>, Refusal> {
    no_nul(request.uri())?;
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads {
        from_our_pages(request.headers(), app.base().origin())?;
    }
    let session = match cookie::read(request.headers()) {
        Some(secret) => app.db().session(secret, app.now()).await?,
        None => None,
    };
    let Some(session) = session else {
        app.rates().stranger(request)?;
        return match who {
            Who::Anyone => Ok(None),
            _ if reads => Ok(Some(to_sign_in(request.uri()))),
            _ => Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "auth.required",
                "you are not signed in, or no longer",
            )
            .allowed("this after signing in again")),
        };
    };
    app.rates().session(&session, request)?;
    if !admits(who, session.user().role()) {
        let title = format!("your role, `{}`, does not allow this", session.user().role().name());
        let allowed = if who == Who::Overseer { "admins and auditors" } else { "admins" };
        return Err(Refusal::new(StatusCode::FORBIDDEN, "auth.wrong-role", title).allowed(allowed));
    }
    who.hand_over(session.user(), request.extensions_mut());
    request.extensions_mut().insert(Session(session));
    Ok(None)
}

fn no_nul(uri: &Uri) -> Result<(), Refusal> {
    if uri.path().contains("%00") {
        return Err(Refusal::missing("route.unknown", "no name contains a NUL character"));
    }
    if uri.query().is_some_and(|query| query.contains("%00")) {
        return Err(Refusal::bad("request.malformed", "the query contains a NUL character").allowed("text"));
    }
    Ok(())
}

/// And back afterwards.
fn to_sign_in(uri: &Uri) -> Response {
    let here = uri.path_and_query().map_or("/", |path| path.as_str());
    if here == "/" {
        return Redirect::to("/sign-in").into_response();
    }
    sign_in_page(&[("return_to", here)])
}

/// On to where people sign in.
pub(super) fn sign_in_page(with: &[(&str, &str)]) -> Response {
    let there = Url::parse_with_params("http://x/sign-in", with);
    let query = there.ok().and_then(|url| url.query().map(str::to_owned)).unwrap_or_default();
    Redirect::to(&format!("/sign-in?{query}")).into_response()
}

fn admits(who: Who, role: Role) -> bool {
    match who {
        Who::Anyone | Who::User => true,
        Who::Overseer => role.oversees(),
        Who::Admin => role == Role::Admin,
        // These speak with tokens and never with a browser.
        Who::Operator
        | Who::Enrolment
        | Who::AnyToken
        | Who::Reader
        | Who::Agent
        | Who::Relay
        | Who::Scim => false,
    }
}

/// A browser says where a request comes from, one way or the other; whoever says nothing is not believed.
pub(super) fn from_our_pages(headers: &HeaderMap, origin: &str) -> Result<(), Refusal> {
    let ours = match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => headers.get(header::ORIGIN).is_some_and(|value| value == origin),
    };
    if ours {
        return Ok(());
    }
    let title = "this did not come from a page of this console";
    Err(Refusal::new(StatusCode::FORBIDDEN, "request.cross-site", title)
        .allowed(format!("the form on the page itself, at {origin}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_change_anything() {
        let sent = |pairs: &[(&'static str, &'static str)]| {
            let headers: HeaderMap = pairs
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            from_our_pages(&headers, "https://daam.example").is_ok()
        };
        assert!(sent(&[("sec-fetch-site", "same-origin")]));
        assert!(sent(&[("origin", "https://daam.example")]));
        for bad in [
            &[][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://daam.example")],
            &[("origin", "null")],
            &[("origin", "http://daam.example")],
            &[("origin", "https://daam.example.evil.example")],
            &[("referer", "https://daam.example/")],
        ] {
            assert!(!sent(bad), "{bad:?}");
        }
    }
}
