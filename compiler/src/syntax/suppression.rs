//! Comments that silence findings: `# daam: ignore[rule, …] reason="…" until=2027-03-31`.
//!
//! They come from the comments of the YAML parser, so a text that merely looks like one is a text. A comment that
//! begins with `daam:` and cannot be read is an error: somebody believes it silences something.

use super::decode::Spanned;
use crate::day::Day;
use crate::rule;
use daam_diagnostic::{Location, Sink, SourceId, Span};

/// One such comment.
#[derive(Debug, Clone)]
pub(crate) struct WrittenSuppression {
    /// The whole comment.
    pub(crate) at: Location,
    /// Codes or names.
    pub(crate) rules: Vec<Spanned<String>>,
    pub(crate) reason: String,
    /// The last day it holds.
    pub(crate) until: Option<Spanned<Day>>,
    /// Where findings begin that it silences: its own line, or the next one that holds something.
    pub(crate) covers: Span,
    /// What to remove when it is no longer needed.
    pub(crate) removal: Span,
}

const FORM: &str =
    "write `# daam: ignore[rule-name] reason=\"why\" until=2027-03-31`; `until` may be left out";

/// Reads the comments of a file, given as the parser's ranges.
pub(crate) fn read(
    source: SourceId,
    text: &str,
    comments: &[Span],
    sink: &mut Sink,
) -> Vec<WrittenSuppression> {
    comments.iter().filter_map(|span| one(source, text, *span, sink)).collect()
}

fn one(source: SourceId, text: &str, span: Span, sink: &mut Sink) -> Option<WrittenSuppression> {
    let comment = text.get(span.start..span.end)?;
    let body = comment.trim_start_matches('#').trim_start();
    let body = body.strip_prefix("daam:")?;
    let at = Location::new(source, Span::new(span.start, span.start + comment.trim_end().len()));
    let mut rest = Cursor { text: body, offset: span.start + (comment.len() - body.len()) };
    let read = rules(source, &mut rest).and_then(|rules| Some((rules, arguments(source, &mut rest)?)));
    let Some((rules, arguments)) = read else {
        let message = "the comment begins with `daam:` and silences nothing: it cannot be read";
        sink.push(rule::INVALID_SUPPRESSION.at(at, message).help(FORM));
        return None;
    };
    if arguments.reason.trim().is_empty() {
        let message = "nobody will know why this finding is silenced: the reason is missing";
        sink.push(rule::SUPPRESSION_WITHOUT_REASON.at(at, message).help(FORM));
        return None;
    }
    let line = line_of(text, span.start);
    let own_line = text.get(line.start..span.start).is_some_and(|before| before.trim().is_empty());
    let content = text.get(line.start..span.start).map_or(0, |before| before.trim_end().len());
    Some(WrittenSuppression {
        at,
        rules,
        reason: arguments.reason,
        until: arguments.until,
        covers: if own_line { next_line(text, line.end) } else { line },
        removal: if own_line { line } else { Span::new(line.start + content, at.span.end) },
    })
}

/// What is left to read, and where it stands in the file.
struct Cursor<'t> {
    text: &'t str,
    offset: usize,
}

impl<'t> Cursor<'t> {
    fn blanks(&mut self) -> usize {
        let rest = self.text.trim_start();
        let width = self.text.len() - rest.len();
        self.advance(width);
        width
    }

    fn advance(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.text.split_at_checked(bytes).unwrap_or((self.text, ""));
        self.text = rest;
        self.offset += taken.len();
        taken
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.text.starts_with(word);
        if found {
            self.advance(word.len());
        }
        found
    }

    fn until(&mut self, end: char) -> Option<&'t str> {
        let width = self.text.find(end)?;
        let taken = self.advance(width);
        self.advance(end.len_utf8());
        Some(taken)
    }
}

fn rules(source: SourceId, rest: &mut Cursor<'_>) -> Option<Vec<Spanned<String>>> {
    rest.blanks();
    if !rest.eat("ignore") {
        return None;
    }
    rest.blanks();
    if !rest.eat("[") {
        return None;
    }
    let mut offset = rest.offset;
    let mut rules = Vec::new();
    for part in rest.until(']')?.split(',') {
        let word = part.trim();
        if word.is_empty() {
            return None;
        }
        let start = offset + (part.len() - part.trim_start().len());
        let at = Location::new(source, Span::new(start, start + word.len()));
        rules.push(Spanned { value: word.to_owned(), at });
        offset += part.len() + 1;
    }
    Some(rules)
}

#[derive(Default)]
struct Arguments {
    reason: String,
    until: Option<Spanned<Day>>,
}

fn arguments(source: SourceId, rest: &mut Cursor<'_>) -> Option<Arguments> {
    let mut found = Arguments::default();
    loop {
        let blanks = rest.blanks();
        if rest.text.is_empty() {
            return Some(found);
        }
        if blanks == 0 {
            return None;
        }
        if rest.eat("reason=\"") {
            if !found.reason.is_empty() {
                return None;
            }
            rest.until('"')?.clone_into(&mut found.reason);
        } else if rest.eat("until=") {
            let start = rest.offset;
            let width = rest.text.find(char::is_whitespace).unwrap_or(rest.text.len());
            let word = rest.advance(width);
            let value = Day::parse(word)?;
            if found.until.is_some() {
                return None;
            }
            let at = Location::new(source, Span::new(start, start + width));
            found.until = Some(Spanned { value, at });
        } else {
            return None;
        }
    }
}

/// The line an offset is in, with its line end.
fn line_of(text: &str, offset: usize) -> Span {
    let start = text.get(..offset).and_then(|head| head.rfind('\n')).map_or(0, |at| at + 1);
    let end = text.get(offset..).and_then(|tail| tail.find('\n')).map_or(text.len(), |at| offset + at + 1);
    Span::new(start, end)
}

/// The first line from an offset that holds neither nothing nor only a comment.
fn next_line(text: &str, from: usize) -> Span {
    let mut start = from;
    for line in text.get(from..).unwrap_or_default().split_inclusive('\n') {
        let end = start + line.len();
        let held = line.trim();
        if !held.is_empty() && !held.starts_with('#') {
            return Span::new(start, end);
        }
        start = end;
    }
    Span::at(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use daam_diagnostic::SourceMap;

    fn of(text: &str) -> (Vec<WrittenSuppression>, Vec<u16>) {
        let (mut sources, mut sink) = (SourceMap::new(), Sink::new());
        let id = sources.add("a.yaml", text);
        let parsed = crate::syntax::yaml::parse(id, text, &mut sink);
        let found = read(id, text, &parsed.comments, &mut sink);
        (found, sink.into_sorted(&sources).iter().map(|found| found.code.number).collect())
    }

    #[test]
    fn a_comment_covers_its_line_or_the_next_one_that_holds_something() {
        let text = "# daam: ignore[501, DAAM502] reason=\"é why\" until=2027-03-31\n\n# more\na: 1\n\
                    b: 2 # daam: ignore[mask-type-mismatch] reason=\"x\"\n";
        let (found, codes) = of(text);
        let [above, beside] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(text.get(above.covers.start..above.covers.end), Some("a: 1\n"));
        assert_eq!(
            text.get(beside.covers.start..beside.covers.end).map(|line| line.starts_with("b: 2")),
            Some(true)
        );
        assert_eq!(above.until.as_ref().map(|day| day.value), Day::parse("2027-03-31"));
        assert_eq!(above.reason, "é why");
        let words: Vec<&str> =
            above.rules.iter().filter_map(|rule| text.get(rule.at.span.start..rule.at.span.end)).collect();
        assert_eq!(words, ["501", "DAAM502"]);
        assert_eq!(
            text.get(beside.removal.start..beside.removal.end).map(|cut| cut.starts_with(" # daam")),
            Some(true)
        );
        assert_eq!(codes, Vec::<u16>::new());
    }

    #[test]
    fn a_text_that_looks_like_a_comment_is_a_text() {
        let text = "a: \"# daam: ignore[501]\"\nb: |\n  # daam: ignore[501]\nc: x#daam:ignore[501]\n";
        let (found, codes) = of(text);
        assert!(found.is_empty() && codes.is_empty(), "{found:?} {codes:?}");
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for text in [
            "ignroe[501] reason=\"x\"",
            "ignore 501 reason=\"x\"",
            "ignore[] reason=\"x\"",
            "ignore[501] reason=\"x\" until=2027-13-01",
            "ignore[501] reason=x",
            "ignore[501] reason=\"x\" for=ever",
            "ignore[501] reason=\"x\"until=2027-01-01",
        ] {
            assert_eq!(of(&format!("a: 1 # daam: {text}\n")).1, [124], "{text}");
        }
        for text in ["ignore[501]", "ignore[501] reason=\"  \""] {
            assert_eq!(of(&format!("a: 1 # daam: {text}\n")).1, [121], "{text}");
        }
    }
}
