//! The words of dates and times.

/// What a word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Ignored,
    Now,
    /// `today` and its neighbours.
    Day,
    /// `allballs`.
    Midnight,
    Fixed,
    Month(i64),
    Weekday,
    Meridiem,
    /// Whether before Christ.
    Era(bool),
    /// `dst`.
    Saving,
    /// A unit; whether it announces a Julian day.
    Unit(bool),
    TimeFollows,
}

pub(super) fn word(text: &str, major: u32) -> Option<Word> {
    Some(match text {
        "at" | "on" => Word::Ignored,
        "now" => Word::Now,
        "today" | "tomorrow" | "yesterday" => Word::Day,
        "allballs" => Word::Midnight,
        "epoch" | "infinity" | "-infinity" => Word::Fixed,
        "+infinity" if major >= 16 => Word::Fixed,
        "jan" | "january" => Word::Month(1),
        "feb" | "february" => Word::Month(2),
        "mar" | "march" => Word::Month(3),
        "apr" | "april" => Word::Month(4),
        "may" => Word::Month(5),
        "jun" | "june" => Word::Month(6),
        "jul" | "july" => Word::Month(7),
        "aug" | "august" => Word::Month(8),
        "sep" | "sept" | "september" => Word::Month(9),
        "oct" | "october" => Word::Month(10),
        "nov" | "november" => Word::Month(11),
        "dec" | "december" => Word::Month(12),
        "sun" | "sunday" | "mon" | "monday" | "tue" | "tues" | "tuesday" | "wed" | "weds" | "wednesday"
        | "thu" | "thur" | "thurs" | "thursday" | "fri" | "friday" | "sat" | "saturday" => Word::Weekday,
        "am" | "pm" => Word::Meridiem,
        "ad" => Word::Era(false),
        "bc" => Word::Era(true),
        "dst" => Word::Saving,
        "j" | "jd" | "julian" => Word::Unit(true),
        "d" | "dow" | "doy" | "h" | "isodow" | "isoyear" | "m" | "mm" | "s" | "y" => Word::Unit(false),
        "t" => Word::TimeFollows,
        _ => return None,
    })
}
