//! One field on two sides: what each had when they last agreed, what each has now, and what follows.
//!
//! Values are compared in one spelling, the destination's. An edit of one side alone is carried to
//! the other unless the field's truth lies elsewhere; edits of both sides that differ are decided by
//! the truth, or by a person.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Truth;

/// A field's values; empty for none.
pub type Values = Vec<String>;

/// What a side has now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// Its values.
    pub values: Values,
    /// When it was changed, as well as the side can say.
    pub at: Option<Timestamp>,
    /// Who changed it, when the side says so.
    pub by: Option<String>,
}

/// What has to happen to a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Both sides say the same.
    Agree,
    /// The source's values go to the destination.
    ToServer(Values),
    /// The destination's values go to the source.
    ToIconik(Values),
    /// A person has to decide.
    Conflict,
}

/// Merges one field. `base` is what both sides had when they last agreed; `None` when they never
/// did, and then a side without a value takes the other's.
pub fn merge(truth: Truth, base: Option<&Values>, iconik: &Side, server: &Side) -> Merge {
    if iconik.values == server.values {
        return Merge::Agree;
    }
    let to_server = || Merge::ToServer(iconik.values.clone());
    let to_iconik = || Merge::ToIconik(server.values.clone());
    let edited = |side: &Side| match base {
        Some(base) => side.values != *base,
        None => !side.values.is_empty(),
    };
    match (truth, edited(iconik), edited(server)) {
        // The side that is right is right whoever edited.
        (Truth::Iconik, true, _) | (Truth::Iconik, _, true) if base.is_some() => to_server(),
        (Truth::ContentServer, true, _) | (Truth::ContentServer, _, true) if base.is_some() => {
            to_iconik()
        }
        (_, true, false) => to_server(),
        (_, false, true) => to_iconik(),
        (Truth::Iconik, ..) => to_server(),
        (Truth::ContentServer, ..) => to_iconik(),
        (Truth::Newest, ..) => match (iconik.at, server.at) {
            (Some(here), Some(there)) if here > there => to_server(),
            (Some(here), Some(there)) if there > here => to_iconik(),
            // Nobody can say which is newer.
            _ => Merge::Conflict,
        },
        (Truth::Review, ..) => Merge::Conflict,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn side(value: &str, at: i64) -> Side {
        Side {
            values: if value.is_empty() {
                Values::new()
            } else {
                vec![value.to_owned()]
            },
            at: Some(Timestamp::from_second(at).unwrap()),
            by: None,
        }
    }

    fn go(truth: Truth, base: Option<&str>, iconik: &str, server: &str) -> Merge {
        let base = base.map(|value| side(value, 0).values);
        merge(truth, base.as_ref(), &side(iconik, 2), &side(server, 1))
    }

    fn to_server(value: &str) -> Merge {
        Merge::ToServer(side(value, 0).values)
    }

    fn to_iconik(value: &str) -> Merge {
        Merge::ToIconik(side(value, 0).values)
    }

    #[test]
    fn an_edit_of_one_side_is_carried_over_and_the_same_edit_of_both_is_none() {
        for truth in [Truth::Newest, Truth::Review] {
            assert_eq!(go(truth, Some("a"), "b", "a"), to_server("b"));
            assert_eq!(go(truth, Some("a"), "a", "b"), to_iconik("b"));
            assert_eq!(go(truth, Some("a"), "", "a"), to_server(""));
        }
        for truth in Truth::ALL {
            assert_eq!(go(truth, Some("a"), "b", "b"), Merge::Agree);
            assert_eq!(go(truth, None, "a", "a"), Merge::Agree);
        }
    }

    #[test]
    fn a_side_that_is_right_takes_back_the_other_s_edit() {
        assert_eq!(go(Truth::Iconik, Some("a"), "a", "b"), to_server("a"));
        assert_eq!(
            go(Truth::ContentServer, Some("a"), "b", "a"),
            to_iconik("a")
        );
    }

    #[test]
    fn edits_that_overlap_are_decided_by_the_truth_or_a_person() {
        assert_eq!(go(Truth::Iconik, Some("a"), "b", "c"), to_server("b"));
        assert_eq!(
            go(Truth::ContentServer, Some("a"), "b", "c"),
            to_iconik("c")
        );
        assert_eq!(go(Truth::Newest, Some("a"), "b", "c"), to_server("b"));
        assert_eq!(go(Truth::Review, Some("a"), "b", "c"), Merge::Conflict);
        let same_moment = merge(
            Truth::Newest,
            Some(&vec!["a".to_owned()]),
            &side("b", 5),
            &side("c", 5),
        );
        assert_eq!(same_moment, Merge::Conflict);
    }

    #[test]
    fn sides_that_never_agreed_fill_each_other_s_gaps() {
        for truth in Truth::ALL {
            assert_eq!(go(truth, None, "a", ""), to_server("a"));
            assert_eq!(go(truth, None, "", "b"), to_iconik("b"));
        }
        assert_eq!(go(Truth::Iconik, None, "a", "b"), to_server("a"));
        assert_eq!(go(Truth::Review, None, "a", "b"), Merge::Conflict);
    }

    /// Two sides, the value they agreed on, and what was written to each.
    struct World {
        iconik: Side,
        server: Side,
        base: Option<Values>,
        writes: usize,
    }

    impl World {
        /// One look of a run.
        fn sync(&mut self, truth: Truth) -> Merge {
            let outcome = merge(truth, self.base.as_ref(), &self.iconik, &self.server);
            match &outcome {
                Merge::ToServer(values) => {
                    self.server.values.clone_from(values);
                    self.writes += 1;
                }
                Merge::ToIconik(values) => {
                    self.iconik.values.clone_from(values);
                    self.writes += 1;
                }
                Merge::Agree | Merge::Conflict => {}
            }
            if outcome != Merge::Conflict {
                self.base = Some(self.iconik.values.clone());
            }
            outcome
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// Random edits of both sides with looks in between end in agreement after one more look,
        /// with at most one write a look, and never lose the edit of a side that is right.
        #[test]
        fn a_storm_of_edits_ends_in_agreement(
            edits in proptest::collection::vec((any::<bool>(), 0..5u8, any::<bool>()), 1..40),
            truth in 0..4usize,
        ) {
            let truth = Truth::ALL[truth];
            let mut world = World {
                iconik: Side::default(), server: Side::default(), base: None, writes: 0,
            };
            let mut looks = 0;
            for (moment, (at_iconik, value, look)) in edits.iter().enumerate() {
                let new = side(&"v".repeat(usize::from(*value)), moment as i64 + 1);
                if *at_iconik { world.iconik = new } else { world.server = new }
                if *look {
                    let right = match truth {
                        Truth::Iconik => Some(world.iconik.values.clone()),
                        Truth::ContentServer => Some(world.server.values.clone()),
                        Truth::Newest | Truth::Review => None,
                    };
                    let known = world.base.is_some();
                    world.sync(truth);
                    looks += 1;
                    if let Some(right) = right.filter(|_| known) {
                        prop_assert_eq!(&world.iconik.values, &right);
                        prop_assert_eq!(&world.server.values, &right);
                    }
                }
            }
            let last = world.sync(truth);
            prop_assert!(world.writes <= looks + 1);
            if last == Merge::Conflict {
                prop_assert!(truth == Truth::Review);
            } else {
                prop_assert_eq!(&world.iconik.values, &world.server.values);
                prop_assert_eq!(world.sync(truth), Merge::Agree);
            }
        }
    }
}
