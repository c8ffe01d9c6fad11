//! Typed readers: each reports what it cannot read and lets its caller carry on without it.

use super::node::{Entry, Node, Value};
use super::scalar;
use crate::rule;
use daam_diagnostic::{Applicability, Location, Sink, SourceId, Span, suggest};
use std::time::Duration;

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) at: Location,
}

/// Reads nodes of one source.
pub(crate) struct Decoder<'a> {
    pub(crate) source: SourceId,
    pub(crate) sink: &'a mut Sink,
}

/// The entries of a mapping whose keys are all known.
pub(crate) struct Fields<'n> {
    entries: &'n [Entry],
    head: Span,
}

impl<'n> Fields<'n> {
    /// The value of a key, if it is there.
    pub(crate) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Where the key itself stands.
    pub(crate) fn key_span(&self, key: &str) -> Option<Span> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| entry.key_span)
    }

    /// What to underline when the mapping as a whole is meant: its first key.
    pub(crate) fn head(&self) -> Span {
        self.head
    }
}

impl Decoder<'_> {
    pub(crate) fn at(&self, span: Span) -> Location {
        Location::new(self.source, span)
    }

    /// A mapping with these keys and no others.
    pub(crate) fn mapping<'n>(&mut self, node: &'n Node, what: &str, keys: &[&str]) -> Option<Fields<'n>> {
        let entries = self.raw_entries(node, what)?;
        for entry in entries.iter().filter(|entry| !keys.contains(&entry.key.as_str())) {
            let at = self.at(entry.key_span);
            let mut diagnostic = rule::UNKNOWN_KEY
                .at(at, format!("{what} has no key `{}`", entry.key))
                .help(format!("its keys are {}", list(keys)));
            if let Some(near) = suggest::nearest(&entry.key, keys.iter().copied()) {
                diagnostic =
                    diagnostic.help(format!("did you mean `{near}`?")).replace(Applicability::Unsafe, near);
            }
            self.sink.push(diagnostic);
        }
        let head = entries.first().map_or(node.span, |entry| entry.key_span);
        Some(Fields { entries, head })
    }

    /// A mapping with keys of the author's choice; those that other readers take for something else are reported.
    pub(crate) fn entries<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Entry]> {
        let entries = self.raw_entries(node, what)?;
        for entry in entries {
            // Quotes would make the written key longer than its text.
            let plain = entry.key_span.len() == entry.key.len();
            let Some(other) = plain.then(|| scalar::ambiguity(&entry.key)).flatten() else { continue };
            let (at, quoted) = (self.at(entry.key_span), format!("\"{}\"", entry.key));
            self.sink.push(
                rule::AMBIGUOUS_SCALAR
                    .at(at, format!("the key `{}` can be read as {other}", entry.key))
                    .help(format!("quote it: `{quoted}`"))
                    .replace(Applicability::Safe, quoted),
            );
        }
        Some(entries)
    }

    /// A mapping, whatever its keys are.
    pub(crate) fn raw_entries<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Entry]> {
        if let Value::Mapping(entries) = &node.value {
            return Some(entries);
        }
        self.wrong(node, &format!("{what} has to be a mapping"));
        None
    }

    /// A list.
    pub(crate) fn list<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        if let Value::List(items) = &node.value {
            return Some(items);
        }
        self.wrong(node, &format!("{what} has to be a list"));
        None
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, node: &Node, what: &str) -> Vec<Spanned<String>> {
        let items = self.list(node, what).unwrap_or_default();
        items.iter().filter_map(|item| self.text(item, what)).collect()
    }

    /// A list of names that are compared to the letter.
    pub(crate) fn names(&mut self, node: &Node, what: &str) -> Vec<Spanned<String>> {
        self.texts(node, what).into_iter().filter_map(|name| self.name(name)).collect()
    }

    /// A name that is compared to the letter: one with a blank nobody sees would be that of something else.
    pub(crate) fn name(&mut self, name: Spanned<String>) -> Option<Spanned<String>> {
        if name.value.trim() == name.value && !name.value.contains(char::is_control) {
            return Some(name);
        }
        let message =
            format!("`{}` has white space at an end, or a line end or tab in it", name.value.escape_debug());
        self.sink.push(
            rule::WRONG_NODE_TYPE
                .at(name.at, message)
                .help("names are compared to the letter; write it on one line, without"),
        );
        None
    }

    /// A text, or a list of them.
    pub(crate) fn one_or_many(&mut self, node: &Node, what: &str) -> Vec<Spanned<String>> {
        match &node.value {
            Value::Scalar { .. } => self.text(node, what).into_iter().collect(),
            _ => self.texts(node, what),
        }
    }

    /// A text; unquoted ones that other readers take for something else are refused.
    pub(crate) fn text(&mut self, node: &Node, what: &str) -> Option<Spanned<String>> {
        let at = self.at(node.span);
        let Value::Scalar { text, plain } = &node.value else {
            self.wrong(node, &format!("{what} has to be a text"));
            return None;
        };
        if let Some(other) = plain.then(|| scalar::ambiguity(text)).flatten() {
            let quoted = format!("\"{text}\"");
            self.sink.push(
                rule::AMBIGUOUS_SCALAR
                    .at(at, format!("`{text}` can be read as {other}; {what} is a text"))
                    .help(format!("quote it: `{quoted}`"))
                    .replace(Applicability::Safe, quoted),
            );
            return None;
        }
        if text.trim().is_empty() {
            self.sink.push(rule::WRONG_NODE_TYPE.at(at, format!("{what} is empty")));
            return None;
        }
        Some(Spanned { value: text.clone(), at })
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        match &node.value {
            Value::Scalar { text, plain: true } if text == "true" => Some(true),
            Value::Scalar { text, plain: true } if text == "false" => Some(false),
            Value::Scalar { text, plain: true } if scalar::ambiguity(text) == Some("a boolean") => {
                let at = self.at(node.span);
                self.sink.push(
                    rule::AMBIGUOUS_SCALAR
                        .at(at, format!("`{text}` is a boolean to some readers and a text to others"))
                        .help("write `true` or `false`"),
                );
                None
            }
            _ => {
                self.wrong(node, &format!("{what} has to be `true` or `false`"));
                None
            }
        }
    }

    /// A whole number without sign.
    pub(crate) fn number(&mut self, node: &Node, what: &str) -> Option<Spanned<u64>> {
        if let Value::Scalar { text, plain: true } = &node.value
            && (text == "0" || !text.starts_with('0'))
            && text.chars().all(|c| c.is_ascii_digit())
            && let Ok(value) = text.parse()
        {
            return Some(Spanned { value, at: self.at(node.span) });
        }
        self.wrong(node, &format!("{what} has to be a whole number"));
        None
    }

    /// A duration with units.
    pub(crate) fn duration(&mut self, node: &Node, what: &str) -> Option<Spanned<Duration>> {
        if let Value::Scalar { text, .. } = &node.value {
            if let Some(value) = scalar::duration(text) {
                return Some(Spanned { value, at: self.at(node.span) });
            }
            let at = self.at(node.span);
            self.sink.push(
                rule::WRONG_NODE_TYPE
                    .at(at, format!("`{text}` is not a duration; {what} is one"))
                    .help("write a number with a unit: `30s`, `15m`, `8h`, `1h30m`"),
            );
            return None;
        }
        self.wrong(node, &format!("{what} has to be a duration such as `30s`"));
        None
    }

    /// Reports that a key is not there.
    pub(crate) fn missing(&mut self, fields: &Fields<'_>, what: &str, key: &str) {
        let at = self.at(fields.head());
        self.sink.push(rule::MISSING_KEY.at(at, format!("{what} needs the key `{key}`")));
    }

    /// The value of a key that has to be there.
    pub(crate) fn required<'n>(&mut self, fields: &Fields<'n>, what: &str, key: &str) -> Option<&'n Node> {
        let node = fields.get(key);
        if node.is_none() {
            self.missing(fields, what, key);
        }
        node
    }

    /// Reports a node of the wrong kind; nothing where something belongs has a rule of its own.
    pub(crate) fn wrong(&mut self, node: &Node, expectation: &str) {
        let at = self.at(node.span);
        match &node.value {
            Value::Refused => {}
            Value::Null => self.sink.push(
                rule::NULL_WHERE_COLLECTION
                    .at(at, format!("{expectation}, and nothing is written here"))
                    .help("leave the key out, or write what is meant (`[]` for an empty list)"),
            ),
            _ => self.sink.push(rule::WRONG_NODE_TYPE.at(at, format!("{expectation}, not {}", node.noun()))),
        }
    }
}

/// `a`, `b` and `c`, in backticks.
pub(crate) fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => "none".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}
