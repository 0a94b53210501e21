//! Every effect in the order it happened, and the audit rows that people see of it.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::answer::{Outcome, Refusal, list};
use super::call::Call;
use super::content::Blob;
use super::world::World;
use crate::types::{Marker, Sha256Digest, VersionNote};

/// One effect.
pub(super) struct Event {
    pub(super) sequence: u64,
    pub(super) at: Timestamp,
    pub(super) user: i64,
    pub(super) kind: &'static str,
    pub(super) node: Option<i64>,
    pub(super) detail: Value,
    /// The content that the effect filed.
    pub(super) content: Option<Blob>,
}

impl Event {
    /// The effect as JSON, with the content's digest.
    pub(super) fn json(&self, user: &str) -> Value {
        let mut json = json!({
            "sequence": self.sequence,
            "at": self.at.to_string(),
            "user": user,
            "kind": self.kind,
            "node": self.node,
        });
        if let (Value::Object(json), Value::Object(detail)) = (&mut json, &self.detail) {
            json.extend(detail.clone());
        }
        if let Some(content) = &self.content {
            json["size"] = content.len().into();
            json["sha256"] = content.digest().map(|digest| digest.to_string()).into();
        }
        json
    }

    /// The audit event that the effect leaves, number and name. Only the numbers 1, 9, 10, 92
    /// and 264 are known from real servers.
    fn audit(&self) -> Option<(i64, &'static str)> {
        Some(match self.kind {
            "create" => (1, "Create"),
            "delete" => (2, "Delete"),
            "move" => (4, "Move"),
            "version" => (6, "Version Added"),
            "rename" => (8, "Rename"),
            "permissions" => (9, "Permission Changed"),
            "category" => (10, "Attribute Value Changed"),
            "reserve" => (12, "Reserve"),
            "unreserve" => (13, "Unreserve"),
            "version_delete" => (14, "Version Deleted"),
            "copy" => (92, "Create from Copy"),
            "classify" => (264, "Classification Applied"),
            "hold" => (270, "Hold Applied"),
            "hold_removed" => (271, "Hold Removed"),
            _ => return None,
        })
    }
}

/// A version that can be seen: its node is neither deleted nor purged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VisibleVersion {
    /// The container.
    pub parent: i64,
    /// The document.
    pub node: i64,
    /// The document's name.
    pub name: String,
    /// Version number.
    pub version: i64,
    /// Its major and its minor number; no major one with standard versioning.
    pub counted: (i64, i64),
    /// The version's description.
    pub description: String,
    /// The marker in the description, else the name when it is one.
    pub marker: Option<Marker>,
    /// Length in bytes.
    pub size: u64,
    /// Digest of the content as received; absent when it was dropped.
    pub sha256: Option<Sha256Digest>,
    /// Stored bytes were changed since.
    pub corrupted: bool,
    /// The content is that of a registered master, and takes no room.
    pub recognised: bool,
}

impl VisibleVersion {
    /// The marker of a version: its description's, else its node's name when that is one.
    pub(super) fn marker_of(description: &str, name: &str) -> Option<Marker> {
        match VersionNote::parse(description) {
            Some(note) => Some(note.marker),
            None => name.parse().ok(),
        }
    }
}

/// Versions that exist more than once: same marker, same content. Exactly-once transfers leave
/// none.
pub fn duplicates(versions: &[VisibleVersion]) -> Vec<Vec<VisibleVersion>> {
    let mut groups = std::collections::BTreeMap::new();
    for version in versions {
        if let Some(marker) = &version.marker {
            let key = (
                marker.clone(),
                version.sha256.map(|digest| digest.0),
                version.size,
            );
            let group: &mut Vec<_> = groups.entry(key).or_default();
            group.push(version.clone());
        }
    }
    groups
        .into_values()
        .filter(|group| group.len() > 1)
        .collect()
}

/// `GET …/audit`.
pub(super) fn audit(world: &mut World, call: &Call, id: i64) -> Outcome {
    world
        .visible(call.user, id)
        .ok_or_else(|| Refusal::inaccessible(400))?;
    let page = call.page(&world.config)?;
    let kind = call.arguments.number("where_type")?;
    let user = call.arguments.number("where_user_id")?;
    let since = call.arguments.text("where_audit_date_start");
    let until = call.arguments.text("where_audit_date_end");
    let sort = call
        .arguments
        .text("sort")
        .unwrap_or_else(|| "desc_audit_date".to_owned());
    let mut rows = Vec::new();
    let mut types = std::collections::BTreeMap::new();
    for event in world.history.iter().filter(|event| event.node == Some(id)) {
        let Some((number, name)) = event.audit() else {
            continue;
        };
        types.insert(number, name);
        let date = world.date(event.at);
        // Filters know days only.
        let day = &date[..10.min(date.len())];
        let wanted = kind.is_none_or(|kind| kind == number)
            && user.is_none_or(|user| user == event.user)
            && since.as_deref().is_none_or(|since| day >= since)
            && until.as_deref().is_none_or(|until| day <= until);
        if wanted {
            let mut row = json!({
                "id": id, "event_type": number, "audit_date": date, "user_id": event.user, "agent_id": null,
                "audit_language_code": null, "target_user_id": null, "audit_name": name,
            });
            if call.shape.expands("audit", "user_id") {
                let member = world.members.get(event.user).map(|member| member.json());
                row["user_id_expand"] = member.unwrap_or(Value::Null);
            }
            rows.push(row);
        }
    }
    if !sort.starts_with("asc") {
        rows.reverse();
    }
    let total = rows.len();
    let rows: Vec<_> = rows
        .into_iter()
        .skip(page.skip())
        .take(page.limit)
        .collect();
    if call.v1 {
        let paging = page.paging(total, &call.href);
        return Ok(super::answer::Answer::Json(json!({
            "data": rows, "definitions": {}, "definitions_order": [], "limit": paging["limit"],
            "offset_key": {"Identity": 0, "NoMoreData": true}, "page": paging["page"],
            "page_total": paging["page_total"], "total": total, "sort": sort,
        })));
    }
    let types: Vec<_> = types
        .iter()
        .map(|(id, name)| json!({"id": id, "name": name}))
        .collect();
    let super::answer::Answer::Json(mut answer) =
        list(&call.href, Vec::new(), page, total, Some(&sort))
    else {
        return Err(Refusal::failed("Could not process object, invalid request"));
    };
    answer["results"] = json!({"data": {"audit": rows, "audit_event_types": types}});
    Ok(super::answer::Answer::Json(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(node: i64, description: &str, digest: u8) -> VisibleVersion {
        VisibleVersion {
            parent: 2000,
            node,
            name: "a".into(),
            version: 1,
            counted: (0, 1),
            description: description.into(),
            marker: VisibleVersion::marker_of(description, "a"),
            size: 1,
            sha256: Some(Sha256Digest([digest; 32])),
            corrupted: false,
            recognised: false,
        }
    }

    #[test]
    fn only_the_same_marker_with_the_same_content_is_a_duplicate() {
        let marked = "lh1 kgtw4zv5p724huuwb66wovo5pu";
        let versions = [
            version(1, marked, 1),
            version(2, marked, 2),
            version(3, "", 1),
            version(4, "", 1),
        ];
        assert!(duplicates(&versions).is_empty());
        let versions = [version(1, marked, 1), version(2, marked, 1)];
        assert_eq!(duplicates(&versions)[0].len(), 2);
    }

    #[test]
    fn a_staging_name_counts_as_the_marker_until_the_description_is_written() {
        let name = "kgtw4zv5p724huuwb66wovo5pu";
        assert_eq!(VisibleVersion::marker_of("", name).unwrap().as_str(), name);
        assert_eq!(VisibleVersion::marker_of("", "final.mov"), None);
    }
}
