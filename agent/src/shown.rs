//! Names and texts of others, fit to be shown. Whoever may create a table chooses its name, and a name may hold line
//! ends and what a terminal takes for an order: here these become visible, and neither ends a comment nor moves a cursor.

use daam_diagnostic::shown::is_odd;
pub(crate) use daam_diagnostic::shown::{page, word};
use std::fmt::Write as _;

/// A YAML scalar on one line.
pub(crate) fn yaml(text: &str) -> String {
    let plain =
        text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.' | b'$'));
    if plain {
        text.to_owned()
    } else if text.chars().any(is_odd) {
        format!("\"{}\"", word(&text.replace('\\', "\\\\").replace('"', "\\\"")))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// Quoted SQL names so that they stand on one line: PostgreSQL's own escapes, where a name needs them.
pub(crate) fn sql(quoted: &str) -> String {
    if !quoted.chars().any(is_odd) {
        return quoted.to_owned();
    }
    let (mut out, mut inside) = (String::new(), false);
    // A doubled quote within a name is the end of one part and the beginning of the next: the same to us.
    for part in quoted.split('"') {
        if inside {
            let _ = write!(
                out,
                "U&\"{}\"",
                part.chars().fold(String::new(), |mut name, c| {
                    match c {
                        '\\' => name.push_str("\\\\"),
                        c if is_odd(c) => drop(write!(name, "\\{:04X}", u32::from(c))),
                        c => name.push(c),
                    }
                    name
                })
            );
        } else {
            out.push_str(part);
        }
        inside = !inside;
    }
    // Where a name had a quote in it, its parts are one name again.
    word(&out.replace("\"U&\"", "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_name_reaches_the_terminal_as_an_order_or_ends_its_line() {
        assert_eq!(word("a\n\u{1b}[2J\u{202e}b"), "a\\u000a\\u001b[2J\\u202eb");
        assert_eq!(page("a\tb\n\u{9b}c"), "a\tb\n\\u009bc");
        assert_eq!(word("naïve 表"), "naïve 表");
    }

    #[test]
    fn an_odd_name_is_one_line_of_yaml() {
        for name in ["a.b", "It's \"so\"", "a\n  - '*.*'\n#", "tab\t\\ \"x\" \u{1b}[2J\u{85}\u{2028}"] {
            let written = yaml(name);
            assert_eq!(written.lines().count(), 1, "{written}");
            assert!(!written.chars().any(is_odd), "{written}");
        }
    }

    #[test]
    fn an_odd_name_is_one_line_of_sql() {
        assert_eq!(sql("public.\"Plain \\ name\""), "public.\"Plain \\ name\"");
        assert_eq!(sql("public.\"a\n\\b\".c"), "public.U&\"a\\000A\\\\b\".c");
        assert_eq!(sql("\"a\"\"\n\""), "U&\"a\"\"\\000A\"");
    }
}
