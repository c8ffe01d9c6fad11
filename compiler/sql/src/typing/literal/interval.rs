//! `interval`, in the traditional and the ISO 8601 form.

use super::Bad;
use super::moment::{Field, Token, Wrong, clock, split};
use super::scan::{Scan, digit};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
    Decade,
    Century,
    Millennium,
}

enum Word {
    Ignored,
    Ago,
    Unit(Unit),
    Infinite,
    Reserved,
}

pub(super) fn interval(text: &str, major: u32) -> Result<(), Bad> {
    let read = match split(text).and_then(|fields| traditional(&fields, major)) {
        Err(Wrong::Format) if text.starts_with('P') => iso(text),
        other => other.map(|_| ()),
    };
    read.map_err(|wrong| match wrong {
        Wrong::Overflow => Bad::new("22015", format!("interval field value out of range: \"{text}\"")),
        _ => Bad::new("22007", format!("invalid input syntax for type interval: \"{text}\"")),
    })
}

/// Whether it is made of hours and less: the same length on every day.
pub(crate) fn is_pure_time(text: &str) -> bool {
    let small = [Unit::Microsecond, Unit::Millisecond, Unit::Second, Unit::Minute, Unit::Hour];
    split(text)
        .and_then(|fields| traditional(&fields, 18))
        .is_ok_and(|units| !units.is_empty() && units.iter().all(|unit| small.contains(unit)))
}

/// From the last field to the first: a unit names the number before it.
fn traditional(fields: &[Field], major: u32) -> Result<Vec<Unit>, Wrong> {
    let (mut next, mut pending) = (None, false);
    let mut used: Vec<Unit> = Vec::new();
    let mut found = false;
    for (index, field) in fields.iter().enumerate().rev() {
        let text = field.text.as_str();
        let last = index + 1 == fields.len();
        let is_clock = match field.token {
            Token::Time => true,
            Token::Zone => text.get(1..).is_some_and(|rest| rest.contains(':') && clock(rest).is_ok()),
            _ => false,
        };
        if is_clock {
            clock(text.trim_start_matches(['-', '+']))?;
            take(&mut used, &[Unit::Hour, Unit::Minute, Unit::Second])?;
            (next, found, pending) = (Some(Unit::Day), true, false);
            continue;
        }
        if field.token != Token::Word {
            let unit = next.unwrap_or(Unit::Second);
            let (unit, months) = number(text, unit, major)?;
            if unit == Unit::Second && text.contains('.') {
                take(&mut used, &[Unit::Second, Unit::Millisecond, Unit::Microsecond])?;
            } else {
                take(&mut used, &[unit])?;
            }
            next = Some(match unit {
                Unit::Hour => Unit::Day,
                _ if months => Unit::Month,
                unit => unit,
            });
            (found, pending) = (true, false);
            continue;
        }
        if pending && major >= 16 {
            return Err(Wrong::Format);
        }
        match word(text).ok_or(Wrong::Format)? {
            Word::Ignored => {}
            Word::Ago if last || major < 16 => {}
            Word::Unit(unit) => (next, pending) = (Some(unit), true),
            Word::Infinite if major >= 17 && last && fields.len() == 1 => return Ok(vec![Unit::Millennium]),
            Word::Ago | Word::Infinite | Word::Reserved => return Err(Wrong::Format),
        }
    }
    if !found || (pending && major >= 17) { Err(Wrong::Format) } else { Ok(used) }
}

fn take(used: &mut Vec<Unit>, units: &[Unit]) -> Result<(), Wrong> {
    if units.iter().any(|unit| used.contains(unit)) {
        return Err(Wrong::Format);
    }
    used.extend(units);
    Ok(())
}

/// A number with its unit; `1-2` is years and months.
fn number(text: &str, unit: Unit, major: u32) -> Result<(Unit, bool), Wrong> {
    let mut scan = Scan::new(text.strip_prefix(['-', '+']).unwrap_or(text));
    let digits = scan.take_while(digit);
    // Before version 15 every field was a 32-bit number.
    let fits = if major < 15 { digits.parse::<i32>().is_ok() } else { digits.parse::<i64>().is_ok() };
    if !digits.is_empty() && !fits {
        return Err(Wrong::Overflow);
    }
    let large = |limit: i64| digits.parse::<i64>().is_ok_and(|value| value > limit);
    if scan.take('-') {
        let months = scan.take_while(digit);
        let value: u32 = if months.is_empty() { 0 } else { months.parse().map_err(|_| Wrong::Overflow)? };
        if value >= 12 || large(178_956_970) {
            return Err(Wrong::Overflow);
        }
        return if scan.is_done() { Ok((Unit::Month, true)) } else { Err(Wrong::Format) };
    }
    if scan.take('.') {
        scan.take_while(digit);
    }
    if !scan.is_done() {
        return Err(Wrong::Format);
    }
    let overflow = match unit {
        Unit::Day | Unit::Month => large(i64::from(i32::MAX)),
        Unit::Week => large(306_783_378),
        Unit::Year => large(178_956_970),
        Unit::Decade => large(17_895_697),
        Unit::Century => large(1_789_569),
        Unit::Millennium => large(178_956),
        _ => false,
    };
    if overflow { Err(Wrong::Overflow) } else { Ok((unit, false)) }
}

fn word(text: &str) -> Option<Word> {
    let unit = match text {
        "us" | "usec" | "usecond" | "useconds" | "usecs" | "microsecond" | "microseconds" => {
            Unit::Microsecond
        }
        "ms" | "msec" | "msecond" | "mseconds" | "msecs" | "millisecond" | "milliseconds" => {
            Unit::Millisecond
        }
        "s" | "sec" | "second" | "seconds" | "secs" => Unit::Second,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "h" | "hour" | "hours" | "hr" | "hrs" => Unit::Hour,
        "d" | "day" | "days" => Unit::Day,
        "w" | "week" | "weeks" => Unit::Week,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "y" | "year" | "years" | "yr" | "yrs" => Unit::Year,
        "dec" | "decs" | "decade" | "decades" => Unit::Decade,
        "c" | "cent" | "century" | "centuries" => Unit::Century,
        "mil" | "mils" | "millennium" | "millennia" => Unit::Millennium,
        "ago" => return Some(Word::Ago),
        "at" | "on" => return Some(Word::Ignored),
        "infinity" | "-infinity" | "+infinity" => return Some(Word::Infinite),
        "now" | "today" | "tomorrow" | "yesterday" | "epoch" | "allballs" => return Some(Word::Reserved),
        _ => return None,
    };
    Some(Word::Unit(unit))
}

/// `P1Y2M3DT4H5M6S`, `P1W`.
fn iso(text: &str) -> Result<(), Wrong> {
    let mut scan = Scan::new(text.strip_prefix('P').unwrap_or(text));
    let (mut time, mut any) = (false, false);
    if text.len() < 2 {
        return Err(Wrong::Format);
    }
    while !scan.is_done() {
        if scan.take('T') {
            time = true;
            continue;
        }
        if !scan.take('-') {
            scan.take('+');
        }
        let digits = scan.take_while(|c| digit(c) || c == '.');
        if digits.is_empty() || digits.parse::<f64>().is_err() {
            return Err(Wrong::Format);
        }
        let unit = scan.next();
        let known = if time {
            matches!(unit, Some('H' | 'M' | 'S'))
        } else {
            matches!(unit, Some('Y' | 'M' | 'W' | 'D'))
        };
        if !known {
            return Err(Wrong::Format);
        }
        any = true;
    }
    if any || time { Ok(()) } else { Err(Wrong::Format) }
}
