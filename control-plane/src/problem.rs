//! Every refusal is an RFC 9457 problem document: a stable code, what was refused and why, and what would be allowed.
//! Failures of our own say nothing of their cause; that goes to the log.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use daam_api::v1::Problem;
use daam_store::{Lasting, StoreError};
use std::error::Error;
use std::fmt::{self, Write as _};

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    code: &'static str,
    title: String,
    detail: Option<String>,
    /// Seconds.
    retry_after: Option<u64>,
}

impl Refusal {
    /// What was refused and why.
    pub fn new(status: StatusCode, code: &'static str, title: impl Into<String>) -> Self {
        Self { status, code, title: title.into(), detail: None, retry_after: None }
    }

    /// The request itself is wrong.
    pub fn bad(code: &'static str, title: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, title)
    }

    /// There is no such thing, as far as this caller may know.
    pub fn missing(code: &'static str, title: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, title)
    }

    /// It does not go with what is there.
    pub fn conflict(code: &'static str, title: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, title)
    }

    /// It comes too soon.
    pub fn later(code: &'static str, title: impl Into<String>, seconds: u64) -> Self {
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, code, title);
        Self { retry_after: Some(seconds), ..refusal }.allowed(format!("the same after {seconds} seconds"))
    }

    /// What would be allowed.
    #[must_use]
    pub fn allowed(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// What an API token must not do, whatever its role, because it would outlive the token.
    pub fn needs_person(what: Lasting) -> Self {
        let title = format!("an API token, or a session that one began, cannot {}", what.what());
        Self::new(StatusCode::FORBIDDEN, "auth.needs-person", title).allowed(
            "the same in the console, signed in there by a passkey, an identity provider or a link of the operator's; \
             with an API token, other roles",
        )
    }

    /// A failure of ours; the cause is logged, not told.
    pub fn internal(doing: &'static str, error: &dyn Error) -> Self {
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let _ = write!(chain, ": {cause}");
            source = cause.source();
        }
        tracing::error!(doing, error = %chain, "request failed");
        let title = "the control plane could not do this now";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title).allowed("the same request, later")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, "; allowed: {detail}"))
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NeedsPerson(what) => Self::needs_person(what),
            error => Self::internal("use the store", &error),
        }
    }
}

impl Refusal {
    /// Status, code, title and what is allowed, for a page.
    pub(crate) fn parts(&self) -> (StatusCode, &'static str, &str, Option<&str>) {
        (self.status, self.code, &self.title, self.detail.as_deref())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let kept = self.clone();
        let Self { status, code, title, detail, retry_after } = self;
        let problem = Problem { code: code.to_owned(), title, detail, status: status.as_u16() };
        let mut response = (status, axum::Json(problem)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        // So that the console can say the same as a page.
        response.extensions_mut().insert(kept);
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Makes every refusal a problem document that is not one yet, such as a path that is not text.
pub(crate) async fn every(response: Response) -> Response {
    let status = response.status();
    let refuses = status.is_client_error() || status.is_server_error();
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let told = kind.is_some_and(|kind| {
        ["application/problem+json", "application/scim+json", "text/html"]
            .iter()
            .any(|one| kind.starts_with(one))
    });
    if !refuses || told {
        return response;
    }
    let (code, title) = match status {
        StatusCode::BAD_REQUEST => ("request.malformed", "the request is not understood"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            ("request.media-type", "the body is not of a type this route reads")
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            ("request.too-large", "the request body is larger than this route accepts")
        }
        StatusCode::METHOD_NOT_ALLOWED => ("route.method", "this route does not take this method"),
        StatusCode::NOT_FOUND => ("route.unknown", "there is no such route"),
        _ if status.is_server_error() => ("internal", "the control plane could not do this now"),
        _ => ("request.refused", "the request is refused"),
    };
    Refusal::new(status, code, title).into_response()
}
