//! Versions of a document, and their content.

use std::collections::BTreeMap;

use ::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use futures::stream::{self, StreamExt};

use super::Client;
use super::errors::{Effect, Error, settle};
use super::names::cut;
use super::wire::{self, VersionRow};
use crate::transfer::{ByteStream, Version};
use crate::types::{ByteCount, Failure, NodeId, Reason, VersionNumber};

/// Longest description of a version; the server's column ends there.
const MAX_DESCRIPTION: usize = 255;
/// Pages after which a listing counts as endless.
const MOST_PAGES: u32 = 10_000;

/// A description as the server can hold it.
pub(super) fn description(text: &str) -> &str {
    cut(text, MAX_DESCRIPTION)
}

impl Client {
    /// One version of a document.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when the document or the version is missing or forbidden.
    pub async fn version(&self, node: NodeId, number: VersionNumber) -> Result<Version, Failure> {
        self.get_version(node, number).await.map_err(|error| {
            error
                .into_failure(Effect::Repeatable)
                .context(format!("reading version {number} of node {node}"))
        })
    }

    async fn get_version(&self, node: NodeId, number: VersionNumber) -> Result<Version, Error> {
        let call = self.call(Method::GET, &format!("v2/nodes/{node}/versions/{number}"));
        let answer = self.json(call).await?;
        let row: VersionRow = wire::parse(wire::section(&answer, "versions")?, "versions")?;
        if row.version_number != number.0 {
            return Err(Error::Unreadable(format!(
                "version {number} was asked for and version {} came",
                row.version_number
            )));
        }
        Ok(row.into())
    }

    /// All versions, lowest number first. Rows are counted against the server's own total, and
    /// pages must bring something new.
    pub(super) async fn list_versions(&self, node: NodeId) -> Result<Vec<Version>, Error> {
        let limit = self.0.config.page_size;
        let mut versions: BTreeMap<i64, Version> = BTreeMap::new();
        for number in 1..MOST_PAGES {
            let call = self
                .call(Method::GET, &format!("v2/nodes/{node}/versions"))
                .query("page", &number.to_string())
                .query("limit", &limit.to_string())
                .query("order", "asc");
            let answer = self.json(call).await?;
            let page = wire::page::<VersionRow>(&answer, "versions", number, limit)?;
            let before = versions.len();
            for row in page.rows {
                versions.insert(row.version_number, row.into());
            }
            let new = versions.len() > before;
            if page.more && new {
                continue;
            }
            return match page.total {
                Some(total) if total != versions.len() as u64 => Err(Error::Unreadable(format!(
                    "{} of {total} versions of node {node} were listed",
                    versions.len()
                ))),
                // A server that ignores paging answers everything each time.
                _ => Ok(versions.into_values().collect()),
            };
        }
        Err(Error::Unreadable(format!(
            "the versions of node {node} do not end"
        )))
    }

    pub(super) async fn put_description(
        &self,
        node: NodeId,
        version: VersionNumber,
        text: &str,
    ) -> Result<(), Error> {
        let call = self
            .call(Method::PUT, &format!("v2/nodes/{node}/versions/{version}"))
            .fields([("description", description(text))])
            .repeatable();
        self.json(call).await.map(drop)
    }

    /// The content from byte `from`. Ranges are asked for and not relied on: no source says that
    /// the server honours them, so a whole content is read past the bytes not wanted.
    pub(super) async fn get_content(
        &self,
        node: NodeId,
        version: VersionNumber,
        from: ByteCount,
    ) -> Result<ByteStream, Error> {
        let mut call = self
            .call(
                Method::GET,
                &format!("v2/nodes/{node}/versions/{version}/content"),
            )
            .header(
                header::ACCEPT_ENCODING,
                HeaderValue::from_static("identity"),
            )
            .limit(self.0.config.part_limit);
        if from > 0 && self.profile().ranges != Some(false) {
            let range =
                HeaderValue::try_from(format!("bytes={from}-")).expect("digits fit in a header");
            call = call.header(header::RANGE, range);
        }
        let response = self.open(call, content_status).await?;
        let headers = response.headers();
        let skip = match response.status() {
            StatusCode::PARTIAL_CONTENT => match range_start(headers) {
                Some(start) if start == from => 0,
                start => {
                    return Err(Error::Unreadable(format!(
                        "bytes from {from} were asked for and {} came",
                        start.map_or("an unknown range".into(), |s| format!("bytes from {s}"))
                    )));
                }
            },
            StatusCode::RANGE_NOT_SATISFIABLE => {
                return if range_total(headers) == Some(from) {
                    Ok(stream::empty().boxed())
                } else {
                    Err(past_the_end(from))
                };
            }
            _ => {
                // A stored page or sidecar looks like one too; its length tells them apart.
                if looks_like_a_page(headers)
                    && response.content_length()
                        != Some(self.get_version(node, version).await?.size)
                {
                    return Err(Error::Unreadable(
                        "a page came instead of the content".into(),
                    ));
                }
                from
            }
        };
        if response
            .content_length()
            .is_some_and(|length| length < skip)
        {
            return Err(past_the_end(from));
        }
        let content = response
            .stream()
            .map(|frame| {
                frame.map_err(|error| settle(error.into_failure(), Effect::Repeatable, true))
            })
            .boxed();
        Ok(if skip == 0 {
            content
        } else {
            skip_bytes(content, skip)
        })
    }
}

/// The statuses of an answer about content that is read here.
pub(super) fn content_status(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE
    )
}

fn past_the_end(from: ByteCount) -> Error {
    Error::Broken {
        failure: Failure::item(
            Reason::Mismatch,
            format!("the stored content ends before byte {from}"),
        ),
        not_done: true,
    }
}

/// The first byte of a `Content-Range`.
pub(super) fn range_start(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    range
        .trim()
        .strip_prefix("bytes ")?
        .split_once('-')?
        .0
        .trim()
        .parse()
        .ok()
}

/// The length that an unsatisfiable range is told.
fn range_total(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.rsplit_once('/')?.1.trim().parse().ok()
}

/// Downloads carry a `Content-Disposition`; a JSON or HTML answer without one is the server (or
/// what stands in front of it) talking, not a stored document.
fn looks_like_a_page(headers: &HeaderMap) -> bool {
    let talks = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| {
            let kind = kind.to_ascii_lowercase();
            kind.starts_with("text/html") || kind.starts_with("application/json")
        });
    talks && !headers.contains_key(header::CONTENT_DISPOSITION)
}

/// The stream without its first `skip` bytes; ending earlier is a failure.
fn skip_bytes(content: ByteStream, skip: ByteCount) -> ByteStream {
    stream::try_unfold((content, skip), |(mut content, mut skip)| async move {
        loop {
            let frame: Bytes = match content.next().await {
                Some(frame) => frame?,
                None if skip == 0 => return Ok(None),
                None => {
                    return Err(Failure::transient(format!(
                        "the stored content ended {skip} bytes before the byte asked for"
                    )));
                }
            };
            if skip >= frame.len() as u64 {
                skip -= frame.len() as u64;
                continue;
            }
            let start = usize::try_from(skip).unwrap_or(frame.len());
            return Ok(Some((frame.slice(start..), (content, 0))));
        }
    })
    .boxed()
}
