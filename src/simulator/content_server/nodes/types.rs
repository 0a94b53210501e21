//! Subtypes of nodes.

/// Folder.
pub(in super::super) const FOLDER: i64 = 0;
/// Shortcut.
pub(super) const SHORTCUT: i64 = 1;
/// Generation: a fixed version of another document.
pub(super) const GENERATION: i64 = 2;
/// Compound document.
pub(super) const COMPOUND: i64 = 136;
/// Category definition.
pub(in super::super) const CATEGORY: i64 = 131;
/// Collection: a list of nodes that are elsewhere.
pub(super) const COLLECTION: i64 = 298;
/// URL.
pub(super) const URL: i64 = 140;
/// Document.
pub(in super::super) const DOCUMENT: i64 = 144;
/// Classification.
pub(in super::super) const CLASSIFICATION: i64 = 199;
/// Records classification.
pub(in super::super) const RECORDS_CLASS: i64 = 551;
/// Business workspace.
pub(in super::super) const WORKSPACE: i64 = 848;

/// What a subtype is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// Number on the wire.
    pub(super) number: i64,
    /// Name for people.
    pub(super) name: &'static str,
    /// Has children.
    pub(super) container: bool,
    /// The create call can make it.
    pub(super) creatable: bool,
    /// Base name of its icon.
    pub(super) icon: &'static str,
}

const fn kind(
    number: i64,
    name: &'static str,
    container: bool,
    creatable: bool,
    icon: &'static str,
) -> Kind {
    Kind {
        number,
        name,
        container,
        creatable,
        icon,
    }
}

const KINDS: [Kind; 23] = [
    kind(FOLDER, "Folder", true, true, "folder"),
    kind(SHORTCUT, "Shortcut", false, true, "shortcut1"),
    kind(GENERATION, "Generation", false, true, "generation"),
    kind(128, "Workflow Map", false, false, "map"),
    kind(CATEGORY, "Category", false, true, "category"),
    kind(132, "Category Folder", true, true, "16category"),
    kind(133, "Categories Volume", true, false, "categoryvolume"),
    kind(COMPOUND, "Compound Document", true, true, "cd"),
    kind(141, "Enterprise Workspace", true, false, "enterprise"),
    kind(142, "Personal Workspace", true, false, "home"),
    kind(URL, "URL", false, true, "url"),
    kind(DOCUMENT, "Document", false, true, "doc"),
    kind(198, "Classification Volume", true, false, "classification"),
    kind(
        CLASSIFICATION,
        "Classification",
        true,
        true,
        "classification",
    ),
    kind(202, "Project", true, true, "project"),
    kind(COLLECTION, "Collection", true, true, "collection"),
    kind(402, "Recycle Bin", true, false, "recyclebin"),
    kind(550, "Records Management", true, false, "recman"),
    kind(
        RECORDS_CLASS,
        "RM Classification",
        true,
        true,
        "rmclassification",
    ),
    kind(WORKSPACE, "Business Workspace", true, false, "workspace"),
    kind(862, "Business Workspaces", true, false, "workspaces"),
    kind(882, "Extended ECM", true, false, "xecm"),
    kind(899, "Virtual Folder", true, true, "virtual"),
];

impl Kind {
    /// The subtype with that number.
    pub(super) fn of(number: i64) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.number == number)
    }

    /// Subtypes the create call can make.
    pub(super) fn creatable() -> impl Iterator<Item = &'static Self> {
        KINDS.iter().filter(|kind| kind.creatable)
    }

    /// Versions are kept of it.
    pub(super) fn versionable(&self) -> bool {
        self.number == DOCUMENT
    }
}
