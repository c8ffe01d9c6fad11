//! What a file looks like, as opposed to what it says: styles, places, comments.
//!
//! Only files the reader accepted come here, so tags, anchors and broken documents are not represented; a file that
//! has one after all yields nothing and is left alone.

use daam_diagnostic::Span;
use granit_parser::{Event, Parser, ScalarStyle, StructureStyle};

/// A node as it is written.
#[derive(Debug)]
pub(super) struct Written {
    /// From its first character; of a block scalar the text without its header.
    pub(super) span: Span,
    pub(super) shape: Shape,
}

#[derive(Debug)]
pub(super) enum Shape {
    Scalar { text: String, style: ScalarStyle },
    List { items: Vec<Written>, flow: bool },
    Mapping { entries: Vec<(Written, Written)>, flow: bool },
}

/// A document and where its `---` is.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) marker: Option<Span>,
    pub(super) root: Option<Written>,
}

/// A comment, from its `#` to the end of its line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comment {
    pub(super) span: Span,
    /// Whether nothing else is on its line.
    pub(super) own_line: bool,
    pub(super) column: usize,
}

/// A whole file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) documents: Vec<Document>,
    /// In the order of their places.
    pub(super) comments: Vec<Comment>,
}

impl Written {
    pub(super) fn is_block(&self) -> bool {
        matches!(self.shape, Shape::List { flow: false, .. } | Shape::Mapping { flow: false, .. })
    }

    pub(super) fn is_block_scalar(&self) -> bool {
        matches!(&self.shape, Shape::Scalar { style: ScalarStyle::Literal | ScalarStyle::Folded, .. })
    }
}

/// Where the line of an offset begins.
pub(super) fn line_start(text: &str, offset: usize) -> usize {
    text.get(..offset).and_then(|head| head.rfind('\n')).map_or(0, |at| at + 1)
}

/// Where the line of an offset ends, before its line end.
pub(super) fn line_end(text: &str, offset: usize) -> usize {
    text.get(offset..).and_then(|tail| tail.find('\n')).map_or(text.len(), |at| offset + at)
}

enum Open {
    List { start: usize, items: Vec<Written>, flow: bool },
    Mapping { start: usize, entries: Vec<(Written, Written)>, key: Option<Written>, flow: bool },
}

#[derive(Default)]
struct Reader {
    stack: Vec<Open>,
    documents: Vec<Document>,
    comments: Vec<Comment>,
}

/// Reads a file; nothing if it holds what the language has not.
pub(super) fn read(text: &str) -> Option<File> {
    let mut options = granit_parser::options! {
        strict_indentation: true,
        disallow_directives: true,
        block_nesting_limit: 64,
        flow_nesting_limit: 64,
    };
    options.set_emit_comments(true);
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut reader = Reader::default();
    while let Some(next) = parser.next_event() {
        let (event, marks) = next.ok()?;
        if event.tag().is_some() {
            return None;
        }
        let range = marks.byte_range()?;
        reader.event(text, event, Span::new(range.start, range.end))?;
    }
    reader.comments.sort_by_key(|comment| comment.span.start);
    Some(File { documents: reader.documents, comments: reader.comments })
}

impl Reader {
    fn event(&mut self, source: &str, event: Event<'_>, span: Span) -> Option<()> {
        match event {
            Event::Comment(..) => {
                let before = source.get(line_start(source, span.start)..span.start)?;
                let own_line = before.trim().is_empty();
                self.comments.push(Comment { span, own_line, column: before.chars().count() });
            }
            Event::DocumentStart(explicit, _) => {
                self.documents.push(Document { marker: explicit.then_some(span), root: None });
            }
            Event::Scalar(text, style, ..) => {
                let shape = Shape::Scalar { text: text.into_owned(), style };
                self.node(Written { span, shape })?;
            }
            Event::SequenceStart(style, ..) => {
                let flow = matches!(style, StructureStyle::Flow);
                self.stack.push(Open::List { start: span.start, items: Vec::new(), flow });
            }
            Event::MappingStart(style, ..) => {
                let flow = matches!(style, StructureStyle::Flow);
                self.stack.push(Open::Mapping { start: span.start, entries: Vec::new(), key: None, flow });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span)?,
            Event::Anchor(..) | Event::Alias(_) | Event::UnresolvedAlias(_) => return None,
            _ => {}
        }
        Some(())
    }

    fn close(&mut self, closing: Span) -> Option<()> {
        let (start, last, flow, shape) = match self.stack.pop()? {
            Open::List { start, items, flow } => {
                let last = items.last().map_or(start, |item| item.span.end);
                (start, last, flow, Shape::List { items, flow })
            }
            Open::Mapping { start, entries, flow, .. } => {
                let last = entries.last().map_or(start, |(key, value)| key.span.end.max(value.span.end));
                (start, last, flow, Shape::Mapping { entries, flow })
            }
        };
        // A block collection ends with its last child: the parser's own end lies on whatever comes next.
        let span = Span::new(start, if flow { closing.end.max(last) } else { last });
        self.node(Written { span, shape })
    }

    fn node(&mut self, node: Written) -> Option<()> {
        match self.stack.last_mut() {
            None => self.documents.last_mut()?.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Mapping { entries, key, .. }) => match key.take() {
                None => *key = Some(node),
                Some(key) => entries.push((key, node)),
            },
        }
        Some(())
    }
}
