//! Names that Content Server can hold.
//!
//! A node name has 1 to 248 UTF-16 units, no colon, and no white space at its ends; clients choke
//! on control characters. [`map_name`] makes such a name of any text, so that different texts give
//! different names: whatever had to be changed carries `~` and eight digits of the original's
//! SHA-256 before the extension, and so does an original that already looks like that. (Two of
//! them meet only if everything else is equal *and* 32 bits of SHA-256 collide.)
//!
//! Names that differ only by case are both kept as they are, because a case-sensitive database
//! holds both. Whether the server's does is unknown, so a flow compares the [`fold`]ed names
//! within one container before it files two of them.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

/// Longest node name, in UTF-16 units.
pub const MAX_NAME: usize = 248;
/// Longest text after the last dot that counts as an extension, in UTF-16 units.
const MAX_EXTENSION: usize = 32;
const HASH_DIGITS: usize = 8;
/// Shortest limit that leaves room for an extension, a suffix and some of the name itself.
const LEAST_LIMIT: usize = 64;

/// What names a server holds, as far as servers may differ. The default is what is documented.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NameRules {
    /// Longest name, in UTF-16 units: 64 to [`MAX_NAME`].
    pub limit: usize,
    /// Characters that are refused beside the colon.
    pub refused: String,
    /// Whether dots at the end stay.
    pub final_dots: bool,
    /// Whether characters beyond the basic plane (most emoji) stay.
    pub astral: bool,
}

impl Default for NameRules {
    fn default() -> Self {
        Self {
            limit: MAX_NAME,
            refused: String::new(),
            final_dots: true,
            astral: true,
        }
    }
}

impl NameRules {
    /// The name the destination holds for `original`. Deterministic; not idempotent, a mapped name
    /// is no original.
    pub fn map(&self, original: &str) -> String {
        let limit = self.limit.clamp(LEAST_LIMIT, MAX_NAME);
        let cleaned: String = original
            .nfc()
            .map(|c| if self.refuses(c) { '_' } else { c })
            .collect();
        let cleaned = self.trim(&cleaned);
        if cleaned == original && fits(cleaned, limit) && !looks_suffixed(cleaned) {
            return cleaned.to_owned();
        }
        let (stem, extension) = split(cleaned);
        let digest = Sha256::digest(original.as_bytes());
        let suffix = format!("~{}", &hex::encode(digest)[..HASH_DIGITS]);
        let room = limit - units(extension) - units(&suffix);
        let stem = match cut(stem, room).trim_end() {
            "" => "_",
            stem => stem,
        };
        format!("{stem}{suffix}{extension}")
    }

    /// Whether `name` can be held as it is.
    pub fn holds(&self, name: &str) -> bool {
        let limit = self.limit.clamp(LEAST_LIMIT, MAX_NAME);
        fits(name, limit) && self.trim(name) == name && !name.chars().any(|c| self.refuses(c))
    }

    fn refuses(&self, c: char) -> bool {
        refused(c) || self.refused.contains(c) || (!self.astral && c > '\u{ffff}')
    }

    fn trim<'a>(&self, name: &'a str) -> &'a str {
        if self.final_dots {
            return name.trim();
        }
        name.trim()
            .trim_end_matches(|c: char| c == '.' || c.is_whitespace())
    }
}

/// The name that a server holds of which nothing more is known than what is documented; see
/// [`NameRules::map`].
pub fn map_name(original: &str) -> String {
    NameRules::default().map(original)
}

/// What two names have in common when some database may take them for one: compatibility forms,
/// case and trailing white space are levelled. Only ever compared, never filed.
pub fn fold(name: &str) -> String {
    name.trim_end()
        .nfkc()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfc()
        .collect()
}

/// At most `limit` UTF-16 units from the start of `text`, never half a character.
pub(super) fn cut(text: &str, limit: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.len_utf16();
        if used > limit {
            return &text[..at];
        }
    }
    text
}

/// Characters replaced: the colon, controls, line separators, and the marks that make a name read
/// in another direction than it is written.
fn refused(c: char) -> bool {
    c == ':'
        || c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

fn fits(name: &str, limit: usize) -> bool {
    !name.is_empty() && units(name) <= limit
}

/// Stem and extension (with its dot, or empty).
pub(super) fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && (2..=MAX_EXTENSION + 1).contains(&units(&name[dot..])) => {
            name.split_at(dot)
        }
        _ => (name, ""),
    }
}

/// Whether a name could be one that [`map_name`] made: with its extension, or without any.
fn looks_suffixed(name: &str) -> bool {
    [name, split(name).0].into_iter().any(|stem| {
        stem.rsplit_once('~').is_some_and(|(_, digits)| {
            digits.len() == HASH_DIGITS
                && digits
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts that come close to each other and to the rules: any characters, plus a small alphabet
    /// in which twins are likely.
    fn any_name() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[aA:_. ~\u{e9}e\u{301}\u{1F3AC}\u{0}\t]{0,12}",
            "[a:~0-9]{0,4}[.]?~[0-9a-f]{8}(\\.mov)?",
            "[a\u{1F3AC}]{240,260}(\\.[a-z]{1,40})?",
        ]
    }

    proptest! {
        #[test]
        fn a_mapped_name_obeys_the_rules(original in any_name()) {
            let name = map_name(&original);
            prop_assert_eq!(&name, &map_name(&original));
            prop_assert!(!name.is_empty() && units(&name) <= MAX_NAME, "{} units", units(&name));
            prop_assert!(!name.contains(':') && !name.chars().any(char::is_control));
            prop_assert_eq!(name.trim(), &name);
        }

        #[test]
        fn different_originals_get_different_names(a in any_name(), b in any_name()) {
            prop_assert_eq!(a == b, map_name(&a) == map_name(&b));
        }

        #[test]
        fn a_mapped_name_taken_for_an_original_gets_another_name(original in any_name()) {
            let name = map_name(&original);
            prop_assert!(name == original || map_name(&name) != name);
        }

        #[test]
        fn normalisation_twins_are_kept_apart_and_fold_together(original in any_name()) {
            let (composed, decomposed) = (
                original.nfc().collect::<String>(),
                original.nfd().collect::<String>(),
            );
            prop_assert_eq!(composed == decomposed, map_name(&composed) == map_name(&decomposed));
            prop_assert_eq!(fold(&composed), fold(&decomposed));
        }
    }

    proptest! {
        /// As they are published in one container that may not tell case or composed letters
        /// apart: who comes second gets its marker's suffix.
        #[test]
        fn names_in_one_container_differ_even_when_folded(originals in proptest::collection::hash_set(any_name(), 1..12)) {
            let mut held = std::collections::HashSet::new();
            for (number, original) in originals.iter().enumerate() {
                let marker = format!("{number:06}");
                let mut name = map_name(original);
                if held.contains(&fold(&name)) {
                    name = crate::transfer::suffixed(&name, &marker, map_name);
                }
                prop_assert!(units(&name) <= MAX_NAME);
                prop_assert!(held.insert(fold(&name)), "{name:?} is there already");
            }
        }
    }

    #[test]
    fn a_name_within_the_rules_stays_as_it_is() {
        for name in [
            "a.mov",
            "Director's cut",
            ".profile",
            "caf\u{e9}",
            "\u{1F3AC} take 1.mxf",
            "a/b\\c*?",
        ] {
            assert_eq!(map_name(name), name);
        }
    }

    #[test]
    fn what_was_changed_shows_it_before_the_extension() {
        let name = map_name("Reel 1: final.mov");
        assert!(
            name.starts_with("Reel 1_ final~") && name.ends_with(".mov"),
            "{name}"
        );
        assert_eq!(units(&name), "Reel 1_ final~01234567.mov".len());
        assert!(map_name("").starts_with("_~"));
        assert!(map_name(" a ").starts_with("a~"));
        assert!(map_name("exe\u{202E}vom.a").starts_with("exe_vom~"));
    }

    #[test]
    fn a_long_name_is_cut_in_its_stem() {
        let name = map_name(&format!("{}.mov", "\u{1F3AC}".repeat(200)));
        assert!(units(&name) <= MAX_NAME && units(&name) >= MAX_NAME - 1);
        assert!(name.ends_with(".mov"));
        let no_extension = map_name(&format!("a.{}", "b".repeat(300)));
        assert_eq!(units(&no_extension), MAX_NAME);
    }

    proptest! {
        #[test]
        fn a_stricter_server_gets_names_it_holds(original in any_name(), limit in 0usize..300) {
            let rules = NameRules {
                limit,
                refused: "/?#".to_owned(),
                final_dots: false,
                astral: false,
            };
            let name = rules.map(&original);
            prop_assert!(units(&name) <= limit.clamp(LEAST_LIMIT, MAX_NAME));
            prop_assert!(!name.contains(['/', '?', ':']) && !name.ends_with('.'));
            let basic = name.chars().all(|c| c <= '\u{ffff}');
            prop_assert!(basic);
            prop_assert!(rules.holds(&name), "{name}");
        }
    }

    #[test]
    fn the_mapping_never_changes_between_releases() {
        assert_eq!(map_name("a:b.mov"), "a_b~b38c9188.mov");
    }

    #[test]
    fn case_and_width_twins_fold_together() {
        assert_eq!(fold("Straße.MOV"), fold("STRASSE.mov"));
        assert_eq!(fold("A\u{ff21} "), fold("aa"));
        assert_ne!(fold("a.mov"), fold("b.mov"));
    }
}
