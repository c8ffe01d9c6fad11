//! `tsvector`, `tsquery` and `jsonpath`: the forms people write in filters. What is beyond them is refused.

use super::Bad;
use super::scan::{Scan, is_space};

/// Words, quoted or not, with positions.
pub(super) fn vector(text: &str) -> Result<(), Bad> {
    let bad = || Bad::new("42601", format!("syntax error in tsvector: \"{text}\""));
    let quotes = text.replace("''", "").matches('\'').count();
    let positions = text.split(is_space).all(|word| {
        !word.starts_with(':')
            && word
                .rsplit_once(':')
                .is_none_or(|(_, at)| at.chars().next().is_some_and(|c| c.is_ascii_digit()))
    });
    if quotes % 2 == 1 || text.ends_with('\\') || !positions { Err(bad()) } else { Ok(()) }
}

/// Words joined by `&`, `|`, `!`, `<->` and parentheses.
pub(super) fn query(text: &str) -> Result<(), Bad> {
    let bad = || Bad::new("42601", format!("syntax error in tsquery: \"{text}\""));
    let mut scan = Scan::new(text);
    let (mut depth, mut operand) = (0_u32, true);
    scan.skip_space();
    if scan.is_done() {
        return Ok(());
    }
    loop {
        scan.skip_space();
        let Some(c) = scan.peek() else { break };
        if operand {
            match c {
                '!' => drop(scan.next()),
                '(' => {
                    scan.next();
                    depth += 1;
                }
                '\'' => {
                    scan.next();
                    while scan.next().ok_or_else(bad)? != '\'' || scan.take('\'') {}
                    operand = false;
                    weights(&mut scan);
                }
                _ => {
                    let word = scan.take_while(|c| {
                        !is_space(c) && !matches!(c, '&' | '|' | '!' | '<' | '(' | ')' | ':' | '\'')
                    });
                    if word.is_empty() {
                        return Err(bad());
                    }
                    operand = false;
                    weights(&mut scan);
                }
            }
        } else {
            match scan.next() {
                Some('&' | '|') => operand = true,
                Some(')') if depth > 0 => depth -= 1,
                Some('<') => {
                    let distance = scan.take_while(|c| c == '-' || c.is_ascii_digit());
                    if !scan.take('>')
                        || !(distance == "-" || distance.parse::<u16>().is_ok_and(|d| d <= 16384))
                    {
                        return Err(bad());
                    }
                    operand = true;
                }
                _ => return Err(bad()),
            }
        }
    }
    if operand || depth > 0 { Err(bad()) } else { Ok(()) }
}

fn weights(scan: &mut Scan<'_>) {
    if scan.take(':') {
        scan.take_while(|c| matches!(c, '*' | 'A'..='D' | 'a'..='d'));
    }
}

/// Paths of keys, indices and wildcards, with simple `? (@… op constant)` filters.
pub(super) fn jsonpath(text: &str) -> Result<(), Bad> {
    let bad = || Bad::new("42601", format!("syntax error in jsonpath: \"{text}\""));
    let mut scan = Scan::new(text);
    scan.skip_space();
    for mode in ["strict", "lax"] {
        if let Some(rest) = scan.rest().strip_prefix(mode) {
            scan = Scan::new(rest);
        }
    }
    scan.skip_space();
    let fits = path(&mut scan, '$', 0) && {
        scan.skip_space();
        scan.is_done() || (comparison(&mut scan) && scan.is_done())
    };
    if fits { Ok(()) } else { Err(bad()) }
}

fn path(scan: &mut Scan<'_>, root: char, depth: u32) -> bool {
    if depth > 16 || !scan.take(root) {
        return false;
    }
    loop {
        match scan.peek() {
            Some('.') => {
                scan.next();
                let name = if scan.take('"') {
                    let name = scan.take_while(|c| c != '"' && c != '\\');
                    if !scan.take('"') {
                        return false;
                    }
                    name
                } else if scan.take('*') {
                    "*"
                } else {
                    let name = scan.take_while(|c| c.is_alphanumeric() || c == '_');
                    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
                        return false;
                    }
                    name
                };
                if scan.take('(') {
                    let method =
                        ["type", "size", "double", "ceiling", "floor", "abs", "keyvalue"].contains(&name);
                    if !method || !scan.take(')') {
                        return false;
                    }
                }
            }
            Some('[') => {
                scan.next();
                let index = scan.take_while(|c| c.is_ascii_digit() || c == '*');
                let fits = index == "*" || (!index.is_empty() && index.chars().all(|c| c.is_ascii_digit()));
                if !fits || !scan.take(']') {
                    return false;
                }
            }
            _ => {
                let mut ahead = *scan;
                ahead.skip_space();
                if !ahead.take('?') {
                    return true;
                }
                ahead.skip_space();
                if !ahead.take('(') {
                    return false;
                }
                ahead.skip_space();
                if !path(&mut ahead, '@', depth + 1) || !comparison(&mut ahead) {
                    return false;
                }
                ahead.skip_space();
                if !ahead.take(')') {
                    return false;
                }
                *scan = ahead;
            }
        }
    }
}

fn comparison(scan: &mut Scan<'_>) -> bool {
    scan.skip_space();
    let operator = scan.take_while(|c| matches!(c, '=' | '!' | '<' | '>'));
    if !["==", "!=", "<>", "<", "<=", ">", ">="].contains(&operator) {
        return false;
    }
    scan.skip_space();
    if scan.take('"') {
        scan.take_while(|c| c != '"' && c != '\\');
        return scan.take('"');
    }
    let word = scan.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    matches!(word, "true" | "false" | "null")
        || (word.chars().next_back().is_some_and(|c| c.is_ascii_digit())
            && !word.starts_with('.')
            && word.parse::<f64>().is_ok()
            && !(word.len() > 1 && word.starts_with('0') && !word.starts_with("0.")))
}
