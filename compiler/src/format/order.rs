//! The order of keys at the top of a document: what it is, whom it is for, what it gives.
//!
//! Whole entries move, with the comments directly above them. What stands above the first key belongs to the
//! document and stays, and so does what stands below the last. Documents within braces keep their order.

use super::tree::{Comment, Document, File, Shape, Written, line_end, line_start};
use granit_parser::ScalarStyle;

const ORDER: [&str; 9] =
    ["kind", "name", "database", "description", "subjects", "request", "grants", "masks", "session"];

/// The text with its documents' keys in order; nothing if they are.
pub(super) fn reorder(text: &str, file: &File) -> Option<String> {
    // From the end, so that places before stay valid.
    let mut out = text.to_owned();
    let mut moved = false;
    for document in file.documents.iter().rev() {
        if let Some((from, to, new)) = document_in_order(text, document, &file.comments) {
            out.replace_range(from..to, &new);
            moved = true;
        }
    }
    moved.then_some(out)
}

fn rank(key: &Written) -> usize {
    let Shape::Scalar { text, .. } = &key.shape else { return ORDER.len() };
    ORDER.iter().position(|known| known == text).unwrap_or(ORDER.len())
}

fn document_in_order(
    text: &str,
    document: &Document,
    comments: &[Comment],
) -> Option<(usize, usize, String)> {
    let Shape::Mapping { entries, flow: false } = &document.root.as_ref()?.shape else { return None };
    let ranks: Vec<usize> = entries.iter().map(|(key, _)| rank(key)).collect();
    if ranks.is_sorted() {
        return None;
    }
    let mut starts = Vec::new();
    for (index, (key, _)) in entries.iter().enumerate() {
        let start = line_start(text, key.span.start);
        if !text.get(start..key.span.start)?.trim().is_empty() {
            return None;
        }
        starts.push(if index == 0 { start } else { with_comments(text, start, comments) });
    }
    let (_, last) = entries.last()?;
    let end = with_deeper_comments(text, end_of(text, last), comments);
    let ends = starts.iter().copied().skip(1).chain([end]);
    let mut pieces: Vec<(usize, &str)> = Vec::new();
    for ((rank, start), end) in ranks.iter().zip(&starts).zip(ends) {
        pieces.push((*rank, text.get(*start..end)?));
    }
    pieces.sort_by_key(|(rank, _)| *rank);
    let mut new = String::new();
    for (_, piece) in pieces {
        new.push_str(piece);
        if !piece.ends_with('\n') {
            new.push('\n');
        }
    }
    Some((*starts.first()?, end, new))
}

/// The end of what a value is written with; the span of a block scalar reaches to whatever comes next.
fn end_of(text: &str, node: &Written) -> usize {
    let written = text.get(node.span.start..node.span.end).unwrap_or("");
    let kept = match &node.shape {
        Shape::Scalar { style: ScalarStyle::Literal | ScalarStyle::Folded, .. } => written.trim_end().len(),
        _ => written.len(),
    };
    match &node.shape {
        Shape::List { items, flow: false } => items.last().map_or(node.span.end, |item| end_of(text, item)),
        Shape::Mapping { entries, flow: false } => {
            entries.last().map_or(node.span.end, |(key, value)| key.span.end.max(end_of(text, value)))
        }
        _ => node.span.start + kept,
    }
}

/// The end of the line of a place, or of the indented comments below it: those are inside the last entry.
fn with_deeper_comments(text: &str, offset: usize, comments: &[Comment]) -> usize {
    let mut end = (line_end(text, offset) + 1).min(text.len());
    let first = comments.partition_point(|comment| comment.span.start < end);
    for comment in comments.iter().skip(first) {
        if comment.column == 0 || !comment.own_line {
            break;
        }
        end = (line_end(text, comment.span.end) + 1).min(text.len());
    }
    end
}

/// The start of the comment lines that stand directly above a line, and of the blank lines above those.
fn with_comments(text: &str, mut start: usize, comments: &[Comment]) -> usize {
    let mut blank = false;
    while start > 0 {
        let above = line_start(text, start - 1);
        let is_comment = |comment: &Comment| {
            comment.own_line && comment.column == 0 && line_start(text, comment.span.start) == above
        };
        let empty = text.get(above..start).is_some_and(|line| line.trim().is_empty());
        if !empty && (blank || !comments.iter().any(is_comment)) {
            break;
        }
        blank |= empty;
        start = above;
    }
    start
}
