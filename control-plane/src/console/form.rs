//! Reading a form: bounded, strict, and refused in words.

use crate::body::RawBody;
use crate::problem::Refusal;
use axum::Form;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

/// A form without unknown fields.
#[derive(Debug)]
pub(super) struct FormBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for FormBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let RawBody(bytes) = RawBody::from_request(Request::from_parts(parts.clone(), body), state).await?;
        // No name contains NUL, and PostgreSQL would fail on it rather than find nothing.
        if bytes.contains(&0) || bytes.windows(3).any(|window| window == b"%00") {
            return Err(Refusal::bad("request.malformed", "a field contains a NUL character")
                .allowed("fields of text"));
        }
        let form = Form::<T>::from_request(Request::from_parts(parts, Body::from(bytes)), state).await;
        form.map(|Form(read)| Self(read)).map_err(|rejected| {
            if rejected.status() == StatusCode::PAYLOAD_TOO_LARGE {
                let title = "the form is larger than this page accepts";
                return Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "request.too-large", title);
            }
            Refusal::bad("request.malformed", "the form is not the one this page has")
                .allowed("exactly the fields of the form, each once")
        })
    }
}
