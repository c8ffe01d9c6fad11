//! `json` and `jsonb`.

use super::Bad;
use super::scan::Scan;

/// Deeper is refused here; the server's limit is its stack.
const DEPTH: usize = 256;

/// One JSON value; `jsonb` also refuses escapes it cannot store and numbers it cannot hold.
pub(super) fn json(text: &str, binary: bool) -> Result<(), Bad> {
    let mut scan = Scan::new(text);
    skip(&mut scan);
    value(&mut scan, binary, 0)?;
    skip(&mut scan);
    if scan.is_done() { Ok(()) } else { Err(bad()) }
}

fn bad() -> Bad {
    Bad::new("22P02", "invalid input syntax for type json")
}

fn skip(scan: &mut Scan<'_>) {
    scan.take_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
}

fn value(scan: &mut Scan<'_>, binary: bool, depth: usize) -> Result<(), Bad> {
    if depth > DEPTH {
        return Err(Bad::new("54001", "stack depth limit exceeded"));
    }
    match scan.peek() {
        Some('{') => {
            scan.next();
            members(scan, '}', |scan| {
                string(scan, binary)?;
                skip(scan);
                if !scan.take(':') {
                    return Err(bad());
                }
                skip(scan);
                value(scan, binary, depth + 1)
            })
        }
        Some('[') => {
            scan.next();
            members(scan, ']', |scan| value(scan, binary, depth + 1))
        }
        Some('"') => string(scan, binary),
        Some('-' | '0'..='9') => number(scan, binary),
        _ => {
            let word = scan.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii());
            if matches!(word, "true" | "false" | "null") { Ok(()) } else { Err(bad()) }
        }
    }
}

fn members(
    scan: &mut Scan<'_>,
    close: char,
    mut each: impl FnMut(&mut Scan<'_>) -> Result<(), Bad>,
) -> Result<(), Bad> {
    skip(scan);
    if scan.take(close) {
        return Ok(());
    }
    loop {
        skip(scan);
        each(scan)?;
        skip(scan);
        if scan.take(close) {
            return Ok(());
        }
        if !scan.take(',') {
            return Err(bad());
        }
    }
}

fn string(scan: &mut Scan<'_>, binary: bool) -> Result<(), Bad> {
    if !scan.take('"') {
        return Err(bad());
    }
    let mut high = false;
    while let Some(c) = scan.next() {
        let escaped = c == '\\' && scan.peek() == Some('u');
        if high && !escaped && binary {
            return Err(bad());
        }
        match c {
            '"' => return Ok(()),
            '\\' => match scan.next() {
                Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => {}
                Some('u') => {
                    let mut code = 0_u32;
                    for _ in 0..4 {
                        code = code * 16 + scan.next().and_then(|c| c.to_digit(16)).ok_or_else(bad)?;
                    }
                    if binary {
                        high = unicode(code, high)?;
                    }
                }
                _ => return Err(bad()),
            },
            c if u32::from(c) < 32 => return Err(bad()),
            _ => {}
        }
    }
    Err(bad())
}

/// Whether a low surrogate has to follow.
fn unicode(code: u32, high: bool) -> Result<bool, Bad> {
    match (code, high) {
        (0, _) => Err(Bad::new("22P05", "unsupported Unicode escape sequence")),
        (0xD800..=0xDBFF, false) => Ok(true),
        (0xDC00..=0xDFFF, true) => Ok(false),
        (0xD800..=0xDFFF, _) | (_, true) => Err(bad()),
        _ => Ok(false),
    }
}

fn number(scan: &mut Scan<'_>, binary: bool) -> Result<(), Bad> {
    let written = scan.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_'));
    let mut inner = Scan::new(written);
    inner.take('-');
    let whole = inner.take_while(|c| c.is_ascii_digit());
    if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) {
        return Err(bad());
    }
    if inner.take('.') && inner.take_while(|c| c.is_ascii_digit()).is_empty() {
        return Err(bad());
    }
    if inner.take('e') || inner.take('E') {
        if !inner.take('+') {
            inner.take('-');
        }
        if inner.take_while(|c| c.is_ascii_digit()).is_empty() {
            return Err(bad());
        }
    }
    if !inner.is_done() {
        return Err(bad());
    }
    if binary { super::number::numeric(written, 0).map(|_| ()) } else { Ok(()) }
}
