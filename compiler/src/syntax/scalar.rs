//! Scalars: which unquoted ones different YAML readers disagree on, and how durations are written.

use std::time::Duration;

/// What else some reader would take an unquoted text for, if it is not plainly a text.
pub(crate) fn ambiguity(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" => return Some("a boolean"),
        ".inf" | "-.inf" | "+.inf" | ".nan" => return Some("a number"),
        _ => {}
    }
    let digits = lower.trim_start_matches(['+', '-']);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || !digits.contains(|c: char| c.is_ascii_digit())
    {
        return None;
    }
    if is_number(digits) {
        return Some("a number");
    }
    let sexagesimal =
        digits.contains(':') && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, ':' | '.'));
    if sexagesimal {
        return Some("a number to base 60");
    }
    let date =
        digits.len() >= 8 && digits.split(['-', 't', ' ']).take(3).all(|part| part.parse::<u32>().is_ok());
    (date && digits.contains('-')).then_some("a date")
}

/// A text as it is written into a document: plain where every reader reads it as this text, else in quotes.
pub(crate) fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '*' | '-' | '@' | '"'))
        && !matches!(text.to_ascii_lowercase().as_str(), "null")
        && ambiguity(text).is_none();
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

fn is_number(text: &str) -> bool {
    let plain = text.replace('_', "");
    let radix = |prefix, radix| {
        plain.strip_prefix(prefix).is_some_and(|rest| u128::from_str_radix(rest, radix).is_ok())
    };
    radix("0x", 16) || radix("0o", 8) || radix("0b", 2) || plain.parse::<f64>().is_ok()
}

/// `90s`, `8h`, `1h30m`; units d, h, m, s, ms, largest first, each at most once.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut rest = text;
    let mut total = 0_u64;
    let mut allowed = UNITS.as_slice();
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(unit_at)?;
        let width = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(width)?;
        let index = allowed.iter().position(|(name, _)| *name == unit)?;
        let (_, millis) = allowed.get(index)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*millis)?)?;
        allowed = allowed.get(index + 1..)?;
        rest = tail;
    }
    (total > 0).then(|| Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_readers_disagree_on_are_ambiguous() {
        for text in
            ["no", "ON", "0755", "1.10", "12:30", "1e3", "0x1F", "1_000", "true", "2026-01-01", "-5", ".5"]
        {
            assert!(ambiguity(text).is_some(), "{text}");
        }
        for text in
            ["support", "8h", "region = 'eu'", "*.*.ssn", "public.users", "10.0.0.0/8", "none", "-", "1st"]
        {
            assert_eq!(ambiguity(text), None, "{text}");
        }
    }

    #[test]
    fn a_text_is_quoted_where_it_would_be_read_as_something_else() {
        for text in ["support", "public.*", "public.\"Users\"", "sam@acme.test"] {
            assert_eq!(quoted(text), text);
        }
        assert_eq!(quoted("*.*.email"), "'*.*.email'");
        assert_eq!(quoted("no"), "'no'");
        assert_eq!(quoted("it's"), "'it''s'");
    }

    #[test]
    fn durations_need_a_unit_and_an_order() {
        assert_eq!(duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("14d"), Some(Duration::from_secs(14 * 86_400)));
        for text in ["", "30", "h", "1m1h", "1h1h", "0s", "1 h", "99999999999999999999d", "1y"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
