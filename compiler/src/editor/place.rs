//! Where in a document a cursor stands: the keys that lead there, and the word.

use crate::syntax::node::{Node, Value};
use crate::syntax::yaml;
use daam_diagnostic::{Sink, SourceMap, Span};

/// One step from the root of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Into the value of a key.
    Key(String),
    /// Into an item of a list.
    Item,
}

/// A place in a document.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The document's `kind`, or nothing.
    pub(crate) kind: String,
    /// The document's `database`.
    pub(crate) database: Option<String>,
    /// The way to the value, or to the mapping whose key this is.
    pub(crate) steps: Vec<Step>,
    /// Whether a key stands here.
    pub(crate) is_key: bool,
    /// The key or scalar.
    pub(crate) word: Span,
    /// Its text.
    pub(crate) text: String,
    /// The relation patterns beside it (`on:` of the same grant or mask).
    pub(crate) on: Vec<String>,
}

/// What is being typed.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    /// The word that a completion replaces.
    pub(crate) replace: Span,
    /// The part of it before the cursor.
    pub(crate) typed: String,
    /// Whether a key that is chosen still needs its colon.
    pub(crate) needs_colon: bool,
}

/// Stands for the word that is being typed, so that a half-written document can be read.
const PLACEHOLDER: &str = "daam-cursor-here";

/// The place at an offset; nothing between words, or where the document cannot be read.
pub(crate) fn at(text: &str, offset: usize) -> Option<Place> {
    documents(text).into_iter().find_map(|document| {
        let mut place = root(&document);
        descend(&document, &mut place, &|span, _| span.start <= offset && offset <= span.end).then_some(place)
    })
}

/// The place of what is being typed at an offset, even where the document is not yet one.
pub(crate) fn completing(text: &str, offset: usize) -> Option<(Place, Cursor)> {
    let (head, tail) = (text.get(..offset)?, text.get(offset..)?);
    let typed_from = head.rfind(|c: char| !in_word(c)).map_or(0, |at| at + width(head, at));
    let rest = tail.find(|c: char| !in_word(c)).unwrap_or(tail.len());
    let replace = Span::new(typed_from, offset + rest);
    let (before, after) = (text.get(..replace.start)?, text.get(replace.end..)?);
    let is_word = |_: Span, text: &str| text.contains(PLACEHOLDER);
    let follows = after.trim_start_matches(' ').starts_with(':');
    for (suffix, needs_colon) in [("", !follows), (": ", true)] {
        let tried = format!("{before}{PLACEHOLDER}{suffix}{after}");
        for document in documents(&tried) {
            let mut place = root(&document);
            if descend(&document, &mut place, &is_word) {
                let typed = text.get(replace.start..offset)?.to_owned();
                return Some((place, Cursor { replace, typed, needs_colon }));
            }
        }
    }
    None
}

/// Letters of names, patterns and addresses.
pub(crate) fn in_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '*' | '@' | '-')
}

fn width(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
}

fn documents(text: &str) -> Vec<Node> {
    let id = SourceMap::new().add("", "");
    yaml::read(id, text, &mut Sink::new())
}

fn root(document: &Node) -> Place {
    let scalar = |key: &str| document.peek(key).and_then(scalar).map(str::to_owned);
    Place {
        kind: scalar("kind").unwrap_or_default(),
        database: scalar("database").filter(|name| name != PLACEHOLDER),
        steps: Vec::new(),
        is_key: false,
        word: Span::at(0),
        text: String::new(),
        on: Vec::new(),
    }
}

fn scalar(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar { text, .. } => Some(text),
        _ => None,
    }
}

/// Follows the document to the word the test accepts.
fn descend(node: &Node, place: &mut Place, accepts: &dyn Fn(Span, &str) -> bool) -> bool {
    match &node.value {
        Value::Scalar { text, .. } if accepts(node.span, text) => {
            place.word = node.span;
            place.text.clone_from(text);
            true
        }
        Value::List(items) => {
            place.steps.push(Step::Item);
            let found = items.iter().any(|item| descend(item, place, accepts));
            if !found {
                place.steps.pop();
            }
            found
        }
        Value::Mapping(entries) => {
            for entry in entries {
                let found = if accepts(entry.key_span, &entry.key) {
                    place.is_key = true;
                    place.word = entry.key_span;
                    place.text.clone_from(&entry.key);
                    true
                } else {
                    place.steps.push(Step::Key(entry.key.clone()));
                    descend(&entry.value, place, accepts) || place.steps.pop().is_none()
                };
                if found {
                    if place.on.is_empty() {
                        place.on = patterns(node);
                    }
                    return true;
                }
            }
            false
        }
        _ => false,
    }
}

/// The relations named by `on`, whatever is being typed left out.
fn patterns(mapping: &Node) -> Vec<String> {
    let Some(on) = mapping.peek("on") else { return Vec::new() };
    let texts: Vec<&str> = match &on.value {
        Value::List(items) => items.iter().filter_map(scalar).collect(),
        _ => scalar(on).into_iter().collect(),
    };
    texts.into_iter().filter(|text| !text.contains(PLACEHOLDER)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "kind: policy\ndatabase: shop\ngrants:\n  - on: public.users\n    rows: region = 1\n\
                          masks: [{ on: public.users.email, with: email }]\n";

    fn steps(place: &Place) -> String {
        let shown = place.steps.iter().map(|step| match step {
            Step::Key(key) => key.as_str(),
            Step::Item => "[]",
        });
        shown.collect::<Vec<_>>().join(".")
    }

    #[test]
    fn a_word_is_found_with_the_keys_that_lead_to_it() {
        let place = at(POLICY, POLICY.find("users").unwrap()).unwrap();
        assert_eq!((steps(&place).as_str(), place.text.as_str()), ("grants.[].on", "public.users"));
        assert_eq!((place.kind.as_str(), place.database.as_deref()), ("policy", Some("shop")));
        let place = at(POLICY, POLICY.find("rows").unwrap() + 1).unwrap();
        assert!(place.is_key);
        assert_eq!((steps(&place).as_str(), place.on), ("grants.[]", vec!["public.users".to_owned()]));
    }

    #[test]
    fn what_is_being_typed_has_a_place_before_it_is_yaml() {
        for (text, expected, key) in [
            ("kind: policy\ngra", "", true),
            ("kind: policy\ngrants:\n  - on: pub", "grants.[].on", false),
            ("kind: policy\ngrants:\n  - on: ", "grants.[].on", false),
            ("kind: policy\nmasks:\n  - { on: a.b.c, with: ", "masks.[].with", false),
            ("kind: policy\nsubjects: { groups: [support, ", "subjects.groups.[]", false),
            ("kind: policy\ngrants:\n  - on: a.b\n    al", "grants.[]", true),
        ] {
            let closing = if text.contains("groups: [") {
                "] }\n"
            } else if text.contains("{ on") {
                " }\n"
            } else {
                "\n"
            };
            let whole = format!("{text}{closing}");
            let (place, _) = completing(&whole, text.len()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((steps(&place).as_str(), place.is_key), (expected, key), "{text}");
        }
    }

    #[test]
    fn the_whole_word_is_replaced_wherever_in_it_the_cursor_stands() {
        let offset = POLICY.find("users").unwrap() + 2;
        let (_, cursor) = completing(POLICY, offset).unwrap();
        assert_eq!(cursor.typed, "public.us");
        assert_eq!(POLICY.get(cursor.replace.start..cursor.replace.end), Some("public.users"));
    }
}
