//! Durations and sizes as people write them: `30s`, `50ms`, `2GiB`.
//!
//! One number and one unit, no fractions, no sums. A bare number is refused:
//! nobody remembers whether it counts seconds or milliseconds.

use std::time::Duration;

const DURATION_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Binary units first: they are what [`show_size`] prefers.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Parses `50ms`, `30s`, `15m`, `12h` or `7d`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let (_, millis) = DURATION_UNITS.into_iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_millis(number.checked_mul(millis)?))
}

/// Writes a duration in the largest unit that divides it.
pub(crate) fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let divides = |(_, size): &&(&str, u64)| millis.is_multiple_of(*size);
    match DURATION_UNITS.iter().rev().find(divides) {
        Some((unit, size)) if millis > 0 => format!("{}{unit}", millis / size),
        _ => format!("{}s", millis / 1_000),
    }
}

/// Parses `512MiB`, `2GiB`, `100MB` or `4096B`, in any letter case.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let (_, bytes) = SIZE_UNITS
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(bytes)
}

/// Writes a size in the largest binary unit that divides it.
pub(crate) fn show_size(bytes: u64) -> String {
    let found = SIZE_UNITS[..4]
        .iter()
        .find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size));
    match found {
        Some((unit, size)) => format!("{}{unit}", bytes / size),
        None => format!("{bytes}B"),
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    Some((text[..end].parse().ok()?, text[end..].trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_number_and_a_unit() {
        for (text, millis) in [
            ("50ms", 50),
            ("30s", 30_000),
            ("15 m", 900_000),
            ("12h", 43_200_000),
            ("7d", 604_800_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)));
        }
        for bad in ["", "30", "s", "1.5s", "-1s", "1 week", "99999999999999999d"] {
            assert_eq!(parse_duration(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn sizes_know_binary_and_decimal_units() {
        for (text, bytes) in [
            ("2GiB", 2 << 30),
            ("100MB", 100_000_000),
            ("512mib", 512 << 20),
            ("4096B", 4096),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for bad in ["", "1024", "2G", "GiB", "1.5GiB", "99999999TiB"] {
            assert_eq!(parse_size(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_shown_parses_back() {
        for text in ["50ms", "30s", "90s", "7d", "0s", "1001ms"] {
            assert_eq!(show_duration(parse_duration(text).unwrap()), text);
        }
        for text in ["2GiB", "100MiB", "1000B", "0B"] {
            assert_eq!(show_size(parse_size(text).unwrap()), text);
        }
    }
}
