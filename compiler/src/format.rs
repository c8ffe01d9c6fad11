//! Files of a project in one form, without touching what they say.
//!
//! Done: no white space at line ends, one line end at the end of the file, at most one blank line in a row and none
//! at the start, `kind` first in its document. Texts over several lines are left alone, and so are comments,
//! quoting and indentation. Only byte ranges are edited, and the result is compared with the original: the same
//! tree and the same lines, or the change is refused. Refused too: a file that is not readable.

use crate::syntax::node::{Entry, Node, Value};
use crate::syntax::yaml;
use daam_diagnostic::{Severity, Sink, SourceMap, Span};

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
    let moved = apply(text, moves(text, &before));
    let between = read(&moved)?;
    let after = apply(&moved, trims(&moved, &between));
    if same_documents(&before, &read(&after)?) && same_lines(text, &after) {
        Ok(after)
    } else {
        Err(FormatError::Changed)
    }
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

type Edit = (Span, String);

/// Edits that do not overlap, last first.
fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|(span, _)| std::cmp::Reverse((span.start, span.end)));
    let mut out = text.to_owned();
    for (span, with) in edits {
        if out.is_char_boundary(span.start) && out.is_char_boundary(span.end) && span.end <= out.len() {
            out.replace_range(span.start..span.end, &with);
        }
    }
    out
}

/// The line of `kind`, taken to the front of its document.
fn moves(text: &str, documents: &[Node]) -> Vec<Edit> {
    documents.iter().filter_map(|document| kind_first(text, document)).flatten().collect()
}

fn kind_first(text: &str, document: &Node) -> Option<[Edit; 2]> {
    let Value::Mapping(entries) = &document.value else { return None };
    let (first, kind) = (entries.first()?, entries.iter().find(|entry| entry.key == "kind")?);
    // Only where every key begins a line: within braces the order is the author's.
    let begins = |entry: &Entry| line_of(text, entry.key_span.start).start == entry.key_span.start;
    let line = line_of(text, kind.key_span.start);
    let one_line = kind.value.span.end <= line.end && matches!(kind.value.value, Value::Scalar { .. });
    if first.key == "kind" || !entries.iter().all(begins) || !one_line {
        return None;
    }
    let written = text.get(line.start..line.end)?.trim_end();
    let place = Span::at(first.key_span.start);
    Some([(line, String::new()), (place, format!("{written}\n"))])
}

/// The line an offset is in, with its line end.
fn line_of(text: &str, offset: usize) -> Span {
    let start = text.get(..offset).and_then(|head| head.rfind('\n')).map_or(0, |at| at + 1);
    let end = text.get(offset..).and_then(|tail| tail.find('\n')).map_or(text.len(), |at| offset + at + 1);
    Span::new(start, end)
}

/// White space nobody wrote on purpose.
fn trims(text: &str, documents: &[Node]) -> Vec<Edit> {
    let mut protected = Vec::new();
    for document in documents {
        long_texts(text, document, &mut protected);
    }
    let inside =
        |span: Span| protected.iter().any(|text: &Span| span.start < text.end && text.start < span.end);
    let mut edits = Vec::new();
    let (mut offset, mut blank_before) = (0, true);
    for line in text.split_inclusive('\n') {
        let whole = Span::new(offset, offset + line.len());
        offset = whole.end;
        if inside(whole) {
            blank_before = false;
            continue;
        }
        let kept = line.trim_end();
        if kept.is_empty() && blank_before {
            edits.push((whole, String::new()));
        } else if line.strip_suffix('\n') != Some(kept) {
            edits.push((Span::new(whole.start + kept.len(), whole.end), "\n".to_owned()));
        }
        blank_before = kept.is_empty();
    }
    // A blank line before the end of the file separates nothing.
    let end = text.trim_end();
    let rest = Span::new(end.len(), text.len());
    if !end.is_empty() && rest.len() > 1 && !inside(rest) {
        edits.retain(|(span, _)| span.start < rest.start);
        edits.push((rest, "\n".to_owned()));
    }
    edits
}

/// Texts over several lines, from the line they begin in: white space in them may mean something.
fn long_texts(text: &str, node: &Node, out: &mut Vec<Span>) {
    match &node.value {
        Value::Scalar { .. } => {
            if text.get(node.span.start..node.span.end).is_some_and(|text| text.contains('\n')) {
                out.push(node.span);
            }
        }
        Value::List(items) => items.iter().for_each(|item| long_texts(text, item, out)),
        Value::Mapping(entries) => entries.iter().for_each(|entry| long_texts(text, &entry.value, out)),
        Value::Null | Value::Refused => {}
    }
}

/// The same documents; only the place of a key at the top may differ.
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

fn same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::Scalar { text: a, plain: p }, Value::Scalar { text: b, plain: q }) => a == b && p == q,
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Mapping(a), Value::Mapping(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.key == b.key && same(&a.value, &b.value))
        }
        (Value::Null, Value::Null) => true,
        _ => false,
    }
}

/// No line, and so no comment, appeared or went.
fn same_lines(before: &str, after: &str) -> bool {
    let lines = |text: &str| {
        let mut lines: Vec<String> =
            text.lines().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect();
        lines.sort();
        lines
    };
    lines(before) == lines(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_goes_and_kind_comes_first() {
        let written =
            "\n\n# top\nname: a  \nkind: policy # what it is\t\n\n\n\ngrants:\n  - on: x # why \n\n\n";
        let wanted = "# top\nkind: policy # what it is\nname: a\n\ngrants:\n  - on: x # why\n";
        assert_eq!(format(written).as_deref(), Ok(wanted));
        assert_eq!(format(wanted).as_deref(), Ok(wanted));
    }

    #[test]
    fn texts_over_several_lines_are_left_alone() {
        let written = "kind: policy\ndescription: |\n  a  \n\n\n  b\nname: \"x  \n\n\n  y\"\n";
        assert_eq!(format(written).as_deref(), Ok(written));
    }

    #[test]
    fn every_document_of_a_file_is_formatted() {
        let written = "name: a\nkind: policy\n---\n{ name: b, kind: policy }\n---\nname: c\nkind: policy";
        let wanted = "kind: policy\nname: a\n---\n{ name: b, kind: policy }\n---\nkind: policy\nname: c\n";
        assert_eq!(format(written).as_deref(), Ok(wanted));
    }

    #[test]
    fn what_is_not_readable_is_refused_with_its_line() {
        let refused = format("kind: policy\nname: [a\n");
        assert!(matches!(refused, Err(FormatError::Unreadable { .. })), "{refused:?}");
        assert!(format("a: 1\na: 2\n").is_err_and(|error| error.to_string().starts_with("line 2: ")));
        assert_eq!(format("").as_deref(), Ok(""));
    }

    proptest::proptest! {
        #[test]
        fn formatting_twice_is_formatting_once(
            lines in proptest::collection::vec("(kind: policy|name: x|  |# c  |a: [b,|  c]|---|t: \\||  u  |- v)?", 0..12),
        ) {
            if let Ok(once) = format(&lines.join("\n")) {
                proptest::prop_assert_eq!(format(&once), Ok(once));
            }
        }
    }
}
