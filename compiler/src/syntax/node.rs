//! The tree of one YAML document: every node knows where it was written.

use daam_diagnostic::Span;

/// A node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// What a node is. Numbers and booleans stay text until someone who expects one reads them.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// A scalar; `plain` if it was written without quotes and not as a block.
    Scalar { text: String, plain: bool },
    /// A list.
    List(Vec<Node>),
    /// A mapping, in written order, keys unique.
    Mapping(Vec<Entry>),
    /// `null`, `~` or nothing.
    Null,
    /// Something already reported; readers pass over it in silence.
    Refused,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Node {
    /// What to call it in a message.
    pub(crate) fn noun(&self) -> &'static str {
        match &self.value {
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Mapping(_) => "a mapping",
            Value::Null | Value::Refused => "nothing",
        }
    }

    /// Whether both say the same, however it is written.
    pub(crate) fn says(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Scalar { text: a, .. }, Value::Scalar { text: b, .. }) => a == b,
            (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.says(b)),
            (Value::Mapping(a), Value::Mapping(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.key == b.key && a.value.says(&b.value))
            }
            (Value::Null, Value::Null) => true,
            _ => false,
        }
    }

    /// The value of a key, without any check.
    pub(crate) fn peek(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Mapping(entries) => {
                entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
            }
            _ => None,
        }
    }
}
