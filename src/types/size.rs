//! Sizes in bytes: constants, reading and writing them for people.

/// A number of bytes.
pub type ByteCount = u64;

/// 1024 bytes.
pub const KIB: ByteCount = 1024;
/// 1024 KiB.
pub const MIB: ByteCount = 1024 * KIB;
/// 1024 MiB.
pub const GIB: ByteCount = 1024 * MIB;
/// 1024 GiB.
pub const TIB: ByteCount = 1024 * GIB;

/// A text that is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a size; write a number with B, KiB, MiB, GiB, TiB (or kB, MB, GB, TB)")]
pub struct ParseSizeError {
    text: String,
}

/// Reads sizes such as `256 MiB`, `1.5GiB`, `600 MB` or `4096`.
///
/// # Errors
///
/// [`ParseSizeError`] for anything else, negative numbers and values beyond 64 bits included.
pub fn parse_size(text: &str) -> Result<ByteCount, ParseSizeError> {
    let fail = || ParseSizeError {
        text: text.to_owned(),
    };
    let trimmed = text.trim();
    let digits = trimmed
        .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'))
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let number = number.replace('_', "");
    let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" | "k" => KIB,
        "mib" | "m" => MIB,
        "gib" | "g" => GIB,
        "tib" | "t" => TIB,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(fail()),
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(unit).ok_or_else(fail);
    }
    let value = number.parse::<f64>().map_err(|_| fail())? * unit as f64;
    if !(0.0..9.0e18).contains(&value) {
        return Err(fail());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked above to be finite, positive and below 2^63"
    )]
    Ok(value.round() as u64)
}

/// Writes a size for people, with binary units and three significant digits: `3.39 GiB`.
pub fn display_bytes(bytes: ByteCount) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else if value < 10.0 {
        format!("{value:.2} {}", UNITS[unit])
    } else if value < 100.0 {
        format!("{value:.1} {}", UNITS[unit])
    } else {
        format!("{value:.0} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_binary_and_decimal_units() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("256 MiB", 256 * MIB),
            ("1.5GiB", 3 * GIB / 2),
            ("600 MB", 600_000_000),
            ("1_000 B", 1000),
            (" 2 TiB ", 2 * TIB),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_named_in_the_error() {
        for text in [
            "",
            "MiB",
            "-1 MiB",
            "12 parsecs",
            "1e99 TiB",
            "99999999999999999999",
            "1..2",
        ] {
            let error = parse_size(text).unwrap_err();
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn sizes_are_written_for_people() {
        assert_eq!(display_bytes(0), "0 B");
        assert_eq!(display_bytes(1023), "1023 B");
        assert_eq!(display_bytes(3_638_558_720), "3.39 GiB");
        assert_eq!(display_bytes(100 * MIB), "100 MiB");
    }
}
