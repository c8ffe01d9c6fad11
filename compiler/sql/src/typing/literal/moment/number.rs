//! The numbers of dates and times: dates with separators, run-together digits, clocks, displacements.

use super::{DATE, DAY, DOY, MONTH, Reading, TIME, Wrong, YEAR};
use crate::typing::literal::scan::{Scan, digit};

/// A time of day.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock {
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    pub(crate) fraction: f64,
}

impl Clock {
    pub(super) fn overflows(&self) -> bool {
        let past = self.hour == 24 && (self.minute > 0 || self.second > 0 || self.fraction > 0.0);
        self.hour > 24 || past
    }
}

fn value(digits: &str) -> Result<i64, Wrong> {
    if digits.is_empty() {
        return Ok(0);
    }
    digits.parse::<i32>().map(i64::from).map_err(|_| Wrong::Overflow)
}

/// `hh:mm`, `hh:mm:ss.f` or `mm:ss.f`.
pub(crate) fn clock(text: &str) -> Result<Clock, Wrong> {
    let mut scan = Scan::new(text);
    let hours = scan.take_while(digit);
    let hour = if hours.is_empty() { 0 } else { hours.parse::<i64>().map_err(|_| Wrong::Overflow)? };
    if !scan.take(':') {
        return Err(Wrong::Format);
    }
    let minute = value(scan.take_while(digit))?;
    let mut read = Clock { hour, minute, ..Clock::default() };
    if scan.take('.') {
        (read.hour, read.minute, read.second) = (0, hour, minute);
        read.fraction = fraction(&mut scan)?;
    } else if scan.take(':') {
        read.second = value(scan.take_while(digit))?;
        if scan.take('.') {
            read.fraction = fraction(&mut scan)?;
        }
    }
    if !scan.is_done() {
        return Err(Wrong::Format);
    }
    if read.minute > 59 || read.second > 60 { Err(Wrong::Overflow) } else { Ok(read) }
}

fn fraction(scan: &mut Scan<'_>) -> Result<f64, Wrong> {
    let digits = scan.take_while(digit);
    format!("0.{digits}0").parse().map_err(|_| Wrong::Format)
}

/// `+hh`, `-hhmm`, `+hh:mm:ss`.
pub(super) fn displacement(text: &str) -> Result<(), Wrong> {
    let mut scan = Scan::new(text);
    if !scan.take('+') && !scan.take('-') {
        return Err(Wrong::Format);
    }
    let digits = scan.take_while(digit);
    let mut hour = digits.parse::<i32>().map_err(|_| Wrong::Displacement)?;
    let (mut minute, mut second) = (0, 0);
    if scan.take(':') {
        minute = value(scan.take_while(digit)).map_err(|_| Wrong::Displacement)?;
        if scan.take(':') {
            second = value(scan.take_while(digit)).map_err(|_| Wrong::Displacement)?;
        }
    } else if scan.is_done() && digits.len() > 2 {
        minute = i64::from(hour % 100);
        hour /= 100;
    }
    if hour > 15 || minute > 59 || second > 59 {
        return Err(Wrong::Displacement);
    }
    if scan.is_done() { Ok(()) } else { Err(Wrong::Format) }
}

/// A date with separators (`DecodeDate`).
pub(super) fn date(text: &str, reading: &mut Reading) -> Result<u32, Wrong> {
    let mut scan = Scan::new(text);
    let mut parts: Vec<&str> = Vec::new();
    while !scan.is_done() {
        scan.take_while(|c| !c.is_ascii_alphanumeric());
        match scan.peek() {
            None => return Err(Wrong::Format),
            Some(c) if digit(c) => parts.push(scan.take_while(digit)),
            Some(_) => parts.push(scan.take_while(|c| c.is_ascii_alphabetic())),
        }
        // One character after a part is dropped, whatever it is.
        scan.next();
    }
    let (mut mask, mut found) = (reading.mask, 0);
    let is_word = |part: &&&str| part.starts_with(|c: char| c.is_ascii_alphabetic());
    for part in parts.iter().filter(is_word) {
        match super::word::word(part, 0) {
            Some(super::Word::Month(month)) if mask & MONTH == 0 => {
                reading.month = month;
                reading.text_month = true;
                mask |= MONTH;
                found |= MONTH;
            }
            Some(super::Word::Ignored) => {}
            _ => return Err(Wrong::Format),
        }
    }
    let first = parts.first().copied().unwrap_or("");
    let conventional = found == 0 && first.len() <= 2 && reading.mask & DATE == 0;
    for part in parts.iter().filter(|part| !is_word(part)) {
        let before = std::mem::replace(&mut reading.mask, mask);
        let added = plain_in_date(part, reading);
        reading.mask = before;
        let added = added?;
        if mask & added != 0 {
            return Err(Wrong::Format);
        }
        mask |= added;
        found |= added;
    }
    reading.order |= conventional && (1..=12).contains(&reading.day) && reading.day != reading.month;
    if mask & !(DOY | super::ZONE) & (DATE | TIME) == DATE { Ok(found) } else { Err(Wrong::Format) }
}

/// A number that stands alone: a year, a date or a time without separators.
pub(super) fn plain(text: &str, reading: &mut Reading) -> Result<u32, Wrong> {
    let whole = text.split('.').next().unwrap_or("").len();
    let dotted = text.contains('.');
    if dotted && reading.mask & DATE == 0 {
        date(text, reading)
    } else if (dotted && whole > 2)
        || (text.len() >= 6 && (reading.mask & DATE == 0 || reading.mask & TIME == 0))
    {
        run_together(text, reading.mask, reading)
    } else {
        plain_in_date(text, reading)
    }
}

/// `DecodeNumber`: which part of a date a number is, by what is known already.
fn plain_in_date(text: &str, reading: &mut Reading) -> Result<u32, Wrong> {
    let mut scan = Scan::new(text);
    let digits = scan.take_while(digit);
    if digits.is_empty() {
        return Err(Wrong::Format);
    }
    let number = value(digits)?;
    if scan.peek() == Some('.') {
        if digits.len() > 2 {
            return run_together(text, reading.mask | DATE, reading);
        }
    } else if !scan.is_done() {
        return Err(Wrong::Format);
    }
    let known = reading.mask & DATE;
    if text.len() == 3 && known == YEAR && (1..=366).contains(&number) {
        return Ok(DOY | MONTH | DAY);
    }
    let long = text.len() >= 3;
    let mask = match known {
        0 if long => YEAR,
        0 | YEAR | DAY => MONTH,
        MONTH if reading.text_month && long => YEAR,
        MONTH => DAY,
        known if known == YEAR | MONTH => {
            if reading.text_month && long && reading.two_digits {
                reading.day = reading.year;
                reading.year = number;
                reading.two_digits = false;
                return Ok(DAY);
            }
            DAY
        }
        known if known == MONTH | DAY => YEAR,
        DATE => return run_together(text, reading.mask, reading),
        _ => return Err(Wrong::Format),
    };
    match mask {
        YEAR => {
            reading.year = number;
            reading.two_digits = text.len() <= 2;
        }
        MONTH => reading.month = number,
        _ => reading.day = number,
    }
    Ok(mask)
}

/// `DecodeNumberField`: `yyyymmdd`, `yymmdd`, `hhmmss`, `hhmm`.
pub(super) fn run_together(text: &str, known: u32, reading: &mut Reading) -> Result<u32, Wrong> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, rest)) => (whole, Some(rest)),
        None => (text, None),
    };
    if !whole.chars().all(digit) || fraction.is_some_and(|rest| !rest.chars().all(digit)) {
        return Err(Wrong::Format);
    }
    let length = whole.len();
    let pair = |end: usize| -> Result<i64, Wrong> {
        value(whole.get(length.saturating_sub(end)..length.saturating_sub(end - 2)).unwrap_or(""))
    };
    if fraction.is_none() && known & DATE != DATE && length >= 6 {
        let year = whole.get(..length - 4).unwrap_or("");
        (reading.day, reading.month, reading.year) = (pair(2)?, pair(4)?, value(year)?);
        reading.two_digits = year.len() == 2;
        return Ok(DATE);
    }
    if known & TIME == TIME {
        return Err(Wrong::Format);
    }
    reading.clock = match length {
        6 => Clock { hour: pair(6)?, minute: pair(4)?, second: pair(2)?, fraction: 0.0 },
        4 => Clock { hour: pair(4)?, minute: pair(2)?, ..Clock::default() },
        _ => return Err(Wrong::Format),
    };
    Ok(TIME)
}
