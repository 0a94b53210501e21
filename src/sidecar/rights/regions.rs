//! Where media may be used: countries, their parts, regions of the world.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// UN M49: what each region is made of. From Unicode CLDR 48 (`territoryContainment`).
const M49: &[(&str, &str)] = &[
    ("002", "015 011 017 014 018"),
    ("003", "021 013 029"),
    ("005", "AR BO BR BV CL CO EC FK GF GS GY PE PY SR UY VE"),
    ("009", "053 054 057 061"),
    ("011", "BF BJ CI CV GH GM GN GW LR ML MR NE NG SH SL SN TG"),
    ("013", "BZ CR GT HN MX NI PA SV"),
    (
        "014",
        "BI DJ ER ET IO KE KM MG MU MW MZ RE RW SC SO SS TF TZ UG YT ZM ZW",
    ),
    ("015", "DZ EG EH LY MA SD TN"),
    ("017", "AO CD CF CG CM GA GQ ST TD"),
    ("018", "BW LS NA SZ ZA"),
    ("019", "021 013 029 005"),
    ("021", "BM CA GL PM US"),
    (
        "029",
        "AG AI AW BB BL BQ BS CU CW DM DO GD GP HT JM KN KY LC MF MQ MS PR SX TC TT VC VG VI",
    ),
    ("030", "CN HK JP KP KR MN MO TW"),
    ("034", "AF BD BT IN IR LK MV NP PK"),
    ("035", "BN ID KH LA MM MY PH SG TH TL VN"),
    ("039", "AD AL BA ES GI GR HR IT ME MK MT RS PT SI SM VA XK"),
    ("053", "AU CC CX HM NF NZ"),
    ("054", "FJ NC PG SB VU"),
    ("057", "FM GU KI MH MP NR PW UM"),
    ("061", "AS CK NU PF PN TK TO TV WF WS"),
    ("142", "145 143 030 034 035"),
    ("143", "TM TJ KG KZ UZ"),
    (
        "145",
        "AE AM AZ BH CY GE IL IQ JO KW LB OM PS QA SA SY TR YE",
    ),
    ("150", "154 155 151 039"),
    ("151", "BG BY CZ HU MD PL RO RU SK UA"),
    ("154", "GG IM JE AX DK EE FI FO GB IE IS LT LV NO SE SJ"),
    ("155", "AT BE CH DE FR LI LU MC NL"),
    ("202", "011 017 014 018"),
    ("419", "013 029 005"),
];

/// Countries that M49 puts in no region but the world.
const ELSEWHERE: &str = "AQ";

/// The European Union, which is no region of the United Nations.
const EU: &str = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK";

/// A country (ISO 3166-1 alpha-2), a part of one (ISO 3166-2), a region (UN M49), or the world.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Region(String);

/// A text that names no region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no region: write a country such as `AT`, a part of one such as `DE-BY`, a UN M49 region such as `150`, `EU` or `world`"
)]
pub struct UnknownRegion(String);

impl Region {
    /// The regions that a word names: several for `EU`.
    ///
    /// # Errors
    ///
    /// A word that names none.
    pub fn all(word: &str) -> Result<Vec<Self>, UnknownRegion> {
        if word.trim().eq_ignore_ascii_case("EU") {
            return Ok(EU.split(' ').map(|code| Self(code.to_owned())).collect());
        }
        word.parse().map(|region| vec![region])
    }

    /// Its code.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_world(&self) -> bool {
        self.0 == WORLD
    }

    /// The countries in it; the country itself for one and for a part of one.
    fn countries(&self) -> BTreeSet<&str> {
        fn add<'a>(code: &'a str, into: &mut BTreeSet<&'a str>) {
            match M49.iter().find(|(region, _)| *region == code) {
                Some((_, parts)) => parts.split(' ').for_each(|part| add(part, into)),
                None => {
                    into.insert(code.split('-').next().unwrap_or(code));
                }
            }
        }
        let mut countries = BTreeSet::new();
        if self.is_world() {
            M49.iter()
                .for_each(|(region, _)| add(region, &mut countries));
            countries.insert(ELSEWHERE);
        } else {
            add(&self.0, &mut countries);
        }
        countries
    }

    /// Whether it is a part of a country.
    fn is_part(&self) -> bool {
        self.0.contains('-')
    }

    /// Whether `regions` together hold all of it.
    pub fn is_within(&self, regions: &[Self]) -> bool {
        if regions.contains(self) || regions.iter().any(Self::is_world) {
            return true;
        }
        let whole = regions.iter().filter(|region| !region.is_part());
        let held: BTreeSet<&str> = whole.flat_map(Self::countries).collect();
        self.countries().is_subset(&held)
    }

    /// Whether it and one of `regions` have anything in common.
    pub fn meets(&self, regions: &[Self]) -> bool {
        regions.iter().any(|region| {
            if self.is_part() && region.is_part() {
                return self == region;
            }
            !self.countries().is_disjoint(&region.countries())
        })
    }
}

const WORLD: &str = "world";

impl FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let unknown = || UnknownRegion(text.chars().take(60).collect());
        if text.eq_ignore_ascii_case(WORLD) || text == "001" {
            return Ok(Self(WORLD.to_owned()));
        }
        let code = text.to_ascii_uppercase();
        let is_country = |code: &str| {
            let mut lists = M49.iter().map(|(_, parts)| *parts).chain([ELSEWHERE]);
            code.len() == 2 && lists.any(|parts| parts.split(' ').any(|part| part == code))
        };
        let known = match code.split_once('-') {
            Some((country, part)) => {
                is_country(country)
                    && (1..=3).contains(&part.len())
                    && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
            }
            None => is_country(&code) || M49.iter().any(|(region, _)| *region == code),
        };
        if known {
            Ok(Self(code))
        } else {
            Err(unknown())
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regions(words: &str) -> Vec<Region> {
        let words = words.split(' ').filter(|word| !word.is_empty());
        words.flat_map(|word| Region::all(word).unwrap()).collect()
    }

    #[test]
    fn a_region_is_within_those_that_together_hold_all_of_it() {
        for (asked, held, within) in [
            ("AT", "DE AT", true),
            ("AT", "150", true),
            ("at", "EU", true),
            ("CH", "EU", false),
            ("DE-BY", "DE", true),
            ("DE", "DE-BY", false),
            ("DE-BY", "DE-BY", true),
            ("155", "AT BE CH DE FR LI LU MC NL", true),
            ("155", "AT BE CH DE FR", false),
            ("150", "world", true),
            ("world", "150", false),
            ("AQ", "world", true),
            ("419", "019", true),
        ] {
            let asked = &regions(asked)[0];
            assert_eq!(asked.is_within(&regions(held)), within, "{asked} in {held}");
        }
    }

    #[test]
    fn regions_meet_when_they_have_anything_in_common() {
        for (asked, others, meets) in [
            ("AT", "DE", false),
            ("150", "DE", true),
            ("DE", "DE-BY", true),
            ("DE-BE", "DE-BY", false),
            ("DE-BY", "155", true),
            ("world", "AQ", true),
            ("AT", "", false),
        ] {
            let asked = &regions(asked)[0];
            assert_eq!(asked.meets(&regions(others)), meets, "{asked} and {others}");
        }
    }

    #[test]
    fn codes_are_read_in_any_case_and_others_are_named() {
        assert_eq!("de-by".parse::<Region>().unwrap().as_str(), "DE-BY");
        assert_eq!("World".parse::<Region>().unwrap().as_str(), "world");
        assert_eq!(Region::all("eu").unwrap().len(), 27);
        for wrong in ["", "XX", "Austria", "999", "DE-", "DE-BYXX", "002 150", "1"] {
            let error = wrong.parse::<Region>().unwrap_err().to_string();
            assert!(error.contains("is no region"), "{error}");
        }
    }
}
