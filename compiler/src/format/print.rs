//! Writes a file anew: two spaces a level, on one line what was in brackets and fits, comments where they were.
//!
//! Comments are taken in the order of their places, each exactly once: those before a node go above it, those behind
//! it on its line, those below the last node of a block at the level their column says.

use super::quote;
use super::tree::{Comment, Document, File, Shape, Written, line_end, line_start};
use std::collections::VecDeque;

/// What a line may have.
const WIDTH: usize = 100;

pub(super) fn print(source: &str, file: &File) -> String {
    let comments = file.comments.iter().copied().collect();
    let mut printer = Printer { source, comments, out: String::new(), fresh: true, bound: source.len() };
    for (index, document) in file.documents.iter().enumerate() {
        let next = file.documents.get(index + 1).and_then(|next| next.marker);
        printer.document(index, document, next.map_or(source.len(), |marker| marker.start));
    }
    printer.above(source.len(), 0);
    printer.out
}

struct Printer<'a> {
    source: &'a str,
    /// Those not written yet.
    comments: VecDeque<Comment>,
    out: String,
    /// Whether a blank line would stand at the beginning of something.
    fresh: bool,
    /// Where the brackets end that are written over several lines; what stands behind them is not in them.
    bound: usize,
}

impl<'a> Printer<'a> {
    fn document(&mut self, index: usize, document: &Document, limit: usize) {
        if index > 0 {
            self.out.push_str("\n---");
            self.behind(document.marker.map_or(0, |marker| marker.end));
            self.end_line();
            self.fresh = true;
        }
        if let Some(root) = document.root.as_ref().filter(|root| !root.span.is_empty() || root.is_block()) {
            self.above(self.edge(root), 0);
            self.blank_before(self.left(root));
            self.node(root, 0, None, limit);
        }
        self.above(limit, 0);
    }

    fn node(&mut self, node: &Written, indent: usize, parent: Option<usize>, limit: usize) {
        if let Some(text) = self.on_one_line(node, indent) {
            self.begin(indent);
            self.out.push_str(&text);
            self.behind(node.span.end);
            self.end_line();
            return;
        }
        let bound = self.bound;
        if !node.is_block() && !matches!(node.shape, Shape::Scalar { .. }) {
            self.bound = node.span.end;
        }
        match &node.shape {
            Shape::Scalar { .. } if node.is_block_scalar() => self.block_scalar(node, indent),
            Shape::Scalar { .. } => self.long_scalar(node, indent),
            Shape::List { items, flow } => {
                let column = self.column(self.left(node));
                let inner = if *flow { node.span.end } else { limit };
                for (index, item) in items.iter().enumerate() {
                    let next = items.get(index + 1).map_or(inner, |next| self.outer_left(next, *flow));
                    self.item(item, indent, next, *flow);
                }
                // A list may stand at the level of its key; what stands there then is not in it.
                let deeper = usize::from(parent == Some(column));
                self.below(*flow, column + deeper, inner, indent);
            }
            Shape::Mapping { entries, flow } => {
                let column = self.column(self.left(node));
                let inner = if *flow { node.span.end } else { limit };
                for (index, entry) in entries.iter().enumerate() {
                    let next = entries.get(index + 1).map_or(inner, |(next, _)| next.span.start);
                    self.entry(entry, indent, next, *flow);
                }
                self.below(*flow, column, inner, indent);
            }
        }
        self.bound = bound;
    }

    fn item(&mut self, item: &Written, indent: usize, limit: usize, flow: bool) {
        if self.at_line_start() {
            self.above(self.edge(item), indent);
            if !flow {
                self.blank_before(self.dash(self.left(item)));
            }
        }
        self.begin(indent);
        self.out.push_str("- ");
        self.node(item, indent + 2, None, limit);
    }

    fn entry(&mut self, entry: &(Written, Written), indent: usize, limit: usize, flow: bool) {
        let (key, value) = entry;
        if self.at_line_start() {
            self.above(self.entry_edge(key, value), indent);
            if !flow {
                self.blank_before(key.span.start);
            }
        }
        self.begin(indent);
        let name = quote::one_line(self.source, key).unwrap_or_default();
        self.out.push_str(&name);
        self.out.push(':');
        let scalar = matches!(value.shape, Shape::Scalar { .. });
        if scalar || self.on_one_line(value, indent + name.chars().count() + 2).is_some() {
            self.out.push(' ');
            // Behind a key a node continues its line; deeper lines of a long text are indented below the key.
            self.continued(value, indent, limit);
        } else {
            // A comment within brackets belongs to what is in them.
            if self.next_comment().is_some_and(|comment| comment.span.start < value.span.start) {
                self.behind(key.span.end);
            } else if !value.is_block() {
                self.behind_brackets(value.span.end);
            }
            self.end_line();
            self.fresh = true;
            self.node(value, indent + 2, Some(self.column(key.span.start)), limit);
        }
    }

    fn continued(&mut self, value: &Written, indent: usize, limit: usize) {
        let used = self.out.rsplit('\n').next().map_or(0, |line| line.chars().count());
        match self.on_one_line(value, used) {
            Some(text) => {
                self.out.push_str(&text);
                self.behind(value.span.end);
                self.end_line();
            }
            None => self.node(value, indent, None, limit),
        }
    }

    fn at_line_start(&self) -> bool {
        self.out.is_empty() || self.out.ends_with('\n')
    }

    fn begin(&mut self, indent: usize) {
        if self.at_line_start() {
            self.out.push_str(&" ".repeat(indent));
        }
        self.fresh = false;
    }

    fn end_line(&mut self) {
        let kept = self.out.trim_end_matches(' ').len();
        self.out.truncate(kept);
        self.out.push('\n');
        self.fresh = false;
    }

    /// A node on one line: any single value that can be, and what is in brackets, has no comment and fits.
    fn on_one_line(&self, node: &Written, used: usize) -> Option<String> {
        if let Shape::Scalar { .. } = node.shape {
            return quote::one_line(self.source, node);
        }
        let inside =
            |comment: &Comment| node.span.start <= comment.span.start && comment.span.end <= node.span.end;
        if node.is_block() || self.comments.iter().any(inside) {
            return None;
        }
        let text = self.in_brackets(node)?;
        let empty = matches!(text.as_str(), "[]" | "{}");
        (empty || used + text.chars().count() <= WIDTH).then_some(text)
    }

    fn in_brackets(&self, node: &Written) -> Option<String> {
        match &node.shape {
            Shape::Scalar { .. } => quote::one_line(self.source, node),
            Shape::List { items, .. } => {
                let items: Option<Vec<String>> = items.iter().map(|item| self.in_brackets(item)).collect();
                Some(format!("[{}]", items?.join(", ")))
            }
            Shape::Mapping { entries, .. } if entries.is_empty() => Some("{}".to_owned()),
            Shape::Mapping { entries, .. } => {
                let mut parts = Vec::new();
                for (key, value) in entries {
                    let value = self.in_brackets(value)?;
                    let value = if value.is_empty() { "null" } else { &value };
                    parts.push(format!("{}: {value}", quote::one_line(self.source, key)?));
                }
                Some(format!("{{ {} }}", parts.join(", ")))
            }
        }
    }

    fn long_scalar(&mut self, node: &Written, indent: usize) {
        let deeper = " ".repeat(indent + 2);
        self.begin(indent);
        for (index, line) in quote::lines(self.source, node).into_iter().enumerate() {
            if index > 0 {
                self.out.push('\n');
                self.out.push_str(if line.is_empty() { "" } else { &deeper });
            }
            self.out.push_str(line);
        }
        self.behind(node.span.end);
        self.end_line();
    }

    fn block_scalar(&mut self, node: &Written, indent: usize) {
        let Shape::Scalar { text, .. } = &node.shape else { return };
        let (at, header) = self.header(node);
        let digit = if header.contains(|c: char| c.is_ascii_digit()) { "2" } else { "" };
        let signs: String = header.chars().skip(1).filter(|c| !c.is_ascii_digit()).collect();
        let keep = signs.contains('+');
        self.begin(indent);
        self.out.push_str(header.get(..1).unwrap_or("|"));
        self.out.push_str(digit);
        self.out.push_str(&signs);
        self.behind(at);
        self.end_line();
        let from = (line_end(self.source, at) + 1).min(self.source.len());
        let body = self.source.get(from..node.span.end.max(from)).unwrap_or("");
        let spaces = |line: &str| line.len() - line.trim_start_matches(' ').len();
        let first = |text: &str| text.lines().find(|line| !line.trim().is_empty()).map_or(0, spaces);
        let cut = first(body).saturating_sub(if digit.is_empty() { 0 } else { first(text) });
        let body = if keep { body.strip_suffix('\n').unwrap_or(body) } else { body.trim_end() };
        for line in body.split('\n').filter(|_| !body.is_empty()) {
            let line = line.get(cut.min(spaces(line))..).unwrap_or("");
            let pad = if line.is_empty() { 0 } else { indent + 2 };
            self.out.push_str(&" ".repeat(pad));
            self.out.push_str(line);
            self.out.push('\n');
        }
        // Blank lines a text keeps are its own.
        self.fresh = keep;
    }

    fn next_comment(&self) -> Option<Comment> {
        self.comments.front().copied()
    }

    fn take(&mut self) -> &'a str {
        let comment = self.comments.pop_front();
        comment.map_or("", |comment| self.text_of(comment))
    }

    fn text_of(&self, comment: Comment) -> &'a str {
        self.source.get(comment.span.start..comment.span.end).unwrap_or("").trim_end()
    }

    /// Comments before a place, each on a line of its own.
    fn above(&mut self, limit: usize, indent: usize) {
        while let Some(comment) = self.next_comment().filter(|comment| comment.span.start < limit) {
            if comment.own_line {
                self.blank_before(comment.span.start);
            }
            let text = self.take();
            self.begin(indent);
            self.out.push_str(text);
            self.end_line();
        }
    }

    /// Comments below the last node of a collection that belong to it.
    fn below(&mut self, flow: bool, column: usize, limit: usize, indent: usize) {
        if flow {
            return self.above(limit, indent);
        }
        while let Some(comment) = self.next_comment() {
            if comment.span.start >= limit || !comment.own_line || comment.column < column {
                return;
            }
            self.above(comment.span.end, indent);
        }
    }

    /// The comment on the line of a place, behind what was just written.
    fn behind(&mut self, end: usize) {
        let line = line_end(self.source, end).min(self.bound);
        let here =
            |comment: &Comment| !comment.own_line && comment.span.start >= end && comment.span.start < line;
        if self.next_comment().is_some_and(|comment| here(&comment)) {
            let text = self.take();
            self.append(text);
        }
    }

    /// The comment behind a closing bracket that goes; it is about the whole list, so it goes behind the key.
    fn behind_brackets(&mut self, end: usize) {
        let line = line_end(self.source, end);
        let first = self.comments.partition_point(|comment| comment.span.start < end);
        let here = |comment: &&Comment| !comment.own_line && comment.span.start < line.min(self.bound);
        if self.comments.get(first).as_ref().is_some_and(here)
            && let Some(comment) = self.comments.remove(first)
        {
            let text = self.text_of(comment);
            self.append(text);
        }
    }

    fn append(&mut self, comment: &str) {
        let kept = self.out.trim_end_matches(' ').len();
        self.out.truncate(kept);
        self.out.push(' ');
        self.out.push_str(comment);
    }

    /// Keeps one blank line where there were some, except at the beginning of something.
    fn blank_before(&mut self, offset: usize) {
        let above = self.source.get(..line_start(self.source, offset)).unwrap_or("");
        let above = above.strip_suffix('\n').and_then(|above| above.rsplit('\n').next());
        if above.is_some_and(|line| line.trim().is_empty()) && !self.fresh && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    /// The first thing of a node that stays on the line the node begins with; comments before it go above.
    fn edge(&self, node: &Written) -> usize {
        match &node.shape {
            Shape::List { items, flow: false } => {
                items.first().map_or(node.span.start, |item| self.edge(item))
            }
            Shape::Mapping { entries, flow: false } => {
                entries.first().map_or(node.span.start, |(key, value)| self.entry_edge(key, value))
            }
            _ if node.is_block_scalar() => self.header(node).0,
            _ => node.span.start,
        }
    }

    fn entry_edge(&self, key: &Written, value: &Written) -> usize {
        if value.is_block() { key.span.start } else { self.edge(value).max(key.span.start) }
    }

    /// Where a node begins, the dash of a list included.
    fn left(&self, node: &Written) -> usize {
        match &node.shape {
            Shape::List { items, flow: false } => {
                items.first().map_or(node.span.start, |item| self.dash(self.left(item)))
            }
            Shape::Mapping { entries, flow: false } => {
                entries.first().map_or(node.span.start, |(key, _)| key.span.start)
            }
            _ if node.is_block_scalar() => self.header(node).0,
            _ => node.span.start,
        }
    }

    fn outer_left(&self, item: &Written, flow: bool) -> usize {
        if flow { item.span.start } else { self.dash(self.left(item)) }
    }

    /// The dash before an item, on its line or above comments and blank lines.
    fn dash(&self, offset: usize) -> usize {
        let mut end = offset;
        loop {
            let start = line_start(self.source, end);
            let line = self.source.get(start..end).unwrap_or("");
            let comment = self.comments.iter().find(|comment| (start..end).contains(&comment.span.start));
            let line =
                line.get(..comment.map_or(line.len(), |comment| comment.span.start - start)).unwrap_or("");
            let kept = line.trim_end();
            if kept.ends_with('-') {
                return start + kept.len() - 1;
            }
            if start == 0 || !kept.is_empty() {
                return offset;
            }
            end = start - 1;
        }
    }

    fn column(&self, offset: usize) -> usize {
        offset - line_start(self.source, offset)
    }

    /// The header of a block scalar: its place and its text.
    fn header(&self, node: &Written) -> (usize, &'a str) {
        let mut end = node.span.start;
        loop {
            let start = line_start(self.source, end);
            let line = self.source.get(start..end).unwrap_or("");
            let line = line.get(..line.find(" #").unwrap_or(line.len())).unwrap_or("").trim_end();
            let sign = |c: char| matches!(c, '|' | '>' | '+' | '-') || c.is_ascii_digit();
            let head = line.trim_end_matches(sign).len();
            let signs = line.get(head..).unwrap_or("");
            if let Some(at) = signs.rfind(['|', '>']) {
                return (start + head + at, signs.get(at..).unwrap_or("|"));
            }
            if start == 0 {
                return (node.span.start, "|");
            }
            end = start - 1;
        }
    }
}
