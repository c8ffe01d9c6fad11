//! Reading a request's body: bounded, strict, and with an answer that says what is wrong with it.

use crate::problem::Refusal;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use serde::de::DeserializeOwned;

/// A JSON body without unknown fields.
#[derive(Debug)]
pub(crate) struct JsonBody<T>(pub T);

/// Any body within the route's limit.
#[derive(Debug)]
pub(crate) struct RawBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        Bytes::from_request(request, state).await.map(Self).map_err(|rejected| {
            if rejected.status() == StatusCode::PAYLOAD_TOO_LARGE {
                let title = "the request body is larger than this route accepts";
                Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "request.too-large", title)
            } else {
                Refusal::bad("request.unreadable", "the request body could not be read to its end")
            }
        })
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        says_json(request.headers())?;
        let RawBody(bytes) = RawBody::from_request(request, state).await?;
        if bytes.trim_ascii_start().first().is_some_and(|first| *first == b'[') {
            // Its items would be taken for the fields in their order.
            return Err(Refusal::bad("request.malformed", "the request body is an array")
                .allowed("a JSON object with exactly the documented fields"));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|error| malformed(&error))
    }
}

/// Whoever says what the body is must say JSON.
fn says_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(said) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let media = said.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let media = media.to_ascii_lowercase();
    if media == "application/json" || media.starts_with("application/") && media.ends_with("+json") {
        return Ok(());
    }
    let title = "the body is not of a type this route reads";
    Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "request.media-type", title)
        .allowed("`Content-Type: application/json`"))
}

fn malformed(error: &serde_json::Error) -> Refusal {
    let text = error.to_string();
    // Our type names are nobody's business.
    let text = text.split_once("expected struct").map_or(text.as_str(), |(before, _)| before);
    Refusal::bad(
        "request.malformed",
        format!("the request body is not the JSON object expected here: {text}"),
    )
    .allowed("a JSON object with exactly the documented fields")
}
