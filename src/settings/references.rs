//! `[references]`: which documents of Content Server are shown inside iconik.

use super::layers::{Reader, Reported};
use super::raw::Raw;
use super::sections::{Parsed, list, node, text, wrong, yes_or_no};
use super::table::{Entries, named};
use crate::types::{AssetId, CollectionId, NodeId, StorageId, ViewId};

/// What a link is called when nothing else is said.
const TITLE: &str = "{name} ({type}, version {version}, {state}, {changed})";

/// `[references]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceSettings {
    /// The user or group in Content Server whose rights decide what is shown.
    pub audience: Option<i64>,
    /// What is shown where.
    pub rules: Vec<ReferenceRule>,
}

/// Which documents are shown at which collections and assets, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceRule {
    /// Its name.
    pub name: String,
    /// The collections.
    pub collections: Vec<CollectionId>,
    /// The assets.
    pub assets: Vec<AssetId>,
    /// Collections whose assets it is for.
    pub assets_of: Vec<CollectionId>,
    /// Where the documents are.
    pub origin: ReferenceOrigin,
    /// Folders below, templates.
    pub path: Vec<String>,
    /// Whether folders below are looked into.
    pub deep: bool,
    /// Category, attribute and values (templates) of the documents that are wanted.
    pub only: Option<(String, String, Vec<String>)>,
    /// How they are shown.
    pub show: ReferenceShow,
    /// Whether, and how, content is copied.
    pub copy: Option<ReferenceCopy>,
    /// What a link is called, a template.
    pub title: String,
}

/// Where documents are; texts are templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferenceOrigin {
    /// In a container.
    Folder(NodeId),
    /// In a workspace, by type and name.
    Workspace(String, String),
    /// Where a search finds them.
    Search(String),
}

/// How documents are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferenceShow {
    /// As links, in the collection or another one.
    Links(Option<CollectionId>),
    /// As addresses in a field of a view.
    Field(ViewId, String),
    /// As links that the asset has a relation of this kind to.
    Related(String, Option<CollectionId>),
}

/// How content is copied into iconik.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceCopy {
    /// The storage that it goes to.
    pub storage: StorageId,
    /// Whether a new version of the document becomes a new version of the asset.
    pub versions: bool,
}

pub(super) fn references(reader: &mut Reader) -> Result<ReferenceSettings, Reported> {
    let audience = reader.optional("references.audience", |raw| node(raw).map(|id| id.0));
    let rules = reader.optional("references.rules", |raw| {
        named(raw, "a table of rules by name", rule)
    });
    let (audience, rules) = (audience?, rules?.unwrap_or_default());
    Ok(ReferenceSettings {
        audience,
        rules: rules.into_iter().map(|(_, rule)| rule).collect(),
    })
}

fn rule(name: &str, raw: &Raw) -> Parsed<ReferenceRule> {
    let mut entries = Entries::of(
        raw,
        "a table { collections, assets, assets_of, folder, workspace, search, path, deep, only, into, relation, field, copy, title }",
    )?;
    if name.contains('/') {
        entries
            .refuse("has a name with a slash; names take letters, digits, `-` and `_`".to_owned());
    }
    let mut named = 0;
    let mut objects = |name: &'static str| {
        let given = entries.optional(name, list(text));
        named += given.as_ref().map_or(0, Vec::len);
        given.unwrap_or_default()
    };
    let collections = objects("collections");
    let assets = objects("assets");
    let assets_of = objects("assets_of");
    if named == 0 {
        entries.refuse(
            "names no collection and no asset: `collections`, `assets` or `assets_of`".to_owned(),
        );
    }
    // One that is given and wrong has its own message.
    let mut given = 0;
    let folder = entries.optional("folder", |raw| {
        given += 1;
        node(raw)
    });
    let workspace = entries.optional("workspace", |raw| {
        given += 1;
        workspace(raw)
    });
    let search = entries.optional("search", |raw| {
        given += 1;
        text(raw)
    });
    let path = entries.optional("path", text);
    let deep = entries.optional("deep", yes_or_no);
    let only = entries.optional("only", only);
    let into = entries.optional("into", text);
    let relation = entries.optional("relation", text);
    let field = entries.optional("field", field);
    let copy = entries.optional("copy", copy);
    let title = entries.optional("title", text);
    let searched = search.is_some();
    let origin = match (folder, workspace, search) {
        (Some(folder), None, None) => Some(ReferenceOrigin::Folder(folder)),
        (None, Some((kind, name)), None) => Some(ReferenceOrigin::Workspace(kind, name)),
        (None, None, Some(words)) => Some(ReferenceOrigin::Search(words)),
        _ => None,
    };
    if given != 1 {
        entries.refuse(
            "says where documents are in one way: `folder`, `workspace` or `search`".to_owned(),
        );
    }
    if searched && (path.is_some() || deep.is_some()) {
        entries.refuse(
            "has `path` or `deep` beside `search`; they belong to a folder or workspace".to_owned(),
        );
    }
    let of_links = into.is_some() || title.is_some() || relation.is_some() || copy.is_some();
    if field.is_some() && of_links {
        entries.refuse(
            "has `into`, `title`, `relation` or `copy` beside `field`; they belong to links"
                .to_owned(),
        );
    }
    let at_assets = !assets.is_empty() || !assets_of.is_empty();
    if relation.is_some() && !collections.is_empty() {
        entries.refuse(
            "has `relation` and `collections`; iconik relates assets only, so make it two rules"
                .to_owned(),
        );
    }
    if at_assets && relation.is_none() && field.is_none() && into.is_none() {
        entries.refuse(
            "is for assets and does not say how they show documents: `relation`, `field` or `into`"
                .to_owned(),
        );
    }
    let into = into.map(CollectionId);
    let show = match (field, relation) {
        (Some((view, field)), _) => ReferenceShow::Field(view, field),
        (None, Some(kind)) => ReferenceShow::Related(kind, into),
        (None, None) => ReferenceShow::Links(into),
    };
    let folders = path.unwrap_or_default();
    let folders = folders.split('/').map(str::trim);
    let path = folders.filter(|name| !name.is_empty()).map(str::to_owned);
    let path = path.collect();
    entries.finish(|| {
        Some(ReferenceRule {
            name: name.to_owned(),
            collections: collections.into_iter().map(CollectionId).collect(),
            assets: assets.into_iter().map(AssetId).collect(),
            assets_of: assets_of.into_iter().map(CollectionId).collect(),
            origin: origin?,
            path,
            deep: deep.unwrap_or_default(),
            only,
            show,
            copy,
            title: title.unwrap_or_else(|| TITLE.to_owned()),
        })
    })
}

fn workspace(raw: &Raw) -> Parsed<(String, String)> {
    let mut entries = Entries::of(raw, "a table { type, name }")?;
    let kind = entries.needed("type", text);
    let name = entries.needed("name", text);
    entries.finish(|| Some((kind?, name?)))
}

fn only(raw: &Raw) -> Parsed<(String, String, Vec<String>)> {
    let mut entries = Entries::of(raw, "a table { category, attribute, values }")?;
    let category = entries.needed("category", |raw| match raw {
        Raw::Integer(id) if *id > 0 => Ok(id.to_string()),
        Raw::Integer(_) => wrong("a category's name or node id", raw),
        raw => text(raw),
    });
    let attribute = entries.needed("attribute", text);
    let values = entries.needed("values", list(text));
    entries.finish(|| Some((category?, attribute?, values?)))
}

fn field(raw: &Raw) -> Parsed<(ViewId, String)> {
    let mut entries = Entries::of(raw, "a table { view, name }")?;
    let view = entries.needed("view", text);
    let name = entries.needed("name", text);
    entries.finish(|| Some((ViewId(view?), name?)))
}

fn copy(raw: &Raw) -> Parsed<ReferenceCopy> {
    let mut entries = Entries::of(raw, "a table { storage, versions }")?;
    let storage = entries.needed("storage", text);
    let versions = entries.optional("versions", yes_or_no);
    entries.finish(|| {
        Some(ReferenceCopy {
            storage: StorageId(storage?),
            versions: versions.unwrap_or(true),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    #[test]
    fn a_rule_needs_collections_and_one_place_and_shows_links_by_default() {
        let read = read(
            "[references]\naudience = 1001\n[references.rules.briefs]\ncollections = [\"c\"]\n\
             workspace = { type = \"Campaign\", name = \"{title}\" }\npath = \"/Briefs/\"\n",
        )
        .unwrap();
        assert_eq!(read.references.audience, Some(1001));
        let rule = &read.references.rules[0];
        assert_eq!(
            (rule.path.as_slice(), rule.deep),
            (&["Briefs".to_owned()][..], false)
        );
        assert_eq!(rule.show, ReferenceShow::Links(None));
        assert!(rule.title.contains("{version}"));
    }

    #[test]
    fn a_rule_for_assets_relates_links_or_copies_to_them() {
        let read = read(
            "[references.rules.contracts]\nassets_of = [\"c\"]\nassets = [\"a\"]\nfolder = 7\n\
             relation = \"contract\"\ncopy = { storage = \"s\" }\n",
        )
        .unwrap();
        let rule = &read.references.rules[0];
        assert_eq!(
            rule.show,
            ReferenceShow::Related("contract".to_owned(), None)
        );
        assert_eq!(rule.assets_of, [CollectionId("c".to_owned())]);
        assert!(rule.copy.as_ref().is_some_and(|copy| copy.versions));
    }

    #[test]
    fn what_does_not_go_together_is_said() {
        for (rule, words) in [
            ("folder = 7", "collections"),
            ("collections = []\nfolder = 7", "names no collection"),
            ("assets = [\"a\"]\nfolder = 7", "how they show"),
            (
                "collections = [\"c\"]\nrelation = \"brief\"\nfolder = 7",
                "relates assets only",
            ),
            (
                "collections = [\"c\"]\nfolder = 7\nfield = { view = \"v\", name = \"n\" }\ncopy = { storage = \"s\" }",
                "beside `field`",
            ),
            ("collections = [\"c\"]\nfolder = 7\ncopy = {}", "storage"),
            ("collections = [\"c\"]", "in one way"),
            (
                "collections = [\"c\"]\nfolder = 7\nsearch = \"x\"",
                "in one way",
            ),
            (
                "collections = [\"c\"]\nsearch = \"x\"\ndeep = true",
                "beside `search`",
            ),
            (
                "collections = [\"c\"]\nfolder = 7\ninto = \"d\"\nfield = { view = \"v\", name = \"n\" }",
                "beside `field`",
            ),
            ("collections = [\"c\"]\nfolder = -1", "node id"),
            ("collections = [\"c\"]\nfoldr = 1", "did you mean `folder`"),
        ] {
            let said = read(&format!("[references.rules.r]\n{rule}\n")).unwrap_err();
            assert!(said.contains(words), "{rule}: {said}");
        }
    }
}
