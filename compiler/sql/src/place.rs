//! Where a text stops being SQL.
//!
//! The parser's message names a token and not its place. It reads from left to right and stops at the first token that
//! cannot follow, so the place is found by reading shorter and shorter beginnings: those that end before that token are
//! at worst incomplete. Refused: long texts, for which a place is not worth that many readings, and faults other than of
//! syntax.

use crate::token::{self, Tokens};
use crate::tree::{self, ParseError};

/// Bytes a text may have.
const LONGEST: usize = 64 * 1024;
const NEAR: &str = "syntax error at or near";

/// The byte a text stops being SQL at, if it does; its length where something is missing at the end.
pub fn of_error(text: &str, error: &ParseError) -> Option<usize> {
    let ParseError::Syntax(message) = error else { return None };
    if text.len() > LONGEST {
        return None;
    }
    if message.contains("syntax error at end of input") {
        return Some(text.len());
    }
    if !message.contains(NEAR) {
        return None;
    }
    crate::with_room(|| first_wrong(text, &token::scan(text).ok()?)).flatten()
}

fn first_wrong(text: &str, tokens: &Tokens) -> Option<usize> {
    let is_wrong = |count: usize| {
        let last = tokens.get(count.checked_sub(1)?)?;
        let read = tree::parse(text.get(..last.end)?);
        Some(matches!(read, Err(ParseError::Syntax(message)) if message.contains(NEAR)))
    };
    // So many tokens are still fine, and so many are not.
    let (mut fine, mut wrong) = (0, tokens.len());
    while wrong.checked_sub(fine)? > 1 {
        let middle = usize::midpoint(fine, wrong);
        if is_wrong(middle)? { wrong = middle } else { fine = middle }
    }
    Some(tokens.get(wrong.checked_sub(1)?)?.start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(text: &str) -> Option<usize> {
        of_error(text, &tree::parse(text).unwrap_err())
    }

    #[test]
    fn the_first_token_that_cannot_follow_is_found() {
        for (text, at) in [
            ("SELEC 1", Some(0)),
            ("SELECT 1 FROM FROM t", Some(14)),
            ("SELECT 1;\nSELECT (2;", Some(19)),
            ("SELECT 'grüße', FROM t", Some(18)),
            ("SELECT /* here */ * * FROM t", Some(20)),
            ("SELECT (1", Some(9)),
            ("SELECT 'unfinished", None),
        ] {
            assert_eq!(place(text), at, "{text}");
        }
    }

    #[test]
    fn long_texts_are_read_once() {
        assert_eq!(place(&format!("SELECT {} FROM FROM", "1, ".repeat(LONGEST))), None);
    }

    proptest! {
        #[test]
        fn what_stands_before_the_place_is_the_beginning_of_sql(words in prop::collection::vec("SELECT|FROM|t|,|\\(|\\)|1|=|WHERE|;|'x'", 1..12)) {
            let text = words.join(" ");
            if let Err(error) = tree::parse(&text)
                && let Some(at) = of_error(&text, &error)
            {
                let before = text.get(..at).expect("a place between characters");
                let near = tree::parse(before).err().is_some_and(|error| error.to_string().contains(NEAR));
                prop_assert!(!near, "{} at {}", text, at);
            }
        }
    }
}
