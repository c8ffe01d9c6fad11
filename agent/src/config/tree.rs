//! YAML text to a tree with places. Refuses what a configuration never needs: several documents, anchors,
//! aliases, tags, keys that are not plain text, the same key twice.

use super::Fault;
use granit_parser::{Event, Marker, Parser, ScalarStyle, Span};

/// What a pattern such as `*.users` reads as.
const ALIAS: &str =
    "aliases are not accepted here; a value that begins with `*` needs quotes, such as `\"*.users\"`";

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) column: usize,
    /// The variable it was read from; without one it stands in the file.
    pub(super) variable: Option<&'static str>,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Text, and whether it was written without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) value: Node,
}

impl Node {
    pub(super) fn fault(&self, message: impl Into<String>) -> Fault {
        Fault { line: self.line, column: self.column, variable: self.variable, message: message.into() }
    }

    /// Nothing, `~` or `null`, unquoted.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Its value in one form, whatever the layout.
    pub(super) fn rendered(&self) -> String {
        match &self.value {
            Value::Scalar { text, .. } => text.clone(),
            Value::List(items) => {
                let items: Vec<String> = items.iter().map(Self::rendered).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Map(_) => String::new(),
        }
    }

    /// What kind of thing it is, for people.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            _ if self.is_null() => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// A collection being read.
enum Open {
    List(Node, Vec<Node>),
    Map(Node, Vec<Entry>, Option<(String, usize, usize)>),
}

pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    let mut builder = Builder::default();
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| {
            let (line, column) = place(error.marker());
            let message = match error.info() {
                info if info.contains("unknown anchor") => ALIAS.to_owned(),
                info => format!("this is not YAML: {info}"),
            };
            Fault { line, column, variable: None, message }
        })?;
        builder.take(event, span)?;
    }
    let message = "the file is empty".to_owned();
    builder.root.ok_or(Fault { line: 1, column: 1, variable: None, message })
}

#[derive(Default)]
struct Builder {
    stack: Vec<Open>,
    root: Option<Node>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let (line, column) = place(&span.start);
        let fault = |message: &str| Err(Fault { line, column, variable: None, message: message.to_owned() });
        let empty = |value| Node { line, column, variable: None, value };
        match event {
            Event::Alias(_) | Event::UnresolvedAlias(_) => fault(ALIAS),
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(_, anchor, _)
            | Event::MappingStart(_, anchor, _)
                if anchor != 0 =>
            {
                fault("anchors are not accepted here; write the value out where it is used")
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, _, Some(_))
            | Event::MappingStart(_, _, Some(_)) => fault("tags are not accepted here"),
            Event::Scalar(text, style, _, _) => {
                let plain = matches!(style, ScalarStyle::Plain);
                self.place(empty(Value::Scalar { text: text.into_owned(), plain }))
            }
            Event::SequenceStart(..) => {
                self.stack.push(Open::List(empty(Value::List(Vec::new())), Vec::new()));
                Ok(())
            }
            Event::MappingStart(..) => {
                self.stack.push(Open::Map(empty(Value::Map(Vec::new())), Vec::new(), None));
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            _ => Ok(()),
        }
    }

    fn close(&mut self) -> Result<(), Fault> {
        match self.stack.pop() {
            Some(Open::List(node, items)) => self.place(Node { value: Value::List(items), ..node }),
            Some(Open::Map(node, entries, _)) => self.place(Node { value: Value::Map(entries), ..node }),
            None => Ok(()),
        }
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node) -> Result<(), Fault> {
        match self.stack.last_mut() {
            None if self.root.is_some() => Err(node.fault("only one document is accepted")),
            None => {
                self.root = Some(node);
                Ok(())
            }
            Some(Open::List(_, items)) => {
                items.push(node);
                Ok(())
            }
            Some(Open::Map(_, entries, pending)) => match pending.take() {
                Some((key, line, column)) => {
                    entries.push(Entry { key, line, column, value: node });
                    Ok(())
                }
                None => match &node.value {
                    Value::Scalar { text, .. } if entries.iter().any(|entry| entry.key == *text) => {
                        Err(node.fault(format!("`{text}` is written twice")))
                    }
                    Value::Scalar { text, .. } => {
                        *pending = Some((text.clone(), node.line, node.column));
                        Ok(())
                    }
                    _ => Err(node.fault("a key must be a single word")),
                },
            },
        }
    }
}

/// 1-based line and column.
fn place(marker: &Marker) -> (usize, usize) {
    (marker.line(), marker.col().saturating_add(1))
}
