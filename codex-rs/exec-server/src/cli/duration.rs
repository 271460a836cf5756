//! Lengths of time as people write them: `90`, `1.5`, `30s`, `10m`, `24h`, `2d`.

use std::time::Duration;

/// What to write.
const FORM: &str = "write a number of seconds such as 1.5, or a time such as 90s, 10m, 24h";

/// Reads a length of time: a number of seconds, or a number with a unit. Fractions are fine; zero is not.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds_per_unit = match &text[digits.len()..] {
        _ if digits.is_empty() => return Err(FORM.to_owned()),
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        unit => return Err(format!("unknown unit {unit}; write ms, s, m, h or d")),
    };
    let number: f64 = digits.parse().map_err(|_| FORM.to_owned())?;
    let time = Duration::try_from_secs_f64(number * seconds_per_unit).map_err(|error| error.to_string())?;
    if time.is_zero() { Err("must be more than 0".to_owned()) } else { Ok(time) }
}

/// The same the other way round, as short as it can be said exactly to the second.
pub(super) fn show(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        _ if seconds.is_multiple_of(86_400) => format!("{} d", seconds / 86_400),
        _ if seconds.is_multiple_of(3_600) => format!("{} h", seconds / 3_600),
        _ if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

/// How long ago something was, roughly: `12 s`, `3 min`, `5 h`, `2 d`.
pub(super) fn rough(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7_200 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// Whole milliseconds, as the wire counts.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_unit_and_in_fractions() {
        for (text, ms) in [
            ("90", 90_000),
            ("1.5", 1_500),
            ("250ms", 250),
            ("30s", 30_000),
            ("1.5m", 90_000),
            ("2d", 172_800_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "write a number"),
            ("h", "write a number"),
            ("0", "more than 0"),
            ("-1", "negative"),
            ("1y", "unknown unit y"),
            ("1 h", "write a number"),
            ("inf", "write a number"),
            ("1e300", "too"),
        ] {
            let refused = parse(text).unwrap_err();
            assert!(refused.contains(reason), "{text}: {refused}");
        }
    }

    #[test]
    fn times_are_shown_exactly_or_roughly() {
        assert_eq!(
            ["86400", "5400", "80", "90m"].map(|text| show(parse(text).unwrap())),
            ["1 d", "90 min", "80 s", "90 min"]
        );
        assert_eq!(
            ["119", "3h", "90m", "3d"].map(|text| rough(parse(text).unwrap())),
            ["119 s", "3 h", "90 min", "3 d"]
        );
    }
}
