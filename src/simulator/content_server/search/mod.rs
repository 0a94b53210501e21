//! Searching, over an index that lags behind the way real ones do.

mod query;

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use self::query::{Mode, Query, wrong};
use super::answer::{Answer, Outcome, Refusal, list};
use super::call::Call;
use super::categories::Applied;
use super::nodes::{Node, kind_name, node_data};
use super::versions::{self, Version};
use super::world::World;

/// The index that is searched.
const SLICE: i64 = 1100;

/// Regions of the index: name, name for people, whether results are sorted by it.
const REGIONS: [(&str, &str, bool); 14] = [
    ("OTCreateDate", "Created", true),
    ("OTCreatedBy", "Created By", false),
    ("OTDataID", "ID", true),
    ("OTFileName", "File Name", false),
    ("OTLocation", "Location", false),
    ("OTMIMEType", "MIME Type", true),
    ("OTModifyDate", "Modified", true),
    ("OTName", "Name", true),
    ("OTDComment", "Description", false),
    ("OTObjectDate", "Date", true),
    ("OTObjectSize", "Size", true),
    ("OTOwnerID", "Volume", false),
    ("OTParentID", "Parent ID", false),
    ("OTSubType", "Type", true),
];

/// A region of a node, as it is indexed; without a name, all its text.
fn indexed(world: &World, node: &Node, region: Option<&str>) -> Vec<String> {
    let Some(region) = region else {
        let categories = node.categories.values().flat_map(Applied::texts);
        let own = [node.name.clone(), node.description.clone()];
        return own.into_iter().chain(categories).collect();
    };
    if let Some(key) = strip(region, "Attr_") {
        return node
            .categories
            .values()
            .flat_map(|own| own.of(key))
            .collect();
    }
    let latest = node.latest();
    let date = |at| vec![world.date(at)];
    let of_version = |value: fn(&Version) -> String| latest.map(value).into_iter().collect();
    match region.to_ascii_lowercase().as_str() {
        "otname" => vec![node.name.clone()],
        "otdcomment" => vec![node.description.clone()],
        "otsubtype" => vec![node.subtype.to_string()],
        "otdataid" => vec![node.id.to_string()],
        "otparentid" => vec![node.parent.to_string()],
        "otownerid" => vec![(-world.tree.root(node.id)).to_string()],
        "otlocation" => {
            let above = world.tree.ancestors(node.id);
            above.iter().map(ToString::to_string).collect()
        }
        "otcreatedby" => vec![node.creator.to_string()],
        "otcreatedate" => date(node.created),
        "otmodifydate" | "otobjectdate" => date(node.modified),
        "otmimetype" => of_version(|version| version.mime.clone()),
        "otfilename" => of_version(|version| version.file_name.clone()),
        "otobjectsize" | "otfilesize" => of_version(|version| version.blob.len().to_string()),
        _ => Vec::new(),
    }
}

/// What follows a beginning in any case.
fn strip<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let head = text.get(..start.len())?;
    head.eq_ignore_ascii_case(start)
        .then(|| &text[start.len()..])
}

/// How the words of the call are put together.
fn mode(call: &Call) -> Mode {
    let lookfor = call.arguments.text("lookfor").unwrap_or_default();
    match lookfor.to_ascii_lowercase().as_str() {
        "allwords" => Mode::AllWords,
        "anywords" => Mode::AnyWords,
        "exactphrase" => Mode::Phrase,
        _ => Mode::Complex,
    }
}

/// The names in a list such as `{'OTName','OTFileSize'}`.
fn names(call: &Call, key: &str) -> Vec<String> {
    let texts = call.arguments.texts(key);
    let names = texts.iter().flat_map(|text| text.split(','));
    let names = names.map(|name| name.trim_matches(|c: char| !c.is_alphanumeric() && c != '_'));
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Puts what was found in the order of a region; numbers by their value.
fn order(world: &World, found: &mut [&Node], sort: &str) {
    let (descending, region) = match sort.split_once('_') {
        Some((way, region)) if way.eq_ignore_ascii_case("desc") => (true, region),
        Some((way, region)) if way.eq_ignore_ascii_case("asc") => (false, region),
        _ => (false, sort),
    };
    if region.eq_ignore_ascii_case("relevance") {
        return;
    }
    found.sort_by_cached_key(|node| {
        let value = indexed(world, node, Some(region)).into_iter().next();
        let value = value.unwrap_or_default().to_lowercase();
        match value.parse::<i64>() {
            Ok(number) => (number, String::new()),
            Err(_) => (i64::MAX, value),
        }
    });
    if descending {
        found.reverse();
    }
}

/// How many of the results have which type.
fn facets(found: &[&Node]) -> Value {
    let mut counts = BTreeMap::new();
    for node in found {
        *counts.entry(node.subtype).or_insert(0) += 1;
    }
    let items: Vec<Value> = counts
        .iter()
        .map(|(kind, count)| json!({"count": count, "display_name": kind_name(*kind), "value": kind.to_string()}))
        .collect();
    json!({
        "count": items.len(), "count_exceeded": false, "display_name": "Type", "facet_items": items,
        "name": "OTSubType", "type": "Text",
    })
}

fn definition(name: &str) -> Value {
    let known = REGIONS.iter().find(|(own, ..)| *own == name);
    json!({"persona": "", "name": known.map_or(name, |(_, display, _)| display), "type": -1})
}

/// `POST /v2/search`, and `GET` as older clients ask. Contents are not indexed.
pub(super) fn search(world: &mut World, call: &Call) -> Outcome {
    let user = impersonation(world, call)?;
    let text = call.arguments.text("where").unwrap_or_default();
    let query = Query::parse(&text, mode(call))?;
    let modifier = call.arguments.text("modifier").unwrap_or_default();
    let query = match modifier.to_ascii_lowercase().as_str() {
        "wordbeginswith" => query.widened(false),
        "wordendswith" => query.widened(true),
        _ => query,
    };
    let within = call.arguments.text("within").unwrap_or_default();
    let contents = within.eq_ignore_ascii_case("content");
    let location = call.arguments.number("location_id1")?;
    let page = call.page_of(10, world.config.page_limit)?;
    let lag = SignedDuration::try_from(world.config.index_lag).unwrap_or(SignedDuration::MAX);
    let known = |node: &Node| call.now.duration_since(node.modified) >= lag;
    let wanted = |node: &&Node| {
        node.parent >= 0
            && known(node)
            && !contents
            && location.is_none_or(|top| world.tree.inside(node.id, top))
            && query.matches(&|region| indexed(world, node, region))
            && world.visible(user, node.id).is_some()
    };
    let mut found: Vec<&Node> = world.tree.iter().filter(wanted).collect();
    let sort = call.arguments.text("sort");
    let sort = sort.unwrap_or_else(|| "relevance".to_owned());
    order(world, &mut found, &sort);
    let selected = names(call, "select");
    let row = |node: &&Node| {
        let mut row = node_data(world, call, node);
        row["data"]["properties"]["short_summary"] = json!([]);
        row["data"]["properties"]["summary"] = json!([]);
        row["data"]["properties"]["location"] = json!(world.tree.ancestors(node.id));
        if let Some(version) = node.latest() {
            row["data"]["versions"] = versions::json(world, node, version);
        }
        if !selected.is_empty() {
            let regions = selected.iter().map(|name| {
                let value = indexed(world, node, Some(name)).join(" ");
                (name.clone(), value.into())
            });
            row["data"]["regions"] = Value::Object(regions.collect());
        }
        row["search_result_metadata"] = json!({
            "current_version": true, "object_href": null, "object_id": "", "result_type": null, "version_type": null,
        });
        row
    };
    let rows: Vec<_> = found
        .iter()
        .skip(page.skip())
        .take(page.limit)
        .map(row)
        .collect();
    let Answer::Json(mut answer) = list(&call.href, rows, page, found.len(), Some(&sort)) else {
        return Err(wrong());
    };
    let (first, last) = (page.skip() + 1, (page.skip() + page.limit).min(found.len()));
    answer["collection"]["paging"]["result_header_string"] = match found.len() {
        0 => "No results found".into(),
        total => format!("Results {first} to {last} of {total}").into(),
    };
    let wants = |option: &str| names(call, "options").iter().any(|own| own == option);
    let available: Vec<Value> = (wants("facets") || wants("facets_raw"))
        .then(|| facets(&found))
        .into_iter()
        .collect();
    let metadata = selected.iter().filter(|_| call.shape.metadata);
    let metadata: Map<String, Value> = metadata
        .map(|name| (name.clone(), definition(name)))
        .collect();
    answer["collection"]["searching"] = json!({
        "cache_id": 1, "facets": {"available": available}, "regions_metadata": metadata,
        "regions_order": selected, "result_title": "Search Results",
    });
    Ok(Answer::Json(answer))
}

/// `GET /v1/regions`: what can be asked for, narrowed by the settings named.
pub(super) fn regions(world: &mut World, call: &Call) -> Outcome {
    impersonation(world, call)?;
    let mut rows = Vec::new();
    for (name, display, sortable) in REGIONS {
        let row = json!({
            "displayable": true, "display_name": display, "facet": false, "name": name,
            "queryable": true, "search_by_default": name == "OTName", "sortable": sortable,
        });
        let mut fits = true;
        for key in [
            "queryable",
            "displayable",
            "search_by_default",
            "facet",
            "sortable",
        ] {
            let asked = call.arguments.flag(key)?;
            fits &= asked.is_none_or(|asked| row[key] == asked);
        }
        if fits {
            rows.push(row);
        }
    }
    Ok(Answer::Json(json!({"data": rows})))
}

/// `GET /v1/slices`: the one index there is.
pub(super) fn slices(world: &mut World, call: &Call) -> Outcome {
    impersonation(world, call)?;
    let all = json!({"default_slice": true, "id": SLICE, "name": "Enterprise"});
    Ok(Answer::Json(json!({"data": [all]})))
}

/// Only system administrators search as somebody else.
fn impersonation(world: &World, call: &Call) -> Result<i64, Refusal> {
    let Some(login) = call.arguments.text("user_login") else {
        return Ok(call.user);
    };
    let asks = world.members.get(call.user);
    if !asks.is_some_and(|own| own.administrator) {
        return Err(Refusal::bad(
            "You don't have the system administration rights to use user_login or user_domain",
        ));
    }
    let meant = world.members.login(&login).map(|own| own.id);
    meant.ok_or_else(|| Refusal::failed("Internal Server Error"))
}
