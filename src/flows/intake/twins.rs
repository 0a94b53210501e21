//! Masters whose content another asset has too, by the checksum and size that iconik quotes.
//!
//! Only a master of one file is compared: the frames of a sequence may well be alike.

use std::collections::HashMap;

use super::Duplicates;
use super::item::reason_name;
use super::papers::{asset_of, is_paper};
use crate::flows::Error;
use crate::ledger::{Item, Ledger, NewItem, Twin};
use crate::types::{FailureClass, Reason};

/// What iconik quotes of an item's content: MD5 and size; nothing when it quotes no checksum or
/// there are several files.
pub(in crate::flows) fn quoted(item: &NewItem) -> Option<(&str, u64)> {
    let mut masters = item.files.iter().filter(|file| file.content.is_none());
    let (first, more) = (masters.next()?, masters.next());
    let is_one = more.is_none() && item.kind == "document" && !is_paper(&item.key);
    let md5 = first.md5.as_deref()?;
    (is_one && first.size > 0).then_some((md5, first.size))
}

/// Why an item's content is compared with nobody's before it moves: `several-files`, whose frames
/// may well be alike, or `no-md5`, where iconik quotes none. Nothing for what is compared, and for
/// what has no bytes of a master.
pub(in crate::flows) fn uncompared(item: &NewItem) -> Option<&'static str> {
    let masters = || item.files.iter().filter(|file| file.content.is_none());
    if is_paper(&item.key) || masters().all(|file| file.size == 0) {
        return None;
    }
    if item.kind != "document" || masters().count() > 1 {
        return Some("several-files");
    }
    quoted(item).is_none().then_some("no-md5")
}

/// Whether what the ledger knows of an item settles that it is filed although another asset has
/// its content: it is, or it is on its way by a person's word.
pub(in crate::flows) fn is_settled(known: &Item, item: &NewItem) -> bool {
    let waits = known.state == "held" && known.reason.as_deref() == Some("duplicate");
    known.fingerprint == item.fingerprint && !waits
}

/// Why an item is held, for people.
fn why(key: &str, title: &str) -> String {
    format!(
        "iconik quotes the same size and MD5 for {title:?} ({key}): `longhaul decide KEY --retry` files it as well, --decline leaves it out"
    )
}

/// Holds the items whose content another asset has, when the policy is to ask a person.
pub(super) async fn hold(
    ledger: &Ledger,
    policy: Duplicates,
    items: &mut [NewItem],
) -> Result<(), Error> {
    if policy == Duplicates::File {
        return Ok(());
    }
    // Those of this page are not in the ledger yet.
    let mut here: HashMap<(String, u64), (String, String)> = HashMap::new();
    for item in items {
        let Some((md5, size)) = quoted(item).filter(|_| item.refused.is_none()) else {
            continue;
        };
        let content = (md5.to_owned(), size);
        let asset = asset_of(&item.key);
        let twin = match ledger.twin(md5, size, asset).await? {
            Some(Twin { key, title, .. }) => Some((key, title)),
            None => here
                .get(&content)
                .filter(|(key, _)| asset_of(key) != asset)
                .cloned(),
        };
        here.entry(content)
            .or_insert_with(|| (item.key.clone(), item.title.clone()));
        let Some((key, title)) = twin else { continue };
        let known = ledger.item_by_key(&item.key).await?;
        if known.is_some_and(|known| is_settled(&known, item)) {
            continue;
        }
        item.refused = Some((
            FailureClass::ItemIsWrong.as_str().into(),
            reason_name(Reason::Duplicate),
            why(&key, &title),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::NewFile;

    #[test]
    fn one_file_with_a_checksum_is_comparable() {
        let file = |size, md5: Option<&str>| NewFile {
            size,
            md5: md5.map(str::to_owned),
            ..NewFile::default()
        };
        let item = |key: &str, kind: &str, files| NewItem {
            key: key.into(),
            kind: kind.into(),
            files,
            ..NewItem::default()
        };
        let sidecar = NewFile {
            content: Some(b"{}".to_vec()),
            ..file(2, None)
        };
        let one = item("a/1", "document", vec![file(7, Some("m")), sidecar]);
        assert_eq!(quoted(&one), Some(("m", 7)));
        assert_eq!(uncompared(&one), None);
        for (item, why) in [
            (item("a/1", "document", vec![file(7, None)]), Some("no-md5")),
            (
                item("a/1", "folder", vec![file(7, Some("m"))]),
                Some("several-files"),
            ),
            (item("a/1", "document", vec![file(0, None)]), None),
            (item("paper/a/1", "document", vec![file(7, None)]), None),
        ] {
            assert_eq!(uncompared(&item), why, "{item:?}");
        }
        for none in [
            item("a/1", "document", vec![file(7, None)]),
            item("a/1", "document", vec![file(0, Some("m"))]),
            item("a/1", "folder", vec![file(7, Some("m"))]),
            item("paper/a/1", "document", vec![file(7, Some("m"))]),
            item(
                "a/1",
                "document",
                vec![file(7, Some("m")), file(7, Some("m"))],
            ),
        ] {
            assert_eq!(quoted(&none), None, "{none:?}");
        }
    }
}
