//! Reading one mapping: every key is accounted for, every value has the kind it should have.

use super::Fault;
use super::settings::{by_key, keys};
use super::tree::{Entry, Node, Value};
use daam_diagnostic::suggest::did_you_mean;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The fields of one mapping.
pub(super) struct Fields<'a> {
    node: &'a Node,
    section: &'static str,
    known: Vec<&'static str>,
    entries: &'a [Entry],
    missing: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    pub(super) fn open(node: &'a Node, section: &'static str, faults: &mut Vec<Fault>) -> Option<Self> {
        if let Value::Map(entries) = &node.value {
            return Some(Self { node, section, known: keys(section), entries, missing: Vec::new() });
        }
        let what = if section.is_empty() { "the file".to_owned() } else { format!("`{section}`") };
        faults.push(node.fault(format!("{what} must be a mapping, found {}", node.kind())));
        None
    }

    pub(super) fn optional(&self, key: &str) -> Option<&'a Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    pub(super) fn required(&mut self, key: &'static str) -> Option<&'a Node> {
        let found = self.optional(key);
        if found.is_none() {
            self.missing.push(key);
        }
        found
    }

    /// Reports unknown and missing keys.
    pub(super) fn close(self, faults: &mut Vec<Fault>) {
        let within = if self.section.is_empty() { String::new() } else { format!(" in `{}`", self.section) };
        for entry in self.entries.iter().filter(|entry| !self.known.contains(&entry.key.as_str())) {
            let known = self.known.iter().copied();
            let help = did_you_mean(&entry.key, known)
                .unwrap_or_else(|| format!("known here: {}", self.known.join(", ")));
            let message = format!("unknown key `{}`{within}; {help}", entry.key);
            faults.push(Fault { line: entry.line, column: entry.column, variable: None, message });
        }
        for key in &self.missing {
            let setting = by_key(&format!("{}.{key}", self.section));
            let variable = setting.map(|setting| format!(" (or the variable `{}`)", setting.variable));
            faults
                .push(self.node.fault(format!("`{key}` is missing{within}{}", variable.unwrap_or_default())));
        }
    }
}

/// Unquoted words YAML would read as something other than text.
fn reads_as_other(text: &str) -> Option<&'static str> {
    match text {
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Some("a truth value"),
        _ if text.parse::<f64>().is_ok() => Some("a number"),
        _ => None,
    }
}

/// A text: quoted, or unquoted and not something else.
pub(super) fn text(node: &Node, what: &str, faults: &mut Vec<Fault>) -> Option<String> {
    match &node.value {
        _ if node.is_null() => {
            faults.push(node.fault(format!("`{what}` has no value")));
            None
        }
        Value::Scalar { text, plain: true } if reads_as_other(text).is_some() => {
            let found = reads_as_other(text).unwrap_or_default();
            faults.push(
                node.fault(format!(
                    "`{what}` must be a text, found {found}; quote it if it is meant as text"
                )),
            );
            None
        }
        Value::Scalar { text, .. } if text.trim().is_empty() => {
            faults.push(node.fault(format!("`{what}` is empty")));
            None
        }
        Value::Scalar { text, .. } => Some(text.clone()),
        _ => {
            faults.push(node.fault(format!("`{what}` must be a text, found {}", node.kind())));
            None
        }
    }
}

/// The text of a plain or quoted value; empty for a list or mapping.
pub(super) fn scalar(node: &Node) -> &str {
    match &node.value {
        Value::Scalar { text, .. } => text.as_str(),
        _ => "",
    }
}

/// `true` or `false`, unquoted.
pub(super) fn flag(node: &Node, what: &str, faults: &mut Vec<Fault>) -> Option<bool> {
    match &node.value {
        Value::Scalar { text, plain: true } if text == "true" => Some(true),
        Value::Scalar { text, plain: true } if text == "false" => Some(false),
        _ => {
            faults.push(node.fault(format!("`{what}` must be `true` or `false`")));
            None
        }
    }
}

pub(super) fn path(node: &Node, what: &str, base: &Path, faults: &mut Vec<Fault>) -> Option<PathBuf> {
    text(node, what, faults).map(|text| base.join(text))
}

pub(super) fn parsed<T: std::str::FromStr>(
    node: &Node,
    what: &str,
    shape: &str,
    faults: &mut Vec<Fault>,
) -> Option<T> {
    let text = text(node, what, faults)?;
    let value = text.parse().ok();
    if value.is_none() {
        faults.push(node.fault(format!("`{what}` is `{text}`, expected {shape}")));
    }
    value
}

pub(super) fn list<'a>(node: &'a Node, what: &str, faults: &mut Vec<Fault>) -> Option<&'a [Node]> {
    if let Value::List(items) = &node.value {
        return Some(items);
    }
    faults.push(node.fault(format!("`{what}` must be a list, found {}", node.kind())));
    None
}

/// `500ms`, `1s`, `2m`, `1h`, or `0`.
pub(super) fn duration(node: &Node, what: &str, faults: &mut Vec<Fault>) -> Option<Duration> {
    let raw = match &node.value {
        Value::Scalar { text, .. } => text.as_str(),
        _ => "",
    };
    let value = crate::duration::parse(raw);
    if value.is_none() {
        faults.push(node.fault(format!("`{what}` must be a duration such as `500ms`, `1s` or `2m`")));
    }
    value
}
