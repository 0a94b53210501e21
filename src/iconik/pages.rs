//! Listings as streams: page by page, never more than one page in memory.
//!
//! iconik has three styles worth using: numbered pages in an envelope, a cursor (`last_id`), and
//! `search_after`. What they have in common is that the end is badly marked. So a listing goes on
//! while *anything* says there is more (a next address, a page count, a full page), and ends at an
//! empty page, or at a 404 beyond the first page. A page seen before is an error, not an end.

use std::collections::{HashSet, VecDeque};

use futures::stream::{self, BoxStream, StreamExt as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::call::Call;
use super::tolerant::{number, size};
use super::{Client, Error};

/// Rows asked for at once: the most that every listing takes.
pub(super) const PER_PAGE: usize = 100;
/// Pages after which a listing counts as endless.
const PAGE_CAP: usize = 1_000_000;

/// A listing's rows, in order. An error ends it.
pub type Rows<T> = BoxStream<'static, Result<T, Error>>;

/// How a listing goes on to its next page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `page=N`.
    Page,
    /// `last_id=<id of the last row>`.
    LastId,
    /// `search_after=<_sort of the last row>` in the body.
    SearchAfter,
}

/// One page as iconik sends it. Rows stay raw until they are asked for.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Envelope {
    #[serde(deserialize_with = "objects")]
    objects: Option<Vec<Value>>,
    #[serde(deserialize_with = "number")]
    pages: Option<i64>,
    #[serde(deserialize_with = "size")]
    per_page: Option<u64>,
    #[serde(deserialize_with = "super::tolerant::text")]
    next_url: Option<String>,
    #[serde(deserialize_with = "size")]
    total: Option<u64>,
}

#[cfg(any(test, fuzzing))]
impl Envelope {
    pub(super) fn rows(&self) -> &[Value] {
        self.objects.as_deref().unwrap_or_default()
    }
}

/// `null` is an empty list; anything else but a list is none.
fn objects<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Vec<Value>>, D::Error> {
    Ok(match Value::deserialize(d)? {
        Value::Array(rows) => Some(rows.into_iter().filter(|row| !row.is_null()).collect()),
        Value::Null => Some(Vec::new()),
        _ => None,
    })
}

struct Listing {
    client: Client,
    call: Call,
    style: Style,
    /// A 404 for the first page means that there are no rows.
    absent_is_empty: bool,
    /// Number of the page to ask for, from 1.
    page: usize,
    more: bool,
    rows: VecDeque<Value>,
    seen: HashSet<u64>,
}

impl Client {
    /// The rows of a listing.
    pub(super) fn rows<T>(&self, call: Call, style: Style, absent_is_empty: bool) -> Rows<T>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let listing = Listing {
            client: self.clone(),
            call: call.query("per_page", PER_PAGE),
            style,
            absent_is_empty,
            page: 1,
            more: true,
            rows: VecDeque::new(),
            seen: HashSet::new(),
        };
        stream::try_unfold(listing, |mut listing| async move {
            let row = listing.next().await?;
            row.map(|row| Ok((listing.read(row)?, listing))).transpose()
        })
        .boxed()
    }
}

impl Listing {
    async fn next(&mut self) -> Result<Option<Value>, Error> {
        while self.rows.is_empty() && self.more {
            self.turn().await?;
        }
        Ok(self.rows.pop_front())
    }

    fn read<T: DeserializeOwned>(&self, row: Value) -> Result<T, Error> {
        serde_path_to_error::deserialize(row)
            .map_err(|error| self.stuck(format!("unreadable row at {}", error.path())))
    }

    fn stuck(&self, why: impl Into<String>) -> Error {
        Error::Listing {
            doing: self.call.doing().to_owned(),
            why: why.into(),
        }
    }

    /// Fetches the next page and works out how to go on.
    async fn turn(&mut self) -> Result<(), Error> {
        if self.style == Style::Page {
            self.call.set_query("page", self.page);
        }
        let page: Envelope = match self.client.json(&self.call).await {
            Ok(page) => page,
            Err(error) if error.is_not_found() && (self.page > 1 || self.absent_is_empty) => {
                self.more = false;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        // An answer that is no page says nothing about what there is: not even that there is nothing.
        let rows = match page.objects {
            Some(rows) => rows,
            None if page.total == Some(0) => Vec::new(),
            None => return Err(self.stuck("the answer holds no list of objects")),
        };
        let Some(last) = rows.last() else {
            self.more = false;
            return Ok(());
        };
        // Ids alone: a row may change between two pages, its id does not.
        let print: Vec<u8> = rows
            .iter()
            .flat_map(|row| {
                let id = row
                    .get("id")
                    .map_or_else(|| row.to_string(), Value::to_string);
                id.into_bytes().into_iter().chain([0])
            })
            .collect();
        if !self.seen.insert(xxh3_64(&print)) {
            return Err(self.stuck(format!("page {} came before", self.page)));
        }
        if self.page >= PAGE_CAP {
            return Err(self.stuck(format!("more than {PAGE_CAP} pages")));
        }
        let full = page
            .per_page
            .and_then(|len| usize::try_from(len).ok())
            .filter(|&len| len > 0)
            .map_or(PER_PAGE, |len| len.min(PER_PAGE));
        let full = rows.len() >= full;
        let linked = page.next_url.is_some_and(|url| !url.is_empty());
        self.more = match self.style {
            Style::Page => {
                let counted = page
                    .pages
                    .filter(|&pages| pages > 0)
                    .map(|pages| usize::try_from(pages).unwrap_or(usize::MAX) > self.page);
                linked || counted.unwrap_or(full)
            }
            Style::LastId => {
                let id = last.get("id").and_then(super::tolerant::scalar);
                let more = linked || full;
                match id {
                    Some(id) => self.call.set_query("last_id", id),
                    None if more => return Err(self.stuck("a row without an id")),
                    None => {}
                }
                more
            }
            Style::SearchAfter => match last.get("_sort") {
                Some(after @ Value::Array(keys)) if !keys.is_empty() => {
                    self.call.set_member("search_after", after.clone());
                    // Documented to end at an empty page, and only there.
                    true
                }
                _ if self.page == 1 => {
                    // A search without sort keys: numbered pages are all there is.
                    self.style = Style::Page;
                    linked || full
                }
                _ => return Err(self.stuck("a row without its sort keys")),
            },
        };
        self.page += 1;
        self.rows = rows.into();
        Ok(())
    }
}
