//! Numbers, booleans, bits, money and geometry.

use super::Bad;
use super::scan::{Scan, digit, trimmed};

/// `smallint`, `integer`, `bigint`.
pub(super) fn integer(text: &str, name: &str, major: u32, low: i64, high: i64) -> Result<(), Bad> {
    let bad = || Bad::syntax(name, text);
    let trimmed = trimmed(text);
    let (negative, digits) = match trimmed.strip_prefix(['-', '+']) {
        Some(rest) => (trimmed.starts_with('-'), rest),
        None => (false, trimmed),
    };
    let (digits, radix) = radix(digits, major);
    let cleaned = without_underscores(digits, major, radix != 10).ok_or_else(bad)?;
    if cleaned.is_empty() || !cleaned.chars().all(|c| c.is_digit(radix)) {
        return Err(bad());
    }
    let value = i128::from_str_radix(&cleaned, radix).map_err(|_| Bad::range(name, text))?;
    let value = if negative { -value } else { value };
    if (i128::from(low)..=i128::from(high)).contains(&value) { Ok(()) } else { Err(Bad::range(name, text)) }
}

/// From version 16 on, `0x`, `0o` and `0b`.
fn radix(digits: &str, major: u32) -> (&str, u32) {
    if major >= 16 {
        for (prefixes, radix) in [(["0x", "0X"], 16), (["0o", "0O"], 8), (["0b", "0B"], 2)] {
            if let Some(rest) = prefixes.into_iter().find_map(|prefix| digits.strip_prefix(prefix)) {
                return (rest, radix);
            }
        }
    }
    (digits, 10)
}

/// From version 16 on, single underscores between digits (and after a prefix).
fn without_underscores(digits: &str, major: u32, prefixed: bool) -> Option<String> {
    if !digits.contains('_') {
        return Some(digits.to_owned());
    }
    let misplaced = digits.ends_with('_') || digits.contains("__") || (digits.starts_with('_') && !prefixed);
    (major >= 16 && !misplaced).then(|| digits.replace('_', ""))
}

/// `oid`, `xid`, `cid`: what `strtoul` reads into 32 bits.
pub(super) fn unsigned(text: &str, name: &str, major: u32) -> Result<(), Bad> {
    let bad = || Bad::syntax(name, text);
    let trimmed = trimmed(text);
    let (negative, digits) = match trimmed.strip_prefix(['-', '+']) {
        Some(rest) => (trimmed.starts_with('-'), rest),
        None => (false, trimmed),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(rest) if major >= 16 => (rest, 16),
        _ if major >= 16 && digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        _ => (digits, 10),
    };
    if name != "oid" && major < 16 {
        // `xid` and `cid` were read without any check.
        return Ok(());
    }
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(bad());
    }
    let value = u64::from_str_radix(digits, radix).map_err(|_| Bad::range(name, text))?;
    let limit = if negative { 1 << 31 } else { u64::from(u32::MAX) };
    if value <= limit { Ok(()) } else { Err(Bad::range(name, text)) }
}

/// A `numeric`: its value as far as order needs it.
pub(super) fn numeric(text: &str, major: u32) -> Result<f64, Bad> {
    let bad = || Bad::syntax("numeric", text);
    let trimmed = trimmed(text);
    let unsigned = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    let sign = if trimmed.starts_with('-') { -1.0 } else { 1.0 };
    if trimmed.eq_ignore_ascii_case("nan") {
        return Ok(f64::NAN);
    }
    if unsigned.eq_ignore_ascii_case("infinity") || unsigned.eq_ignore_ascii_case("inf") {
        return Ok(sign * f64::INFINITY);
    }
    let (digits, radix) = radix(unsigned, major);
    if radix != 10 {
        let digits = without_underscores(digits, major, true).ok_or_else(bad)?;
        if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
            return Err(bad());
        }
        return Ok(digits
            .chars()
            .filter_map(|c| c.to_digit(radix))
            .fold(0.0, |sum, d| sum * f64::from(radix) + f64::from(d))
            * sign);
    }
    let mut scan = Scan::new(unsigned);
    let part = |scan: &mut Scan<'_>| -> Result<String, Bad> {
        let taken = scan.take_while(|c| digit(c) || c == '_');
        without_underscores(taken, major, false).ok_or_else(bad)
    };
    let whole = part(&mut scan)?;
    let fraction = if scan.take('.') { part(&mut scan)? } else { String::new() };
    if whole.is_empty() && fraction.is_empty() {
        return Err(bad());
    }
    let mut exponent = 0_i64;
    if scan.take('e') || scan.take('E') {
        let negative = scan.peek() == Some('-');
        if negative || scan.peek() == Some('+') {
            scan.next();
        }
        let digits = part(&mut scan)?;
        if digits.is_empty() {
            return Err(bad());
        }
        exponent = digits.parse().unwrap_or(i64::MAX / 2);
        exponent = if negative { -exponent } else { exponent };
    }
    if !scan.is_done() {
        return Err(bad());
    }
    let significant = whole.trim_start_matches('0').len();
    let weight = exponent.saturating_add(i64::try_from(significant).unwrap_or(i64::MAX / 2));
    let zero = format!("{whole}{fraction}").chars().all(|c| c == '0');
    if exponent.abs() >= i64::from(i32::MAX / 2) || (!zero && weight > 131_072) {
        return Err(Bad::new("22003", "value overflows numeric format"));
    }
    let value: f64 = format!("{whole}.{fraction}0e{exponent}").parse().map_err(|_| bad())?;
    Ok(sign * value)
}

/// `real`, `double precision`.
pub(super) fn float(text: &str, name: &str, single: bool) -> Result<(), Bad> {
    let bad = || Bad::syntax(name, text);
    let trimmed = trimmed(text);
    let unsigned = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    if ["nan", "infinity", "inf"].iter().any(|word| unsigned.eq_ignore_ascii_case(word)) {
        return Ok(());
    }
    if let Some(hex) = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
        let fits = !hex.is_empty()
            && hex.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, '.' | 'p' | 'P' | '+' | '-'));
        return if fits { Ok(()) } else { Err(bad()) };
    }
    let shape = unsigned.chars().next().is_some_and(|c| digit(c) || c == '.')
        && unsigned.chars().all(|c| digit(c) || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    if !shape {
        return Err(bad());
    }
    let value: f64 = unsigned.parse().map_err(|_| bad())?;
    let mantissa = unsigned.split(['e', 'E']).next().unwrap_or("");
    let nonzero = mantissa.chars().any(|c| ('1'..='9').contains(&c));
    let out_of_range = if single {
        value > f64::from(f32::MAX) * 1.000_000_03 || (nonzero && value < 7.0e-46)
    } else {
        value.is_infinite() || (nonzero && value == 0.0)
    };
    if out_of_range {
        return Err(Bad::new("22003", format!("\"{text}\" is out of range for type {name}")));
    }
    Ok(())
}

pub(super) fn boolean(text: &str) -> Result<(), Bad> {
    let word = trimmed(text).to_ascii_lowercase();
    let begins = |whole: &str, shortest: usize| word.len() >= shortest && whole.starts_with(word.as_str());
    let known = begins("true", 1)
        || begins("false", 1)
        || begins("yes", 1)
        || begins("no", 1)
        || begins("on", 2)
        || begins("off", 2)
        || word == "1"
        || word == "0";
    if known { Ok(()) } else { Err(Bad::syntax("boolean", text)) }
}

/// Bit strings, binary or hexadecimal.
pub(super) fn bits(text: &str) -> Result<(), Bad> {
    let (digits, radix, name) = match text.strip_prefix(['x', 'X']) {
        Some(rest) => (rest, 16, "hexadecimal"),
        None => (text.strip_prefix(['b', 'B']).unwrap_or(text), 2, "binary"),
    };
    match digits.chars().find(|c| !c.is_digit(radix)) {
        None => Ok(()),
        Some(c) => Err(Bad::new("22P02", format!("\"{c}\" is not a valid {name} digit"))),
    }
}

/// Money as the C locale writes it.
pub(super) fn money(text: &str) -> Result<(), Bad> {
    let bad = || Bad::syntax("money", text);
    let mut scan = Scan::new(trimmed(text));
    scan.take('$');
    scan.skip_space();
    let parenthesis = scan.take('(');
    if !parenthesis && !scan.take('-') {
        scan.take('+');
    }
    scan.skip_space();
    scan.take('$');
    scan.skip_space();
    let whole = scan.take_while(|c| digit(c) || c == ',').replace(',', "");
    if scan.take('.') {
        scan.take_while(digit);
    }
    scan.skip_space();
    while scan.take(')') || scan.take('-') || scan.take('+') || scan.take('$') {
        scan.skip_space();
    }
    if !scan.is_done() {
        return Err(bad());
    }
    if whole.len() > 17 && whole.parse::<u64>().map_or(true, |value| value > 92_233_720_368_547_758) {
        return Err(Bad::range("money", text));
    }
    Ok(())
}

/// Points and what is made of them: the numbers and the brackets around them.
pub(super) fn geometry(text: &str, name: &str) -> Result<(), Bad> {
    let bad = || Bad::syntax(name, text);
    let inner: String = text
        .chars()
        .map(|c| if matches!(c, '(' | ')' | '[' | ']' | '<' | '>' | '{' | '}') { ' ' } else { c })
        .collect();
    let depth = text.chars().try_fold(0_i32, |depth, c| match c {
        '(' | '[' | '<' | '{' => Some(depth + 1),
        ')' | ']' | '>' | '}' if depth > 0 => Some(depth - 1),
        ')' | ']' | '>' | '}' => None,
        _ => Some(depth),
    });
    let numbers: Vec<&str> = inner.split(',').collect();
    let count = numbers.len();
    let fits = match name {
        "point" => count == 2,
        "lseg" | "box" => count == 4,
        "circle" => count == 3,
        "line" => count == 3 || count == 4,
        _ => count >= 2 && count.is_multiple_of(2),
    };
    if depth != Some(0) || !fits {
        return Err(bad());
    }
    numbers.into_iter().try_for_each(|one| float(one, name, false).map_err(|_| bad()))
}
