//! One form for files: two spaces a level, lists below their key, no quotes nobody needs, `kind` first.
//!
//! What was in brackets stays in brackets while it fits into 100 columns. Comments stay with what they are about, a
//! blank line stays one blank line, and one stands between documents. The result is compared with the original: the
//! same documents, the same comments, and no other form when formatted again, or the change is refused. Refused too:
//! a file that is not readable.

mod order;
mod print;
mod quote;
mod tree;

use crate::syntax::node::{Entry, Node, Value};
use crate::syntax::yaml;
use daam_diagnostic::{Severity, Sink, SourceMap};
use tree::File;

/// A text that does not come to rest within so many rounds is left alone.
const MAX_ROUNDS: usize = 4;

/// Why a file is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It is not readable.
    #[error("line {line}: {message}")]
    Unreadable {
        /// The line, from one.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// The result would say something else.
    #[error("formatting would change what the file says; it is left as it is")]
    Changed,
}

/// The text in its one form.
pub fn format(text: &str) -> Result<String, FormatError> {
    let before = read(text)?;
    let comments = comments(text, &tree(text)?);
    let mut now = text.to_owned();
    for _ in 0..MAX_ROUNDS {
        let next = once(&now)?;
        if next == now {
            let after = read(&now)?;
            let kept = self::comments(&now, &tree(&now)?) == comments;
            return if kept && same_documents(&before, &after) { Ok(now) } else { Err(FormatError::Changed) };
        }
        now = next;
    }
    Err(FormatError::Changed)
}

fn once(text: &str) -> Result<String, FormatError> {
    let file = tree(text)?;
    match order::reorder(text, &file) {
        Some(moved) => Ok(print::print(&moved, &tree(&moved)?)),
        None => Ok(print::print(text, &file)),
    }
}

fn tree(text: &str) -> Result<File, FormatError> {
    tree::read(text).ok_or(FormatError::Changed)
}

fn read(text: &str) -> Result<Vec<Node>, FormatError> {
    let (mut sources, mut sink) = (SourceMap::new(), Sink::new());
    let id = sources.add("", text);
    let nodes = yaml::read(id, text, &mut sink);
    let found = sink.into_sorted(&sources);
    match found.iter().find(|found| found.severity == Severity::Error) {
        None => Ok(nodes),
        Some(error) => {
            let line = sources.position(error.at.source, error.at.span.start).line;
            Err(FormatError::Unreadable { line, message: error.message.clone() })
        }
    }
}

/// The same documents; only the order of keys at the top may differ.
fn same_documents(before: &[Node], after: &[Node]) -> bool {
    before.len() == after.len() && before.iter().zip(after).all(|(one, other)| same_document(one, other))
}

fn same_document(one: &Node, other: &Node) -> bool {
    let (Value::Mapping(one), Value::Mapping(other)) = (&one.value, &other.value) else {
        return same(one, other);
    };
    let found = |entry: &Entry| other.iter().find(|candidate| candidate.key == entry.key);
    one.len() == other.len()
        && one.iter().all(|entry| found(entry).is_some_and(|found| same(&entry.value, &found.value)))
}

/// The same keys, texts and order; a quoted text stays one that every reader takes for a text.
fn same(one: &Node, other: &Node) -> bool {
    one.says(other) && unquoted(one) == unquoted(other)
}

/// The unquoted texts some reader takes for something else.
fn unquoted(node: &Node) -> Vec<&str> {
    match &node.value {
        Value::Scalar { text, plain: true } if crate::syntax::scalar::ambiguity(text).is_some() => vec![text],
        Value::List(items) => items.iter().flat_map(unquoted).collect(),
        Value::Mapping(entries) => entries.iter().flat_map(|entry| unquoted(&entry.value)).collect(),
        Value::Scalar { .. } | Value::Null | Value::Refused => Vec::new(),
    }
}

/// The texts of all comments; their order may change with that of keys.
fn comments(text: &str, file: &File) -> Vec<String> {
    let of = |comment: &tree::Comment| {
        text.get(comment.span.start..comment.span.end).unwrap_or("").trim_end().to_owned()
    };
    let mut texts: Vec<String> = file.comments.iter().map(of).collect();
    texts.sort();
    texts
}

#[cfg(test)]
mod tests;
