//! A calendar day. The compiler knows no clock: whoever calls it says what day it is.

use std::fmt;

/// A day of the Gregorian calendar, as policies write it: `2026-12-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day {
    year: i32,
    month: u32,
    of_month: u32,
}

impl Day {
    /// Reads `YYYY-MM-DD`; nothing for a day that does not exist.
    pub fn parse(text: &str) -> Option<Self> {
        let [year, month, day] = text.split('-').collect::<Vec<_>>().try_into().ok()?;
        let digits = |part: &str, width| part.len() == width && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) || !digits(day, 2) {
            return None;
        }
        let (year, month, day) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
        (1..=last_of(year, month)?).contains(&day).then_some(Self { year, month, of_month: day })
    }

    /// The day of that many seconds since 1970 in UTC; nothing outside the years 0 to 9999.
    pub fn of_unix(seconds: i64) -> Option<Self> {
        // Days are counted in eras of 400 years that begin on 1 March, so the leap day is the last of its year.
        let days = seconds.div_euclid(86_400) + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * of_year + 2) / 153;
        let day = u32::try_from(of_year - (153 * shifted + 2) / 5 + 1).ok()?;
        let month = u32::try_from(if shifted < 10 { shifted + 3 } else { shifted - 9 }).ok()?;
        let year = i32::try_from(year_of_era + era * 400 + i64::from(month <= 2)).ok()?;
        (0..=9999).contains(&year).then_some(Self { year, month, of_month: day })
    }
}

impl Day {
    /// How many days it is after another; negative for an earlier one.
    pub fn days_after(self, other: Self) -> i64 {
        self.number() - other.number()
    }

    /// Days since the beginning of the calendar, counted in years that begin on 1 March.
    fn number(self) -> i64 {
        let shifted = i64::from((self.month + 9) % 12);
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        365 * year + year.div_euclid(4) - year.div_euclid(100)
            + year.div_euclid(400)
            + (153 * shifted + 2) / 5
            + i64::from(self.of_month)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.of_month)
    }
}

fn last_of(year: i32, month: u32) -> Option<u32> {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if leap { 29 } else { 28 }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_that_exists_is_read_and_written_alike() {
        for text in ["1970-01-01", "2024-02-29", "2026-12-31", "2000-02-29"] {
            assert_eq!(Day::parse(text).unwrap().to_string(), text);
        }
        for text in
            ["2026-02-29", "1900-02-29", "2026-13-01", "2026-1-1", "2026-00-10", "tomorrow", "", "2026-01-00"]
        {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }

    #[test]
    fn seconds_since_1970_name_their_day() {
        for (seconds, text) in [
            (0, "1970-01-01"),
            (86_399, "1970-01-01"),
            (86_400, "1970-01-02"),
            (-1, "1969-12-31"),
            (1_709_164_800, "2024-02-29"),
            (1_795_305_600, "2026-11-22"),
        ] {
            assert_eq!(Day::of_unix(seconds).unwrap().to_string(), text);
        }
        assert_eq!(Day::of_unix(i64::MAX), None);
    }

    #[test]
    fn days_are_counted_over_months_and_leap_years() {
        let day = |text| Day::parse(text).unwrap();
        for (later, earlier, days) in [
            ("2026-11-22", "2026-11-22", 0),
            ("2026-03-01", "2026-02-28", 1),
            ("2024-03-01", "2024-02-28", 2),
            ("2026-11-22", "2026-10-01", 52),
            ("2000-03-01", "1900-03-01", 36_525),
            ("1970-01-01", "1970-01-02", -1),
        ] {
            assert_eq!(day(later).days_after(day(earlier)), days, "{later} after {earlier}");
        }
    }

    #[test]
    fn days_order_as_they_follow() {
        assert!(Day::parse("2026-11-22") < Day::parse("2026-11-23"));
        assert!(Day::parse("2026-11-30") < Day::parse("2026-12-01"));
    }
}
