//! The values settings can take: rates, durations, proof policies, calendars and choices.
//!
//! Each is read from the text a person writes, and says in its error what was expected.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

use crate::types::{ByteCount, GIB, KIB, MIB, ProofLevel, TIB, display_bytes, parse_size};

/// A text that is not what a setting takes. Says what is; the caller names the setting and what
/// was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expects {0}")]
pub struct Expected(pub String);

/// The highest rate of masters' bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// No limit of ours.
    Unlimited,
    /// Bytes per second, above 0.
    BytesPerSecond(u64),
}

impl Rate {
    /// Bytes per second, `None` when unlimited.
    pub fn bytes_per_second(self) -> Option<u64> {
        match self {
            Self::Unlimited => None,
            Self::BytesPerSecond(bytes) => Some(bytes),
        }
    }
}

impl FromStr for Rate {
    type Err = Expected;

    /// Reads `600 MiB/s`, `4 Gbit/s`, `100 Mbps` or `unlimited`. Bits count in thousands, as
    /// network people write them.
    fn from_str(text: &str) -> Result<Self, Expected> {
        let expected =
            || Expected("a rate such as \"600 MiB/s\", \"4 Gbit/s\" or \"unlimited\"".to_owned());
        let lower = text.trim().to_ascii_lowercase();
        if matches!(lower.as_str(), "unlimited" | "none") {
            return Ok(Self::Unlimited);
        }
        let per_second = if let Some(amount) = lower.strip_suffix("/s") {
            amount.trim_end().to_owned()
        } else if let Some(amount) = lower.strip_suffix("ps") {
            amount.to_owned()
        } else {
            return Err(expected());
        };
        let bytes = match per_second.strip_suffix("bit").or_else(|| {
            // `100 Mbps` is bits too; `100 MBps` cannot be told apart, so `ps` always means bits.
            lower
                .ends_with("ps")
                .then(|| per_second.strip_suffix('b'))?
        }) {
            // Read as bytes with a decimal unit, then divided: "4 g" + "b".
            Some(bits) => parse_size(&format!("{bits}b")).map_err(|_| expected())? / 8,
            None => parse_size(&per_second).map_err(|_| expected())?,
        };
        // The limiter steps in KiB; below that a rate is a mistake rather than a wish.
        if bytes < KIB {
            return Err(Expected(
                "a rate of at least 1 KiB/s, such as \"600 MiB/s\"".to_owned(),
            ));
        }
        Ok(Self::BytesPerSecond(bytes))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::BytesPerSecond(bytes) => write!(f, "{}/s", display_bytes(*bytes)),
        }
    }
}

/// Reads a duration such as `35 min`, `2 s`, `500 ms` or `1 h 30 min`.
///
/// # Errors
///
/// [`Expected`] for anything else: bare numbers, negative ones and days included.
pub fn parse_duration(text: &str) -> Result<Duration, Expected> {
    let expected =
        || Expected("a duration with its unit, such as \"35 min\" or \"2 s\"".to_owned());
    let signed: jiff::SignedDuration = text.trim().parse().map_err(|_| expected())?;
    Duration::try_from(signed).map_err(|_| expected())
}

/// How far an item must be proved before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// The same level for every file.
    Always(ProofLevel),
    /// Read back up to a size, a cheaper level above it.
    UpTo {
        /// The largest size, in bytes, that is read back.
        size: ByteCount,
        /// Level of larger files.
        large: ProofLevel,
    },
}

impl FromStr for Verify {
    type Err = Expected;

    /// Reads `read-back`, `sent`, `size`, or `read-back up to 10 GiB, else sent`.
    fn from_str(text: &str) -> Result<Self, Expected> {
        let text = text.trim();
        let Some((small, rest)) = text.split_once(" up to ") else {
            return proof_level(text).map(Self::Always);
        };
        let expected =
            || Expected("a rule such as \"read-back up to 10 GiB, else sent\"".to_owned());
        let (size, large) = rest.split_once(',').ok_or_else(expected)?;
        let large = large.trim().strip_prefix("else ").ok_or_else(expected)?;
        let size = parse_size(size).map_err(|_| expected())?;
        // Only reading back costs more for larger files, so only it has a size to stop at.
        if proof_level(small.trim())? != ProofLevel::ReadBack {
            return Err(expected());
        }
        Ok(Self::UpTo {
            size,
            large: proof_level(large.trim())?,
        })
    }
}

impl fmt::Display for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always(level) => level.fmt(f),
            Self::UpTo { size, large } => {
                write!(f, "read-back up to {}, else {large}", exact_size(*size))
            }
        }
    }
}

fn proof_level(name: &str) -> Result<ProofLevel, Expected> {
    match ProofLevel::from_name(name) {
        Some(level @ (ProofLevel::ReadBack | ProofLevel::Sent | ProofLevel::Size)) => Ok(level),
        Some(ProofLevel::Stored) => Err(Expected(
            "`read-back`, `sent` or `size`; `stored` needs a digest from the destination, and \
             Content Server gives none"
                .to_owned(),
        )),
        _ => Err(Expected(
            "`read-back`, `sent`, `size`, or a rule such as \"read-back up to 10 GiB, else sent\""
                .to_owned(),
        )),
    }
}

/// A size with the largest unit that divides it, so that reading it again gives the same number.
fn exact_size(bytes: ByteCount) -> String {
    [(TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")]
        .into_iter()
        .find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit))
        .map_or_else(
            || format!("{bytes} B"),
            |(unit, name)| format!("{} {name}", bytes / unit),
        )
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every word it can be written as.
            pub const WORDS: &'static [&'static str] = &[$($text),+];
        }

        impl FromStr for $name {
            type Err = Expected;

            fn from_str(text: &str) -> Result<Self, Expected> {
                match text.trim() {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(Expected(format!("\"{}\"", Self::WORDS.join("\" or \"")))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text),+ })
            }
        }
    };
}

choice!(
    /// Which versions of an asset are filed.
    Versions {
        /// Every version, in order.
        All = "all",
        /// Only the current one.
        Current = "current",
    }
);
choice!(
    /// How versions of a document are counted.
    Versioning {
        /// One after the other: 1, 2, 3.
        Standard = "standard",
        /// Each is a major one: 1.0, 2.0, 3.0.
        Major = "major",
        /// Each is a minor one: 0.1, 0.2, 0.3.
        Minor = "minor",
    }
);
choice!(
    /// Whether the bytes are compared with an MD5 of the source.
    SourceMd5 {
        /// Where the source quotes one.
        WhenQuoted = "when quoted",
        /// Never.
        Never = "never",
    }
);
choice!(
    /// What happens to a master that is too large for one document.
    Oversize {
        /// It is parked with the reason.
        Refuse = "refuse",
        /// It becomes numbered segment documents and a joining manifest.
        Split = "split",
    }
);
choice!(
    /// What happens to a master whose content another asset has too.
    Duplicates {
        /// It is filed as well; plan and report say so.
        File = "file",
        /// It is held for a person, where the source's checksum shows it before it moves.
        Hold = "hold",
    }
);
choice!(
    /// Whether a proxy is used.
    Proxy {
        /// As `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say.
        Environment = "environment",
        /// Never.
        None = "none",
    }
);

/// A window of the week with its own rate.
#[derive(Clone, Debug, PartialEq)]
pub struct CalendarRule {
    /// The days on which the window begins.
    pub days: Vec<Weekday>,
    /// When it begins.
    pub from: Time,
    /// When it ends. At or before `from` it ends on the next day; equal means 24 hours.
    pub to: Time,
    /// The zone that days and times are meant in.
    pub zone: TimeZone,
    /// The rate inside the window; `None` when nothing may be begun in it (`pause`).
    pub bandwidth: Option<Rate>,
}

const WEEK: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Reads the bandwidth of a calendar rule: a rate, or `pause`.
///
/// # Errors
///
/// [`Expected`] for anything else.
pub(super) fn parse_window_rate(text: &str) -> Result<Option<Rate>, Expected> {
    if text.trim().eq_ignore_ascii_case("pause") {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|Expected(what)| Expected(format!("{what}, or \"pause\"")))
}

/// Reads days: `mon-fri`, `sat,sun`, `fri-mon`, `daily`. In the order of the week, once each.
///
/// # Errors
///
/// [`Expected`] for anything else.
pub(super) fn parse_days(text: &str) -> Result<Vec<Weekday>, Expected> {
    let expected = || Expected("days such as \"mon-fri\", \"sat,sun\" or \"daily\"".to_owned());
    let index = |name: &str| {
        WEEK.iter()
            .position(|(short, _)| *short == name.trim())
            .ok_or_else(expected)
    };
    let mut chosen = [false; 7];
    for piece in text.to_ascii_lowercase().split(',') {
        let (first, last) = match piece.split_once('-') {
            Some((first, last)) => (index(first)?, index(last)?),
            None if piece.trim() == "daily" => (0, 6),
            None => (index(piece)?, index(piece)?),
        };
        let mut day = first;
        loop {
            chosen[day] = true;
            if day == last {
                break;
            }
            day = (day + 1) % 7;
        }
    }
    Ok(WEEK
        .iter()
        .zip(chosen)
        .filter_map(|((_, day), chosen)| chosen.then_some(*day))
        .collect())
}

/// Reads a time of day: `08:00`; `24:00` is the next midnight.
///
/// # Errors
///
/// [`Expected`] for anything else.
pub(super) fn parse_time(text: &str) -> Result<Time, Expected> {
    let expected = || Expected("a time of day such as \"08:00\"".to_owned());
    let (hours, minutes) = text.trim().split_once(':').ok_or_else(expected)?;
    let number = |digits: &str| {
        (digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit()))
            .then(|| digits.parse::<i8>().ok())
            .flatten()
    };
    match (number(hours), number(minutes)) {
        (Some(24), Some(0)) => Ok(Time::midnight()),
        (Some(hours), Some(minutes)) => Time::new(hours, minutes, 0, 0).map_err(|_| expected()),
        _ => Err(expected()),
    }
}

/// Reads a time zone of this machine's database, or `system` for the machine's own.
///
/// # Errors
///
/// [`Expected`] for a name the database does not have.
pub(super) fn parse_zone(text: &str) -> Result<TimeZone, Expected> {
    let name = text.trim();
    if name == "system" {
        return Ok(TimeZone::system());
    }
    TimeZone::get(name).map_err(|_| {
        Expected(
            "a time zone of this machine's database, such as \"Europe/Berlin\", or \"system\""
                .to_owned(),
        )
    })
}

#[cfg(test)]
mod window_tests {
    use super::*;

    #[test]
    fn a_window_has_a_rate_or_begins_nothing() {
        assert_eq!(parse_window_rate(" Pause "), Ok(None));
        assert_eq!(parse_window_rate("unlimited"), Ok(Some(Rate::Unlimited)));
        let expected = parse_window_rate("slow").unwrap_err().to_string();
        assert!(expected.contains("pause"), "{expected}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_in_bytes_and_bits() {
        for (text, bytes) in [
            ("600 MiB/s", Some(600 * MIB)),
            ("600MB/s", Some(600_000_000)),
            ("1.5 GiB/s", Some(3 * GIB / 2)),
            ("4 Gbit/s", Some(500_000_000)),
            ("100 Mbps", Some(12_500_000)),
            ("8000 kbit/s", Some(1_000_000)),
            ("unlimited", None),
        ] {
            assert_eq!(
                text.parse::<Rate>().map(Rate::bytes_per_second),
                Ok(bytes),
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_is_not_a_rate_says_what_is() {
        for text in [
            "", "600 MiB", "fast", "0 MiB/s", "/s", "bit/s", "-1 MiB/s", "ps",
        ] {
            let error = text.parse::<Rate>().unwrap_err();
            assert!(error.to_string().contains("600 MiB/s"), "{text:?}: {error}");
        }
    }

    #[test]
    fn durations_need_their_unit() {
        for (text, seconds) in [
            ("35 min", 2100.0),
            ("2 s", 2.0),
            ("500 ms", 0.5),
            ("1 h 30 min", 5400.0),
        ] {
            assert_eq!(
                parse_duration(text).map(|d| d.as_secs_f64()),
                Ok(seconds),
                "{text:?}"
            );
        }
        for text in ["35", "", "-2 s", "soon", "3 days", "1 mo"] {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_proof_policy_is_a_level_or_a_rule_by_size() {
        assert_eq!("sent".parse(), Ok(Verify::Always(ProofLevel::Sent)));
        let rule: Verify = "read-back up to 10 GiB, else sent".parse().unwrap();
        assert_eq!(
            rule,
            Verify::UpTo {
                size: 10 * GIB,
                large: ProofLevel::Sent
            }
        );
        assert_eq!(rule.to_string(), "read-back up to 10 GiB, else sent");
        assert_eq!(rule.to_string().parse(), Ok(rule));
    }

    #[test]
    fn levels_that_prove_nothing_or_cannot_be_had_are_refused() {
        let error = "stored".parse::<Verify>().unwrap_err().to_string();
        assert!(error.contains("Content Server gives none"), "{error}");
        for text in [
            "none",
            "",
            "read-back up to",
            "read-back up to 10 GiB",
            "read-back up to many, else sent",
            "read-back up to 1 GiB, else none",
            "sent up to 1 GiB, else size",
        ] {
            assert!(text.parse::<Verify>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn days_may_wrap_around_the_weekend() {
        use Weekday::{Friday, Monday, Saturday, Sunday, Tuesday};
        assert_eq!(
            parse_days("fri-tue"),
            Ok(vec![Monday, Tuesday, Friday, Saturday, Sunday])
        );
        assert_eq!(parse_days("Sat, Sun"), Ok(vec![Saturday, Sunday]));
        assert_eq!(parse_days("daily").map(|days| days.len()), Ok(7));
        for text in ["", "someday", "mon-", "mon fri"] {
            assert!(parse_days(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_day_ends_at_24() {
        assert_eq!(parse_time("24:00"), Ok(Time::midnight()));
        assert_eq!(
            parse_time("08:30").map(|t| (t.hour(), t.minute())),
            Ok((8, 30))
        );
        for text in ["8", "8:30", "24:01", "12:60", "noon", "-1:00", "+1:+2"] {
            assert!(parse_time(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn choices_name_their_words() {
        assert_eq!("split".parse(), Ok(Oversize::Split));
        let error = "maybe".parse::<SourceMd5>().unwrap_err().to_string();
        assert_eq!(error, "expects \"when quoted\" or \"never\"");
    }
}
