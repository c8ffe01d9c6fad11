//! A text without what it holds: every literal a placeholder, every comment gone.
//!
//! The tokens are PostgreSQL's, so whatever it takes for a string, a number or a comment goes, in every kind of
//! statement, a statement the parser refuses included. A text the scanner cannot split has no such form.

use crate::token::{Token, scan};

/// What stands for a name that must not be told.
const HIDDEN: &str = "…";

/// The text with `$n` for every literal, counted on from the parameters it has.
pub fn normal(text: &str) -> Option<String> {
    written(text, |_| true)
}

/// The same with only those names that are known; another name is not told. Keywords are no names.
pub fn normal_with_names(text: &str, known: impl Fn(&str) -> bool) -> Option<String> {
    written(text, known)
}

fn written(text: &str, known: impl Fn(&str) -> bool) -> Option<String> {
    let tokens = scan(text).ok()?;
    let parameter = |token: Token| token.text(text).strip_prefix('$')?.parse::<u64>().ok();
    let mut next = tokens.iter().filter_map(parameter).max().unwrap_or(0);
    let mut out = String::with_capacity(text.len().min(4096));
    let mut end = 0;
    for token in tokens.iter() {
        if token.start > end && !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
        end = token.end;
        if token.is_comment() {
            continue;
        }
        if token.is_literal() {
            next = next.saturating_add(1);
            out.push('$');
            out.push_str(&next.to_string());
        } else if token.is_name() && !token.stored_name(text).is_some_and(|name| known(&name)) {
            out.push_str(HIDDEN);
        } else {
            out.push_str(token.text(text));
        }
    }
    out.truncate(out.trim_end().len());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_literal_of_any_kind_is_left() {
        for (text, expected) in [
            (
                "SELECT * FROM users WHERE ssn = '123-45' AND id=-5",
                "SELECT * FROM users WHERE ssn = $1 AND id=-$2",
            ),
            ("select 1.5e3, 0xff, 1_000", "select $1, $2, $3"),
            ("select E'a\\'b', U&'\\0061', B'1', X'ff', N'x'", "select $1, $2, $3, $4, N$5"),
            ("select $$secret$$, $a$se'cret$a$", "select $1, $2"),
            ("select 'a'\n 'b'", "select $1"),
            ("select $2, 'x'", "select $2, $3"),
            ("ALTER ROLE x PASSWORD 'secret'", "ALTER ROLE x PASSWORD $1"),
            ("DO $$ begin perform 'secret'; end $$", "DO $1"),
            ("select /* secret */ 1 -- secret\n, 2", "select $1 , $2"),
            ("selec 'broken' from from", "selec $1 from from"),
            ("  select\n\t1  ", "select $1"),
            ("SELECT \"a b\" FROM \"T\"", "SELECT \"a b\" FROM \"T\""),
            ("", ""),
        ] {
            assert_eq!(normal(text).as_deref(), Some(expected), "{text}");
        }
        for unreadable in ["select 'open", "select /* open", "select $$open", "select \"open"] {
            assert_eq!(normal(unreadable), None, "{unreadable}");
        }
    }

    #[test]
    fn names_that_are_not_known_are_not_told() {
        let known = |name: &str| ["users", "email", "Odd"].contains(&name);
        for (text, expected) in [
            ("select Email, salary from USERS u", "select Email, … from USERS …"),
            ("select \"Odd\", \"odd\" from hr.staff", "select \"Odd\", … from ….…"),
            ("select U&\"\\0061\" from users", "select … from users"),
            ("secret mistake here", "… … …"),
        ] {
            assert_eq!(normal_with_names(text, known).as_deref(), Some(expected), "{text}");
        }
    }
}
