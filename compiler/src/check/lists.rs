//! Lists that say something twice, and how to take an item out of one.

use crate::rule;
use crate::syntax::decode::Spanned;
use daam_diagnostic::{Applicability, Edit, Fix, Location, Sink, SourceMap, Span};

/// Patterns that another one of the same list contains, whatever the schema will be.
pub(super) fn redundant<P>(
    list: &[(Location, &P)],
    contains: impl Fn(&P, &P) -> bool,
    sources: &SourceMap,
    sink: &mut Sink,
) {
    let places: Vec<Location> = list.iter().map(|(at, _)| *at).collect();
    for (index, (at, narrow)) in list.iter().enumerate() {
        let wider = list.iter().enumerate().find(|(other, (_, wide))| {
            // Of two equal patterns the later one is superfluous.
            *other != index && contains(wide, narrow) && (!contains(narrow, wide) || *other < index)
        });
        let Some((_, (wide_at, _))) = wider else { continue };
        let message = format!("`{}` is contained in another pattern of the list", sources.slice(*at));
        let mut diagnostic = rule::REDUNDANT_PATTERN.at(*at, message).label(*wide_at, "this one");
        diagnostic.fixes.extend(removal(&places, index, sources));
        sink.push(diagnostic);
    }
}

/// Names that are listed twice.
pub(super) fn repeated(list: &[Spanned<String>], what: &str, sources: &SourceMap, sink: &mut Sink) {
    let places: Vec<Location> = list.iter().map(|item| item.at).collect();
    for (index, item) in list.iter().enumerate() {
        let Some(first) = list.iter().take(index).find(|earlier| earlier.value == item.value) else {
            continue;
        };
        let message = format!("the {what} `{}` is listed twice", item.value);
        let mut diagnostic = rule::DUPLICATE_SUBJECT.at(item.at, message).label(first.at, "first here");
        diagnostic.fixes.extend(removal(&places, index, sources));
        sink.push(diagnostic);
    }
}

/// Takes an item out of a written list; nothing where a comment between items might belong to either.
fn removal(list: &[Location], index: usize, sources: &SourceMap) -> Option<Fix> {
    let item = list.get(index)?;
    let before = index.checked_sub(1).and_then(|index| list.get(index));
    let span = match (before, list.get(index + 1)) {
        (Some(before), _) => Span::new(before.span.end, item.span.end),
        (None, Some(after)) => Span::new(item.span.start, after.span.start),
        (None, None) => return None,
    };
    let at = Location::new(item.source, span);
    if sources.slice(at).contains('#') {
        return None;
    }
    let edits = vec![Edit { at, text: String::new() }];
    Some(Fix { applicability: Applicability::Safe, edits })
}
