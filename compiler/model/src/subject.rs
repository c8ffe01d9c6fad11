//! Who asks: a person with groups and typed attributes.
//!
//! A value that is not of its attribute's declared type is refused and stays absent, so that a filter over it
//! is false.

use crate::mask::constant::is_uuid;
use serde::{Deserialize, Serialize};

use std::collections::{BTreeMap, BTreeSet};

/// The declared type of an attribute (`attributes:` in `daam.yaml`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AttributeType {
    /// `text`.
    Text,
    /// `uuid`.
    Uuid,
    /// `integer` (64 bit).
    Integer,
    /// `boolean`.
    Boolean,
}

/// A value of an attribute, already checked against its declared type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttributeValue {
    /// A text.
    Text(String),
    /// A uuid in its canonical hyphenated lower-case form.
    Uuid(String),
    /// An integer.
    Integer(i64),
    /// A boolean.
    Boolean(bool),
}

/// A person, as the certificate and the directory describe them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    /// The stable id (`subject.id`).
    pub id: String,
    /// The e-mail address (`subject.email`), lower case.
    pub email: String,
    /// The groups (`subject.groups`).
    pub groups: BTreeSet<String>,
    /// Attributes by name; one that is missing or of the wrong type is absent here.
    pub attributes: BTreeMap<String, AttributeValue>,
}

/// A value as a directory delivers it, before it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawAttribute<'a> {
    /// A text, or anything else that was delivered as text.
    Text(&'a str),
    /// A whole number.
    Integer(i64),
    /// A boolean.
    Boolean(bool),
}

/// Why a value is not of its attribute's type. The value itself is not repeated: it may be personal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the value is not of type `{}`, which the project declares; {}", .expected.as_str(), .expected.example())]
pub struct AttributeError {
    /// The declared type.
    pub expected: AttributeType,
}

impl AttributeType {
    /// The word used in `daam.yaml` and in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Uuid => "uuid",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
        }
    }

    /// The type of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Text, Self::Uuid, Self::Integer, Self::Boolean].into_iter().find(|kind| kind.as_str() == name)
    }

    fn example(self) -> &'static str {
        match self {
            Self::Text => "a text without NUL characters is accepted",
            Self::Uuid => "8-4-4-4-12 hexadecimal digits are accepted",
            Self::Integer => "a whole number of 64 bits is accepted",
            Self::Boolean => "`true` and `false` are accepted",
        }
    }
}

impl AttributeValue {
    /// Checks a delivered value against the declared type. Texts that spell a value of the type are accepted,
    /// since many directories know nothing but text; numbers and booleans are never turned into text.
    pub fn typed(kind: AttributeType, raw: RawAttribute<'_>) -> Result<Self, AttributeError> {
        let value = match (kind, raw) {
            (AttributeType::Text, RawAttribute::Text(text)) if !text.contains('\0') => {
                Some(Self::Text(text.to_owned()))
            }
            (AttributeType::Uuid, RawAttribute::Text(text)) if is_uuid(text) => {
                Some(Self::Uuid(text.to_ascii_lowercase()))
            }
            (AttributeType::Integer, RawAttribute::Integer(number)) => Some(Self::Integer(number)),
            (AttributeType::Integer, RawAttribute::Text(text)) => text.parse().ok().map(Self::Integer),
            (AttributeType::Boolean, RawAttribute::Boolean(flag)) => Some(Self::Boolean(flag)),
            (AttributeType::Boolean, RawAttribute::Text(text)) => text.parse().ok().map(Self::Boolean),
            _ => None,
        };
        value.ok_or(AttributeError { expected: kind })
    }

    /// As [`AttributeValue::typed`], for a value that came as text.
    pub fn from_text(kind: AttributeType, text: &str) -> Result<Self, AttributeError> {
        Self::typed(kind, RawAttribute::Text(text))
    }

    /// Its type.
    pub fn kind(&self) -> AttributeType {
        match self {
            Self::Text(_) => AttributeType::Text,
            Self::Uuid(_) => AttributeType::Uuid,
            Self::Integer(_) => AttributeType::Integer,
            Self::Boolean(_) => AttributeType::Boolean,
        }
    }
}

impl Subject {
    /// A person without groups or attributes.
    pub fn new(id: impl Into<String>, email: &str) -> Self {
        Self { id: id.into(), email: email.to_ascii_lowercase(), ..Self::default() }
    }

    /// The same person in these groups too.
    #[must_use]
    pub fn in_groups<I: IntoIterator<Item: Into<String>>>(mut self, groups: I) -> Self {
        self.groups.extend(groups.into_iter().map(Into::into));
        self
    }

    /// The same person with one more attribute.
    #[must_use]
    pub fn with_attribute(mut self, name: impl Into<String>, value: AttributeValue) -> Self {
        self.attributes.insert(name.into(), value);
        self
    }

    /// Whether that is the person's address, without regard to case. No address is nobody's.
    ///
    /// Only ASCII letters fold: Unicode folding makes one of different addresses (the Kelvin sign becomes `k`).
    pub fn has_email(&self, email: &str) -> bool {
        !email.is_empty() && self.email.eq_ignore_ascii_case(email)
    }

    /// The same person, with membership of the defined groups as defined and of all others as before.
    #[must_use]
    pub fn with_defined_groups(&self, defined: &BTreeMap<String, BTreeSet<String>>) -> Self {
        let mut subject = self.clone();
        for (group, members) in defined {
            if members.iter().any(|member| self.has_email(member)) {
                subject.groups.insert(group.clone());
            } else {
                subject.groups.remove(group);
            }
        }
        subject
    }

    /// The same person with only the declared attributes of the declared type.
    #[must_use]
    pub fn with_declared_attributes(&self, declared: &BTreeMap<String, AttributeType>) -> Self {
        let mut subject = self.clone();
        subject.attributes.retain(|name, value| declared.get(name) == Some(&value.kind()));
        subject
    }
}

#[cfg(test)]
mod tests;
