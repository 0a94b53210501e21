//! Shortcuts to the papers that prove a record's rights, kept where its sidecars are.
//!
//! One for each paper, named after the record as a sidecar is: `NAME.rights.PAPER`. It is made in
//! staging under a name that only this record and this paper give, gets the record's rights there,
//! and is moved to where people see it, so nobody reads a paper's name before they may. Wherever
//! the work is cut off, the next time finds it: in staging by that name, later by its description,
//! or by its name and what it stands for. Nothing here deletes one: a paper that is wanted no more
//! keeps its shortcut, and the rights sidecar says which papers count.

use super::super::Client;
use super::super::names::split;
use super::super::shortcuts::Shortcut;
use super::Filing;
use crate::telemetry::crash_point;
use crate::transfer::{Destination as _, Link, Node};
use crate::types::{Failure, FailureClass, NodeId, Reason};

/// What the name of one in staging begins with.
const STAGED: &str = "paper-";

/// Whether a node in staging is a shortcut on its way to a record.
pub fn is_staged_link(node: &Node) -> bool {
    node.original
        .is_some_and(|paper| node.name.starts_with(&format!("{STAGED}{paper}-of-")))
}

/// What a shortcut of ours says of itself.
fn description(record: NodeId) -> String {
    format!("proves the rights of node {record} (longhaul)")
}

/// A record's shortcuts, and where new ones go.
struct Beside {
    /// The container that its sidecars are in.
    home: NodeId,
    /// The record's name now.
    name: String,
    /// Its shortcuts.
    own: Vec<Shortcut>,
}

impl Client {
    /// Finds or makes a record's shortcuts to its papers, and gives them its rights.
    pub(in super::super) async fn link_papers(
        &self,
        record: NodeId,
        companions: &[NodeId],
        known_as: &str,
        filing: &Filing,
        staging: NodeId,
    ) -> Result<Vec<Link>, Failure> {
        if !filing.marks.shortcuts {
            return Ok(Vec::new());
        }
        let beside = self.beside(record, companions, known_as).await?;
        let mut links = Vec::new();
        for own in &beside.own {
            let name = self.keep_named(own, &beside.name, known_as).await?;
            self.set_rights(own.id, filing).await?;
            links.push(Link {
                node: own.id,
                to: own.original,
                parent: own.parent,
                name,
                new: false,
            });
        }
        for paper in &filing.marks.papers {
            if links.iter().any(|link| link.to == *paper) {
                continue;
            }
            let made = self.link_paper(record, *paper, &beside, filing, staging);
            links.push(made.await.map_err(|failure| {
                let refused = failure.class == FailureClass::ItemIsWrong
                    && !matches!(failure.reason, Reason::NameTaken);
                let doing = format!("a shortcut beside node {record} to its paper, node {paper}");
                let mut failure = failure.context(doing);
                if refused {
                    failure.message.push_str(
                        "; shortcuts need the right to add items in staging and in that place, which may be a compound document or another that takes none: choose another place, or leave `rights.shortcuts` out",
                    );
                }
                failure
            })?);
        }
        Ok(links)
    }

    /// The shortcuts of a record that are beside it, whatever they stand for.
    pub(in super::super) async fn linked(
        &self,
        record: NodeId,
        known_as: &str,
        filing: &Filing,
    ) -> Result<Vec<NodeId>, Failure> {
        if !filing.marks.shortcuts {
            return Ok(Vec::new());
        }
        let beside = self.beside(record, &[], known_as).await?;
        Ok(beside.own.into_iter().map(|own| own.id).collect())
    }

    /// A record's shortcuts by paper, and the papers that have none.
    pub(super) async fn links_now(
        &self,
        record: NodeId,
        companions: &[NodeId],
        known_as: &str,
        papers: &[NodeId],
    ) -> Result<(Vec<NodeId>, Vec<NodeId>), Failure> {
        let beside = self.beside(record, companions, known_as).await?;
        let mut there: Vec<NodeId> = beside.own.iter().map(|own| own.id).collect();
        let mut missing = Vec::new();
        for paper in papers {
            if beside.own.iter().any(|own| own.original == *paper) {
                continue;
            }
            match self.link_named(*paper, &beside).await {
                Ok(Ok(found)) => there.push(found.id),
                Ok(Err(_)) => missing.push(*paper),
                // A paper that is gone has no name to look for.
                Err(failure) if failure.reason == Reason::Inaccessible => missing.push(*paper),
                Err(failure) => return Err(failure),
            }
        }
        Ok((there, missing))
    }

    /// Looks for a record's shortcuts: where its sidecars are, and where it is itself.
    async fn beside(
        &self,
        record: NodeId,
        companions: &[NodeId],
        known_as: &str,
    ) -> Result<Beside, Failure> {
        let at = self.node(record).await?;
        let own_place = if at.container { at.id } else { at.parent };
        let home = match companions.first() {
            Some(sidecar) => self.node(*sidecar).await?.parent,
            None => own_place,
        };
        let mut places = vec![home];
        places.extend(Some(own_place).filter(|place| *place != home));
        let mut names = vec![at.name.as_str()];
        names.extend(Some(known_as).filter(|name| *name != at.name && !name.is_empty()));
        let description = description(record);
        let mut own: Vec<Shortcut> = Vec::new();
        for place in places {
            for name in &names {
                let found = self.shortcuts_in(place, name).await?.into_iter();
                let found = found.filter(|one| one.description.trim() == description);
                let new: Vec<Shortcut> = found
                    .filter(|one| own.iter().all(|known| known.id != one.id))
                    .collect();
                own.extend(new);
            }
        }
        Ok(Beside {
            home,
            name: at.name,
            own,
        })
    }

    /// The name of a shortcut, which follows its record's.
    async fn keep_named(
        &self,
        own: &Shortcut,
        name: &str,
        known_as: &str,
    ) -> Result<String, Failure> {
        let rest = own.name.strip_prefix(known_as);
        let Some(rest) = rest.filter(|_| !own.name.starts_with(name)) else {
            return Ok(own.name.clone());
        };
        let wanted = self.map_name(&format!("{name}{rest}"));
        match self.rename(own.id, &wanted).await {
            Ok(()) => Ok(wanted),
            // Somebody else's: it keeps the one it has.
            Err(failure) if failure.reason == Reason::NameTaken => Ok(own.name.clone()),
            Err(failure) => Err(failure),
        }
    }

    /// The shortcut that has one of the names of a paper's; otherwise the free one among them.
    async fn link_named(
        &self,
        paper: NodeId,
        beside: &Beside,
    ) -> Result<Result<Node, String>, Failure> {
        let of = self.node(paper).await?.name;
        let wanted = self.map_name(&format!("{}.rights.{of}", beside.name));
        let (stem, extension) = split(&of);
        let other = format!("{}.rights.{stem}~{paper}{extension}", beside.name);
        let mut free = None;
        let mut holder = None;
        for name in [wanted, self.map_name(&other)] {
            match self.child(beside.home, &name).await? {
                Some(node) if node.original == Some(paper) => return Ok(Ok(node)),
                Some(node) => holder = Some(node),
                None => free = free.or(Some(name)),
            }
        }
        match (free, holder) {
            (Some(name), _) => Ok(Err(name)),
            (None, holder) => {
                let holder = holder.map_or_else(String::new, |node| {
                    format!(": {:?} is node {}", node.name, node.id)
                });
                Err(Failure::item(
                    Reason::NameTaken,
                    format!(
                        "both names for it are taken in node {}{holder}",
                        beside.home
                    ),
                ))
            }
        }
    }

    async fn link_paper(
        &self,
        record: NodeId,
        paper: NodeId,
        beside: &Beside,
        filing: &Filing,
        staging: NodeId,
    ) -> Result<Link, Failure> {
        let link = |node: NodeId, name: String, new: bool| Link {
            node,
            to: paper,
            parent: beside.home,
            name,
            new,
        };
        let name = match self.link_named(paper, beside).await? {
            Ok(there) => {
                self.set_rights(there.id, filing).await?;
                return Ok(link(there.id, there.name, false));
            }
            Err(name) => name,
        };
        crash_point("link-making");
        let staged = format!("{STAGED}{paper}-of-{record}");
        let node = self
            .ensure_shortcut(staging, &staged, paper, &description(record))
            .await?;
        crash_point("link-made");
        self.set_rights(node, filing).await?;
        crash_point("link-moving");
        self.publish(node, beside.home, &name).await?;
        crash_point("link-moved");
        // A move may have changed them.
        self.set_rights(node, filing).await?;
        Ok(link(node, name, true))
    }
}
