//! Showing a document and taking it away, each looked up before it is done and remembered after.

use futures::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::{
    At, Copied, Decision, Each, Object, Outcome, Place, Reference, References, Remembered, Rule,
};
use super::{Totals, count, entry, fact, remembered};
use crate::content_server::Listed;
use crate::flows::Error;
use crate::iconik::{Asset, AssetKind, AssetStatus, NewLink, REFERENCE, WriteMode, Writing};
use crate::ledger::Change;
use crate::types::{AssetId, Failure, NodeId, Reason, ViewId};

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
        let place = rule.place(at.object)?;
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
            at_asset: matches!(at.object, Object::Asset(_)),
            link: shown.and_then(|shown| shown.link.clone()),
            copy: shown.and_then(|shown| shown.copy.clone()),
            shown: true,
            pending: false,
        };
        now.title = title(rule, &now, listed)?;
        let copied = rule
            .show
            .copying()
            .is_none_or(|copying| copying.is_done(&now));
        let same = shown == Some(&now) && copied;
        if same && (!self.full || self.as_remembered(at, listed.node, &now).await?) {
            return Ok(());
        }
        if self.full && !self.is_copied(&now).await? {
            // It is made again, in the place that it had.
            now.copy = now.copy.map(Copied::unproved);
        }
        let outcome = match shown {
            Some(_) => Outcome::Updated,
            None => Outcome::Shown,
        };
        let decision = Decision {
            title: now.title.clone(),
            why: match copied {
                true => what_changed(shown, &now),
                false => format!("{}; its content is copied", what_changed(shown, &now)),
            },
            ..at.object.decision(at.rule, Some(listed.node), outcome)
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
        // What was begun before, and could not be ended, is journalled once.
        if shown != Some(&begun) {
            let change = Change::new()
                .journal(entry("reference-shown", &intent))
                .fact(fact(at, &node, &begun, false));
            self.apply(change).await?;
        }
        if let Place::Field(view, field) = &now.place {
            if !self.has(at.object, view, field, &now.address).await? {
                let (address, mode) = (&now.address, WriteMode::Append);
                self.write(at.object, view, field.clone(), address, mode)
                    .await?;
            }
        } else {
            let link = self.put_link(at, listed.node, &now).await?;
            if let (Some(kind), Object::Asset(asset)) = (now.place.relation(), at.object)
                && !self.is_related(at, &now.place, &link).await?
            {
                let iconik = &self.systems.iconik;
                iconik.relate_assets(asset, kind, &link, &now.title).await?;
            }
            now.link = Some(link);
        }
        if let Some(copying) = rule.show.copying() {
            self.copy(at, listed, &mut now, copying).await?;
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
            title: shown.title.clone(),
            why: why.to_owned(),
            ..at.object.decision(at.rule, Some(node), Outcome::Withdrawn)
        };
        if self.dry_run {
            count(totals, &decision, each);
            return Ok(());
        }
        let gone = Reference {
            shown: false,
            pending: false,
            link: None,
            copy: None,
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
            Place::Field(view, field) => {
                let others = self.shown_by_another_rule(at, node, shown).await?;
                let there = match self.has(at.object, view, field, &shown.address).await {
                    // With the object the field is gone.
                    Err(Error::Iconik(error)) if error.is_not_found() => false,
                    has => has?,
                };
                if there && !others {
                    let (address, mode) = (&shown.address, WriteMode::Delete);
                    self.write(at.object, view, field.clone(), address, mode)
                        .await?;
                }
            }
            _ => {
                if let Some(link) = self.own_link(at, node, shown).await? {
                    self.systems.iconik.bin_asset(&link.id).await?;
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
            Place::Field(view, field) => self.has(at.object, view, field, &known.address).await,
            place => {
                let Some(link) = self.own_link(at, node, known).await? else {
                    return Ok(false);
                };
                let related = self.is_related(at, place, &link.id).await?;
                let copied = self.is_copied(known).await?;
                Ok(related && copied && fits(&link, known))
            }
        }
    }

    /// Whether the asset has the relation to a link that its place asks for.
    async fn is_related(&self, at: &At<'_>, place: &Place, link: &AssetId) -> Result<bool, Error> {
        let (Some(kind), Object::Asset(asset)) = (place.relation(), at.object) else {
            return Ok(true);
        };
        let mut related = self.systems.iconik.related_assets(asset, Some(kind));
        while let Some(other) = related.try_next().await? {
            if other.id == *link {
                return Ok(true);
            }
        }
        Ok(false)
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
        let kind = link_kind(known);
        let Some(id) = &known.link else {
            return Ok(self.systems.iconik.find_link(&marker, &kind).await?);
        };
        let link = match self.systems.iconik.asset(id).await {
            Ok(link) if link.status == AssetStatus::Deleted => return Ok(None),
            Ok(link) => link,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if link.kind != kind || link.external_id.as_deref() != Some(marker.as_str()) {
            let what = format!(
                "link {id} of document {node} does not carry longhaul's external id {marker:?} any more; give it back, or delete the link"
            );
            return Err(Failure::item(Reason::Other, what).into());
        }
        Ok(Some(link))
    }

    /// Makes the link, or brings it up to date.
    async fn put_link(&self, at: &At<'_>, node: NodeId, now: &Reference) -> Result<AssetId, Error> {
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
                        collection: now.place.collection().cloned(),
                        kind: link_kind(now),
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
            "{REFERENCE}{instance}:{node}:{}:{}",
            at.object.id(),
            at.rule
        )
    }

    /// Whether an object's field has an address.
    async fn has(
        &self,
        object: &Object,
        view: &ViewId,
        field: &str,
        address: &str,
    ) -> Result<bool, Error> {
        let iconik = &self.systems.iconik;
        let metadata = match object {
            Object::Collection(id) => {
                let found = iconik.collection(id).await?;
                iconik.collection_metadata(&found).await?
            }
            Object::Asset(id) => {
                let found = iconik.asset(id).await?;
                iconik.metadata_of(&found, None).await?
            }
        };
        let own = metadata.views.iter().find(|own| own.id == *view);
        let own = own.and_then(|own| own.fields.iter().find(|own| own.name == field));
        let own = own.ok_or_else(|| {
            let what =
                format!("{object} has no field `{field}` in a view {view} that longhaul may see");
            Failure::item(Reason::Other, what)
        })?;
        Ok(own.values.iter().any(|value| leads_to(value, address)))
    }

    async fn write(
        &self,
        object: &Object,
        view: &ViewId,
        field: String,
        address: &str,
        mode: WriteMode,
    ) -> Result<(), Error> {
        let writing = [Writing {
            field,
            values: vec![address.to_owned()],
            mode,
        }];
        let iconik = &self.systems.iconik;
        match object {
            Object::Collection(id) => iconik.write_collection_values(id, view, &writing).await?,
            Object::Asset(id) => iconik.write_values(id, view, &writing).await?,
        }
        Ok(())
    }

    /// Whether another rule shows the same document in the same field.
    async fn shown_by_another_rule(
        &self,
        at: &At<'_>,
        node: NodeId,
        shown: &Reference,
    ) -> Result<bool, Error> {
        let facts = self.facts(at.object).await?;
        Ok(facts.iter().filter_map(remembered).any(|(rule, known)| {
            matches!(known, Remembered::Document(other, known)
                if other == node && rule != at.rule && known.shown && known.place == shown.place)
        }))
    }
}

/// What kind of asset stands for a document.
fn link_kind(known: &Reference) -> AssetKind {
    match known.place.is_copy() {
        true => AssetKind::Asset,
        false => AssetKind::Link,
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
