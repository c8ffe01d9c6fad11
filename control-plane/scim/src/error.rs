//! Why a request is refused, in SCIM's words.

use serde_json::{Value, json};

/// The `scimType` of a refusal, with its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 400 `invalidFilter`.
    InvalidFilter,
    /// 400 `invalidPath`.
    InvalidPath,
    /// 400 `invalidSyntax`.
    InvalidSyntax,
    /// 400 `invalidValue`.
    InvalidValue,
    /// 400 `noTarget`.
    NoTarget,
    /// 400 `mutability`.
    Mutability,
    /// 400 `tooMany`.
    TooMany,
    /// 409 `uniqueness`.
    Uniqueness,
    /// 412, of `If-Match`.
    Changed,
    /// 404.
    Missing,
}

impl Kind {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::Missing => 404,
            Self::Uniqueness => 409,
            Self::Changed => 412,
            _ => 400,
        }
    }

    fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::InvalidFilter => "invalidFilter",
            Self::InvalidPath => "invalidPath",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidValue => "invalidValue",
            Self::NoTarget => "noTarget",
            Self::Mutability => "mutability",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Changed | Self::Missing => return None,
        })
    }
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ScimError {
    kind: Kind,
    detail: String,
}

impl ScimError {
    /// What was refused, and what would be accepted.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// As an answer.
    pub fn body(&self) -> Value {
        body(self.kind.status(), self.kind.name(), &self.detail)
    }
}

/// An answer that refuses, for any status.
pub fn body(status: u16, kind: Option<&str>, detail: &str) -> Value {
    let mut body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": status.to_string(),
        "detail": detail,
    });
    if let (Some(kind), Some(object)) = (kind, body.as_object_mut()) {
        object.insert("scimType".to_owned(), kind.into());
    }
    body
}

/// A text from outside, short and without control characters.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}
