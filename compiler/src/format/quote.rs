//! How a single value is written: without quotes where no reader could take it for something else, in double quotes
//! otherwise, and as it was where that would need escapes.

use super::tree::{Shape, Written};
use crate::syntax::scalar::ambiguity;
use granit_parser::ScalarStyle;

/// A value on one line; nothing if it needs several.
pub(super) fn one_line(source: &str, node: &Written) -> Option<String> {
    let Shape::Scalar { text, style } = &node.shape else { return None };
    let written = source.get(node.span.start..node.span.end)?;
    match style {
        ScalarStyle::Literal | ScalarStyle::Folded => None,
        ScalarStyle::Plain if written.is_empty() => Some(String::new()),
        ScalarStyle::Plain => (!written.contains('\n')).then(|| written.to_owned()),
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted if written.contains('\n') => None,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
            Some(quoted(text).unwrap_or_else(|| written.to_owned()))
        }
    }
}

/// The canonical way to write a text that was quoted; nothing if it should stay as it is.
fn quoted(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '@');
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.split(' ').all(|word| !word.is_empty() && word.chars().all(plain))
        && !text.contains(" -");
    let null = matches!(text, "null" | "Null" | "NULL");
    if word && !null && ambiguity(text).is_none() {
        return Some(text.to_owned());
    }
    let printable = text.chars().all(|c| c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric());
    if !printable {
        None
    } else if !text.contains(['"', '\\']) {
        Some(format!("\"{text}\""))
    } else if text.contains('\'') {
        None
    } else {
        Some(format!("'{text}'"))
    }
}

/// The lines of a value that is written over several, without their indentation.
pub(super) fn lines<'s>(source: &'s str, node: &Written) -> Vec<&'s str> {
    let written = source.get(node.span.start..node.span.end).unwrap_or("");
    let mut lines: Vec<&str> = written.lines().map(str::trim_start).collect();
    // White space before a line end is not part of the value unless a backslash holds it.
    for line in &mut lines {
        let kept = line.trim_end();
        if !kept.ends_with('\\') {
            *line = kept;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_go_where_nobody_needs_them() {
        for (text, wanted) in [
            ("support", Some("support")),
            ("sam@acme.test", Some("sam@acme.test")),
            ("no mask here", Some("no mask here")),
            ("no", Some("\"no\"")),
            ("null", Some("\"null\"")),
            ("1.10", Some("\"1.10\"")),
            ("*.*.ssn", Some("\"*.*.ssn\"")),
            ("mask:email", Some("\"mask:email\"")),
            ("a #b", Some("\"a #b\"")),
            ("", Some("\"\"")),
            (" a", Some("\" a\"")),
            ("say \"x\"", Some("'say \"x\"'")),
            ("it's \"x\"", None),
            ("a\nb", None),
            ("a\u{a0}b", None),
        ] {
            assert_eq!(quoted(text).as_deref(), wanted, "{text:?}");
        }
    }
}
