//! Dates and times, read as PostgreSQL's `datetime.c` reads them under `DateStyle = ISO, MDY`.

mod fields;
mod number;
mod word;

use super::{Bad, Facts};
use crate::typing::builtin::Builtin;
pub(super) use fields::{Field, Token, split};
use number::Clock;
pub(super) use number::clock;
use word::Word;

pub(super) const YEAR: u32 = 1 << 2;
pub(super) const MONTH: u32 = 1 << 1;
pub(super) const DAY: u32 = 1 << 3;
pub(super) const DOY: u32 = 1 << 15;
pub(super) const DATE: u32 = YEAR | MONTH | DAY;
pub(super) const TIME: u32 = (1 << 10) | (1 << 11) | (1 << 12);
pub(super) const ZONE: u32 = 1 << 5;

/// Why it is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    Format,
    Overflow,
    Displacement,
    Zone(()),
}

/// What has been read.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    pub(super) mask: u32,
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) clock: Clock,
    pub(super) two_digits: bool,
    pub(super) text_month: bool,
    /// Three numbers below 13 whose order is a convention.
    pub(super) order: bool,
    special: Special,
}

impl Reading {
    fn zoned(&self) -> bool {
        self.mask & ZONE != 0
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Special {
    #[default]
    None,
    Moving,
    /// `epoch` and the infinities.
    Fixed,
}

/// A `date`, `timestamp` or `timestamptz`.
pub(super) fn moment(builtin: &Builtin, text: &str, internal: &str) -> Result<Facts, Bad> {
    let name = match internal {
        "timestamptz" => "timestamp with time zone",
        other => other,
    };
    let reading = read(builtin, text).map_err(|wrong| said(wrong, name, text))?;
    let ordinary = reading.special == Special::None;
    let (least, most) = if internal == "date" { (-4713, 5_874_897) } else { (-4713, 294_276) };
    if ordinary && !(least..=most).contains(&reading.year) {
        return Err(Bad::new("22008", format!("{internal} out of range: \"{text}\"")));
    }
    Ok(Facts {
        zone: internal == "timestamptz" && ordinary && !reading.zoned(),
        order: reading.order,
        moving: reading.special == Special::Moving,
    })
}

/// A number that orders moments, where none depends on the session.
pub(super) fn instant(builtin: &Builtin, text: &str) -> Option<f64> {
    let reading = read(builtin, text).ok()?;
    let special = text.trim().to_ascii_lowercase();
    match reading.special {
        Special::Fixed if special.contains("-infinity") => Some(f64::NEG_INFINITY),
        Special::Fixed if special.contains("infinity") => Some(f64::INFINITY),
        Special::Moving | Special::Fixed => None,
        Special::None if reading.zoned() => None,
        Special::None => {
            let days = (reading.year * 12 + reading.month) * 31 + reading.day;
            let seconds = (reading.clock.hour * 60 + reading.clock.minute) * 60 + reading.clock.second;
            let whole = i32::try_from(days).ok()?;
            Some(
                f64::from(whole) * 86_401.0
                    + f64::from(i32::try_from(seconds).ok()?)
                    + reading.clock.fraction,
            )
        }
    }
}

fn said(wrong: Wrong, name: &str, text: &str) -> Bad {
    match wrong {
        Wrong::Format => Bad::new("22007", format!("invalid input syntax for type {name}: \"{text}\"")),
        Wrong::Overflow => Bad::new("22008", format!("date/time field value out of range: \"{text}\"")),
        Wrong::Displacement => Bad::new("22009", format!("time zone displacement out of range: \"{text}\"")),
        Wrong::Zone(()) => Bad::new("22023", format!("time zone not recognized: \"{text}\"")),
    }
}

fn read(builtin: &Builtin, text: &str) -> Result<Reading, Wrong> {
    let fields = split(text)?;
    let mut reading = Reading::default();
    let mut state = State::default();
    for field in &fields {
        let mask = one(builtin, field, &mut reading, &mut state)?;
        if mask & reading.mask != 0 {
            return Err(Wrong::Format);
        }
        reading.mask |= mask;
    }
    if state.pending.is_some() {
        return Err(Wrong::Format);
    }
    if reading.special == Special::Fixed {
        return Ok(reading);
    }
    validate(&mut reading, &state)?;
    if state.meridiem.is_some() && reading.clock.hour > 12 {
        return Err(Wrong::Overflow);
    }
    if reading.mask & DATE == DATE { Ok(reading) } else { Err(Wrong::Format) }
}

/// What words before a field make of it.
#[derive(Debug, Default)]
struct State {
    pending: Option<Pending>,
    meridiem: Option<()>,
    before_christ: bool,
    julian: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pending {
    Julian,
    Time,
    Other,
}

fn one(builtin: &Builtin, field: &Field, reading: &mut Reading, state: &mut State) -> Result<u32, Wrong> {
    let text = field.text.as_str();
    match field.token {
        Token::Date => date_field(builtin, text, reading, state),
        Token::Time => {
            if state.pending.take().is_some_and(|pending| pending != Pending::Time) {
                return Err(Wrong::Format);
            }
            reading.clock = clock(text)?;
            if reading.clock.overflows() { Err(Wrong::Overflow) } else { Ok(TIME) }
        }
        Token::Zone => number::displacement(text).map(|()| ZONE),
        Token::Number => match state.pending.take() {
            Some(Pending::Julian) => {
                let digits = text.split('.').next().unwrap_or("");
                digits.parse::<i32>().map_err(|_| Wrong::Overflow)?;
                (reading.year, reading.month, reading.day) = (2000, 1, 1);
                state.julian = true;
                Ok(if text.contains('.') { DATE | TIME } else { DATE })
            }
            Some(Pending::Time) => {
                let mask = number::run_together(text, reading.mask | DATE, reading)?;
                if mask == TIME { Ok(mask) } else { Err(Wrong::Format) }
            }
            Some(Pending::Other) => Err(Wrong::Format),
            None => number::plain(text, reading),
        },
        Token::Word => word_field(builtin, text, reading, state),
    }
}

fn date_field(builtin: &Builtin, text: &str, reading: &mut Reading, state: &mut State) -> Result<u32, Wrong> {
    if state.pending == Some(Pending::Julian) {
        state.pending = None;
        let at = text.find(['-', '+']).ok_or(Wrong::Format)?;
        number::displacement(text.get(at..).unwrap_or(""))?;
        (reading.year, reading.month, reading.day) = (2000, 1, 1);
        return Ok(DATE | TIME | ZONE);
    }
    if state.pending.is_none() && reading.mask & (MONTH | DAY) != MONTH | DAY {
        return number::date(text, reading);
    }
    let pending = state.pending.take();
    if pending.is_some() || text.starts_with(|c: char| c.is_ascii_digit()) {
        if pending.is_some_and(|pending| pending != Pending::Time) || reading.mask & TIME == TIME {
            return Err(Wrong::Format);
        }
        let (digits, _) = text.split_once('-').ok_or(Wrong::Format)?;
        number::displacement(text.get(digits.len()..).unwrap_or(""))?;
        return Ok(number::run_together(digits, reading.mask, reading)? | ZONE);
    }
    if builtin.is_zone(text) { Ok(ZONE) } else { Err(Wrong::Zone(())) }
}

fn word_field(builtin: &Builtin, text: &str, reading: &mut Reading, state: &mut State) -> Result<u32, Wrong> {
    if builtin.is_abbreviation(text) {
        return Ok(ZONE);
    }
    match word::word(text, builtin.major) {
        Some(Word::Ignored) => Ok(0),
        Some(Word::Now) => {
            reading.special = Special::Moving;
            (reading.year, reading.month, reading.day) = (2000, 1, 1);
            Ok(DATE | TIME | ZONE)
        }
        Some(Word::Day) => {
            reading.special = Special::Moving;
            (reading.year, reading.month, reading.day) = (2000, 1, 1);
            Ok(DATE)
        }
        Some(Word::Midnight) => Ok(TIME | ZONE),
        Some(Word::Fixed) => {
            reading.special = Special::Fixed;
            Ok(DATE | TIME | ZONE)
        }
        Some(Word::Month(month)) => {
            let mut mask = MONTH;
            let numeric = reading.mask & MONTH != 0 && !reading.text_month && reading.mask & DAY == 0;
            if numeric && (1..=31).contains(&reading.month) {
                reading.day = reading.month;
                mask = DAY;
            }
            reading.text_month = true;
            reading.month = month;
            Ok(mask)
        }
        Some(Word::Weekday) => Ok(1 << 25),
        Some(Word::Meridiem) => {
            state.meridiem = Some(());
            Ok(1 << 9)
        }
        Some(Word::Era(before)) => {
            state.before_christ = before;
            Ok(1 << 18)
        }
        Some(Word::Saving) => Ok(1 << 28),
        Some(Word::Unit(julian)) => {
            if state.pending.is_some() {
                return Err(Wrong::Format);
            }
            state.pending = Some(if julian { Pending::Julian } else { Pending::Other });
            Ok(0)
        }
        Some(Word::TimeFollows) => {
            if state.pending.is_some() || reading.mask & DATE != DATE {
                return Err(Wrong::Format);
            }
            state.pending = Some(Pending::Time);
            Ok(0)
        }
        None if builtin.is_zone(text) => Ok(ZONE),
        None => Err(Wrong::Format),
    }
}

fn validate(reading: &mut Reading, state: &State) -> Result<(), Wrong> {
    if reading.mask & YEAR != 0 && !state.julian {
        if state.before_christ {
            if reading.year <= 0 {
                return Err(Wrong::Overflow);
            }
            reading.year = 1 - reading.year;
        } else if reading.two_digits {
            reading.year += if reading.year < 70 { 2000 } else { 1900 };
        } else if reading.year <= 0 {
            return Err(Wrong::Overflow);
        }
    }
    if reading.mask & DOY != 0 {
        (reading.month, reading.day) = (1, 1);
    }
    let bad_month = reading.mask & MONTH != 0 && !(1..=12).contains(&reading.month);
    let bad_day = reading.mask & DAY != 0 && !(1..=31).contains(&reading.day);
    if bad_month || bad_day {
        return Err(Wrong::Overflow);
    }
    let leap = reading.year % 4 == 0 && (reading.year % 100 != 0 || reading.year % 400 == 0);
    let last = match reading.month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if reading.mask & DATE == DATE && reading.day > last { Err(Wrong::Overflow) } else { Ok(()) }
}

/// A `time` or `timetz`.
pub(super) fn time_of_day(builtin: &Builtin, text: &str, internal: &str) -> Result<Facts, Bad> {
    let name = if internal == "timetz" { "time with time zone" } else { "time" };
    let (mask, moving, zoned) = clock_only(builtin, text).map_err(|wrong| said(wrong, name, text))?;
    if mask & TIME != TIME {
        return Err(said(Wrong::Format, name, text));
    }
    Ok(Facts { zone: internal == "timetz" && !zoned, moving, ..Facts::default() })
}

fn clock_only(builtin: &Builtin, text: &str) -> Result<(u32, bool, bool), Wrong> {
    let fields = split(text)?;
    let mut reading = Reading::default();
    let mut state = State::default();
    let timed = fields.iter().any(|field| field.token == Token::Time);
    for (index, field) in fields.iter().enumerate() {
        let words = field.text.as_str();
        let mask = match field.token {
            Token::Date if index == 0 && timed => number::date(words, &mut reading)?,
            Token::Date if words.starts_with(|c: char| c.is_ascii_digit()) => {
                let (digits, _) = words.split_once('-').ok_or(Wrong::Format)?;
                number::displacement(words.get(digits.len()..).unwrap_or(""))?;
                number::run_together(digits, reading.mask | DATE, &mut reading)? | ZONE
            }
            // A zone whose offset changes needs a date.
            Token::Date if builtin.is_zone(words) && reading.mask & DATE == DATE => ZONE,
            Token::Date => return Err(Wrong::Format),
            Token::Number => {
                state.pending = None;
                number::run_together(words, reading.mask | DATE, &mut reading)?
            }
            Token::Word if word::word(words, builtin.major) == Some(Word::TimeFollows) => {
                state.pending = Some(Pending::Time);
                0
            }
            Token::Word if word::word(words, builtin.major) == Some(Word::Now) => {
                reading.special = Special::Moving;
                TIME
            }
            _ => one(builtin, field, &mut reading, &mut state)?,
        };
        if mask & reading.mask != 0 {
            return Err(Wrong::Format);
        }
        reading.mask |= mask;
    }
    if state.pending.is_some() {
        return Err(Wrong::Format);
    }
    if state.meridiem.is_some() && reading.clock.hour > 12 {
        return Err(Wrong::Overflow);
    }
    if reading.mask & DATE == DATE {
        validate(&mut reading, &state)?;
    }
    Ok((reading.mask, reading.special == Special::Moving, reading.zoned()))
}
