//! Masters as ledger items: names, markers, fingerprints.

use sha2::{Digest, Sha256};

use super::MISSING;
use crate::flows::Systems;
use crate::flows::write_back::ItemSource;
use crate::iconik::{Asset, Master, Out};
use crate::ledger::{NewFile, NewItem};
use crate::types::{AssetId, FailureClass, Marker, MarkerFields, Reason, Role};

/// Bytes of an item without its sidecars.
pub(in crate::flows) fn master_bytes(item: &NewItem) -> u64 {
    let masters = item.files.iter().filter(|file| file.content.is_none());
    masters.map(|file| file.size).sum()
}

/// Whether an item only says that iconik does not have the asset.
pub(in crate::flows) fn is_missing(item: &NewItem) -> bool {
    item.fingerprint == MISSING
}

pub(super) fn marker(systems: &Systems, master: &Master, role: &Role) -> String {
    let file = match role {
        Role::Folder => master.file_set.as_str(),
        _ => master.files.first().map_or("", |file| file.id.as_str()),
    };
    file_marker(systems, master, file, role)
}

fn file_marker(systems: &Systems, master: &Master, file: &str, role: &Role) -> String {
    Marker::derive(&MarkerFields {
        instance: &systems.instance,
        domain: &systems.domain,
        asset: master.asset.as_str(),
        version: master.version.as_str(),
        format: master.format.as_str(),
        file,
        role,
    })
    .to_string()
}

pub(super) fn item(systems: &Systems, master: &Master, kin: &[String]) -> NewItem {
    let map = |name: &str| systems.destination.map_name(name);
    let mut fingerprint = Sha256::new();
    let mut files = Vec::with_capacity(master.files.len());
    let mut names = std::collections::HashSet::new();
    for file in &master.files {
        let md5 = file.md5.map(|md5| md5.to_string());
        fingerprint.update(format!(
            "{}\0{}\0{md5:?}\0{:?}\0",
            file.id, file.size, file.date_modified
        ));
        // Two names that differ only in case or Unicode form would collide in one folder.
        let mut name = map(&file.name);
        let folded = |name: &str| format!("{}/{}", file.dir, crate::content_server::fold(name));
        if !names.insert(folded(&name)) {
            let own = file_marker(systems, master, file.id.as_str(), &Role::Master);
            name = crate::transfer::suffixed(&name, &own, map);
            names.insert(folded(&name));
        }
        files.push(NewFile {
            role: Role::Master.name(),
            marker: file_marker(systems, master, file.id.as_str(), &Role::Master),
            mime: mime_guess::from_path(&file.name)
                .first_or_octet_stream()
                .to_string(),
            name,
            dir: file.dir.clone(),
            size: file.size,
            offset: 0,
            locator: master.locator(file).to_text(),
            md5,
            validator: None,
            content: None,
        });
    }
    let source = ItemSource {
        asset: master.asset.clone(),
        version_number: master.version_number,
        storage: master.storage.clone(),
    };
    let (kind, own, name) = if master.many {
        // A later version of a sequence is a folder of its own beside the earlier one.
        let name = match master.version_number {
            ..=1 => master.name.clone(),
            number => format!("{} v{number}", master.name),
        };
        ("folder", marker(systems, master, &Role::Folder), map(&name))
    } else {
        let name = files
            .first()
            .map(|file| file.name.clone())
            .unwrap_or_default();
        ("document", marker(systems, master, &Role::Master), name)
    };
    NewItem {
        key: format!("{}/{}", master.asset, master.version),
        kind: kind.into(),
        title: if master.version_number > 1 {
            format!("{} (v{})", master.title, master.version_number)
        } else {
            master.title.clone()
        },
        parent: systems.target.0,
        name,
        marker: own,
        kin: kin.to_vec(),
        fingerprint: hex::encode(&fingerprint.finalize()[..16]),
        source: serde_json::to_string(&source).unwrap_or_default(),
        files,
        archived: master.archived,
        ..Default::default()
    }
}

/// Gives a paper markers of its own: the asset that it is from may be filed as a master too.
pub(super) fn mark_as_paper(systems: &Systems, master: &Master, paper: &mut NewItem) {
    for (file, own) in paper.files.iter_mut().zip(&master.files) {
        file.marker = file_marker(systems, master, own.id.as_str(), &Role::Paper);
    }
    if let Some(first) = paper.files.first() {
        paper.marker.clone_from(&first.marker);
    }
}

/// An asset version that a person must look at, as an item that says why.
pub(super) fn refused(systems: &Systems, asset: &Asset, out: &Out) -> NewItem {
    let class = if out.why.passes() {
        FailureClass::RetryLater
    } else {
        FailureClass::ItemIsWrong
    };
    let version = out
        .version
        .clone()
        .or_else(|| asset.current_version().map(|version| version.id.clone()));
    NewItem {
        key: format!(
            "{}/{}",
            asset.id,
            version.map_or("-".to_owned(), |version| version.0)
        ),
        kind: "document".into(),
        title: asset.title.clone(),
        parent: systems.target.0,
        name: asset.title.clone(),
        fingerprint: format!("refused {}", out.why.as_str()),
        source: "{}".into(),
        refused: Some((
            class.as_str().into(),
            reason_name(Reason::Other),
            format!("{} ({})", out.detail, out.why.as_str()),
        )),
        ..Default::default()
    }
}

/// A master whose record lacks something: held without its files, until a later run finds it
/// complete.
pub(super) fn incomplete(item: NewItem, missing: &[String]) -> NewItem {
    let why = missing.join("; ");
    held(
        item,
        Reason::Incomplete,
        &format!("refused {}", reason_name(Reason::Incomplete)),
        format!("its record lacks something: {why}; mend it in iconik"),
    )
}

/// A master whose required papers are not there: held without its files, until a later run finds
/// them.
pub(super) fn without_papers(item: NewItem, missing: &[String]) -> NewItem {
    let why = missing.join("; ");
    held(
        item,
        Reason::PaperMissing,
        &format!("refused {}", reason_name(Reason::PaperMissing)),
        format!("{why}; provide the paper"),
    )
}

/// A master that is held without its files, under a fingerprint that no content has.
pub(super) fn held(item: NewItem, reason: Reason, fingerprint: &str, message: String) -> NewItem {
    NewItem {
        fingerprint: fingerprint.to_owned(),
        refused: Some((
            FailureClass::ItemIsWrong.as_str().into(),
            reason_name(reason),
            message,
        )),
        files: Vec::new(),
        ..item
    }
}

pub(super) fn missing(systems: &Systems, id: &AssetId, message: &str) -> NewItem {
    NewItem {
        key: format!("{id}/-"),
        kind: "document".into(),
        title: id.0.clone(),
        parent: systems.target.0,
        name: id.0.clone(),
        fingerprint: MISSING.into(),
        source: "{}".into(),
        refused: Some((
            FailureClass::ItemIsWrong.as_str().into(),
            reason_name(Reason::Inaccessible),
            message.into(),
        )),
        ..Default::default()
    }
}

/// A reason's word in the ledger.
pub(in crate::flows) fn reason_name(reason: Reason) -> String {
    serde_json::to_value(reason)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}
