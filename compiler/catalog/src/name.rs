//! Names as PostgreSQL stores them.
//!
//! An [`Identifier`] is the *stored* form: already case-folded unless it was quoted, at most 63 bytes, never
//! empty, without NUL. Rendering one into SQL always goes through [`Identifier::quoted`].

use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest identifier PostgreSQL keeps, in bytes (`NAMEDATALEN - 1`).
pub const MAX_IDENTIFIER_BYTES: usize = 63;

/// Why a text is not a usable name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// An empty name.
    #[error("a name is empty")]
    Empty,
    /// A name PostgreSQL would truncate.
    #[error("the name `{0}` is longer than 63 bytes; PostgreSQL would cut it")]
    TooLong(String),
    /// A NUL character, which no PostgreSQL name can hold.
    #[error("the name contains a NUL character")]
    Nul,
}

/// One name as PostgreSQL stores it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Identifier(String);

impl Identifier {
    /// Takes a name exactly as the catalogue holds it.
    pub fn stored(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.contains('\0') {
            return Err(NameError::Nul);
        }
        if text.len() > MAX_IDENTIFIER_BYTES {
            return Err(NameError::TooLong(text));
        }
        Ok(Self(text))
    }

    /// Folds an unquoted name as PostgreSQL does: ASCII letters become lower case.
    pub fn folded(text: &str) -> Result<Self, NameError> {
        Self::stored(text.to_ascii_lowercase())
    }

    /// The stored text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a quoted SQL identifier; every inserted name is written this way.
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0.replace('"', "\"\""))
    }
}

impl TryFrom<String> for Identifier {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::stored(text)
    }
}

impl From<Identifier> for String {
    fn from(name: Identifier) -> Self {
        name.0
    }
}

impl fmt::Display for Identifier {
    /// The name as people write it: bare where that reads back the same, quoted otherwise.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        let head = chars.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_');
        let tail = chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '$');
        if head && tail { f.write_str(&self.0) } else { f.write_str(&self.quoted()) }
    }
}

/// A relation: schema and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RelationName {
    /// The schema it lives in.
    pub schema: Identifier,
    /// Its own name.
    pub name: Identifier,
}

impl RelationName {
    /// Joins stored parts.
    pub fn stored(schema: impl Into<String>, name: impl Into<String>) -> Result<Self, NameError> {
        Ok(Self { schema: Identifier::stored(schema)?, name: Identifier::stored(name)? })
    }

    /// `"schema"."name"` for use in SQL.
    pub fn quoted(&self) -> String {
        format!("{}.{}", self.schema.quoted(), self.name.quoted())
    }
}

impl fmt::Display for RelationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// A function or procedure: schema, name and the types of its input arguments (`format_type` text).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FunctionName {
    /// The schema it lives in.
    pub schema: Identifier,
    /// Its own name.
    pub name: Identifier,
    /// Identity argument types, as `pg_get_function_identity_arguments` orders them.
    pub arguments: Vec<String>,
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}({})", self.schema, self.name, self.arguments.join(", "))
    }
}
