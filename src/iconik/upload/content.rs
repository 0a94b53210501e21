//! Requests to the storage itself, and the bytes back from it.

use ::http::{HeaderName, HeaderValue, Method as Verb, StatusCode};
use futures::TryStreamExt as _;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Upload;
use crate::http::{Answer, Body, Repeat, Request, SignedUrl};
use crate::iconik::tolerant::text;
use crate::iconik::{Client, Error, bucket};
use crate::transfer::{Source as _, SourceFile};
use crate::types::{ByteCount, ByteRange, Failure, FailureClass, MIB, Reason, Sha256Digest};

/// Most of a store's answer that is read: a list of 1,000 parts is some 300 KiB, one of 50,000
/// blocks some 6 MiB.
const ANSWER: usize = 8 << 20;
/// Bytes read back at once.
const READ: ByteCount = 8 * MIB;

/// Addresses that a file row has for its upload.
#[derive(Deserialize)]
pub(super) struct Addresses {
    #[serde(default, deserialize_with = "text")]
    pub(super) upload_url: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) multipart_upload_url: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) upload_filename: Option<String>,
    /// What opens the address, where a token does: a secret.
    #[serde(default)]
    pub(super) upload_credentials: Value,
}

/// A request to a store.
pub(super) struct Ask<'a> {
    pub(super) verb: Verb,
    pub(super) url: &'a SignedUrl,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Body,
    pub(super) repeat: Repeat,
}

impl<'a> Ask<'a> {
    /// A request that may be sent again.
    pub(super) fn new(verb: Verb, url: &'a SignedUrl, body: Body) -> Self {
        Self {
            verb,
            url,
            headers: Vec::new(),
            body,
            repeat: Repeat::Safe,
        }
    }

    /// Adds a header.
    pub(super) fn header(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.push((HeaderName::from_static(name), value));
        self
    }
}

impl Client {
    /// Reads a closed file back from the storage: its digest, when it has as many bytes as it
    /// should have.
    ///
    /// # Errors
    ///
    /// The store's; `SourceChanged` for another size.
    pub async fn read_back(&self, upload: &Upload) -> Result<Sha256Digest, Failure> {
        let reader = self.reader();
        let file = SourceFile {
            locator: upload.at.to_text(),
            name: upload.name.clone(),
            size: upload.size,
        };
        // What is kept of the row may be older than the upload.
        reader.renew(&file).await?;
        let pin = reader.open(&file).await?.validator;
        let mut hasher = Sha256::new();
        let mut from = 0;
        while from < upload.size {
            let range = ByteRange::new(from, (from + READ).min(upload.size));
            let mut stream = match reader.read(&file, range, &pin).await {
                Err(failure) if failure.class == FailureClass::Resign => {
                    reader.renew(&file).await?;
                    reader.read(&file, range, &pin).await?
                }
                other => other?,
            };
            while let Some(frame) = stream.try_next().await? {
                hasher.update(&frame);
            }
            from = range.end;
        }
        Ok(Sha256Digest(hasher.finalize().into()))
    }

    pub(super) async fn upload_addresses(&self, upload: &Upload) -> Result<Addresses, Error> {
        let call = self
            .of_file(Verb::GET, upload, &[])
            .query("generate_signed_post_url", true);
        self.json(&call).await
    }

    /// Sends a request to the store; only a success is `Ok`.
    pub(super) async fn store(&self, ask: Ask<'_>, upload: &Upload) -> Result<Answer, Failure> {
        let (answer, refusal) = self.ask_store(ask).await?;
        match refusal {
            None => Ok(answer),
            Some(refusal) => Err(refusal.context(&upload.name)),
        }
    }

    /// Sends a request to the store; its answer, and what a refusal asks for.
    pub(super) async fn ask_store(
        &self,
        ask: Ask<'_>,
    ) -> Result<(Answer, Option<Failure>), Failure> {
        let mut request = Request::signed(ask.verb, ask.url);
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        let request = request.body(ask.body).repeat(ask.repeat);
        let response = self.0.http.send(request).await.map_err(Failure::from)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let retry_after = response.retry_after();
        let answer = response.answer(ANSWER).await.map_err(Failure::from)?;
        let done = matches!(
            status,
            StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT
        );
        let refusal = (!done).then(|| bucket::refusal(status, &headers, &answer.body, retry_after));
        Ok((answer, refusal))
    }
}

/// An address that iconik gave for an upload.
pub(super) fn address(given: Option<String>, upload: &Upload) -> Result<SignedUrl, Failure> {
    let given = given.filter(|given| !given.is_empty()).ok_or_else(|| {
        let what = format!(
            "iconik gives no address to upload {} to; may longhaul write to that storage?",
            upload.name
        );
        Failure::item(Reason::Other, what)
    })?;
    SignedUrl::parse(&given).map_err(Failure::from)
}

/// What stands in the elements of that name, in order; they are not nested.
pub(super) fn elements<'x>(xml: &'x str, name: &'x str) -> impl Iterator<Item = &'x str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once(&open)?;
        let (inner, after) = behind.split_once(&close)?;
        rest = after;
        Some(inner)
    })
}

pub(super) fn unescaped(text: &str) -> String {
    let plain = text.replace("&quot;", "\"").replace("&#34;", "\"");
    let plain = plain.replace("&lt;", "<").replace("&gt;", ">");
    plain.replace("&amp;", "&").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_from_a_stores_list() {
        let xml = "<?xml version=\"1.0\"?><ListPartsResult><UploadId>a&amp;b</UploadId>\
                   <Part><PartNumber>1</PartNumber><ETag>&quot;e1&quot;</ETag><Size>5</Size></Part>\
                   <Part><PartNumber>2</PartNumber></ListPartsResult>";
        assert_eq!(
            elements(xml, "UploadId").next().map(unescaped).as_deref(),
            Some("a&b")
        );
        let part = elements(xml, "Part").next().unwrap();
        assert_eq!(
            elements(part, "ETag").next().map(unescaped).as_deref(),
            Some("\"e1\"")
        );
        assert_eq!(elements(xml, "Part").count(), 1, "one breaks off");
        assert_eq!(elements("", "Part").count(), 0);
    }
}
