//! Prices of bytes, as a person writes them: `0.09 EUR/GB`.

use std::fmt;
use std::str::FromStr;

use super::Expected;
use crate::types::{ByteCount, parse_size};

/// What a number of bytes costs. Counted in millionths, never in binary fractions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    millionths: u64,
    currency: String,
    per: ByteCount,
    unit: String,
}

impl Price {
    /// What `bytes` cost, for people: `1234.50 EUR`.
    pub fn of(&self, bytes: ByteCount) -> String {
        let cents = self.millionths_of(bytes).div_ceil(10_000);
        format!("{}.{:02} {}", cents / 100, cents % 100, self.currency)
    }

    /// What `bytes` cost, in millionths of the currency.
    pub fn millionths_of(&self, bytes: ByteCount) -> u128 {
        (u128::from(self.millionths) * u128::from(bytes)).div_ceil(u128::from(self.per))
    }

    /// The currency, as it was written.
    pub fn currency(&self) -> &str {
        &self.currency
    }
}

impl FromStr for Price {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        let expected = || Expected("a price such as \"0.09 EUR/GB\"".to_owned());
        let (amount, unit) = text.trim().split_once('/').ok_or_else(expected)?;
        let digits = amount
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .ok_or_else(expected)?;
        let (number, currency) = amount.split_at(digits);
        let currency = currency.trim();
        let one_word = !currency.is_empty()
            && currency.chars().count() <= 8
            && !currency
                .chars()
                .any(|c| c.is_control() || c.is_whitespace());
        let unit = unit.trim();
        let named = unit.chars().all(|c| c.is_ascii_alphabetic());
        let per = parse_size(&format!("1 {unit}")).map_err(|_| expected())?;
        let millionths = millionths(number).ok_or_else(expected)?;
        if !one_word || !named {
            return Err(expected());
        }
        Ok(Self {
            millionths,
            currency: currency.to_owned(),
            per,
            unit: unit.to_owned(),
        })
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.millionths / 1_000_000, self.millionths % 1_000_000);
        let part = format!("{part:06}");
        let part = part.trim_end_matches('0');
        let point = if part.is_empty() { "" } else { "." };
        write!(f, "{whole}{point}{part} {}/{}", self.currency, self.unit)
    }
}

/// A decimal number with at most six places, in millionths.
fn millionths(number: &str) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if part.len() > 6 || whole.is_empty() || part.contains('.') {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let part: u64 = format!("{part:0<6}").parse().ok()?;
    whole.checked_mul(1_000_000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{GIB, TIB};

    #[test]
    fn prices_are_read_and_written() {
        for (text, written) in [
            ("0.09 EUR/GB", "0.09 EUR/GB"),
            ("0.0230USD/GiB", "0.023 USD/GiB"),
            ("12 €/TB", "12 €/TB"),
        ] {
            assert_eq!(text.parse::<Price>().unwrap().to_string(), written);
        }
        for text in [
            "",
            "0.09",
            "0.09 EUR",
            "EUR/GB",
            "0.09/GB",
            "-1 EUR/GB",
            "0.0000001 EUR/GB",
            "1.2.3 EUR/GB",
            "1 EUR/parsec",
            "1 EUR/3 GB",
            "99999999999999999999 EUR/GB",
        ] {
            assert!(text.parse::<Price>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn costs_add_up_to_the_cent() {
        let price: Price = "0.09 EUR/GiB".parse().unwrap();
        assert_eq!(price.of(0), "0.00 EUR");
        assert_eq!(price.of(1), "0.01 EUR", "never less than it costs");
        assert_eq!(price.of(100 * GIB), "9.00 EUR");
        assert_eq!(price.of(40 * TIB), "3686.40 EUR");
        assert_eq!(price.millionths_of(GIB), 90_000);
        let dear: Price = "1000000 X/B".parse().unwrap();
        assert!(dear.of(ByteCount::MAX).ends_with(" X"));
    }
}
