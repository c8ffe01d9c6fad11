//! Which constants are surely values of a type.
//!
//! A constant is cast to its column's type by the server. What is not recognised here does not fit, so the
//! column shows NULL instead of making every query fail.

use daam_catalog::TypeClass;

/// Whether the text is certainly a literal of that class.
pub(super) fn fits(value: &str, class: TypeClass) -> bool {
    match class {
        TypeClass::Text => !value.contains('\0'),
        // The class does not tell the widths apart; most columns hold what `integer` holds.
        TypeClass::Integer => value.parse::<i32>().is_ok(),
        TypeClass::Numeric | TypeClass::Float => is_decimal(value),
        TypeClass::Boolean => matches!(value, "true" | "false"),
        TypeClass::Uuid => is_uuid(value),
        TypeClass::Date => is_date(value),
        TypeClass::Timestamp | TypeClass::TimestampTz => is_timestamp(value),
        TypeClass::Json | TypeClass::Jsonb => is_json_scalar(value),
        TypeClass::Time
        | TypeClass::Inet
        | TypeClass::Cidr
        | TypeClass::Bytea
        | TypeClass::Array
        | TypeClass::Enum
        | TypeClass::Domain
        | TypeClass::Other => false,
    }
}

fn is_decimal(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |text: &str| (1..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    all_digits(whole) && all_digits(fraction)
}

/// Hyphenated form only: 8-4-4-4-12.
pub(crate) fn is_uuid(value: &str) -> bool {
    let lengths: Vec<usize> = value.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && value.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

fn is_date(value: &str) -> bool {
    let parts: Vec<&str> = value.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let digits = |text: &str, length: usize| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(year, 4) || !digits(month, 2) || !digits(day, 2) {
        return false;
    }
    let in_range = |text: &str, range: std::ops::RangeInclusive<u32>| {
        text.parse::<u32>().is_ok_and(|number| range.contains(&number))
    };
    // Day 29 to 31 depends on the month; not worth a calendar.
    in_range(year, 1..=9999) && in_range(month, 1..=12) && in_range(day, 1..=28)
}

fn is_timestamp(value: &str) -> bool {
    let (date, time) = value.split_once(' ').or_else(|| value.split_once('T')).unwrap_or((value, "00:00:00"));
    let parts: Vec<&str> = time.split(':').collect();
    let [hour, minute, second] = parts.as_slice() else { return false };
    let below = |text: &str, limit: u32| {
        text.len() == 2
            && text.bytes().all(|b| b.is_ascii_digit())
            && text.parse::<u32>().is_ok_and(|n| n < limit)
    };
    is_date(date) && below(hour, 24) && below(minute, 60) && below(second, 60)
}

fn is_json_scalar(value: &str) -> bool {
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let plain = |text: &str| text.chars().all(|c| !c.is_control() && c != '"' && c != '\\');
    matches!(value, "null" | "true" | "false" | "{}" | "[]")
        || is_json_number(value)
        || quoted.is_some_and(plain)
}

/// JSON knows no leading zeros.
fn is_json_number(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    is_decimal(value) && !leading_zero
}
