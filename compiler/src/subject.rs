//! What in the project a finding is about, by names instead of lines: `policy:support/grants/rows`.
//!
//! The path leads from the document over keys to the finding's place. Items of lists have no number in it: one more
//! item above must not make a finding look new. What a grant or mask is on is in it, or a finding about another table
//! would look like the one that is known.

use crate::syntax::node::{Node, Value};
use crate::syntax::yaml;
use daam_diagnostic::{Diagnostic, Sink, SourceId, SourceMap};
use std::collections::BTreeMap;

/// Gives every finding that names none the subject its place has.
pub fn name_subjects(diagnostics: &mut [Diagnostic], sources: &SourceMap) {
    let mut read: BTreeMap<SourceId, Vec<Node>> = BTreeMap::new();
    for found in diagnostics.iter_mut().filter(|found| found.subject.is_empty()) {
        let id = found.at.source;
        let documents = read.entry(id).or_insert_with(|| yaml::read(id, sources.text(id), &mut Sink::new()));
        if let Some(subject) = subject(documents, found.at.span.start) {
            found.subject = subject;
        }
    }
}

fn subject(documents: &[Node], offset: usize) -> Option<String> {
    let document = documents.iter().rev().find(|document| document.span.start <= offset)?;
    let text = |key: &str| match document.peek(key).map(|node| &node.value) {
        Some(Value::Scalar { text, .. }) => Some(text.as_str()),
        _ => None,
    };
    let mut path = text("kind").unwrap_or("document").to_owned();
    if let Some(name) = text("name").or_else(|| text("database")) {
        path.push(':');
        path.push_str(name);
    }
    let mut node = document;
    loop {
        let next = match &node.value {
            Value::Mapping(entries) => {
                let entry = entries.iter().rev().find(|entry| entry.key_span.start <= offset);
                entry.filter(|entry| offset <= entry.value.span.end.max(entry.key_span.end)).map(|entry| {
                    path.push('/');
                    path.push_str(&entry.key);
                    &entry.value
                })
            }
            Value::List(items) => {
                let item = items.iter().rev().find(|item| item.span.start <= offset);
                path.extend(item.and_then(named));
                item
            }
            Value::Scalar { .. } | Value::Null | Value::Refused => None,
        };
        match next {
            Some(next) => node = next,
            None => return Some(path),
        }
    }
}

/// What an item of a list is about, in brackets: two grants of one policy are told apart by what they are on.
fn named(item: &Node) -> Option<String> {
    let about = ["name", "on", "functions", "rule"].iter().find_map(|key| item.peek(key))?;
    let texts: Vec<&str> = match &about.value {
        Value::Scalar { text, .. } => vec![text],
        Value::List(items) => items
            .iter()
            .filter_map(|item| match &item.value {
                Value::Scalar { text, .. } => Some(text.as_str()),
                _ => None,
            })
            .collect(),
        _ => return None,
    };
    Some(format!("[{}]", texts.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, needle: &str) -> Option<String> {
        let mut sources = SourceMap::new();
        let id = sources.add("a.yaml", text);
        subject(&yaml::read(id, text, &mut Sink::new()), text.find(needle).unwrap())
    }

    const TEXT: &str = "kind: policy\nname: a\ngrants:\n  - on: x\n  - { on: y, rows: z }\nmaks: 1\n---\nkind: scope\ndatabase: shop\nscope: [q]\n";

    #[test]
    fn a_place_has_the_path_of_keys_that_leads_to_it() {
        assert_eq!(of(TEXT, "kind").as_deref(), Some("policy:a/kind"));
        assert_eq!(of(TEXT, "z }").as_deref(), Some("policy:a/grants[y]/rows"));
        assert_eq!(of(TEXT, "maks").as_deref(), Some("policy:a/maks"));
        assert_eq!(of(TEXT, "q]").as_deref(), Some("scope:shop/scope"));
    }

    #[test]
    fn what_stands_above_does_not_count() {
        let longer = TEXT.replace("grants:\n", "# c\ngrants:\n  - on: w\n");
        assert_eq!(of(TEXT, "y, rows"), of(&longer, "y, rows"));
        assert_eq!(of("", ""), None);
    }
}
