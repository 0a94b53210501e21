//! What an item becomes at the destination beyond its bytes: its place, its values and rights, and
//! the marks that make it a record.
//!
//! Every step is safe to repeat and writes nothing that is so already, so none has a row of its
//! own: an item that was interrupted goes through them again. The order matters: rights and values
//! before people see it, the same once more after the move (a move may change them), and what can
//! refuse later changes last of all.

use std::sync::Arc;

use serde_json::{Value, json};
use tracing::warn;

use super::ends::{Link, Part, Record};
use super::item::{Published, entry, suffixed};
use super::kept::Kept;
use super::{Shared, ledger_failure};
use crate::ledger::{Change, Item, ItemPatch};
use crate::telemetry::crash_point;
use crate::types::{Failure, FailureClass, NodeId, Reason};

const PAGE: usize = 500;

/// An item's record as its row has it; most items have none.
pub(super) fn read(item: &Item) -> Result<Option<Record>, Failure> {
    let Some(text) = &item.record else {
        return Ok(None);
    };
    serde_json::from_str(text).map(Some).map_err(|error| {
        Failure::stop(format!(
            "item {} has an unreadable record: {error}",
            item.id
        ))
    })
}

/// An item's record, on its way to the destination.
pub(super) struct Dresser<'a> {
    shared: &'a Arc<Shared>,
    item: &'a Item,
    record: Option<Record>,
    /// The container it belongs in now.
    place: Option<NodeId>,
}

impl<'a> Dresser<'a> {
    /// Reads the item's record; most items have none.
    pub(super) fn of(shared: &'a Arc<Shared>, item: &'a Item) -> Result<Self, Failure> {
        Ok(Self {
            shared,
            item,
            record: read(item)?,
            place: None,
        })
    }

    fn filing(&self) -> Option<&Value> {
        self.record.as_ref().map(|record| &record.filing)
    }

    /// Finds or makes the container; the item as it stands there, when it was not published yet
    /// and belongs elsewhere than its row says. A published one is looked at first: it may take no
    /// new content.
    pub(super) async fn place(&mut self) -> Result<Option<Item>, Failure> {
        let Some(filing) = self.filing().cloned() else {
            return Ok(None);
        };
        let destination = &self.shared.destination;
        let filed = self
            .record
            .as_ref()
            .map(|record| record.filed(&self.item.name, self.item.parent));
        let stays_in = filed.and_then(|filed| filed.stays_in);
        // No container is made for what stays where it is.
        let place = match stays_in.filter(|_| self.item.node.is_some()) {
            Some(container) => container,
            None => destination.place(&filing).await?,
        };
        self.place = Some(place);
        if let (Some(node), Some(filed)) = (self.item.node, filed) {
            let supersede = self.record.as_ref().is_some_and(|record| record.supersede);
            let brings = self.brings_content().await?;
            let prepared = destination.prepare(node, filed, &filing, brings);
            match prepared.await {
                Err(failure) if failure.reason == Reason::Held && supersede => {}
                other => other?,
            }
            return Ok(None);
        }
        if place == self.item.parent {
            return Ok(None);
        }
        let patch = ItemPatch {
            parent: Some(place),
            ..Default::default()
        };
        self.apply(Change::new().item(self.item.id, patch)).await?;
        Ok(Some(Item {
            parent: place,
            ..self.item.clone()
        }))
    }

    /// Whether a file of the item is not filed yet.
    async fn brings_content(&self) -> Result<bool, Failure> {
        let mut from = 0;
        loop {
            let files = self.shared.ledger.files(self.item.id, from, PAGE).await;
            let files = files.map_err(ledger_failure)?;
            let Some(last) = files.last() else {
                return Ok(false);
            };
            from = last.seq + 1;
            if files.iter().any(|file| file.version.is_none()) {
                return Ok(true);
            }
        }
    }

    /// Rights and values of one document.
    pub(super) async fn dress(&self, node: NodeId, part: Part) -> Result<(), Failure> {
        if let Some(filing) = self.filing() {
            self.shared.destination.dress(node, filing, part).await?;
        }
        Ok(())
    }

    /// What follows once people see it: the place and name that policy asks for, values and
    /// rights as they must be, and the marks. The container and the name that it ended with, when
    /// they are others than its row says.
    pub(super) async fn settle(
        &self,
        published: &Published,
    ) -> Result<(Option<NodeId>, Option<String>), Failure> {
        let (Some(record), Some(place)) = (&self.record, self.place) else {
            return Ok((None, None));
        };
        let ended = self.follow(record, place, published).await?;
        self.dress(published.node, Part::Master).await?;
        for companion in &published.companions {
            self.dress(*companion, Part::Companion).await?;
        }
        if self.item.kind != "document" {
            self.dress_inside().await?;
        }
        self.link(record, published).await?;
        self.shared
            .destination
            .seal(published.node, &record.filing, self.item.node.is_none())
            .await?;
        Ok(ended)
    }

    /// Rights of what lies inside a folder, each looked at by itself: the folder's reached them when
    /// they were set, and somebody may have changed one since.
    async fn dress_inside(&self) -> Result<(), Failure> {
        let mut from = 0;
        loop {
            let files = self.shared.ledger.files(self.item.id, from, PAGE).await;
            let files = files.map_err(ledger_failure)?;
            let Some(last) = files.last() else {
                return Ok(());
            };
            from = last.seq + 1;
            for node in files.iter().filter_map(|file| file.node) {
                self.dress(node, Part::Companion).await?;
            }
        }
    }

    /// What the item's record is kept under, as far as the destination says. A disturbance is waited
    /// out once; one that lasts is left without an answer, because what is filed does not fail for
    /// it.
    pub(super) async fn kept(&self, node: NodeId) -> Result<Option<Kept>, Failure> {
        let Some(filing) = self.filing() else {
            return Ok(None);
        };
        let last = self.item.attempts > 0;
        match self.shared.destination.kept(node, filing).await {
            Err(failure) if last && failure.class == FailureClass::RetryNow => {
                warn!(item = %self.item.id, %node, error = %failure, "retention not read");
                Ok(None)
            }
            other => other,
        }
    }

    /// The links to its papers, and a line in the journal about those that were missing.
    async fn link(&self, record: &Record, published: &Published) -> Result<(), Failure> {
        let links = self
            .shared
            .destination
            .link(
                published.node,
                &published.companions,
                &self.item.name,
                &record.filing,
                self.shared.config.staging,
            )
            .await?;
        let new: Vec<Link> = links.into_iter().filter(|link| link.new).collect();
        if new.is_empty() {
            return Ok(());
        }
        let facts = json!({"node": published.node, "links": new});
        self.apply(Change::new().journal(entry(self.item, "linked", &facts)))
            .await
    }

    /// Moves and renames what was published before, as policy asks; what a person moved or renamed
    /// stays as they have it.
    async fn follow(
        &self,
        record: &Record,
        place: NodeId,
        published: &Published,
    ) -> Result<(Option<NodeId>, Option<String>), Failure> {
        let destination = &self.shared.destination;
        if self.item.node.is_none() {
            return Ok((Some(place), None));
        }
        let at = destination.node(published.node).await?;
        let moves = record.relocate && at.parent == self.item.parent && at.parent != place;
        let other_name = record
            .rename
            .as_ref()
            .filter(|wanted| at.name == self.item.name && **wanted != at.name);
        if !moves && other_name.is_none() {
            return Ok(((at.parent == place).then_some(place), None));
        }
        let parent = if moves { place } else { at.parent };
        let known_as = &self.item.name;
        let links = destination
            .links(published.node, known_as, &record.filing)
            .await?;
        // The master last: until then it says that the work is not done.
        let beside = published.companions.iter().chain(&links);
        for node in beside.chain([&published.node]) {
            let own = destination.node(*node).await?;
            // What accompanies it is named after it.
            let rest = own.name.strip_prefix(&at.name);
            let name = match (other_name, rest) {
                (Some(wanted), Some(rest)) => destination.map_name(&format!("{wanted}{rest}")),
                _ => own.name.clone(),
            };
            if own.parent == parent && own.name == name {
                continue;
            }
            if own.parent != at.parent && own.parent != parent {
                continue;
            }
            crash_point("following");
            match destination.publish(*node, parent, &name).await {
                // Nobody asks for a link by its name.
                Err(failure) if failure.reason == Reason::NameTaken && links.contains(node) => {
                    let map_name = |name: &str| destination.map_name(name);
                    let other = suffixed(&name, &self.item.marker, map_name);
                    destination.publish(*node, parent, &other).await?;
                }
                other => other?,
            }
        }
        let name = other_name.unwrap_or(&at.name);
        let facts = json!({
            "node": published.node, "from": {"parent": at.parent, "name": at.name},
            "to": {"parent": parent, "name": name},
        });
        self.apply(Change::new().journal(entry(self.item, "relocated", &facts)))
            .await?;
        Ok((Some(parent), Some(name.clone())))
    }

    async fn apply(&self, change: Change) -> Result<(), Failure> {
        self.shared
            .ledger
            .apply(change)
            .await
            .map_err(ledger_failure)
    }
}
