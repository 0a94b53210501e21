//! One asset: its versions as items, or why it is left out.

use super::item::{incomplete, item, marker, master_bytes, missing, refused, without_papers};
use super::papers::{self, Gathered};
use super::{Intake, MISSING};
use crate::content_server::Rendition;
use crate::flows::plan::Decision;
use crate::flows::publish::{values_of, word_of};
use crate::flows::rights;
use crate::flows::{Error, Systems, Wanted};
use crate::iconik::{Asset, Master, Metadata, Versions, Why};
use crate::ledger::{NewFile, NewItem};
use crate::sidecar::rights::rights_name;
use crate::sidecar::{FilingFacts, MetadataSidecar, metadata_name};
use crate::transfer::Record;
use crate::types::{AssetId, CollectionId, NodeId, Role, display_bytes};
use jiff::civil::Date;
use serde_json::json;

/// The media type of a rights sidecar.
const ODRL: &str = "application/ld+json";

/// What a look at one asset found.
pub(in crate::flows) struct Looked {
    /// Its title; the id when it cannot be read.
    pub(in crate::flows) title: String,
    /// The collections it is in.
    pub(in crate::flows) collections: Vec<CollectionId>,
    /// How many views its metadata is in; only counted when no sidecar is made.
    pub(in crate::flows) views: u64,
    /// Its versions as items, oldest first, each with its master unless it is refused.
    pub(in crate::flows) items: Vec<(NewItem, Option<Master>)>,
    /// Why it is left out: as one word, and for people.
    pub(in crate::flows) left_out: Option<(&'static str, String)>,
    /// Its licences with the last day of each, when they were read: none for one without an end.
    pub(in crate::flows) ends: Option<Vec<(String, Option<Date>)>>,
    /// What is not as the plan that is followed says: as one word, the item's key, and for people.
    pub(in crate::flows) changes: Vec<(&'static str, String, String)>,
}

/// Looks at an asset: its versions as items, or why it is left out.
pub(super) async fn look(
    systems: &Systems,
    intake: &Intake,
    wanted: &Wanted,
) -> Result<Looked, Error> {
    let id = &wanted.asset;
    let planned = wanted.planned.as_deref();
    let mut looked = Looked {
        title: id.0.clone(),
        collections: Vec::new(),
        views: 0,
        items: Vec::new(),
        left_out: None,
        ends: None,
        changes: Vec::new(),
    };
    match examine(systems, intake, id, &mut looked).await {
        Ok(()) => {}
        Err(Error::Iconik(error)) if error.is_not_found() || error.is_forbidden() => {
            let was_there = |planned: &Decision| {
                let mut versions = planned.versions.iter().flatten();
                !versions.any(|version| version.fingerprint == MISSING)
            };
            if planned.is_some_and(was_there) {
                let change = ("gone", format!("{id}/-"), error.to_string());
                looked.changes.push(change);
            }
            looked.items = vec![(missing(systems, id, &error.to_string()), None)];
            return Ok(looked);
        }
        Err(error) => return Err(error),
    }
    if let Some(planned) = planned {
        compare(intake, planned, &mut looked);
    }
    Ok(looked)
}

async fn examine(
    systems: &Systems,
    intake: &Intake,
    id: &AssetId,
    looked: &mut Looked,
) -> Result<(), Error> {
    let asset = systems.iconik.asset(id).await?;
    looked.title.clone_from(&asset.title);
    looked.collections.clone_from(&asset.in_collections);
    if let Err(refused) = intake.filter.asset(&asset) {
        looked.left_out = Some((refused.why, refused.detail));
        return Ok(());
    }
    let mut current_metadata = None;
    let licensing = intake.rights.as_deref();
    if intake.filter.needs_metadata() || intake.publish.is_some() || licensing.is_some() {
        let metadata = systems.iconik.metadata_of(&asset, None).await?;
        if let Err(refused) = intake.filter.metadata(&metadata) {
            looked.left_out = Some((refused.why, refused.detail));
            return Ok(());
        }
        if let Some(policy) = &intake.publish
            && let Some(detail) = policy.refusal(systems, &asset, &metadata).await?
        {
            looked.left_out = Some(("not-final", detail));
            return Ok(());
        }
        current_metadata = Some(metadata);
    }
    // All versions even when one is wanted: the others' markers tell whose document it is.
    let plan = systems.iconik.plan_of(asset, &Versions::All).await?;
    if let Some(newest) = plan.masters.last() {
        let name = match &newest.storage {
            Some(storage) if !intake.filter.storage.is_empty() => {
                systems.iconik.storage(storage).await?
            }
            _ => None,
        };
        let name = name.as_ref().map(|storage| storage.label());
        if let Err(refused) = intake.filter.master(newest, name) {
            looked.left_out = Some((refused.why, refused.detail));
            return Ok(());
        }
    }
    for out in &plan.out {
        match out.why {
            // Nothing to move, and nothing that a person must see to.
            Why::Deleted | Why::NoBytes | Why::Subclip | Why::Reference => {
                looked.left_out = Some((out.why.as_str(), out.detail.clone()));
            }
            _ => looked
                .items
                .push((refused(systems, &plan.asset, out), None)),
        }
    }
    if !intake.sidecar {
        looked.views = systems.iconik.views_of(&plan.asset).await?;
    }
    let kin: Vec<String> = plan
        .masters
        .iter()
        .flat_map(|master| {
            [Role::Master, Role::Metadata, Role::Rights].map(|role| marker(systems, master, &role))
        })
        .collect();
    let mut before: Option<String> = None;
    let wanted = if intake.all_versions {
        0
    } else {
        plan.masters.len().saturating_sub(1)
    };
    let newest = plan
        .asset
        .current_version()
        .map(|version| version.id.clone());
    let mut gathered = match (licensing, &current_metadata) {
        (Some(licensing), Some(metadata)) if !plan.masters.is_empty() => {
            let source = values_of(metadata);
            let value = |field: &str| word_of(&plan.asset, source.get(field), field);
            let found = Box::pin(licensing.find(systems, &plan.asset, &source, value)).await?;
            papers::gather(systems, intake, licensing, found)?
        }
        _ => Gathered::default(),
    };
    let papers: Vec<NodeId> = gathered.nodes.iter().map(|(node, _)| *node).collect();
    looked.items.append(&mut gathered.items);
    for master in plan.masters.into_iter().skip(wanted) {
        let is_newest = newest.as_ref() == Some(&master.version);
        let mut item = item(systems, &master, &kin);
        if let (Some(metadata), Some(policy)) = (&current_metadata, &intake.publish) {
            let recorded = policy.record(&plan.asset, metadata, &item.name, &papers)?;
            match recorded.record {
                Some(record) => item.record = serde_json::to_string(&record).ok(),
                None => {
                    let item = incomplete(item, &recorded.missing);
                    looked.items.push((item, Some(master)));
                    continue;
                }
            }
        }
        if !gathered.missing.is_empty() {
            let item = without_papers(item, &gathered.missing);
            looked.items.push((item, Some(master)));
            continue;
        }
        if !gathered.waits_for.is_empty() {
            let item = papers::waiting(item, &gathered);
            looked.items.push((item, Some(master)));
            continue;
        }
        // An asset's own metadata is its newest version's.
        let metadata = match &current_metadata {
            Some(read) if is_newest => Some(read.clone()),
            _ if intake.sidecar || licensing.is_some_and(|own| own.has_sidecar()) => {
                let version = Some(&master.version);
                Some(systems.iconik.metadata_of(&plan.asset, version).await?)
            }
            _ => None,
        };
        let mut filing = match &intake.remembered {
            Some(remembered) if intake.sidecar => remembered.facts(&plan.asset.id, &item)?,
            _ => FilingFacts::default(),
        };
        if let (Some(licensing), Some(metadata)) = (licensing, &metadata)
            && licensing.has_sidecar()
        {
            let licences = licensing.read(systems, &master.asset, metadata);
            let (licences, problems) = Box::pin(licences).await?;
            if !problems.is_empty() {
                looked
                    .items
                    .push((incomplete(item, &problems), Some(master)));
                continue;
            }
            let (domain, instance) = (&systems.domain, &systems.instance);
            let (asset, version) = (&master.asset, &master.version);
            let papers = &gathered.nodes;
            let policy = rights::policy(domain, instance, asset, version, &licences, papers);
            if is_newest {
                looked.ends = Some(policy.licences());
            }
            filing.policy = Some(policy.uid.clone());
            filing.documents.clone_from(&policy.documents);
            filing.status = policy.status;
            let (name, content) = (rights_name(&item.name), policy.to_json());
            if let Some(kind) = &licensing.rendition {
                as_rendition(&mut item, kind, &name, &content);
            }
            item.files.push(NewFile {
                mime: ODRL.into(),
                ..document(systems, &master, Role::Rights, name, content)
            });
        }
        if let (true, Some(mut metadata)) = (intake.sidecar, metadata) {
            for view in &mut metadata.views {
                view.fields
                    .retain(|field| !intake.written_back.contains(&field.name));
            }
            let content = describe(systems, intake, &plan.asset, &master, &metadata, filing);
            let name = metadata_name(&item.name);
            let sidecar = document(systems, &master, Role::Metadata, name, content);
            item.files.push(sidecar);
        }
        item.after = before
            .replace(item.key.clone())
            .filter(|_| item.kind == "document");
        looked.items.push((item, Some(master)));
    }
    Ok(())
}

/// The metadata sidecar of a master.
fn describe(
    systems: &Systems,
    intake: &Intake,
    asset: &Asset,
    master: &Master,
    metadata: &Metadata,
    filing: FilingFacts,
) -> Vec<u8> {
    MetadataSidecar {
        shared: intake.shared.clone(),
        filing,
        ..master.describe(&systems.domain, asset, metadata, &[])
    }
    .to_json()
}

/// A document that is filed beside a master.
fn document(
    systems: &Systems,
    master: &Master,
    role: Role,
    name: String,
    content: Vec<u8>,
) -> NewFile {
    NewFile {
        role: role.name(),
        marker: marker(systems, master, &role),
        name: systems.destination.map_name(&name),
        size: content.len() as u64,
        mime: "application/json".into(),
        content: Some(content),
        ..NewFile::default()
    }
}

/// What has changed since the plan that is followed. A version that the plan does not know is left
/// for another run; one whose content changed is filed as it is now.
fn compare(intake: &Intake, planned: &Decision, looked: &mut Looked) {
    let key = format!("{}/-", planned.asset);
    if let Some((why, detail)) = &looked.left_out {
        let change = match *why {
            "deleted" => "gone",
            _ => "no-longer-selected",
        };
        looked.changes.push((change, key, detail.clone()));
        return;
    }
    let moved_out = intake.in_collections
        && !planned.collections.is_empty()
        && !planned
            .collections
            .iter()
            .any(|collection| looked.collections.contains(collection));
    if moved_out {
        let detail = "it is in none of the collections that it was in".to_owned();
        looked.items.clear();
        looked.left_out = Some(("no-longer-selected", detail.clone()));
        looked.changes.push(("no-longer-selected", key, detail));
        return;
    }
    // A quick count knows no versions: there is nothing to compare with.
    let Some(versions) = &planned.versions else {
        return;
    };
    let mut gone: Vec<&str> = versions
        .iter()
        .map(|version| version.key.as_str())
        .collect();
    let changes = &mut looked.changes;
    looked.items.retain(|(item, _)| {
        gone.retain(|key| *key != item.key);
        let bytes: u64 = master_bytes(item);
        match versions.iter().find(|version| version.key == item.key) {
            None => {
                let detail = format!(
                    "a version of {} that the plan does not know; another run files it",
                    display_bytes(bytes)
                );
                changes.push(("new-version", item.key.clone(), detail));
                false
            }
            // The plan knew that it would come after its papers; they are filed by now.
            Some(then) if papers::waits(&then.fingerprint) => true,
            Some(then) if then.fingerprint != item.fingerprint => {
                let detail = if item.refused.is_some() {
                    "it can no longer be filed".to_owned()
                } else if then.bytes == bytes {
                    format!("{}, with another checksum or date", display_bytes(bytes))
                } else {
                    format!(
                        "{} when it was planned, now {}",
                        display_bytes(then.bytes),
                        display_bytes(bytes)
                    )
                };
                changes.push(("content-changed", item.key.clone(), detail));
                true
            }
            Some(_) => true,
        }
    });
    for key in gone {
        let detail = "a version that the asset no longer has".to_owned();
        changes.push(("version-gone", key.to_owned(), detail));
    }
    // What came before a version that is left for later is not waited for.
    let kept: Vec<String> = looked
        .items
        .iter()
        .map(|(item, _)| item.key.clone())
        .collect();
    let mut before: Option<String> = None;
    for (item, _) in &mut looked.items {
        if item
            .after
            .as_ref()
            .is_some_and(|after| !kept.contains(after))
        {
            item.after.clone_from(&before);
        }
        before = Some(item.key.clone());
    }
}

/// Makes the rights sidecar a rendition of the document too, where the item becomes a record. What
/// is a folder, or is split, has no versions that could have one.
fn as_rendition(item: &mut NewItem, kind: &str, name: &str, content: &[u8]) {
    let record = item.record.as_deref().filter(|_| item.kind == "document");
    let record = record.and_then(|record| serde_json::from_str::<Record>(record).ok());
    let Some(mut record) = record else {
        return;
    };
    record.filing["rendition"] = json!(Rendition {
        kind: kind.to_owned(),
        file_name: name.to_owned(),
        mime: ODRL.to_owned(),
        content: String::from_utf8_lossy(content).into_owned(),
    });
    item.record = serde_json::to_string(&record).ok();
}
