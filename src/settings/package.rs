//! `[package]`: the package of a campaign, and what becomes of the campaign in iconik afterwards.

use super::layers::{Reader, Reported};
use super::raw::Raw;
use super::record::{WorkspaceSettings, one_of, workspace};
use super::sections::{Parsed, text, whole, yes_or_no};
use super::table::{Entries, named};
use crate::flows::package::{Container, Only, Originals, Sources};
use crate::types::StorageId;

/// `[package]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageSettings {
    /// Whether `archive` ends with a package.
    pub enabled: bool,
    /// Whether the digests of a fixity history are computed.
    pub mhl: bool,
    /// Whose campaigns they are.
    pub organization: Option<String>,
    /// The most files that one may list.
    pub files: usize,
    /// What a package is in Content Server.
    pub container: Container,
    /// The business workspace that it is in, or is.
    pub workspace: Option<WorkspaceSettings>,
    /// What the collection is told once its package is complete.
    pub mark: Option<PackageMark>,
    /// Which masters a package takes.
    pub only: Only,
    /// What becomes of assets outside the campaign that its edits use.
    pub sources: Sources,
    /// What `package retire` does with the originals.
    pub originals: Originals,
}

/// What a packed collection is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageMark {
    /// The metadata view.
    pub view: String,
    /// Templates by field.
    pub values: Vec<(String, String)>,
}

pub(super) fn package(reader: &mut Reader) -> Result<PackageSettings, Reported> {
    let enabled = reader.get("package.enabled", yes_or_no);
    let mhl = reader.get("package.mhl", yes_or_no);
    let organization = reader.optional("package.organization", text);
    let files = reader.get("package.files", whole(1, 10_000_000));
    let container = reader.get("package.container", |raw| {
        one_of(raw, &Container::ALL, Container::as_str)
    });
    let workspace = reader.optional("package.workspace", workspace);
    let mark = reader.optional("package.mark", mark);
    let only = reader.get("package.only", |raw| one_of(raw, &Only::ALL, Only::as_str));
    let sources = reader.get("package.sources", |raw| {
        one_of(raw, &Sources::ALL, Sources::as_str)
    });
    let originals = reader.get("package.originals", originals);
    let (container, workspace) = (container?, workspace?);
    if container == Container::Workspace && workspace.is_none() {
        return Err(reader.problem(
            "package.container",
            "`package.container` is \"workspace\" and `package.workspace` does not say which; add it, such as { type = \"Campaign\", name = \"{title}\" }",
        ));
    }
    Ok(PackageSettings {
        enabled: enabled?,
        mhl: mhl?,
        organization: organization?,
        files: files? as usize,
        container,
        workspace,
        mark: mark?,
        only: only?,
        sources: sources?,
        originals: originals?,
    })
}

fn mark(raw: &Raw) -> Parsed<PackageMark> {
    let mut entries = Entries::of(raw, "a table { view, values }")?;
    let view = entries.needed("view", text);
    let values = entries.needed("values", |raw| {
        named(raw, "a table of texts by the field's name", |_, raw| {
            text(raw)
        })
    });
    entries.finish(|| {
        Some(PackageMark {
            view: view?,
            values: values?,
        })
    })
}

fn originals(raw: &Raw) -> Parsed<Originals> {
    match raw.as_text().map(str::trim) {
        Some("keep") => return Ok(Originals::Keep),
        Some("status") => return Ok(Originals::Status),
        Some("remove") => return Ok(Originals::Remove),
        _ => {}
    }
    let mut entries = Entries::of(raw, "`keep`, `status`, `remove`, or a table { storage }")?;
    let storage = entries.needed("storage", text);
    entries.finish(|| Some(Originals::Archive(StorageId(storage?))))
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    #[test]
    fn nothing_becomes_of_the_originals_unless_it_is_said() {
        let package = read("").unwrap().package;
        assert_eq!(package.originals, Originals::Keep);
        assert_eq!(package.container, Container::Folder);
        assert_eq!(package.only, Only::All);
        assert!(package.mark.is_none() && package.workspace.is_none());
    }

    #[test]
    fn every_way_of_retiring_is_read() {
        let of = |text: &str| {
            let text = format!("[package]\noriginals = {text}");
            read(&text).unwrap().package.originals
        };
        assert_eq!(of("\"status\""), Originals::Status);
        assert_eq!(of("\"remove\""), Originals::Remove);
        let storage = StorageId("s".to_owned());
        assert_eq!(of("{ storage = \"s\" }"), Originals::Archive(storage));
    }

    #[test]
    fn what_cannot_be_meant_is_said_with_what_can() {
        for (text, said) in [
            ("originals = \"delete\"", "`remove`"),
            ("container = \"box\"", "`compound`"),
            ("only = \"approved\"", "`final`"),
            ("container = \"workspace\"", "`package.workspace`"),
            ("mark = { view = \"v\" }", "`values`"),
        ] {
            let problems = read(&format!("[package]\n{text}")).map(|_| ()).unwrap_err();
            assert!(problems.contains(said), "{text}: {problems}");
        }
    }
}
