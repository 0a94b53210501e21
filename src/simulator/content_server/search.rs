//! Searching, over an index that lags behind the way real ones do.

use jiff::SignedDuration;
use serde_json::json;

use super::answer::{Answer, Outcome, Refusal, list};
use super::call::Call;
use super::nodes::{Node, node_data};
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

/// What a search text asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Query {
    /// All of them occur in the name or the description.
    words: Vec<String>,
    /// `OTSubType:n`.
    subtype: Option<i64>,
}

impl Query {
    /// Reads `OTName:"a b" and OTSubType:144` and plain words; any other region is ignored.
    fn parse(text: &str) -> Self {
        let mut query = Self::default();
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| !c.is_whitespace() && !"()".contains(c)) {
            rest = &rest[start..];
            let mut quoted = false;
            let end = rest.find(|c: char| {
                quoted ^= c == '"';
                !quoted && (c.is_whitespace() || c == ')')
            });
            let (term, after) = rest.split_at(end.unwrap_or(rest.len()));
            rest = after;
            let (region, value) = match term.find(':').filter(|_| !term.starts_with('"')) {
                Some(colon) => (&term[..colon], &term[colon + 1..]),
                None => ("", term),
            };
            let value = value.trim_matches(|c| c == '"' || c == '*').to_lowercase();
            match region.to_ascii_lowercase().as_str() {
                "otsubtype" => query.subtype = value.parse().ok(),
                "" if matches!(value.as_str(), "and" | "or" | "") => {}
                "" | "otname" => query.words.push(value),
                _ => {}
            }
        }
        query
    }

    fn matches(&self, node: &Node) -> bool {
        let text = format!("{} {}", node.name, node.description).to_lowercase();
        self.subtype.is_none_or(|subtype| subtype == node.subtype)
            && self.words.iter().all(|word| text.contains(word.as_str()))
    }
}

/// `POST /v2/search`, and `GET` as older clients ask.
pub(super) fn search(world: &mut World, call: &Call) -> Outcome {
    let text = call.arguments.text("where").unwrap_or_default();
    if text.trim().is_empty() {
        return Err(Refusal::bad(
            "Error Evaluating Query: the search text is empty.",
        ));
    }
    let query = Query::parse(&text);
    let location = call.arguments.number("location_id1")?;
    let page = call.page_of(10, world.config.page_limit)?;
    let lag = SignedDuration::try_from(world.config.index_lag).unwrap_or(SignedDuration::MAX);
    let indexed = |node: &Node| call.now.duration_since(node.modified) >= lag;
    let wanted = |node: &&Node| {
        node.parent >= 0
            && indexed(node)
            && location.is_none_or(|top| world.tree.inside(node.id, top))
            && query.matches(node)
            && world.visible(call.user, node.id).is_some()
    };
    let found: Vec<&Node> = world.tree.iter().filter(wanted).collect();
    let row = |node: &&Node| {
        let mut row = node_data(world, call, node);
        row["data"]["properties"]["short_summary"] = json!([]);
        row["data"]["properties"]["summary"] = json!([]);
        row["data"]["properties"]["location"] = json!(world.tree.ancestors(node.id));
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
    let Answer::Json(mut answer) = list(&call.href, rows, page, found.len(), Some("relevance"))
    else {
        return Err(Refusal::bad("Error Evaluating Query"));
    };
    let last = (page.skip() + page.limit).min(found.len());
    answer["collection"]["paging"]["result_header_string"] =
        format!("Results {} to {last} of {}", page.skip() + 1, found.len()).into();
    answer["collection"]["searching"] = json!({
        "cache_id": 1, "facets": {"available": []}, "regions_metadata": {}, "regions_order": [],
        "result_title": "Search Results",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_and_words_are_read() {
        assert_eq!(
            Query::parse(r#"OTName:"Final cut" and (OTSubType:144) master*"#),
            Query {
                words: vec!["final cut".into(), "master".into()],
                subtype: Some(144),
            }
        );
        assert_eq!(Query::parse("  "), Query::default());
        assert_eq!(
            Query::parse("\"open"),
            Query {
                words: vec!["open".into()],
                subtype: None
            }
        );
    }
}
