//! When nodes were changed last, and by whom: the cheap look before a closer one.

use jiff::Timestamp;
use serde::Deserialize;

use super::{Client, wire};
use crate::types::{Failure, NodeId};

/// When a node was changed last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The node.
    pub node: NodeId,
    /// When, as the server writes it; only good to be compared with what it said before.
    pub stamp: String,
    /// The same as a moment, when it can be read. Without a zone it counts as UTC.
    pub at: Option<Timestamp>,
    /// The user who did, by id.
    pub by: Option<i64>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(deserialize_with = "wire::whole")]
    id: i64,
    #[serde(default, deserialize_with = "wire::text")]
    modify_date: String,
    #[serde(default, deserialize_with = "wire::maybe_whole")]
    modify_user_id: Option<i64>,
}

impl Row {
    fn into_changed(self) -> Changed {
        let text = self.modify_date.as_str();
        let at = text.parse::<Timestamp>().or_else(|_| {
            text.parse::<jiff::civil::DateTime>()
                .and_then(|civil| civil.to_zoned(jiff::tz::TimeZone::UTC))
                .map(|zoned| zoned.timestamp())
        });
        Changed {
            node: NodeId(self.id),
            at: at.ok(),
            by: self.modify_user_id,
            stamp: self.modify_date,
        }
    }
}

impl Client {
    /// When these nodes were changed last. Those that are gone, or may not be seen, are left out.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn changed(&self, nodes: &[NodeId]) -> Result<Vec<Changed>, Failure> {
        self.properties_of(nodes, |row: Row| Ok(row.into_changed()))
            .await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn stamps_are_kept_as_written_and_read_when_they_can_be() {
        let read = |date: Value| {
            let row: Row =
                serde_json::from_value(json!({"id": 7, "modify_date": date, "modify_user_id": 3}))
                    .unwrap();
            row.into_changed()
        };
        let zoned = read(json!("2026-01-02T03:04:05Z"));
        assert_eq!(zoned.at, Some("2026-01-02T03:04:05Z".parse().unwrap()));
        let civil = read(json!("2026-01-02T03:04:05"));
        assert_eq!(civil.at, zoned.at);
        assert_ne!(civil.stamp, zoned.stamp);
        assert_eq!((read(json!(null)).at, read(json!("soon")).at), (None, None));
        assert_eq!(zoned.by, Some(3));
    }
}
