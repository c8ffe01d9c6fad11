//! Who asks: a person with groups and typed attributes.

use std::collections::{BTreeMap, BTreeSet};

/// The declared type of an attribute (`attributes:` in `daam.yaml`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
