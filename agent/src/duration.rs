//! Durations as people write and read them.

use std::time::Duration;

/// `500ms`, `1s`, `2m`, `1h`, or `0`.
pub fn parse(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    digits.parse::<u64>().ok().and_then(|count| match unit {
        "ms" => Some(Duration::from_millis(count)),
        "s" => Some(Duration::from_secs(count)),
        "m" => count.checked_mul(60).map(Duration::from_secs),
        "h" => count.checked_mul(3600).map(Duration::from_secs),
        "" if count == 0 => Some(Duration::ZERO),
        _ => None,
    })
}

/// A duration as people say it.
pub fn words(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    match (seconds, millis) {
        (0, millis) => format!("{millis} ms"),
        (seconds, 0) if seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        (seconds, 0) if seconds % 60 == 0 => format!("{} min", seconds / 60),
        (seconds, 0) => format!("{seconds} s"),
        (seconds, millis) => format!("{seconds}.{millis:03} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_naturally() {
        let told = [1500, 90_000, 3_600_000, 20].map(|ms| words(Duration::from_millis(ms)));
        assert_eq!(told, ["1.500 s", "90 s", "1 h", "20 ms"]);
    }

    #[test]
    fn a_duration_has_a_unit_unless_it_is_nothing() {
        assert_eq!(parse("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse("2m"), Some(Duration::from_secs(120)));
        assert_eq!(parse("0"), Some(Duration::ZERO));
        for wrong in ["", "5", "s", "1.5s", "-1s", "1 s", "1d"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
