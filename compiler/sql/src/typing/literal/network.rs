//! Identifiers and addresses: `uuid`, `bytea`, `inet`, `cidr`, `macaddr`, log positions.

use super::Bad;
use super::scan::{Scan, is_space, trimmed};

pub(super) fn uuid(text: &str) -> Result<(), Bad> {
    let bad = || Bad::syntax("uuid", text);
    let mut scan = Scan::new(text);
    let braces = scan.take('{');
    for index in 0..16 {
        for _ in 0..2 {
            if !scan.next().is_some_and(|c| c.is_ascii_hexdigit()) {
                return Err(bad());
            }
        }
        if index % 2 == 1 && index < 15 {
            scan.take('-');
        }
    }
    if (braces && !scan.take('}')) || !scan.is_done() { Err(bad()) } else { Ok(()) }
}

pub(super) fn bytea(text: &str) -> Result<(), Bad> {
    if let Some(hex) = text.strip_prefix("\\x") {
        let mut scan = Scan::new(hex);
        loop {
            scan.take_while(|c| matches!(c, ' ' | '\n' | '\t' | '\r'));
            let Some(first) = scan.next() else { return Ok(()) };
            if !first.is_ascii_hexdigit() {
                return Err(Bad::new("22023", format!("invalid hexadecimal digit: \"{first}\"")));
            }
            match scan.next() {
                None => return Err(Bad::new("22023", "invalid hexadecimal data: odd number of digits")),
                Some(c) if c.is_ascii_hexdigit() => {}
                Some(c) => return Err(Bad::new("22023", format!("invalid hexadecimal digit: \"{c}\""))),
            }
        }
    }
    let bad = || Bad::new("22P02", "invalid input syntax for type bytea");
    let mut scan = Scan::new(text);
    while let Some(c) = scan.next() {
        if c != '\\' || scan.take('\\') {
            continue;
        }
        let octal = [scan.next(), scan.next(), scan.next()];
        let fits = matches!(octal, [Some('0'..='3'), Some('0'..='7'), Some('0'..='7')]);
        if !fits {
            return Err(bad());
        }
    }
    Ok(())
}

/// `inet`; `cidr` also refuses bits to the right of the mask.
pub(super) fn address(text: &str, network: bool) -> Result<(), Bad> {
    let name = if network { "cidr" } else { "inet" };
    let bad = || Bad::syntax(name, text);
    let (host, bits) = match text.split_once('/') {
        Some((host, bits)) => (host, Some(bits)),
        None => (text, None),
    };
    let six = host.contains(':');
    let limit = if six { 128 } else { 32 };
    let bits = match bits {
        None => None,
        Some(bits) => {
            let digits = !bits.is_empty() && bits.len() <= 3 && bits.chars().all(|c| c.is_ascii_digit());
            let zero_padded = six && bits.len() > 1 && bits.starts_with('0');
            let value = bits.parse::<u32>().ok().filter(|value| *value <= limit);
            Some(value.filter(|_| digits && !zero_padded).ok_or_else(bad)?)
        }
    };
    let value: u128 = if six {
        host.parse::<core::net::Ipv6Addr>().map(u128::from).map_err(|_| bad())?
    } else {
        u128::from(four(host, network, bits).ok_or_else(bad)?) << 96
    };
    let bits = bits.unwrap_or_else(|| if network && !six { classful(host) } else { limit });
    let beyond = if bits == 0 { value } else { value.checked_shl(bits).unwrap_or(0) };
    if network && beyond != 0 {
        return Err(Bad::new("22P02", format!("invalid cidr value: \"{text}\"")));
    }
    Ok(())
}

/// Four decimal parts; a `cidr`, or an `inet` with a mask, may leave out the last ones.
fn four(host: &str, network: bool, bits: Option<u32>) -> Option<u32> {
    let parts: Vec<&str> = host.split('.').collect();
    let shorter = network || bits.is_some();
    if parts.is_empty() || parts.len() > 4 || (parts.len() < 4 && !shorter) {
        return None;
    }
    let mut value = 0_u32;
    for index in 0..4 {
        let part = match parts.get(index) {
            Some(part) if !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()) => {
                u32::from(part.parse::<u8>().ok()?)
            }
            Some(_) => return None,
            None => 0,
        };
        value = (value << 8) | part;
    }
    // Without a mask an `inet` is written in full; with one, the mask may not reach past what is written.
    let written = u32::try_from(parts.len()).unwrap_or(4) * 8;
    if !network && parts.len() < 4 && bits.is_some_and(|bits| bits > written) {
        return None;
    }
    Some(value)
}

/// The mask a `cidr` without one has: by the old classes, at least as long as what is written.
fn classful(host: &str) -> u32 {
    let first: u32 = host.split('.').next().and_then(|part| part.parse().ok()).unwrap_or(0);
    let class = match first {
        240.. => 32,
        224.. => 8,
        192.. => 24,
        128.. => 16,
        _ => 8,
    };
    let written = u32::try_from(host.split('.').count()).unwrap_or(4) * 8;
    class.max(written)
}

/// Six groups of hexadecimal digits, or their digits in two or three groups, or all together.
pub(super) fn macaddr(text: &str) -> Result<(), Bad> {
    let trimmed = trimmed(text);
    let hex = |group: &str| !group.is_empty() && group.chars().all(|c| c.is_ascii_hexdigit());
    let mut too_large = false;
    for (separators, groups, length) in
        [(":-", 6, None), (":-", 2, Some(6)), (".-", 3, Some(4)), ("", 1, Some(12))]
    {
        for separator in separators.chars().map(Some).chain(separators.is_empty().then_some(None)) {
            let parts: Vec<&str> = separator.map_or_else(|| vec![trimmed], |c| trimmed.split(c).collect());
            let shaped = parts.len() == groups
                && parts.iter().all(|part| hex(part) && length.is_none_or(|length| part.len() == length));
            if !shaped {
                continue;
            }
            let octet = |part: &&str| u64::from_str_radix(part, 16).is_ok_and(|value| value <= 255);
            if length.is_some() || parts.iter().all(octet) {
                return Ok(());
            }
            too_large = true;
        }
    }
    if too_large {
        return Err(Bad::new("22003", format!("invalid octet value in \"macaddr\" value: \"{text}\"")));
    }
    Err(Bad::syntax("macaddr", text))
}

/// Pairs of hexadecimal digits, six or eight of them, with one kind of separator or none.
pub(super) fn macaddr8(text: &str) -> Result<(), Bad> {
    let trimmed = trimmed(text);
    let separators: Vec<char> = trimmed.chars().filter(|c| !c.is_ascii_hexdigit()).collect();
    let groups: Vec<usize> = trimmed.split([':', '-', '.']).map(str::len).collect();
    let digits: usize = groups.iter().sum();
    let one_kind = separators.windows(2).all(|pair| pair.first() == pair.last());
    let known = separators.iter().all(|c| matches!(c, ':' | '-' | '.'));
    let even = groups.iter().all(|length| *length > 0 && length % 2 == 0);
    if one_kind && known && even && matches!(digits, 12 | 16) {
        Ok(())
    } else {
        Err(Bad::syntax("macaddr8", text))
    }
}

pub(super) fn log_position(text: &str) -> Result<(), Bad> {
    let half = |part: &str| (1..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_hexdigit());
    let fits = !text.chars().any(is_space)
        && text.split_once('/').is_some_and(|(high, low)| half(high) && half(low));
    if fits { Ok(()) } else { Err(Bad::syntax("pg_lsn", text)) }
}
