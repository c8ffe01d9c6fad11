//! Signing in and out by an identity provider that speaks SAML. The answer is posted from the provider's own page, so no
//! session comes along: what binds it to the browser it was asked in is a short-lived cookie, whose digest is kept with
//! the question under an opaque name. What nobody asked for signs nobody in.

use super::door::{entered, entered_with};
use super::path::LocalPath;
use super::session::MaybeSession;
use super::sso::{FLOW_SECONDS, Purpose, from_elsewhere, may_not_link, no_provider, not_let_in, who_links};
use super::{cookie, page};
use crate::app::App;
use crate::name;
use crate::problem::Refusal;
use crate::saml::{Settings, kept_name, message_id, proven, refused, say, us};
use askama::Template;
use axum::Form;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Path, Query, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daam_saml::{Carried, Expected, Outgoing, Refused, logout_answer, logout_request, response};
use daam_store::{Flow, KnownThere, Secret, SecretKind, SignInOutcome, SignInProvider, digest};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "signed_out.html")]
struct SignedOut<'a> {
    provider: &'a str,
    org: &'a str,
    next: Option<String>,
}

/// A provider and what is kept of it.
async fn found(app: &App, id: &str) -> Result<(SignInProvider, Settings), Refusal> {
    let at = app.db().sign_in_provider(id).await?.ok_or_else(no_provider)?;
    let settings = Settings::of(at.provider())?.ok_or_else(no_provider)?;
    Ok((at, settings))
}

pub(super) async fn start(
    State(app): State<Arc<App>>,
    MaybeSession(session): MaybeSession,
    Path(id): Path<String>,
    headers: HeaderMap,
    purpose: Result<Query<Purpose>, QueryRejection>,
) -> Result<Response, Refusal> {
    let purpose = purpose.map(|Query(purpose)| purpose).unwrap_or_default();
    let (at, settings) = found(&app, &id).await?;
    let user_id = who_links(&app, &at, (&purpose, &headers, session.as_ref()))?;
    if let Some(elsewhere) = from_elsewhere((&app, &at), (&purpose, &headers)) {
        return Ok(elsewhere);
    }
    let (browser, state) =
        (Secret::generate(SecretKind::Flow)?, Secret::generate(SecretKind::Flow)?.reveal());
    let asked = message_id();
    let carried = state.clone();
    let url =
        say(&app, (&at, &asked), move |outgoing| outgoing.sign_in(&settings.provider, &carried)).await?;
    let flow = Flow {
        nonce: asked,
        verifier: String::new(),
        return_to: LocalPath::or_overview(&purpose.return_to).as_str().to_owned(),
        user_id,
        invite_sha256: purpose.invite_sha256(),
        session_id: session.map(|session| session.id().to_owned()),
    };
    let times = (app.now(), app.now().saturating_add(FLOW_SECONDS));
    app.db().begin_flow(&at, (&digest(&state), &browser.sha256()), &flow, times).await?;
    Ok(entered_with(Redirect::to(&url).into_response(), cookie::set_flow_elsewhere(browser)))
}

pub(super) async fn metadata(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let (_, settings) = found(&app, &id).await?;
    let certificate = STANDARD.decode(&settings.certificate);
    let certificate = certificate.map_err(|error| Refusal::internal("read a certificate", &error))?;
    let document = us(app.base(), &id).metadata(&certificate);
    let document = document.map_err(|error| Refusal::internal("write our metadata", &error))?;
    let kind = HeaderValue::from_static("application/samlmetadata+xml");
    Ok(([(header::CONTENT_TYPE, kind)], document).into_response())
}

/// What a provider's page posts.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    #[serde(rename = "SAMLResponse")]
    response: String,
    #[serde(rename = "RelayState", default)]
    state: String,
}

pub(super) async fn answer(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    form: Result<Form<Answer>, FormRejection>,
) -> Result<Response, Refusal> {
    let (_, settings) = found(&app, &id).await?;
    let Form(Answer { response: text, state }) = form.map_err(|rejected| unreadable(rejected.status()))?;
    let browser = cookie::read_flow(&headers).unwrap_or_default();
    let taken = app.db().take_flow((&digest(&state), &digest(browser)), app.now()).await?;
    let (at, flow) = taken.filter(|(at, _)| at.provider().id == id).ok_or_else(not_asked)?;
    if let Some(user) = &flow.user_id {
        // Whoever began it may be signed out by now.
        let began = flow.session_id.as_deref().unwrap_or_default();
        if !app.db().still_signed_in(began, user, app.now()).await? {
            return Err(may_not_link());
        }
    }
    let (us, now, request) = (us(app.base(), &id), app.now(), flow.nonce.clone());
    let (assertion, settings) = app
        .saml_checks()
        .run(move || {
            let expected = Expected { provider: &settings.provider, us: &us, request: &request, now };
            response(&text, &expected).map(|assertion| (assertion, settings))
        })
        .await?
        .map_err(|why| refused(&id, why))?;
    let mut proven = proven(&assertion, at.provider(), &settings)?;
    // It becomes a name here, so it is one or it is not there.
    proven.email = proven.email.and_then(|email| name::email(&email).ok());
    match app.db().sign_in(&at, (&proven, &flow), app.now()).await? {
        SignInOutcome::Done(begun) => {
            if let Some(before) = &flow.session_id
                && let Some(there) = app.db().end_session_before(before, app.now()).await?
            {
                app.changed(&there).await;
            }
            app.changed(at.scope()).await;
            Ok(entered(begun, &flow.return_to))
        }
        outcome => Err(not_let_in(&outcome)),
    }
}

fn not_asked() -> Refusal {
    let title = "this sign-in did not begin in this browser, or is over";
    Refusal::new(StatusCode::FORBIDDEN, "saml.flow", title)
        .allowed("to begin it here, on the sign-in page; providers begin none")
}

fn unreadable(status: StatusCode) -> Refusal {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return Refusal::new(status, "saml.too-large", "the message is larger than 256 KiB");
    }
    Refusal::new(StatusCode::FORBIDDEN, "saml.malformed", "the form is not one of a SAML message")
        .allowed("the fields of the HTTP POST binding, each once")
}

/// What a provider sends about a logout, as a form, and what it wants to have back.
#[derive(Debug, Deserialize)]
pub(super) struct Notice {
    #[serde(rename = "SAMLRequest")]
    request: Option<String>,
    #[serde(rename = "SAMLResponse")]
    response: Option<String>,
    #[serde(rename = "RelayState")]
    state: Option<String>,
}

pub(super) async fn logout_by_form(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    form: Result<Form<Notice>, FormRejection>,
) -> Result<Response, Refusal> {
    let Form(notice) = form.map_err(|rejected| unreadable(rejected.status()))?;
    match (notice.request, notice.response) {
        (Some(request), None) => hear(&app, &id, (Brought::Form(request), notice.state)).await,
        (None, Some(answer)) => heard(&app, &id, Brought::Form(answer)).await,
        _ => Err(unreadable(StatusCode::BAD_REQUEST)),
    }
}

pub(super) async fn logout_by_query(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
    query: Result<Query<Notice>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(notice) = query.map_err(|_| unreadable(StatusCode::BAD_REQUEST))?;
    let brought = Brought::Query(raw.unwrap_or_default());
    if notice.response.is_some() {
        return heard(&app, &id, brought).await;
    }
    hear(&app, &id, (brought, notice.state)).await
}

/// A message and how it came.
enum Brought {
    Form(String),
    Query(String),
}

impl Brought {
    fn carried(&self) -> Carried<'_> {
        match self {
            Self::Form(text) => Carried::Form(text),
            Self::Query(text) => Carried::Query(text),
        }
    }
}

/// Somebody signed out at the provider: here, too, and in every database.
async fn hear(app: &App, id: &str, (brought, state): (Brought, Option<String>)) -> Result<Response, Refusal> {
    let (at, Settings { provider, .. }) = found(app, id).await?;
    let (us, now, service) = (us(app.base(), id), app.now(), provider.logout.clone());
    let check = move || logout_request(brought.carried(), (&provider, &us), now);
    let notice = app.saml_checks().run(check).await?.map_err(|why| refused(id, why))?;
    let who = (notice.subject(), notice.sessions());
    if !app.db().signed_out_of(&at, who, (notice.id(), notice.forgettable_at()), app.now()).await? {
        return Err(not_let_in(&SignInOutcome::Repeated));
    }
    app.changed(at.scope()).await;
    match service {
        Some(service) => {
            let answer =
                move |outgoing: Outgoing<'_>| outgoing.heard(&service, (notice.id(), state.as_deref()));
            let url = say(app, (&at, &message_id()), answer).await?;
            Ok(Redirect::to(&url).into_response())
        }
        None => page(&SignedOut { provider: &at.provider().name, org: at.scope().org(), next: None }),
    }
}

/// The provider heard that somebody signed out here. That changes nothing: they were out before it was told. It is an
/// answer to one notice that this provider was sent, once.
async fn heard(app: &App, id: &str, brought: Brought) -> Result<Response, Refusal> {
    let (at, Settings { provider, .. }) = found(app, id).await?;
    let (us, now) = (us(app.base(), id), app.now());
    let check = move || logout_answer(brought.carried(), (&provider, &us), now);
    let answer = app.saml_checks().run(check).await?.map_err(|why| refused(id, why))?;
    if !app.db().logout_answered(&at, answer.request(), app.now()).await? {
        return Err(refused(id, Refused::Request));
    }
    answer.succeeded().map_err(|why| refused(id, why))?;
    Ok(Redirect::to(&format!("/sign-in?org={}", at.scope().org())).into_response())
}

/// Tells the provider that somebody signed out here, if it hears of such things. A page that goes on by itself: the policy
/// of our pages lets no form lead elsewhere.
pub(super) async fn signed_out_here(app: &App, there: &KnownThere) -> Result<Option<Response>, Refusal> {
    let Ok((at, settings)) = found(app, &there.provider_id).await else { return Ok(None) };
    let (Some(service), Some(name)) = (settings.provider.logout, kept_name(&there.name_id)) else {
        return Ok(None);
    };
    let (notice, session) = (message_id(), there.session.clone());
    let url =
        say(app, (&at, &notice), move |outgoing| outgoing.logout(&service, (&name, session.as_deref())))
            .await?;
    let expires_at = app.now().saturating_add(FLOW_SECONDS);
    app.db().logout_sent(&at, (&notice, expires_at), app.now()).await?;
    page(&SignedOut { provider: &at.provider().name, org: at.scope().org(), next: Some(url) }).map(Some)
}
