//! The table of calls: which address and method mean what.

use http::Method;
use serde_json::json;

use super::answer::{Answer, Outcome, Refusal};
use super::call::Call;
use super::permissions::Entry;
use super::world::World;
use super::{
    auth, browsing, categories, classifications, codes, cross_references, history, holds, members,
    membership, multipart, nodes, permissions, personal, queue, records, renditions, retention,
    schedules, search, security, statistics, teams, versions, workflow, workspaces,
};

/// A number in an address.
fn number(text: &str, argument: &str) -> Result<i64, Refusal> {
    text.parse().map_err(|_| Refusal::datatype(argument))
}

/// Carries out a call. `path` is what follows `/api/v1` or `/api/v2`.
pub(super) fn route(world: &mut World, call: Call, path: &[&str], url: &str) -> Outcome {
    let get = call.method == Method::GET || call.method == Method::HEAD;
    let (post, delete) = (call.method == Method::POST, call.method == Method::DELETE);
    let v1 = call.v1;
    match path {
        ["auth"] if get => members::current(world, &call),
        ["auth"] if delete => auth::logout(world, &call),
        ["auth", "logouttoken"] if get => Ok(Answer::Json(
            json!({"token": hex::encode(rand::random::<[u8; 16]>())}),
        )),
        ["serverinfo"] if v1 && get => auth::server_info(world, &call, url),
        ["multipart", rest @ ..] if !v1 && world.config.multipart.exists => {
            upload(world, call, rest)
        }
        ["nodes"] if post => nodes::create(world, call),
        ["nodes", "list"] if !v1 && post => nodes::list_ids(world, &call),
        ["nodes", "actions"] if !v1 && (get || post) => nodes::actions(world, &call),
        ["nodes", "permissions", "check"] | ["ai", "nodes", "permissions", "check"]
            if !v1 && post =>
        {
            permissions::check(world, &call)
        }
        ["nodes", id, "copylink"] if !v1 && get => {
            browsing::copy_link(world, &call, number(id, "id")?, url)
        }
        ["nodes", id, rest @ ..] => node(world, call, number(id, "id")?, rest),
        ["validation", "nodes", "names"] if v1 && post => nodes::check_names(world, &call),
        ["validation", "nodes"] if v1 && post => nodes::check_nodes(world, &call),
        ["validation", "nodes", "categories", "enforcement"] if v1 && post => {
            categories::enforcement(world, &call)
        }
        ["forms", "nodes", rest @ ..] if v1 && get => form(world, &call, rest),
        ["uniquenames"] if !v1 && get => browsing::unique_names(world, &call),
        ["facets", id] if !v1 && get => browsing::facets(world, &call, number(id, "id")?),
        ["forms", "businessworkspaces", "create"] if !v1 && get => {
            workspaces::create_form(world, &call)
        }
        ["nicknames", nickname, "nodes"] if !v1 && get => nodes::nickname(world, &call, nickname),
        ["app", "container", id] if !v1 && get => nodes::browse(world, &call, number(id, "id")?),
        ["volumes"] if get => nodes::volumes(world, &call),
        ["volumes", "recyclebin", "nodes"] if !v1 && get => nodes::recycled(world, &call),
        ["volumes", "recyclebin", "nodes", "purge"] if !v1 && post => nodes::purge(world, &call),
        ["volumes", "recyclebin", "nodes", "restore"] if !v1 && post => {
            nodes::restore(world, &call)
        }
        ["volumes", kind] if get => nodes::volume(world, &call, number(kind, "volume_subtype")?),
        ["volumes", kind, "nodes"] if get => {
            nodes::volume_nodes(world, &call, number(kind, "volume_subtype")?)
        }
        ["search"] if !v1 && (get || post) => search::search(world, &call),
        ["regions"] if v1 && get => search::regions(world, &call),
        ["slices"] if v1 && get => search::slices(world, &call),
        ["members", rest @ ..] => member(world, &call, rest),
        ["businessworkspacetypes", id] if get => {
            workspaces::kind(world, &call, number(id, "workspace_type_id")?)
        }
        ["businessworkspaceroles"] if !v1 && get => teams::search(world, &call),
        [
            "businessworkspaces" | "businessworkspacetypes" | "externalsystems",
            ..,
        ] if !v1 => workspace(world, &call, path),
        [
            "draftprocesses" | "docworkflows" | "workflows" | "processes",
            ..,
        ] if !v1 => process(world, &call, path),
        ["forms", "draftprocesses", "update"] if v1 && get => workflow::form(world, &call),
        ["holds" | "hold" | "holditems" | "holdmaintenance", ..] => hold(world, &call, path),
        ["securityclearances"] if v1 && get => security::own(world, &call),
        ["securityclearances", "settings"] if v1 && get => security::settings(),
        ["UpdateSecurityClearanceLevel"] if v1 && post => security::update_levels(world, &call),
        ["UpdateSupplementalMarkings"] if v1 && post => security::update_markings(world, &call),
        ["rmstatistics", "holds"] if v1 && get => statistics::holds(world),
        ["rmstatistics", "rsis"] if v1 && get => statistics::schedules(world),
        ["classifications", "createinfo"] if v1 && get => {
            statistics::create_info(world, &call, false)
        }
        ["classifications", "settings"] if v1 && get => statistics::classification_settings(world),
        ["classificationvolume"] if !v1 && get => statistics::classification_volume(world),
        ["rmclassifications" | "rmcassifications", name] => bulk(world, &call, name),
        ["rmqueues", ..] if v1 => match path[1..] {
            [] if post => queue::add(world, &call),
            [id] if get => queue::status(world, number(id, "id")?),
            [id] if delete => queue::abort(world, number(id, "id")?),
            _ => Err(Refusal::unmapped()),
        },
        ["classifieditems", id] | ["classifieditems", id, "page"] if !v1 && get => {
            classifications::items(world, &call, number(id, "id")?)
        }
        ["snapshottable", id] if !v1 && get => {
            retention::snapshots(world, &call, number(id, "id")?)
        }
        ["xrefs"] if v1 && get => cross_references::kinds(world),
        ["xrefs"] if v1 && post => cross_references::create_kind(world, &call),
        ["xrefs", kind] if v1 && get => cross_references::kind(world, kind),
        ["xrefs", kind] if v1 && delete => cross_references::delete_kind(world, &call, kind),
        [
            "rsis" | "rsiitems" | "rsischedule" | "rsischedules" | "rsismaintenance",
            ..,
        ] => rsi(world, &call, path),
        ["recordsmanagement", "rmcodes"] if get => codes::list(world, &call),
        ["recordsmanagement", "rmcodes", name] if v1 && post => codes::add(world, &call, name),
        _ => Err(Refusal::unmapped()),
    }
}

/// `/v2/multipart…`.
fn upload(world: &mut World, mut call: Call, path: &[&str]) -> Outcome {
    let get = call.method == Method::GET;
    let (post, delete) = (call.method == Method::POST, call.method == Method::DELETE);
    match path {
        ["settings"] if get => multipart::settings(world, &call),
        [] if post => multipart::start(world, &call),
        [key] if post => multipart::close(world, &call, key),
        [key] if delete => multipart::cancel(world, &call, key),
        [key, number] if post => multipart::part(world, &mut call, key, number),
        _ => Err(Refusal::unmapped()),
    }
}

/// `/nodes/{id}…`.
fn node(world: &mut World, call: Call, id: i64, path: &[&str]) -> Outcome {
    let get = call.method == Method::GET || call.method == Method::HEAD;
    let (post, put, delete) = (
        call.method == Method::POST,
        call.method == Method::PUT,
        call.method == Method::DELETE,
    );
    let v1 = call.v1;
    match path {
        [] if get => nodes::get(world, &call, id),
        [] if put => nodes::update(world, &call, id),
        [] if delete => nodes::delete(world, &call, id),
        ["properties"] if !v1 && get => nodes::properties_only(world, &call, id),
        ["nodes"] if get => nodes::browse(world, &call, id),
        ["ancestors"] if v1 && get => nodes::ancestors(world, &call, id),
        ["actions"] if v1 && get => nodes::node_actions(world, &call, id),
        ["addablenodetypes"] if v1 && get => nodes::addable(world, &call, id),
        ["nicknames"] if !v1 && put => nodes::set_nickname(world, &call, id),
        ["collection"] if !v1 && put => nodes::update_collection(world, &call, id),
        ["systemattributes"] if !v1 && put => nodes::system_attributes(world, &call, id),
        ["columns"] if !v1 && get => browsing::columns(world, &call, id),
        ["securityclearances"] if v1 && (get || put) => security::of_node(world, &call, id, put),
        ["audit"] if get => history::audit(world, &call, id),
        ["content"] if get => versions::content(world, &call, id, None, None),
        ["content", name] if get => versions::content(world, &call, id, None, Some(name)),
        ["versions", rest @ ..] => version(world, call, id, rest),
        ["categories", rest @ ..] => category(world, &call, id, rest),
        ["permissions", rest @ ..] if !v1 => permission(world, &call, id, rest),
        ["classifications"] if v1 && get => classifications::browse(world, &call, id),
        ["classifications"] if v1 && post => classifications::classify(world, &call, id),
        ["classifications"] if v1 && delete => classifications::unclassify(world, &call, id, None),
        ["classifications", class] if v1 && delete => {
            classifications::unclassify(world, &call, id, Some(number(class, "class_id")?))
        }
        ["rmclassifications"] if v1 && get => records::details(world, &call, id),
        ["rmclassifications"] if v1 && post => records::declare(world, &call, id),
        ["rmclassifications"] if v1 && put => records::edit(world, &call, id),
        ["rmclassifications", class] if v1 && delete => {
            records::undeclare(world, &call, id, number(class, "class_id")?)
        }
        ["rmclassifications", class, "rsis"] if v1 && (post || delete) => {
            records::schedule(world, &call, id, number(class, "class_id")?, post)
        }
        ["rsis"] if v1 && get => schedules::assigned(world, &call, id),
        ["xrefs"] if v1 && get => cross_references::browse(world, &call, id),
        ["xrefs"] if v1 && post => cross_references::add(world, &call, id),
        ["xrefs"] if v1 && put => cross_references::remove_listed(world, &call, id),
        ["xrefs", kind, "refnodes", other] if v1 && delete => {
            cross_references::remove(world, &call, id, kind, number(other, "xref_id")?)
        }
        ["rsi", code, "GetRSIDetails"] if v1 && get => schedules::details(world, &call, id, code),
        ["disposition-snapshots", "qdate", date] if !v1 && get => {
            retention::snapshot(world, &call, id, date)
        }
        ["startdispsearch"] if v1 && post => retention::start(world, &call, id),
        ["holds"] if v1 && get => holds::node_holds(world, &call, id),
        ["holds"] if v1 && post => holds::apply(world, &call, id),
        ["holds", hold] if v1 && delete => {
            holds::remove(world, &call, id, number(hold, "hold_id")?)
        }
        ["businessworkspacetypes"] if v1 && get => workspaces::node_kinds(world, &call, id),
        ["businessworkspaceroles"] if !v1 && post => teams::assign(world, &call, id),
        ["businessworkspace"] if v1 && get => workspaces::containing(world, &call, id),
        _ => Err(Refusal::unmapped()),
    }
}

/// `/v1/forms/nodes/…`: forms for people.
fn form(world: &mut World, call: &Call, path: &[&str]) -> Outcome {
    match path {
        ["create"] => categories::create_form(world, call),
        ["update"] => nodes::update_form(world, call),
        ["rename"] => nodes::rename_form(world, call),
        ["move"] => nodes::relocate_form(world, call, false),
        ["copy"] => nodes::relocate_form(world, call, true),
        ["properties", "general"] => nodes::properties_general(world, call),
        ["properties", "specific"] => nodes::properties_specific(world, call),
        ["categories", "create"] => categories::form(world, call, false),
        ["categories", "update"] => categories::form(world, call, true),
        ["versions", "create"] => nodes::version_create(world, call),
        ["versions", "update"] => nodes::version_update(world, call),
        ["versions", "categories"] => nodes::version_categories(world, call),
        ["versions", "properties", "general"] => nodes::version_properties(world, call, false),
        ["versions", "properties", "specific"] => nodes::version_properties(world, call, true),
        _ => Err(Refusal::unmapped()),
    }
}

/// `/members…`: users and groups.
fn member(world: &mut World, call: &Call, path: &[&str]) -> Outcome {
    let get = call.method == Method::GET;
    let (post, put, delete) = (
        call.method == Method::POST,
        call.method == Method::PUT,
        call.method == Method::DELETE,
    );
    match path {
        [] if get => members::browse(world, call),
        [] if post => membership::create(world, call),
        ["memberof"] if !call.v1 && get => members::groups(world, call, call.user),
        ["favorites", rest @ ..] if !call.v1 => personal::route(world, call, rest),
        ["reserved"] if !call.v1 && get => personal::reserved(world, call),
        ["accessed"] if !call.v1 && get => personal::accessed(world, call),
        ["targets"] if !call.v1 && get => personal::targets(world, call),
        ["usersecurity", user, "securityclearancelevel"] if !call.v1 && (get || post) => {
            security::user_level(world, call, number(user, "userID")?, post)
        }
        ["usersecurity", user, "supplementalmarkings"] if !call.v1 && (get || post) => {
            security::user_markings(world, call, number(user, "userID")?, post)
        }
        [id] if get => members::get(world, call, number(id, "id")?),
        [id] if put => membership::update(world, call, number(id, "id")?),
        [id] if delete => membership::delete(world, call, number(id, "id")?),
        [id, "memberof"] if !call.v1 && get => members::groups(world, call, number(id, "id")?),
        [id, "members"] if !call.v1 && get => members::of_group(world, call, number(id, "id")?),
        [id, "members"] if !call.v1 && (post || delete) => {
            membership::change(world, call, number(id, "id")?, post)
        }
        _ => Err(Refusal::unmapped()),
    }
}

/// `/nodes/{id}/versions…`.
fn version(world: &mut World, call: Call, id: i64, path: &[&str]) -> Outcome {
    let get = call.method == Method::GET || call.method == Method::HEAD;
    let (post, put, delete) = (
        call.method == Method::POST,
        call.method == Method::PUT,
        call.method == Method::DELETE,
    );
    let v1 = call.v1;
    match path {
        [] if get => versions::browse(world, &call, id),
        [] if post => versions::add(world, call, id),
        [] if delete && !v1 => versions::purge(world, &call, id),
        ["latest"] if v1 && get => versions::latest(world, &call, id),
        ["renditions"] if !v1 && get => renditions::all(world, &call, id),
        ["renditions"] if !v1 && post => renditions::put(world, call, id, None),
        ["latest", "renditions"] if !v1 && get => renditions::of_version(world, &call, id, None),
        [version, rest @ ..] => {
            let version = number(version, "version_number")?;
            match rest {
                [] if get => versions::get(world, &call, id, version),
                [] if put => versions::describe(world, &call, id, version),
                [] if delete => versions::delete(world, &call, id, version),
                ["promote"] if !v1 && post => versions::promote(world, &call, id, version),
                ["lock"] if !v1 && post => versions::lock(world, &call, id, version, true),
                ["unlock"] if !v1 && post => versions::lock(world, &call, id, version, false),
                ["categories"] if get => categories::of_version(world, &call, id, version),
                ["renditions"] if !v1 && get => {
                    renditions::of_version(world, &call, id, Some(version))
                }
                ["renditions"] if !v1 && put => renditions::put(world, call, id, Some(version)),
                ["renditions"] if !v1 && delete => renditions::delete(world, &call, id, version),
                ["renditions", "content"] if !v1 && get => {
                    renditions::content(world, &call, id, version)
                }
                ["content"] if get => versions::content(world, &call, id, Some(version), None),
                ["content", name] if get => {
                    versions::content(world, &call, id, Some(version), Some(name))
                }
                _ => Err(Refusal::unmapped()),
            }
        }
        _ => Err(Refusal::unmapped()),
    }
}

/// `/nodes/{id}/categories…`.
fn category(world: &mut World, call: &Call, id: i64, path: &[&str]) -> Outcome {
    let get = call.method == Method::GET;
    let (post, put, delete) = (
        call.method == Method::POST,
        call.method == Method::PUT,
        call.method == Method::DELETE,
    );
    match path {
        [] if get => categories::browse(world, call, id),
        [] if post => categories::assign(world, call, id),
        ["apply"] if !call.v1 && post => categories::apply(world, call, id),
        ["upgrade"] if !call.v1 && put => categories::upgrade(world, call, id),
        ["actions"] if call.v1 && get => categories::actions(world, call, id, None),
        [category, "actions"] if call.v1 && get => {
            let category = number(category, "element_id")?;
            categories::actions(world, call, id, Some(category))
        }
        [category] if get => categories::get(world, call, id, number(category, "category_id")?),
        [category] if put => categories::update(world, call, id, number(category, "category_id")?),
        [category] if delete => {
            categories::remove(world, call, id, number(category, "category_id")?)
        }
        [category, "inheritance"] if !call.v1 && (post || delete) => {
            categories::inheritance(world, call, id, number(category, "category_id")?, post)
        }
        _ => Err(Refusal::unmapped()),
    }
}

/// `/v2/nodes/{id}/permissions…`.
fn permission(world: &mut World, call: &Call, id: i64, path: &[&str]) -> Outcome {
    let get = call.method == Method::GET;
    let change = call.method == Method::PUT || call.method == Method::DELETE;
    let post = call.method == Method::POST;
    match path {
        [] if get => permissions::browse(world, call, id),
        ["effective", right] if get => {
            permissions::effective(world, call, id, number(right, "right_id")?)
        }
        ["dynamic", ..] => permissions::dynamic(world, call, id),
        ["custom", "bulk"] if post => permissions::bulk(world, call, id),
        ["custom"] if post => permissions::change(world, call, id, Entry::Custom(None)),
        ["custom", right] if get => permissions::get(
            world,
            call,
            id,
            Entry::Custom(Some(number(right, "right_id")?)),
        ),
        ["custom", right] if change => permissions::change(
            world,
            call,
            id,
            Entry::Custom(Some(number(right, "right_id")?)),
        ),
        [name] if get || change => match Entry::named(name) {
            Some(Entry::Custom(_)) | None => Err(Refusal::unmapped()),
            Some(entry) if get => permissions::get(world, call, id, entry),
            Some(entry) => permissions::change(world, call, id, entry),
        },
        _ => Err(Refusal::unmapped()),
    }
}

/// `/holds…`, `/v2/hold`, `/v2/holditems…` and `/v2/holdmaintenance…`.
fn hold(world: &mut World, call: &Call, path: &[&str]) -> Outcome {
    let get = call.method == Method::GET;
    let (post, put, delete) = (
        call.method == Method::POST,
        call.method == Method::PUT,
        call.method == Method::DELETE,
    );
    let v1 = call.v1;
    match path {
        ["holds"] if get => holds::holds(world, call),
        ["holds"] if v1 && post => holds::create_hold(world, call),
        ["holds"] if v1 && put => holds::edit_hold(world, call),
        ["holds", "move"] if v1 && put => holds::shift(world, call),
        ["holds", id] if v1 && delete => holds::delete_hold(world, call, number(id, "id")?),
        ["holds", id] if !v1 && get => holds::hold(world, call, Some(number(id, "id")?)),
        ["hold"] if !v1 && get => holds::hold(world, call, None),
        ["hold"] if !v1 && delete => holds::delete_asked(world, call),
        ["holdmaintenance", id] if !v1 && get => holds::maintenance(world, call, number(id, "id")?),
        ["holditems", hold] | ["holditems", hold, "page"] if !v1 && get => {
            holds::items(world, call, number(hold, "id")?)
        }
        _ => Err(Refusal::unmapped()),
    }
}

/// `/v1/rmclassifications/…`: calls on many records at once, and what is said of all of them. The reference misspells one address;
/// both spellings are taken.
fn bulk(world: &mut World, call: &Call, name: &str) -> Outcome {
    let get = call.method == Method::GET;
    let (post, put) = (call.method == Method::POST, call.method == Method::PUT);
    match name {
        _ if !call.v1 => Err(Refusal::unmapped()),
        "managedrecords" if get => statistics::managed(world),
        "dispositions" if get => statistics::dispositions(world),
        "compliance" if get => statistics::compliance(world),
        "settings" if get => statistics::settings(world),
        "createinfo" if get => statistics::create_info(world, call, true),
        "finalizerecords" if put => records::finalise(world, call),
        "RMMetadata" if post => records::edit_all(world, call),
        "applyhold" if post => holds::bulk(world, call, true),
        "removehold" if post => holds::bulk(world, call, false),
        "assignxref" if post => cross_references::bulk(world, call, true),
        "removexref" if post => cross_references::bulk(world, call, false),
        "batchAddClassification" if post => classifications::batch(world, call, true),
        "batchRemoveClassification" if post => classifications::batch(world, call, false),
        _ => Err(Refusal::unmapped()),
    }
}

/// Retention schedules: `/rsis…`, `/v2/rsischedules…` and their relatives.
fn rsi(world: &mut World, call: &Call, path: &[&str]) -> Outcome {
    let get = call.method == Method::GET;
    let (post, put, delete) = (
        call.method == Method::POST,
        call.method == Method::PUT,
        call.method == Method::DELETE,
    );
    match path {
        ["rsis"] if get || (call.v1 && post) => schedules::list(world, call),
        _ if call.v1 => Err(Refusal::unmapped()),
        ["rsis", id] if get => schedules::get(world, call, number(id, "id")?),
        ["rsis", id, "schedules", stage] if get => {
            schedules::get_stage(world, call, number(id, "rsiid")?, number(stage, "id")?)
        }
        ["rsischedule"] if put => schedules::update(world, call, None),
        ["rsischedule", id] if get => schedules::stages(world, call, number(id, "id")?),
        ["rsismaintenance"] if get => schedules::maintenance(world, call),
        ["rsiitems", id] | ["rsiitems", id, "page"] if get => {
            schedules::items(world, call, number(id, "id")?)
        }
        ["rsischedules"] if post => schedules::create(world, call),
        ["rsischedules"] if delete => schedules::delete(world, call, None),
        ["rsischedules", id, rest @ ..] => {
            let id = number(id, "id")?;
            match rest {
                [] if put => schedules::update(world, call, Some(id)),
                [] if delete => schedules::delete(world, call, Some(id)),
                ["stages"] if post => schedules::create_stage(world, call, id),
                ["stages", stage] if put || delete => {
                    schedules::change_stage(world, call, id, number(stage, "stageId")?, put)
                }
                ["approve", stage] if put => {
                    schedules::approve(world, call, id, number(stage, "stageId")?)
                }
                ["approvalhistory"] if get => schedules::approvals(world, call, id),
                _ => Err(Refusal::unmapped()),
            }
        }
        _ => Err(Refusal::unmapped()),
    }
}

/// Workspaces, their types and the business objects they stand for.
fn workspace(world: &mut World, call: &Call, path: &[&str]) -> Outcome {
    let get = call.method == Method::GET;
    match path {
        ["businessworkspacetypes"] if get => workspaces::types(world, call),
        ["businessworkspaces"] if get => workspaces::browse(world, call),
        ["businessworkspaces"] if call.method == Method::POST => workspaces::create(world, call),
        ["businessworkspaces", id] if get => workspaces::get(world, call, number(id, "id")?),
        ["businessworkspaces", id, rest @ ..] if !rest.is_empty() => {
            teams::route(world, call, number(id, "id")?, rest)
        }
        ["externalsystems", system, "botypes", kind, "boids", id] if get => {
            workspaces::by_object(world, call, system, kind, id)
        }
        _ => Err(Refusal::unmapped()),
    }
}

/// Workflow drafts and processes.
fn process(world: &mut World, call: &Call, path: &[&str]) -> Outcome {
    let get = call.method == Method::GET;
    let post = call.method == Method::POST;
    match path {
        ["docworkflows"] if get => workflow::maps(world, call),
        ["draftprocesses"] if post => workflow::create_draft(world, call),
        ["draftprocesses", "startwf"] if post => workflow::start_now(world, call),
        ["draftprocesses", id] if call.method == Method::PUT => {
            workflow::update_draft(world, call, number(id, "draftprocess_id")?)
        }
        ["workflows", "status"] if get => workflow::list(world, call),
        ["workflows", "status", "active"] if get => workflow::active(world, call),
        ["workflows", "status", "info"] if get => workflow::info(world, call),
        ["processes", id, "subprocesses", _, "activities"] if get => {
            workflow::activities(world, call, number(id, "process_id")?)
        }
        ["processes", id, "subprocesses", _, "tasks", task] if call.method == Method::PUT => {
            let (id, task) = (number(id, "process_id")?, number(task, "task_id")?);
            workflow::act(world, call, id, task)
        }
        ["processes", id, "status"] if call.method == Method::PUT => {
            let word = call.arguments.text("status").unwrap_or_default();
            workflow::steer(world, call, number(id, "process_id")?, &word)
        }
        ["processes", id] if call.method == Method::DELETE => {
            workflow::steer(world, call, number(id, "process_id")?, "delete")
        }
        ["workflows", "status", "processes", id] if get => {
            workflow::status(world, call, number(id, "process_id")?)
        }
        _ => Err(Refusal::unmapped()),
    }
}
