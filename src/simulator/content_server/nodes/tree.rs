//! The tree of nodes: places, names unique per container, and the volumes at the top.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::super::categories::Applied;
use super::super::config::Collation;
use super::super::members::ADMIN;
use super::super::permissions::Access;
use super::super::records::Record;
use super::super::versions::Version;
use super::super::world::World;
use super::types::Kind;

/// The Enterprise volume.
pub(in super::super) const ENTERPRISE: i64 = 2000;

/// Volumes that exist from the start: id, subtype, name.
const VOLUMES: [(i64, i64, &str); 8] = [
    (ENTERPRISE, 141, "Enterprise"),
    (2004, 142, "Admin Home"),
    (2006, 133, "Categories Volume"),
    (2048, 198, "Classification Volume"),
    (2164, 550, "Records Management"),
    (2180, 862, "Business Workspaces"),
    (2190, 882, "Extended ECM"),
    (2198, 402, "Recycle Bin"),
];

/// Facts about where content came from, as the caller gave them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct External {
    pub(in super::super) create_date: Option<String>,
    pub(in super::super) modify_date: Option<String>,
    pub(in super::super) source: String,
    pub(in super::super) identity: String,
    pub(in super::super) identity_type: String,
}

/// Texts by language, beside the one in the server's own.
pub(in super::super) type Languages = BTreeMap<String, String>;

/// One node.
#[derive(Clone)]
pub(in super::super) struct Node {
    pub(in super::super) id: i64,
    pub(in super::super) subtype: i64,
    /// -1 for a volume.
    pub(in super::super) parent: i64,
    pub(in super::super) name: String,
    pub(in super::super) description: String,
    /// The same in further languages.
    pub(in super::super) names: Languages,
    pub(in super::super) descriptions: Languages,
    pub(in super::super) created: Timestamp,
    pub(in super::super) creator: i64,
    pub(in super::super) modified: Timestamp,
    pub(in super::super) modifier: i64,
    pub(in super::super) owner: i64,
    pub(in super::super) access: Access,
    pub(in super::super) external: External,
    pub(in super::super) reserved: Option<(i64, Timestamp)>,
    pub(in super::super) hidden: bool,
    pub(in super::super) nickname: Option<String>,
    pub(in super::super) url: Option<String>,
    pub(in super::super) original: Option<i64>,
    /// Of a generation: which version.
    pub(in super::super) original_version: Option<i64>,
    /// Of a collection: the nodes that it lists; some may be gone.
    pub(in super::super) collected: BTreeSet<i64>,
    /// Major and minor versions instead of a plain count.
    pub(in super::super) advanced: bool,
    pub(in super::super) versions: Vec<Version>,
    /// The last version number given out; never goes down.
    pub(in super::super) last_version: i64,
    pub(in super::super) categories: BTreeMap<i64, Applied>,
    pub(in super::super) classifications: Vec<i64>,
    /// New children get the classifications too.
    pub(in super::super) classes_handed_down: bool,
    pub(in super::super) record: Option<Record>,
    pub(in super::super) system: BTreeMap<String, Value>,
    /// Counts changes of metadata, for the edit-conflict token.
    pub(in super::super) revision: u64,
}

/// Where a new node goes, and by whose hand.
pub(in super::super) struct Place {
    pub(in super::super) parent: i64,
    pub(in super::super) user: i64,
    pub(in super::super) now: Timestamp,
    pub(in super::super) access: Access,
}

impl Node {
    /// A node without anything beyond its place and name.
    pub(in super::super) fn new(id: i64, subtype: i64, name: &str, place: Place) -> Self {
        let Place {
            parent,
            user,
            now,
            access,
        } = place;
        Self {
            id,
            subtype,
            parent,
            name: name.to_owned(),
            description: String::new(),
            names: Languages::new(),
            descriptions: Languages::new(),
            created: now,
            creator: user,
            modified: now,
            modifier: user,
            owner: user,
            access,
            external: External::default(),
            reserved: None,
            hidden: false,
            nickname: None,
            url: None,
            original: None,
            original_version: None,
            collected: BTreeSet::new(),
            advanced: false,
            versions: Vec::new(),
            last_version: 0,
            categories: BTreeMap::new(),
            classifications: Vec::new(),
            classes_handed_down: false,
            record: None,
            system: BTreeMap::new(),
            revision: 1,
        }
    }

    /// Whether it can have children.
    pub(in super::super) fn container(&self) -> bool {
        Kind::of(self.subtype).is_some_and(|kind| kind.container)
    }

    /// The version that content calls mean: the highest number.
    pub(in super::super) fn latest(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// Notes a change of metadata.
    pub(in super::super) fn touch(&mut self, user: i64, now: Timestamp) {
        self.modified = now;
        self.modifier = user;
        self.revision += 1;
    }
}

/// A node in the recycle bin, with its subtree.
pub(in super::super) struct Binned {
    pub(in super::super) node: Node,
    pub(in super::super) below: Vec<Node>,
    pub(in super::super) user: i64,
    pub(in super::super) at: Timestamp,
}

/// The name is held by that node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Taken(pub(in super::super) i64);

/// All nodes, and the recycle bin.
pub(in super::super) struct Tree {
    collation: Collation,
    nodes: BTreeMap<i64, Node>,
    /// Children of each container by folded name.
    children: BTreeMap<i64, BTreeMap<String, i64>>,
    pub(in super::super) bin: BTreeMap<i64, Binned>,
}

impl Tree {
    pub(in super::super) fn new(collation: Collation) -> Self {
        Self {
            collation,
            nodes: BTreeMap::new(),
            children: BTreeMap::new(),
            bin: BTreeMap::new(),
        }
    }

    /// Plants the volumes.
    pub(in super::super) fn plant(&mut self, now: Timestamp) {
        for (id, subtype, name) in VOLUMES {
            let place = Place {
                parent: -1,
                user: ADMIN,
                now,
                access: World::open_access(),
            };
            self.nodes.insert(id, Node::new(id, subtype, name, place));
        }
    }

    /// Compares names another way from now on.
    ///
    /// # Errors
    ///
    /// Names that were two and would become one.
    pub(in super::super) fn collate(&mut self, collation: Collation) -> Result<(), Taken> {
        let mut children: BTreeMap<i64, BTreeMap<String, i64>> = BTreeMap::new();
        for node in self.nodes.values().filter(|node| node.parent >= 0) {
            let names = children.entry(node.parent).or_default();
            if let Some(other) = names.insert(fold(collation, &node.name), node.id) {
                return Err(Taken(other));
            }
        }
        self.collation = collation;
        self.children = children;
        Ok(())
    }

    pub(in super::super) fn get(&self, id: i64) -> Option<&Node> {
        self.nodes.get(&id)
    }

    pub(in super::super) fn get_mut(&mut self, id: i64) -> Option<&mut Node> {
        self.nodes.get_mut(&id)
    }

    /// Every node, by id.
    pub(in super::super) fn iter(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// The volume of a subtype.
    pub(in super::super) fn volume(&self, subtype: i64) -> Option<&Node> {
        let (id, ..) = VOLUMES.iter().find(|(_, kind, _)| *kind == subtype)?;
        self.get(*id)
    }

    /// The volumes.
    pub(in super::super) fn volumes(&self) -> impl Iterator<Item = &Node> {
        VOLUMES.iter().filter_map(|(id, ..)| self.get(*id))
    }

    /// The child with that name, as the collation compares names.
    pub(in super::super) fn child(&self, parent: i64, name: &str) -> Option<i64> {
        self.children
            .get(&parent)?
            .get(&fold(self.collation, name))
            .copied()
    }

    /// The children of a container, by name.
    pub(in super::super) fn children(&self, parent: i64) -> impl Iterator<Item = &Node> {
        let names = self.children.get(&parent).into_iter().flatten();
        names.filter_map(|(_, id)| self.get(*id))
    }

    /// Takes away every right that was assigned to a member or role.
    pub(in super::super) fn forget(&mut self, right: i64) {
        for node in self.nodes.values_mut() {
            node.access.custom.remove(&right);
        }
    }

    /// How many children a container has, and how many nodes a collection lists.
    pub(in super::super) fn count(&self, parent: i64) -> usize {
        let collected = self.get(parent).map_or(0, |node| {
            let there = node.collected.iter().filter(|id| self.get(**id).is_some());
            there.count()
        });
        self.children.get(&parent).map_or(0, BTreeMap::len) + collected
    }

    /// The ids from the volume down to the node itself.
    pub(in super::super) fn ancestors(&self, id: i64) -> Vec<i64> {
        let mut path = Vec::new();
        let mut at = Some(id);
        while let Some(node) = at.and_then(|id| self.get(id)) {
            path.push(node.id);
            at = (node.parent >= 0).then_some(node.parent);
        }
        path.reverse();
        path
    }

    /// The volume a node lies in; its own id for a volume.
    pub(in super::super) fn root(&self, id: i64) -> i64 {
        self.ancestors(id).first().copied().unwrap_or(id)
    }

    /// The nodes that `apply_to` means: 0 this, 1 those below, 2 both, 3 this and its children.
    pub(in super::super) fn reach(&self, id: i64, apply_to: i64) -> Vec<i64> {
        match apply_to {
            0 => vec![id],
            3 => std::iter::once(id)
                .chain(self.children(id).map(|node| node.id))
                .collect(),
            _ => {
                let mut all = self.below(id);
                if apply_to == 2 {
                    all.insert(0, id);
                }
                all
            }
        }
    }

    /// Every node below, parents before children.
    fn below(&self, id: i64) -> Vec<i64> {
        let mut all: Vec<i64> = self.children(id).map(|node| node.id).collect();
        let mut next = 0;
        while let Some(&at) = all.get(next) {
            all.extend(self.children(at).map(|node| node.id));
            next += 1;
        }
        all
    }

    /// Adds a node.
    ///
    /// # Errors
    ///
    /// Its name is taken in its container.
    pub(in super::super) fn insert(&mut self, node: Node) -> Result<(), Taken> {
        let names = self.children.entry(node.parent).or_default();
        let key = fold(self.collation, &node.name);
        if let Some(other) = names.get(&key) {
            return Err(Taken(*other));
        }
        names.insert(key, node.id);
        self.nodes.insert(node.id, node);
        Ok(())
    }

    /// Moves and renames a node.
    ///
    /// # Errors
    ///
    /// The name is taken there by another node; nothing has changed.
    pub(in super::super) fn relocate(
        &mut self,
        id: i64,
        parent: i64,
        name: &str,
    ) -> Result<(), Taken> {
        if let Some(other) = self.child(parent, name)
            && other != id
        {
            return Err(Taken(other));
        }
        let Some(node) = self.nodes.get_mut(&id) else {
            return Ok(());
        };
        if let Some(names) = self.children.get_mut(&node.parent) {
            names.remove(&fold(self.collation, &node.name));
        }
        node.parent = parent;
        name.clone_into(&mut node.name);
        self.children
            .entry(parent)
            .or_default()
            .insert(fold(self.collation, name), id);
        Ok(())
    }

    /// Whether `id` is `of` or lies below it.
    pub(in super::super) fn inside(&self, id: i64, of: i64) -> bool {
        self.ancestors(id).contains(&of)
    }

    /// Takes a node and everything below it out of the tree.
    pub(in super::super) fn remove(&mut self, id: i64) -> Option<(Node, Vec<Node>)> {
        let below: BTreeSet<i64> = self.below(id).into_iter().collect();
        let node = self.nodes.remove(&id)?;
        if let Some(names) = self.children.get_mut(&node.parent) {
            names.remove(&fold(self.collation, &node.name));
        }
        self.children.remove(&id);
        let mut gone = Vec::new();
        for id in below {
            self.children.remove(&id);
            gone.extend(self.nodes.remove(&id));
        }
        Some((node, gone))
    }
}

fn fold(collation: Collation, name: &str) -> String {
    match collation {
        Collation::CaseSensitive => name.to_owned(),
        Collation::CaseInsensitive => name.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(collation: Collation) -> Tree {
        let mut tree = Tree::new(collation);
        tree.plant(Timestamp::UNIX_EPOCH);
        tree
    }

    fn node(id: i64, subtype: i64, parent: i64, name: &str) -> Node {
        let access = World::open_access();
        let place = Place {
            parent,
            user: ADMIN,
            now: Timestamp::UNIX_EPOCH,
            access,
        };
        Node::new(id, subtype, name, place)
    }

    #[test]
    fn a_name_is_unique_in_its_container_as_the_collation_compares() {
        let mut tree = tree(Collation::CaseInsensitive);
        tree.insert(node(1, 0, ENTERPRISE, "A.txt")).unwrap();
        assert_eq!(
            tree.insert(node(2, 144, ENTERPRISE, "a.TXT")),
            Err(Taken(1))
        );
        tree.collate(Collation::CaseSensitive).unwrap();
        tree.insert(node(2, 144, ENTERPRISE, "a.TXT")).unwrap();
        assert_eq!(tree.child(ENTERPRISE, "A.txt"), Some(1));
        assert_eq!(tree.collate(Collation::CaseInsensitive), Err(Taken(1)));
        assert_eq!(
            tree.child(ENTERPRISE, "a.TXT"),
            Some(2),
            "nothing has changed"
        );
    }

    #[test]
    fn a_refused_move_changes_nothing_and_a_node_may_keep_its_name() {
        let mut tree = tree(Collation::CaseInsensitive);
        tree.insert(node(1, 0, ENTERPRISE, "in")).unwrap();
        tree.insert(node(2, 144, 1, "a")).unwrap();
        tree.insert(node(3, 144, ENTERPRISE, "a")).unwrap();
        assert_eq!(tree.relocate(3, 1, "a"), Err(Taken(2)));
        assert_eq!(tree.child(ENTERPRISE, "a"), Some(3));
        tree.relocate(3, ENTERPRISE, "A").unwrap();
        tree.relocate(3, 1, "b").unwrap();
        assert_eq!(tree.children(1).map(|n| n.id).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(tree.ancestors(3), [ENTERPRISE, 1, 3]);
        assert!(tree.inside(3, ENTERPRISE) && !tree.inside(1, 3));
    }

    #[test]
    fn removing_takes_everything_below_and_frees_the_name() {
        let mut tree = tree(Collation::CaseInsensitive);
        tree.insert(node(1, 0, ENTERPRISE, "in")).unwrap();
        tree.insert(node(2, 0, 1, "sub")).unwrap();
        tree.insert(node(3, 144, 2, "a")).unwrap();
        let (top, below) = tree.remove(1).unwrap();
        assert_eq!((top.id, below.len()), (1, 2));
        assert!(tree.get(3).is_none() && tree.child(ENTERPRISE, "in").is_none());
    }

    #[test]
    fn reach_follows_apply_to() {
        let mut tree = tree(Collation::CaseInsensitive);
        tree.insert(node(1, 0, ENTERPRISE, "in")).unwrap();
        tree.insert(node(2, 0, 1, "sub")).unwrap();
        tree.insert(node(3, 144, 2, "a")).unwrap();
        for (apply_to, expected) in [
            (0, vec![1]),
            (1, vec![2, 3]),
            (2, vec![1, 2, 3]),
            (3, vec![1, 2]),
        ] {
            assert_eq!(tree.reach(1, apply_to), expected, "{apply_to}");
        }
    }
}
