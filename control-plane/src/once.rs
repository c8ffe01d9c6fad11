//! A request that is sent again with the same `Idempotency-Key` is not done again: it gets the answer it had.
//!
//! The key is one credential's and counts for a day. Answers have secrets in them that are shown once, so they are kept
//! sealed, as keys are. A request with a key is done to its end whether or not its sender waits, because whoever does not
//! will ask again; one that we failed at leaves its key free, and is done when it comes again. Refused: a key that came with
//! another request, one whose request is still under way or whose answer nobody knows, because a server died in between.

use crate::app::App;
use crate::guard::Who;
use crate::problem::Refusal;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daam_store::{Caller, Repeat, UserAuth, digest};
use std::io;
use std::sync::Arc;

pub(crate) const HEADER: &str = "idempotency-key";
const REPLAYED: &str = "idempotency-replayed";
const LONGEST_KEY: usize = 255;
/// No answer of a route that makes something is longer.
const LONGEST_ANSWER: usize = 1024 * 1024;
/// How often it is tried to keep an answer.
const SETTLING: u32 = 3;
/// No body of such a route is longer; routes have smaller limits of their own.
const LONGEST_BODY: usize = 256 * 1024;

/// What a user sends once.
struct Once {
    user: UserAuth,
    key: String,
    request: String,
}

/// Answers the request, or gives the answer it had.
pub(crate) async fn answer(
    app: &Arc<App>,
    who: Who,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let Some(key) = key(who, &request)? else { return Ok(next.run(request).await) };
    let Some(Caller::User(user)) = request.extensions().get::<Caller>().cloned() else {
        return Ok(next.run(request).await);
    };
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LONGEST_BODY).await.map_err(|_| {
        let title = "the request body is larger than this route accepts";
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "request.too-large", title)
    })?;
    let asked = format!("{} {} {} {}", parts.method, parts.uri, digest_of(&body), user.scope().org());
    let once = Once { user, key: digest(&key), request: digest(&asked) };
    let (app, request) = (Arc::clone(app), Request::from_parts(parts, Body::from(body)));
    let answered = tokio::spawn(async move { begun(&app, &once, request, next).await });
    answered.await.map_err(|error| Refusal::internal("answer a request", &io::Error::other(error)))?
}

/// From the moment the key is taken nobody can interrupt it.
async fn begun(app: &App, once: &Once, request: Request, next: Next) -> Result<Response, Refusal> {
    match app.db().begin_once(&once.user, (&once.key, &once.request), app.now()).await? {
        Repeat::First => {}
        Repeat::Answered { status, sealed } => return replay(app, once, status, &sealed),
        other => return Err(refused(&other)),
    }
    // One that panics is a failure of ours like any other.
    let response = tokio::spawn(async move { next.run(request).await }).await;
    let response = response.unwrap_or_else(|error| {
        Refusal::internal("answer a request", &io::Error::other(error)).into_response()
    });
    keep(app, once, response).await
}

fn key(who: Who, request: &Request) -> Result<Option<String>, Refusal> {
    let Some(value) = request.headers().get(HEADER) else { return Ok(None) };
    let makes = request.method() == Method::POST && matches!(who, Who::User | Who::Overseer | Who::Admin);
    if !makes {
        return Ok(None);
    }
    let visible = |text: &&str| {
        (1..=LONGEST_KEY).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let text = value.to_str().ok().filter(visible);
    text.filter(|_| request.headers().get_all(HEADER).iter().count() == 1)
        .map(|text| Some(text.to_owned()))
        .ok_or_else(|| {
            Refusal::bad("idempotency.key", "the `Idempotency-Key` is not understood")
                .allowed("one of 1 to 255 visible characters, such as a UUID")
        })
}

fn refused(why: &Repeat) -> Refusal {
    match why {
        Repeat::Other => Refusal::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency.other-request",
            "this `Idempotency-Key` came with another request",
        )
        .allowed("the same request, or another key"),
        Repeat::TooMany => {
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, "idempotency.too-many", "too many keys of one day")
                .allowed("this request without a key")
        }
        _ => Refusal::conflict(
            "idempotency.unknown",
            "the first request with this `Idempotency-Key` is still under way, or its answer is not known",
        )
        .allowed("the same in a moment; else look whether it was done before asking with another key"),
    }
}

/// Keeps an answer that stands. One of a failure of ours says nothing about the next attempt.
async fn keep(app: &App, once: &Once, response: Response) -> Result<Response, Refusal> {
    let status = response.status();
    if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
        // A handler fails before its change is stored, but for the one that loses the database in the middle of storing it:
        // a sender who may not ask again for a day would have to guess what became of any failure.
        app.db().release_once(&once.user, &once.key).await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let failed = |error: axum::Error| Refusal::internal("keep an answer", &error);
    let body = to_bytes(body, LONGEST_ANSWER).await.map_err(failed)?;
    let kind =
        parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let text = format!("{kind}\n{}", STANDARD.encode(&body));
    let sealed =
        app.vault().seal(&place(once), &text).map_err(|error| Refusal::internal("keep an answer", &error))?;
    for left in (0..SETTLING).rev() {
        match app.db().settle_once(&once.user, &once.key, (status.as_u16(), &sealed)).await {
            Ok(()) => break,
            // It was done, so its sender is told; only who asks again is not.
            Err(error) => tracing::warn!(left, %error, "an answer to a request with a key could not be kept"),
        }
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn replay(app: &App, once: &Once, status: u16, sealed: &str) -> Result<Response, Refusal> {
    let broken = || {
        Refusal::internal(
            "read a kept answer",
            &io::Error::other("it is not in the form this version writes"),
        )
    };
    let text = app
        .vault()
        .open(&place(once), sealed)
        .map_err(|error| Refusal::internal("read a kept answer", &error))?;
    let (kind, body) = text.split_once('\n').ok_or_else(broken)?;
    let body = STANDARD.decode(body).map_err(|_| broken())?;
    let mut response = Response::new(Body::from(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).map_err(|_| broken())?;
    let headers: &mut HeaderMap = response.headers_mut();
    if let Some(kind) = HeaderValue::from_str(kind).ok().filter(|kind| !kind.is_empty()) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

fn place(once: &Once) -> String {
    format!("{}/answer/{}/{}", once.user.scope().org(), once.user.token_id(), once.key)
}

fn digest_of(body: &Bytes) -> String {
    digest(&STANDARD.encode(body))
}
