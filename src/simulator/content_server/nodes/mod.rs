//! Nodes: the tree, its names, what a node shows, and the calls that create, read and change
//! nodes.

mod collections;
mod create;
mod forms;
mod names;
mod properties;
mod read;
mod tree;
mod types;
mod update;

pub(super) use collections::update as update_collection;
pub(super) use create::{create, external, full_date, worded};
pub(super) use forms::{
    can_be_made, create_fields, properties_general, properties_specific, relocate as relocate_form,
    rename as rename_form, update as update_form, version_categories, version_create,
    version_properties, version_update,
};
pub(super) use names::{check_names, check_nodes};
pub(super) use properties::{data as node_data, properties};
pub(super) use read::{
    actions, addable, ancestors, browse, get, list_ids, listed, listing, nickname, node_actions,
    order, properties_only, recycled, volume, volume_nodes, volumes,
};
pub(super) use tree::{ENTERPRISE, External, Node, Place, Tree};
/// What a subtype is called.
pub(super) fn kind_name(subtype: i64) -> &'static str {
    types::Kind::of(subtype).map_or("Unknown", |kind| kind.name)
}

pub(super) use types::{CATEGORY, CLASSIFICATION, DOCUMENT, FOLDER, RECORDS_CLASS, WORKSPACE};
pub(super) use update::{delete, purge, restore, set_nickname, system_attributes, update};
