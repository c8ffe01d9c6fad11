//! YAML events → trees with a span on every node. The only user of the YAML parser.
//!
//! After an error the document is left out and reading goes on at the next `---`. Refused: anchors, aliases,
//! merge keys, tags, directives, duplicate keys, keys that are not texts, invisible and direction-turning
//! characters, and files beyond the budget (1 MiB, 50 000 nodes, 64 levels).

use super::confusable;
use super::node::{Entry, Node, Value};
use crate::rule;
use daam_diagnostic::{Location, Sink, SourceId, Span};
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, StrInput, StructureStyle};

const MAX_BYTES: usize = 1024 * 1024;
const MAX_NODES: usize = 50_000;
const MAX_DEPTH: usize = 64;

/// What could be read of a file.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// Its documents.
    pub(crate) documents: Vec<Node>,
    /// Its comments, from the `#` to the end of the line. Those behind a fault in a broken document are not seen.
    pub(crate) comments: Vec<Span>,
}

/// The documents of a file that could be read; everything else is in the sink.
pub(crate) fn read(source: SourceId, text: &str, sink: &mut Sink) -> Vec<Node> {
    parse(source, text, sink).documents
}

/// As [`read`], with the comments.
pub(crate) fn parse(source: SourceId, text: &str, sink: &mut Sink) -> Parsed {
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes; at most {MAX_BYTES} are read", text.len());
        sink.push(rule::DOCUMENT_BUDGET.at(Location::new(source, Span::at(0)), message));
        return Parsed::default();
    }
    let mut options = granit_parser::options! {
        strict_indentation: true,
        disallow_directives: true,
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        block_nesting_limit: MAX_DEPTH,
        flow_nesting_limit: MAX_DEPTH,
    };
    // Bounded by the size of the file.
    options.max_buffered_comment_events = MAX_BYTES;
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut reader =
        Reader { source, text, sink, nodes: 0, stack: Vec::new(), done: Vec::new(), comments: Vec::new() };
    reader.run(&mut parser);
    Parsed { documents: reader.done, comments: reader.comments }
}

/// A collection that is not closed yet.
enum Open {
    List { start: usize, end: usize, items: Vec<Node>, flow: bool },
    Mapping { start: usize, end: usize, entries: Vec<Entry>, key: Option<Key>, flow: bool },
}

/// What stands before a colon.
enum Key {
    Text(String, Span),
    Refused,
}

struct Reader<'a> {
    source: SourceId,
    text: &'a str,
    sink: &'a mut Sink,
    nodes: usize,
    stack: Vec<Open>,
    done: Vec<Node>,
    comments: Vec<Span>,
}

impl<'a> Reader<'a> {
    fn run(&mut self, parser: &mut Parser<'a, StrInput<'a>>) {
        while let Some(next) = parser.next_event() {
            match next {
                Ok((event, span)) => {
                    self.event(&event, &span);
                    if self.stack.len() > MAX_DEPTH {
                        // The parser counts blocks and brackets apart.
                        self.too_deep(range(&span));
                        if !self.next_document(parser) {
                            return;
                        }
                    }
                    if self.nodes > MAX_NODES {
                        let message = format!("the file has more than {MAX_NODES} nodes");
                        self.sink.push(rule::DOCUMENT_BUDGET.at(self.at(range(&span)), message));
                        return;
                    }
                }
                Err(error) => {
                    self.refuse(&error);
                    if !self.next_document(parser) {
                        return;
                    }
                }
            }
        }
    }

    /// Leaves the document out; whether there is another one.
    fn next_document(&mut self, parser: &mut Parser<'a, StrInput<'a>>) -> bool {
        self.stack.clear();
        parser.proceed_next_document().unwrap_or(false)
    }

    fn too_deep(&mut self, span: Span) {
        let at = self.at(Span::new(span.start, span.end.min(span.start + 1)));
        let message = format!("the document is nested deeper than {MAX_DEPTH} levels");
        self.sink.push(rule::DOCUMENT_BUDGET.at(at, message));
    }

    fn at(&self, span: Span) -> Location {
        Location::new(self.source, span)
    }

    fn refuse(&mut self, error: &ScanError) {
        let offset = error.marker().byte_offset().unwrap_or(0).min(self.text.len());
        // One character is underlined: the place where reading stopped.
        let width = self.text.get(offset..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        let at = self.at(Span::new(offset, offset + width));
        let diagnostic = match error.kind() {
            ErrorKind::DirectiveDisallowed => rule::TAG_OR_DIRECTIVE
                .at(at, "directives are not part of the language")
                .help("remove the line; the language is YAML 1.2 without directives"),
            ErrorKind::RecursionLimitExceeded => {
                rule::DOCUMENT_BUDGET.at(at, format!("the document is nested deeper than {MAX_DEPTH} levels"))
            }
            _ => rule::INVALID_YAML
                .at(at, format!("not YAML: {}", error.info()))
                .help("the rest of this document was not checked"),
        };
        self.sink.push(diagnostic);
    }

    fn event(&mut self, event: &Event<'_>, marks: &granit_parser::Span) {
        let span = range(marks);
        if event.tag().is_some() {
            let at = self.at(marks.tag_span().map_or(span, |tag| range(&tag)));
            self.sink.push(
                rule::TAG_OR_DIRECTIVE
                    .at(at, format!("the tag `{}` is not part of the language", self.slice(at.span)))
                    .help("leave it out; quote the value if it has to be a text"),
            );
        }
        if event.is_node() {
            self.nodes += 1;
        }
        match event {
            Event::Scalar(text, style, ..) => self.scalar(text, *style, span),
            Event::SequenceStart(style, ..) => self.stack.push(Open::List {
                start: span.start,
                end: span.end,
                items: Vec::new(),
                flow: matches!(style, StructureStyle::Flow),
            }),
            Event::MappingStart(style, ..) => self.stack.push(Open::Mapping {
                start: span.start,
                end: span.end,
                entries: Vec::new(),
                key: None,
                flow: matches!(style, StructureStyle::Flow),
            }),
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Comment(text, _) => self.comment(text, span),
            Event::Anchor(..) => self.refuse_reference(span, "an anchor"),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.refuse_reference(span, "an alias");
                self.value(Node { span, value: Value::Refused });
            }
            _ => {}
        }
    }

    fn refuse_reference(&mut self, span: Span, what: &str) {
        let written = self.slice(span).to_owned();
        self.sink.push(
            rule::ANCHOR_ALIAS_MERGE
                .at(self.at(span), format!("`{written}` is {what}; the language has none"))
                .help("write the value out in each place"),
        );
    }

    fn slice(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or("")
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: Span) {
        if let Some(found) = confusable::first(text) {
            let message = format!("the text contains the invisible or misleading character {found}");
            self.sink.push(rule::CONFUSABLE_IDENTIFIER.at(self.at(span), message));
        }
        let plain = matches!(style, ScalarStyle::Plain);
        if self.expects_key() {
            self.key(text, plain, span);
            return;
        }
        let null = plain && matches!(text, "" | "~" | "null" | "Null" | "NULL");
        let value = if null { Value::Null } else { Value::Scalar { text: text.to_owned(), plain } };
        self.value(Node { span, value });
    }

    /// Nobody has to understand a comment, but it must not change how the lines around it look.
    fn comment(&mut self, text: &str, span: Span) {
        if let Some(found) = confusable::hidden(text) {
            let message = format!("the comment contains the invisible or misleading character {found}");
            self.sink.push(rule::CONFUSABLE_IDENTIFIER.at(self.at(span), message));
        }
        self.comments.push(span);
    }

    fn expects_key(&self) -> bool {
        matches!(self.stack.last(), Some(Open::Mapping { key: None, .. }))
    }

    fn key(&mut self, text: &str, plain: bool, span: Span) {
        let at = self.at(span);
        let Some(Open::Mapping { entries, key, .. }) = self.stack.last_mut() else { return };
        if plain && text == "<<" {
            *key = Some(Key::Refused);
            self.refuse_reference(span, "a merge key");
            return;
        }
        let earlier = entries.iter().find(|entry| entry.key == text).map(|entry| entry.key_span);
        *key = Some(if earlier.is_some() { Key::Refused } else { Key::Text(text.to_owned(), span) });
        if let Some(earlier) = earlier {
            let first = self.at(earlier);
            self.sink.push(
                rule::DUPLICATE_KEY
                    .at(at, format!("the key `{text}` occurs twice"))
                    .label(first, "first here")
                    .help("keep one of them"),
            );
        }
    }

    fn value(&mut self, node: Node) {
        if self.expects_key() {
            self.sink.push(rule::WRONG_NODE_TYPE.at(self.at(node.span), "a key has to be a single value"));
            if let Some(Open::Mapping { key, .. }) = self.stack.last_mut() {
                *key = Some(Key::Refused);
            }
            return;
        }
        match self.stack.last_mut() {
            None => self.done.push(node),
            Some(Open::List { end, items, .. }) => {
                *end = (*end).max(node.span.end);
                items.push(node);
            }
            Some(Open::Mapping { end, entries, key, .. }) => {
                *end = (*end).max(node.span.end);
                if let Some(Key::Text(key, key_span)) = key.take() {
                    entries.push(Entry { key, key_span, value: node });
                }
            }
        }
    }

    /// A block collection ends with its last child: the parser's own end lies on whatever comes next.
    fn close(&mut self, closing: Span) {
        let Some(open) = self.stack.pop() else { return };
        let node = match open {
            Open::List { start, end, items, flow } => {
                let end = if flow { closing.end } else { end };
                Node { span: Span::new(start, end), value: Value::List(items) }
            }
            Open::Mapping { start, end, entries, flow, .. } => {
                let end = if flow { closing.end } else { end };
                Node { span: Span::new(start, end), value: Value::Mapping(entries) }
            }
        };
        self.value(node);
    }
}

fn range(span: &granit_parser::Span) -> Span {
    span.byte_range().map_or(Span::at(0), |range| Span::new(range.start, range.end))
}
