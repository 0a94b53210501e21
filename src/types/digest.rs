//! Digests we computed or were told.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that is not a digest of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind} digest ({digits} hex digits)")]
pub struct ParseDigestError {
    text: String,
    kind: &'static str,
    digits: usize,
}

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseDigestError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0; $len];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseDigestError {
                    text: text.chars().take(80).collect(),
                    kind: $kind,
                    digits: $len * 2,
                })?;
                Ok(Self(bytes))
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseDigestError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(digest: $name) -> Self {
                digest.to_string()
            }
        }
    };
}

digest!(
    /// A SHA-256 that longhaul computed.
    Sha256Digest, "SHA-256", 32
);
digest!(
    /// An MD5, only ever compared with one that the source quotes.
    Md5Digest, "MD5", 16
);
digest!(
    /// The XXH3-128 of one part: tells whether a re-read part is the one that was hashed.
    Xxh3Digest, "XXH3-128", 16
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_round_trip_through_their_text() {
        let digest = Sha256Digest(std::array::from_fn(|i| u8::try_from(i * 7).unwrap()));
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(digest.to_string().len(), 64);
    }

    #[test]
    fn other_texts_are_refused_with_what_was_expected() {
        let error = "0123456789abcdef0123456789abcdef-4"
            .parse::<Md5Digest>()
            .unwrap_err();
        assert!(error.to_string().contains("32 hex digits"), "{error}");
    }
}
