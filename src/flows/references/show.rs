//! Showing a document and taking it away, each looked up before it is done and remembered after.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::{At, Decision, Each, Outcome, Place, Reference, References, Remembered, Rule};
use super::{Totals, count, entry, fact, remembered};
use crate::content_server::Listed;
use crate::flows::Error;
use crate::iconik::{Asset, AssetKind, AssetStatus, NewLink, WriteMode, Writing};
use crate::ledger::Change;
use crate::types::{AssetId, CollectionId, Failure, NodeId, Reason, ViewId};

/// The site that links lead to, as iconik shows it.
const SITE: &str = "OpenText Content Server";

/// How long after a change a document's versions are read again each time: the server's dates have
/// whole seconds, and two changes in one of them look like one.
const SETTLED: SignedDuration = SignedDuration::from_mins(10);

/// What stands in the journal before something is done.
#[derive(Serialize)]
struct Intent<'a> {
    decision: &'a Decision,
    /// What is shown from now on.
    now: &'a Reference,
    /// What was shown before.
    before: Option<&'a Reference>,
    /// Whose rights decided: a user or group of Content Server.
    audience: i64,
}

impl References<'_> {
    /// Shows a document that the audience may read, or brings what is shown of it up to date.
    pub(super) async fn show(
        &self,
        rule: &Rule,
        at: &At<'_>,
        listed: &Listed,
        before: Option<&Reference>,
        totals: &mut Totals,
        each: &mut Each<'_>,
    ) -> Result<(), Error> {
        let shown = before.filter(|before| before.shown);
        let place = rule.place(at.collection);
        let shown = match shown {
            Some(elsewhere) if elsewhere.place != place => {
                let why = "the rule shows it in another place now";
                self.withdraw(at, listed.node, elsewhere, why, totals, each)
                    .await?;
                None
            }
            shown => shown,
        };
        let settled = listed
            .at
            .is_some_and(|at| Timestamp::now().duration_since(at) > SETTLED);
        let known = shown.filter(|known| known.changed == listed.stamp && settled && !self.full);
        let version = match known {
            Some(known) => known.version,
            None => self.newest(listed.node).await?,
        };
        let mut now = Reference {
            name: listed.name.clone(),
            kind: listed.kind.clone(),
            version,
            state: if listed.reserved {
                "reserved"
            } else {
                "available"
            }
            .to_owned(),
            changed: listed.stamp.clone(),
            title: String::new(),
            address: format!("{}{}", self.opens, listed.node),
            place,
            link: shown.and_then(|shown| shown.link.clone()),
            shown: true,
            pending: false,
        };
        now.title = title(rule, &now, listed)?;
        if shown == Some(&now) && (!self.full || self.as_remembered(at, listed.node, &now).await?) {
            return Ok(());
        }
        let decision = Decision {
            rule: at.rule.to_owned(),
            collection: at.collection.clone(),
            node: Some(listed.node),
            title: now.title.clone(),
            outcome: if shown.is_some() {
                Outcome::Updated
            } else {
                Outcome::Shown
            },
            why: what_changed(shown, &now),
        };
        if self.dry_run {
            count(totals, &decision, each);
            return Ok(());
        }
        let intent = Intent {
            decision: &decision,
            now: &now,
            before: shown,
            audience: self.audience,
        };
        let begun = Reference {
            pending: true,
            ..now.clone()
        };
        let node = listed.node.to_string();
        let change = Change::new()
            .journal(entry("reference-shown", &intent))
            .fact(fact(at, &node, &begun, false));
        self.apply(change).await?;
        match now.place.clone() {
            Place::Links(collection) => {
                now.link = Some(self.put_link(at, listed.node, &now, collection).await?);
            }
            Place::Field(view, field) => {
                if !self.has(at.collection, &view, &field, &now.address).await? {
                    self.write(at.collection, &view, field, &now.address, WriteMode::Append)
                        .await?;
                }
            }
        }
        let change = Change::new().fact(fact(at, &node, &now, false));
        self.apply(change).await?;
        count(totals, &decision, each);
        Ok(())
    }

    /// Takes a document away that is shown.
    pub(super) async fn withdraw(
        &self,
        at: &At<'_>,
        node: NodeId,
        shown: &Reference,
        why: &str,
        totals: &mut Totals,
        each: &mut Each<'_>,
    ) -> Result<(), Error> {
        let decision = Decision {
            rule: at.rule.to_owned(),
            collection: at.collection.clone(),
            node: Some(node),
            title: shown.title.clone(),
            outcome: Outcome::Withdrawn,
            why: why.to_owned(),
        };
        if self.dry_run {
            count(totals, &decision, each);
            return Ok(());
        }
        let gone = Reference {
            shown: false,
            pending: false,
            link: None,
            ..shown.clone()
        };
        let intent = Intent {
            decision: &decision,
            now: &gone,
            before: Some(shown),
            audience: self.audience,
        };
        let change = Change::new().journal(entry("reference-withdrawn", &intent));
        self.apply(change).await?;
        match &shown.place {
            Place::Links(_) => {
                if let Some(link) = self.own_link(at, node, shown).await? {
                    self.systems.iconik.bin_asset(&link.id).await?;
                }
            }
            Place::Field(view, field) => {
                let others = self.shown_by_another_rule(at, node, shown).await?;
                let there = match self.has(at.collection, view, field, &shown.address).await {
                    // With the collection the field is gone.
                    Err(Error::Iconik(error)) if error.is_not_found() => false,
                    has => has?,
                };
                if there && !others {
                    let (address, mode) = (&shown.address, WriteMode::Delete);
                    self.write(at.collection, view, field.clone(), address, mode)
                        .await?;
                }
            }
        }
        let change = Change::new().fact(fact(at, &node.to_string(), &gone, false));
        self.apply(change).await?;
        count(totals, &decision, each);
        Ok(())
    }

    /// The number of the newest version.
    async fn newest(&self, node: NodeId) -> Result<i64, Error> {
        let versions = self.systems.destination.versions(node).await?;
        let newest = versions.iter().map(|version| version.number.0).max();
        newest.ok_or_else(|| {
            let what = format!("document {node} has no version");
            Failure::item(Reason::Incomplete, what).into()
        })
    }

    /// Whether iconik still shows what is remembered.
    async fn as_remembered(
        &self,
        at: &At<'_>,
        node: NodeId,
        known: &Reference,
    ) -> Result<bool, Error> {
        match &known.place {
            Place::Links(_) => {
                let link = self.own_link(at, node, known).await?;
                Ok(link.is_some_and(|link| fits(&link, known)))
            }
            Place::Field(view, field) => self.has(at.collection, view, field, &known.address).await,
        }
    }

    /// The link of a document, if it is there. One that somebody else made his own is an error: it
    /// is not ours to touch.
    async fn own_link(
        &self,
        at: &At<'_>,
        node: NodeId,
        known: &Reference,
    ) -> Result<Option<Asset>, Error> {
        let marker = self.marker(at, node);
        let Some(id) = &known.link else {
            return Ok(self.systems.iconik.find_link(&marker).await?);
        };
        let link = match self.systems.iconik.asset(id).await {
            Ok(link) if link.status == AssetStatus::Deleted => return Ok(None),
            Ok(link) => link,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if link.kind != AssetKind::Link || link.external_id.as_deref() != Some(marker.as_str()) {
            let what = format!(
                "link {id} of document {node} does not carry longhaul's external id {marker:?} any more; give it back, or delete the link"
            );
            return Err(Failure::item(Reason::Other, what).into());
        }
        Ok(Some(link))
    }

    /// Makes the link, or brings it up to date.
    async fn put_link(
        &self,
        at: &At<'_>,
        node: NodeId,
        now: &Reference,
        collection: CollectionId,
    ) -> Result<AssetId, Error> {
        let iconik = &self.systems.iconik;
        let link = match self.own_link(at, node, now).await? {
            Some(link) => link,
            None => {
                iconik
                    .ensure_link(&NewLink {
                        title: now.title.clone(),
                        address: now.address.clone(),
                        site: SITE.to_owned(),
                        external_id: self.marker(at, node),
                        collection: Some(collection),
                    })
                    .await?
            }
        };
        if !fits(&link, now) {
            iconik.edit_link(&link.id, &now.title, &now.address).await?;
        }
        Ok(link.id)
    }

    /// What a link is found again by.
    fn marker(&self, at: &At<'_>, node: NodeId) -> String {
        let instance = &self.systems.instance;
        format!(
            "longhaul:reference:{instance}:{node}:{}:{}",
            at.collection, at.rule
        )
    }

    /// Whether a collection's field has an address.
    async fn has(
        &self,
        collection: &CollectionId,
        view: &ViewId,
        field: &str,
        address: &str,
    ) -> Result<bool, Error> {
        let found = self.systems.iconik.collection(collection).await?;
        let metadata = self.systems.iconik.collection_metadata(&found).await?;
        let own = metadata.views.iter().find(|own| own.id == *view);
        let own = own.and_then(|own| own.fields.iter().find(|own| own.name == field));
        let own = own.ok_or_else(|| {
            let what = format!(
                "collection {collection} has no field `{field}` in a view {view} that longhaul may see"
            );
            Failure::item(Reason::Other, what)
        })?;
        Ok(own.values.iter().any(|value| leads_to(value, address)))
    }

    async fn write(
        &self,
        collection: &CollectionId,
        view: &ViewId,
        field: String,
        address: &str,
        mode: WriteMode,
    ) -> Result<(), Error> {
        let writing = Writing {
            field,
            values: vec![address.to_owned()],
            mode,
        };
        let iconik = &self.systems.iconik;
        iconik
            .write_collection_values(collection, view, &[writing])
            .await?;
        Ok(())
    }

    /// Whether another rule shows the same document in the same field.
    async fn shown_by_another_rule(
        &self,
        at: &At<'_>,
        node: NodeId,
        shown: &Reference,
    ) -> Result<bool, Error> {
        let facts = self.facts(at.collection).await?;
        Ok(facts.iter().filter_map(remembered).any(|(rule, known)| {
            matches!(known, Remembered::Document(other, known)
                if other == node && rule != at.rule && known.shown && known.place == shown.place)
        }))
    }
}

fn fits(link: &Asset, known: &Reference) -> bool {
    link.title == known.title && link.external_link.as_deref() == Some(known.address.as_str())
}

/// Whether a field's value is an address, alone or with a label.
fn leads_to(value: &Value, address: &str) -> bool {
    match value {
        Value::String(text) => text == address,
        Value::Object(members) => members.values().any(|value| value == address),
        _ => false,
    }
}

/// What a link is called.
fn title(rule: &Rule, now: &Reference, listed: &Listed) -> Result<String, Failure> {
    let changed = listed.at.map_or_else(
        || "unknown date".to_owned(),
        |at| at.strftime("%Y-%m-%d").to_string(),
    );
    let filled = rule.title.fill(|fact| match fact {
        "name" => Some(now.name.clone()),
        "type" => Some(now.kind.clone()),
        "version" => Some(now.version.to_string()),
        "state" => Some(now.state.clone()),
        "changed" => Some(changed.clone()),
        _ => None,
    });
    filled.map_err(|fact| {
        let what = format!(
            "`{fact}` is no fact of a document; a title takes name, type, version, state, changed"
        );
        Failure::item(Reason::Other, what)
    })
}

/// Why something is written, for people.
fn what_changed(shown: Option<&Reference>, now: &Reference) -> String {
    let Some(before) = shown else {
        return "the rule chooses it and the audience may read it".to_owned();
    };
    if before.name != now.name {
        format!("renamed; it was {:?}", before.name)
    } else if before.version != now.version {
        format!("version {} is new; it was {}", now.version, before.version)
    } else if before.state != now.state {
        format!("it is {} now; it was {}", now.state, before.state)
    } else if before.pending {
        "it was begun and not seen to its end".to_owned()
    } else if before.changed != now.changed {
        "it was changed".to_owned()
    } else {
        "what is shown is not as it was left".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_are_found_with_and_without_labels() {
        assert!(leads_to(&json!("https://cs/1"), "https://cs/1"));
        let labelled = json!({"url": "https://cs/1", "label": "Brief"});
        assert!(leads_to(&labelled, "https://cs/1"));
        assert!(!leads_to(&json!("https://cs/11"), "https://cs/1"));
        assert!(!leads_to(&json!(7), "7"));
    }
}
