//! Which objects are in which collections, looked up from either side.

use std::collections::{BTreeSet, HashMap};

/// A membership of a collection.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) kind: &'static str,
    pub(super) id: String,
    pub(super) since_ms: i64,
}

/// All memberships.
#[derive(Clone, Debug, Default)]
pub(super) struct Memberships {
    /// Members of a collection, in order of arrival.
    members: HashMap<String, Vec<Member>>,
    /// Collections of an object.
    homes: HashMap<String, BTreeSet<String>>,
}

impl Memberships {
    /// Adds a membership; whether it is new.
    pub(super) fn add(&mut self, collection: &str, member: Member) -> bool {
        let homes = self.homes.entry(member.id.clone()).or_default();
        let new = homes.insert(collection.to_owned());
        if new {
            let members = self.members.entry(collection.to_owned()).or_default();
            members.push(member);
        }
        new
    }

    /// Takes an object out of a collection.
    pub(super) fn remove(&mut self, collection: &str, object: &str) {
        let was_in = self
            .homes
            .get_mut(object)
            .is_some_and(|homes| homes.remove(collection));
        if was_in && let Some(members) = self.members.get_mut(collection) {
            members.retain(|member| member.id != object);
        }
    }

    /// Takes an object out of every collection.
    pub(super) fn remove_everywhere(&mut self, object: &str) {
        for collection in self.homes_of(object) {
            self.remove(&collection, object);
        }
    }

    /// Members of a collection, in order of arrival.
    pub(super) fn of(&self, collection: &str) -> impl Iterator<Item = &Member> {
        self.members.get(collection).into_iter().flatten()
    }

    /// Collections that an object is in, in order of their ids.
    pub(super) fn homes_of(&self, object: &str) -> Vec<String> {
        let homes = self.homes.get(object).into_iter().flatten();
        homes.cloned().collect()
    }

    /// Makes every membership as old as the account.
    pub(super) fn backdate(&mut self) {
        for member in self.members.values_mut().flatten() {
            member.since_ms = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str) -> Member {
        Member {
            kind: "assets",
            id: id.to_owned(),
            since_ms: 7,
        }
    }

    #[test]
    fn both_sides_tell_the_same_after_every_change() {
        let mut all = Memberships::default();
        assert!(
            all.add("b", member("x")) && all.add("a", member("x")) && all.add("a", member("y"))
        );
        assert!(!all.add("a", member("x")), "it is there already");
        assert_eq!(all.homes_of("x"), ["a", "b"]);
        all.remove("b", "x");
        all.remove("b", "y");
        assert_eq!(all.homes_of("x"), ["a"]);
        assert_eq!(all.of("b").count(), 0);
        all.remove_everywhere("x");
        assert!(all.homes_of("x").is_empty());
        let left: Vec<&str> = all.of("a").map(|member| member.id.as_str()).collect();
        assert_eq!(left, ["y"]);
        all.backdate();
        assert_eq!(all.of("a").next().map(|member| member.since_ms), Some(0));
    }
}
