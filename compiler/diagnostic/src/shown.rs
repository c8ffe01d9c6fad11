//! Texts of others, fit to be shown: what a terminal takes for an order becomes visible and stays where it stands.
//!
//! Whoever may create a table chooses its name; an identity provider, a control plane, a request choose their words.

use std::fmt::Write as _;

/// Whether a terminal or an editor shows something else than the character: controls, and what turns the direction of
/// writing.
pub fn is_odd(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if is_odd(c) && !stays(c) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
        out
    })
}

/// A name within a line: no line end of its own.
pub fn word(text: &str) -> String {
    escaped(text, |_| false)
}

/// A whole answer: its line ends and tabs are ours.
pub fn page(text: &str) -> String {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}
