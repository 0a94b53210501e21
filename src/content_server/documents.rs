//! Documents as people see them: chosen from a container or a search, with their type, state and
//! last change, and who may read them.

use std::collections::HashSet;

use ::http::Method;
use jiff::Timestamp;
use serde::Deserialize;

use super::call::Call;
use super::errors::{Effect, Error};
use super::{Client, Right, wire};
use crate::types::{Failure, FailureClass, NodeId, Reason};

/// Subtypes that stand for content of their own: document, URL, email.
const DOCUMENTS: [i64; 3] = [144, 140, 749];
/// Pages after which a listing counts as endless.
const MOST_PAGES: u32 = 100_000;

/// A node as a listing for people shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Whether other nodes can be in it.
    pub container: bool,
    /// Whether it is content of its own: a document, an email, a URL.
    pub document: bool,
    /// Its media type, or the server's word for its kind.
    pub kind: String,
    /// Whether somebody reserved it.
    pub reserved: bool,
    /// When it was changed, as the server writes it; only good to be compared.
    pub stamp: String,
    /// The same as a moment, when it can be read. Without a zone it counts as UTC.
    pub at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(deserialize_with = "wire::whole")]
    id: i64,
    #[serde(default, deserialize_with = "wire::text")]
    name: String,
    #[serde(default, rename = "type", deserialize_with = "wire::maybe_whole")]
    subtype: Option<i64>,
    #[serde(default, deserialize_with = "wire::text")]
    type_name: String,
    #[serde(default, deserialize_with = "wire::text")]
    mime_type: String,
    #[serde(default, deserialize_with = "wire::maybe_flag")]
    container: Option<bool>,
    #[serde(default, deserialize_with = "wire::maybe_flag")]
    reserved: Option<bool>,
    #[serde(default, deserialize_with = "wire::text")]
    modify_date: String,
}

impl Row {
    fn into_listed(self) -> Result<Listed, Error> {
        if self.id <= 0 {
            return Err(Error::Unreadable(format!("{} is no node id", self.id)));
        }
        if self.name.is_empty() {
            return Err(wire::missing(&format!("the name of node {}", self.id)));
        }
        let subtype = self.subtype.ok_or_else(|| wire::missing("type"))?;
        let text = self.modify_date.as_str();
        let at = text.parse::<Timestamp>().or_else(|_| {
            text.parse::<jiff::civil::DateTime>()
                .and_then(|civil| civil.to_zoned(jiff::tz::TimeZone::UTC))
                .map(|zoned| zoned.timestamp())
        });
        let kind = [self.mime_type, self.type_name]
            .into_iter()
            .find(|word| !word.trim().is_empty());
        Ok(Listed {
            node: NodeId(self.id),
            name: self.name,
            container: self.container.unwrap_or(subtype == 0),
            document: DOCUMENTS.contains(&subtype),
            kind: kind.unwrap_or_else(|| format!("type {subtype}")),
            reserved: self.reserved.unwrap_or_default(),
            at: at.ok(),
            stamp: self.modify_date,
        })
    }
}

/// A page of a listing.
#[derive(Clone, Debug)]
pub struct ListedPage {
    /// The rows.
    pub rows: Vec<Listed>,
    /// The next page's number, when there is one.
    pub next: Option<u32>,
    /// How many there are in all, when the server says so.
    pub total: Option<u64>,
}

impl Client {
    /// A page of what is directly in a container, by name; pages count from 1.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when it is missing or forbidden; otherwise as any read.
    pub async fn listed_in(&self, parent: NodeId, page: u32) -> Result<ListedPage, Failure> {
        let limit = self.0.config.page_size;
        let call = self
            .call(Method::GET, &format!("v2/nodes/{parent}/nodes"))
            .query("page", &page.to_string())
            .query("limit", &limit.to_string())
            .query("sort", "asc_name")
            .query("fields", "properties");
        self.listed_page(call, page, limit)
            .await
            .map_err(|failure| failure.context(format!("listing node {parent}")))
    }

    /// A page of what a search finds (`where` as the server's own search takes it); pages count
    /// from 1. The index lags behind by minutes: what is missing here may well be there.
    ///
    /// # Errors
    ///
    /// A search that the server does not understand; otherwise as any read.
    pub async fn searched(&self, words: &str, page: u32) -> Result<ListedPage, Failure> {
        let limit = self.0.config.page_size;
        let call = self
            .call(Method::POST, "v2/search")
            .fields([
                ("where", words.to_owned()),
                ("lookfor", "complexquery".to_owned()),
                ("page", page.to_string()),
                ("limit", limit.to_string()),
            ])
            .repeatable();
        self.listed_page(call, page, limit)
            .await
            .map_err(|failure| failure.context(format!("searching for {words:?}")))
    }

    /// Those of these nodes that we may see, as they are now.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn listed(&self, nodes: &[NodeId]) -> Result<Vec<Listed>, Failure> {
        self.properties_of(nodes, Row::into_listed).await
    }

    /// Whether a user or group may do all of this with a node: `None` when the server does not
    /// tell us.
    ///
    /// # Errors
    ///
    /// A server that is away, or a sign-in that is refused: no answer.
    pub async fn may(
        &self,
        member: i64,
        node: NodeId,
        rights: &[Right],
    ) -> Result<Option<bool>, Failure> {
        let path = format!("v2/nodes/{node}/permissions/effective/{member}");
        let answer = match self.json(self.call(Method::GET, &path)).await {
            Ok(answer) => answer,
            Err(error) => {
                let failure = error.into_failure(Effect::Repeatable);
                return match failure.class {
                    FailureClass::ItemIsWrong => Ok(None),
                    _ => Err(failure.context(format!("asking what {member} may do with {node}"))),
                };
            }
        };
        let held = wire::section(&answer, "permissions")
            .ok()
            .and_then(|held| held.get("permissions")?.as_array().cloned());
        Ok(held.map(|names| {
            let has = |right: &Right| names.iter().any(|name| name == right.as_str());
            rights.iter().all(has)
        }))
    }

    async fn listed_page(&self, call: Call, page: u32, limit: u32) -> Result<ListedPage, Failure> {
        let read = async {
            let answer = self.json(call).await?;
            let found = wire::page::<Row>(&answer, "properties", page, limit)?;
            if found.more && page >= MOST_PAGES {
                return Err(Error::Unreadable("the listing does not end".to_owned()));
            }
            let rows = found.rows.into_iter().map(Row::into_listed);
            Ok(ListedPage {
                next: found.more.then_some(page + 1),
                total: found.total,
                rows: rows.collect::<Result<_, _>>()?,
            })
        };
        read.await
            .map_err(|error: Error| error.into_failure(Effect::Repeatable))
    }
}

/// The check of a listing that is read page by page: it brings something new each time, and in the
/// end as much as the server says there is.
#[derive(Debug, Default)]
pub struct Complete {
    seen: HashSet<NodeId>,
}

impl Complete {
    /// Takes a page: whether the listing goes on.
    ///
    /// # Errors
    ///
    /// Pages that repeat themselves, and a listing that ended early.
    pub fn take(&mut self, page: &ListedPage) -> Result<Option<u32>, Failure> {
        let before = self.seen.len();
        self.seen.extend(page.rows.iter().map(|row| row.node));
        let broken = |what: String| Failure::item(Reason::Incomplete, what);
        if page.next.is_some() && self.seen.len() == before {
            return Err(broken(
                "the pages of a listing repeat themselves".to_owned(),
            ));
        }
        match page.total {
            Some(total) if page.next.is_none() && total > self.seen.len() as u64 => {
                Err(broken(format!(
                    "{} of {total} rows were listed; somebody may be changing the place",
                    self.seen.len()
                )))
            }
            _ => Ok(page.next),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn row(patch: Value) -> Result<Listed, Error> {
        let mut row = json!({"id": 7, "name": "Brief.pdf", "type": 144, "type_name": "Document"});
        for (key, value) in patch.as_object().unwrap() {
            row[key] = value.clone();
        }
        serde_json::from_value::<Row>(row).unwrap().into_listed()
    }

    #[test]
    fn rows_are_read_as_they_come() {
        let plain = row(json!({"modify_date": "2026-01-02T03:04:05", "mime_type": null})).unwrap();
        assert!(plain.document && !plain.container && !plain.reserved);
        assert_eq!(
            (plain.kind.as_str(), plain.at.is_some()),
            ("Document", true)
        );
        let folder = row(json!({"type": 0})).unwrap();
        assert!(folder.container && !folder.document);
        let shortcut = row(json!({"type": 1, "mime_type": "application/pdf"})).unwrap();
        assert!(!shortcut.document && shortcut.kind == "application/pdf");
        assert!(row(json!({"name": ""})).is_err() && row(json!({"id": -1})).is_err());
    }

    #[test]
    fn a_listing_that_ends_early_or_goes_round_is_no_listing() {
        let page = |ids: &[i64], next, total| ListedPage {
            rows: ids
                .iter()
                .map(|id| row(json!({"id": id})).unwrap())
                .collect(),
            next,
            total,
        };
        let mut complete = Complete::default();
        assert_eq!(
            complete.take(&page(&[1, 2], Some(2), Some(3))).unwrap(),
            Some(2)
        );
        assert_eq!(complete.take(&page(&[3], None, Some(3))).unwrap(), None);
        assert!(
            Complete::default()
                .take(&page(&[1], None, Some(2)))
                .is_err()
        );
        assert!(complete.take(&page(&[1], Some(3), None)).is_err());
    }
}
