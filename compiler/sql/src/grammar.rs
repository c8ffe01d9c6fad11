//! The shape of every parse-tree message: which field number is which field, of which kind.
//!
//! `grammar.txt` is generated from the parser's `pg_query.proto` (one line per message or enum) and a test
//! compares the two. A message, field or enum value that is not listed does not exist as far as we are concerned.

use std::collections::BTreeMap;
use std::sync::LazyLock;

const TEXT: &str = include_str!("grammar.txt");

/// A field of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
}

/// All messages and enums.
#[derive(Debug, Default)]
pub(crate) struct Grammar {
    messages: BTreeMap<&'static str, BTreeMap<u32, Field>>,
    enums: BTreeMap<&'static str, BTreeMap<i64, &'static str>>,
}

/// The table, read once.
pub(crate) static GRAMMAR: LazyLock<Grammar> = LazyLock::new(|| read(TEXT));

impl Grammar {
    /// The name of a message as the table holds it, if it is one.
    pub(crate) fn message(&self, kind: &str) -> Option<&'static str> {
        self.messages.get_key_value(kind).map(|(name, _)| *name)
    }

    pub(crate) fn is_enum(&self, kind: &str) -> bool {
        self.enums.contains_key(kind)
    }

    pub(crate) fn field(&self, message: &str, number: u32) -> Option<Field> {
        self.messages.get(message)?.get(&number).copied()
    }

    /// The kind of a message's field by name.
    pub(crate) fn kind_of(&self, message: &str, field: &str) -> Option<&'static str> {
        self.messages.get(message)?.values().find(|known| known.name == field).map(|known| known.kind)
    }

    pub(crate) fn enum_value(&self, kind: &str, value: i64) -> Option<&'static str> {
        self.enums.get(kind)?.get(&value).copied()
    }
}

fn read(text: &'static str) -> Grammar {
    let mut grammar = Grammar::default();
    for line in text.lines() {
        let mut words = line.split(' ');
        match (words.next(), words.next()) {
            (Some("message"), Some(name)) => {
                grammar.messages.insert(name, words.filter_map(field).collect());
            }
            (Some("enum"), Some(name)) => {
                grammar.enums.insert(name, words.filter_map(value).collect());
            }
            _ => {}
        }
    }
    grammar
}

fn field(word: &'static str) -> Option<(u32, Field)> {
    let mut parts = word.split(':');
    let number = parts.next()?.parse().ok()?;
    Some((number, Field { name: parts.next()?, kind: parts.next()? }))
}

fn value(word: &'static str) -> Option<(i64, &'static str)> {
    let (number, name) = word.split_once(':')?;
    Some((number.parse().ok()?, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    /// The parser's own description of its tree, from the sources cargo keeps.
    fn proto() -> String {
        let home = std::env::var("CARGO_HOME")
            .unwrap_or_else(|_| format!("{}/.cargo", std::env::var("HOME").unwrap_or_default()));
        let index = std::fs::read_dir(format!("{home}/registry/src")).unwrap();
        let paths = index.flatten().flat_map(|entry| std::fs::read_dir(entry.path()).unwrap().flatten());
        let mut found: Vec<_> = paths
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("pg_query-18."))
            .map(|entry| entry.path().join("libpg_query/protobuf/pg_query.proto"))
            .collect();
        found.sort();
        std::fs::read_to_string(found.pop().unwrap()).unwrap()
    }

    /// `grammar.txt` as it should be: comments, labels and options dropped, scanner messages left out.
    fn generate(proto: &str) -> String {
        let mut lines = Vec::new();
        let mut open: Option<String> = None;
        let mut depth = 0_usize;
        for raw in proto.lines() {
            let line = raw.split("//").next().unwrap_or("").trim();
            let words: Vec<&str> =
                line.split([' ', ';', '[', '\t']).filter(|word| !word.is_empty()).collect();
            match words.as_slice() {
                [kind @ ("message" | "enum"), name, ..] if depth == 0 => {
                    open = Some(format!("{kind} {name}"));
                }
                ["repeated", kind, name, "=", number, ..] | [kind, name, "=", number, ..] => {
                    if let Some(text) = &mut open {
                        let _ = write!(text, " {number}:{name}:{kind}");
                    }
                }
                [name, "=", number, ..] => {
                    if let Some(text) = &mut open {
                        let _ = write!(text, " {number}:{name}");
                    }
                }
                _ => {}
            }
            depth += line.matches('{').count();
            let closing = line.matches('}').count();
            if closing > 0 {
                depth -= closing;
                if depth == 0 {
                    lines.extend(open.take());
                }
            }
        }
        let scanner = ["ScanToken", "ScanResult", "Token", "KeywordKind", "SummaryResult"];
        lines.retain(|line| !scanner.contains(&line.split(' ').nth(1).unwrap_or("")));
        lines.join("\n") + "\n"
    }

    #[test]
    fn the_table_is_what_the_parser_describes() {
        let generated = generate(&proto());
        for (wanted, found) in generated.lines().zip(TEXT.lines()) {
            assert_eq!(wanted, found);
        }
        assert_eq!(generated.lines().count(), TEXT.lines().count());
    }

    #[test]
    fn every_field_has_a_known_kind() {
        for (message, fields) in &GRAMMAR.messages {
            for field in fields.values() {
                let scalar =
                    ["int32", "uint32", "int64", "uint64", "bool", "string", "double"].contains(&field.kind);
                let known = scalar || GRAMMAR.message(field.kind).is_some() || GRAMMAR.is_enum(field.kind);
                assert!(known, "{message}.{}: {}", field.name, field.kind);
            }
        }
    }
}
