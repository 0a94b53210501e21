//! Who may do what with a record: what is wanted, and what has to change for it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::super::Client;
use super::super::permissions::{ApplyTo, Grant, Holder, Right};
use super::Filing;
use crate::transfer::Destination as _;
use crate::types::{Failure, NodeId, Reason};

/// Who may do what with a record. Users and groups that are not named have no rights of their
/// own; owner and owner group keep theirs unless they are named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rights {
    /// The owner, by id.
    pub owner: Option<i64>,
    /// The owner's rights.
    pub owner_rights: Option<BTreeSet<String>>,
    /// The owner group, by id.
    pub group: Option<i64>,
    /// The group's rights.
    pub group_rights: Option<BTreeSet<String>>,
    /// Everybody's rights.
    pub public: BTreeSet<String>,
    /// Rights of users and groups, by id.
    pub custom: BTreeMap<i64, BTreeSet<String>>,
}

impl Rights {
    /// The grants that have to be set, and the holders whose grants have to go.
    pub(super) fn changes(&self, there: &[Grant]) -> (Vec<Grant>, Vec<i64>) {
        let rights = |names: &BTreeSet<String>| -> BTreeSet<Right> {
            names
                .iter()
                .filter_map(|name| Right::from_name(name))
                .collect()
        };
        let mut set = Vec::new();
        for grant in there {
            let (id, wanted) = match grant.holder {
                Holder::Owner(_) => (self.owner, &self.owner_rights),
                Holder::Group(_) => (self.group, &self.group_rights),
                _ => continue,
            };
            let wanted = wanted.as_ref().map_or_else(|| grant.rights.clone(), rights);
            let holder = match grant.holder {
                Holder::Owner(now) => Holder::Owner(id.or(now)),
                Holder::Group(now) => Holder::Group(id.or(now)),
                other => other,
            };
            if holder != grant.holder || wanted != grant.rights {
                set.push(Grant {
                    holder,
                    rights: wanted,
                });
            }
        }
        // A holder whose rights were taken away may not be listed at all.
        let lacks = |is: fn(&Holder) -> bool| !there.iter().any(|grant| is(&grant.holder));
        let named = [
            (
                Holder::Owner(self.owner),
                &self.owner_rights,
                lacks(is_owner),
            ),
            (
                Holder::Group(self.group),
                &self.group_rights,
                lacks(is_group),
            ),
        ];
        for (holder, wanted, lacking) in named {
            let rights = wanted.as_ref().map(rights).unwrap_or_default();
            // One that is to have none and is not listed has none.
            if lacking && !rights.is_empty() {
                set.push(Grant { holder, rights });
            }
        }
        let public = rights(&self.public);
        let has_public = there
            .iter()
            .find(|grant| grant.holder == Holder::Public)
            .map_or_else(BTreeSet::new, |grant| grant.rights.clone());
        if public != has_public {
            set.push(Grant {
                holder: Holder::Public,
                rights: public,
            });
        }
        for (id, names) in &self.custom {
            let wanted = Grant {
                holder: Holder::Custom(*id),
                rights: rights(names),
            };
            if !there.contains(&wanted) {
                set.push(wanted);
            }
        }
        let gone = there.iter().filter_map(|grant| match grant.holder {
            Holder::Custom(id) if !self.custom.contains_key(&id) => Some(id),
            _ => None,
        });
        // What takes rights away comes first: for a moment too few may see it, never too many.
        set.sort_by_key(|grant| grant.rights.len());
        (set, gone.collect())
    }

    /// What is wrong with the grants that are there after they were set, for people. Rights that
    /// the server adds to those of somebody who has some are its own rules.
    fn wrong(&self, there: &[Grant]) -> Vec<String> {
        let (set, gone) = self.changes(there);
        let strangers = gone
            .into_iter()
            .map(|id| format!("{} has rights", Holder::Custom(id)));
        let of = |holder: Holder| {
            let mut own = there.iter();
            own.find(|grant| grant.holder == holder)
                .map_or_else(BTreeSet::new, |grant| grant.rights.clone())
        };
        let others = set.into_iter().filter_map(|grant| {
            let has = of(grant.holder);
            if !grant.rights.is_subset(&has) {
                return Some(format!("{} lacks rights", grant.holder));
            }
            grant
                .rights
                .is_empty()
                .then(|| format!("{} has rights", grant.holder))
        });
        strangers.chain(others).collect()
    }
}

fn is_owner(holder: &Holder) -> bool {
    matches!(holder, Holder::Owner(_))
}

fn is_group(holder: &Holder) -> bool {
    matches!(holder, Holder::Group(_))
}

impl Client {
    /// Who may do what, as far as it is not so already.
    pub(in super::super) async fn set_rights(
        &self,
        node: NodeId,
        filing: &Filing,
    ) -> Result<(), Failure> {
        let Some(rights) = &filing.rights else {
            return Ok(());
        };
        let (set, gone) = rights.changes(&self.permissions(node).await?);
        if set.is_empty() && gone.is_empty() {
            return Ok(());
        }
        // What lies in a folder has the rights of the place where it was made.
        let reach = match self.node(node).await?.container {
            true => ApplyTo::ThisAndSubItems,
            false => ApplyTo::ThisItem,
        };
        for id in gone {
            self.remove_permissions(node, id, reach).await?;
        }
        for grant in set {
            self.set_permissions(node, &grant, reach).await?;
        }
        // What counts is who may see it now, not that the server took the change.
        let wrong = rights.wrong(&self.permissions(node).await?);
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Failure::item(
            Reason::Other,
            format!(
                "node {node}: the server took its permissions and still says otherwise: {}",
                wrong.join(", ")
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(rights: &[&str]) -> BTreeSet<String> {
        rights.iter().map(|&name| name.to_owned()).collect()
    }

    fn grant(holder: Holder, rights: &[Right]) -> Grant {
        Grant {
            holder,
            rights: rights.iter().copied().collect(),
        }
    }

    #[test]
    fn only_differences_of_rights_are_changed_and_strangers_lose_theirs() {
        let rights = Rights {
            group: Some(55),
            public: BTreeSet::new(),
            custom: BTreeMap::from([(7, names(&["see"])), (8, names(&["see", "see_contents"]))]),
            ..Rights::default()
        };
        let there = [
            grant(Holder::Owner(Some(1)), &[Right::See, Right::Delete]),
            grant(Holder::Group(Some(2)), &[Right::See]),
            grant(Holder::Public, &[Right::See]),
            grant(Holder::Custom(7), &[Right::See]),
            grant(Holder::Custom(9), &[Right::Modify]),
        ];
        let (set, gone) = rights.changes(&there);
        assert_eq!(gone, [9]);
        assert_eq!(
            set,
            [
                grant(Holder::Public, &[]),
                grant(Holder::Group(Some(55)), &[Right::See]),
                grant(Holder::Custom(8), &[Right::See, Right::SeeContents]),
            ]
        );
        let after = [
            grant(Holder::Owner(Some(1)), &[Right::See, Right::Delete]),
            grant(Holder::Group(Some(55)), &[Right::See]),
            grant(Holder::Public, &[]),
            grant(Holder::Custom(7), &[Right::See]),
            grant(Holder::Custom(8), &[Right::See, Right::SeeContents]),
        ];
        assert_eq!(rights.changes(&after), (Vec::new(), Vec::new()));
        assert_eq!(
            rights.wrong(&there),
            [
                "user or group 9 has rights",
                "everybody has rights",
                "the owner group lacks rights",
                "user or group 8 lacks rights"
            ]
        );
        // A group that lost its rights and is not listed any more gets them back.
        let given = Rights {
            group_rights: Some(names(&["see"])),
            ..rights.clone()
        };
        let there: Vec<Grant> = after
            .iter()
            .filter(|grant| !is_group(&grant.holder))
            .cloned()
            .collect();
        let (set, gone) = given.changes(&there);
        assert_eq!(set, [grant(Holder::Group(Some(55)), &[Right::See])]);
        assert!(gone.is_empty());
        assert_eq!(given.wrong(&there), ["the owner group lacks rights"]);
        // One that is to have none is as it should be when it is not listed.
        let without = Rights {
            group_rights: Some(names(&[])),
            ..rights.clone()
        };
        assert_eq!(without.changes(&there), (Vec::new(), Vec::new()));
        assert_eq!(without.wrong(&there), Vec::<String>::new());
        // Rights that a server adds by itself to those of somebody who may see it.
        let mut more = after.to_vec();
        more[3].rights.insert(Right::Modify);
        assert_eq!(rights.wrong(&more), [""; 0]);
    }
}
