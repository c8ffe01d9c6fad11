//! Reading a form: bounded, strict, and refused in words.

use crate::problem::Refusal;
use axum::Form;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

/// A form without unknown fields.
#[derive(Debug)]
pub(super) struct FormBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for FormBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let form = Form::<T>::from_request(request, state).await;
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
