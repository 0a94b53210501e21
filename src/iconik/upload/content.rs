//! The bytes of an upload: whole or in parts, and back again.

use std::collections::BTreeMap;

use ::http::header::ETAG;
use ::http::{Method as Verb, StatusCode};
use bytes::Bytes;
use futures::TryStreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Upload;
use crate::http::{Answer, Body, Repeat, Request, SignedUrl};
use crate::iconik::tolerant::text;
use crate::iconik::{Client, Error, bucket};
use crate::transfer::{Source as _, SourceFile};
use crate::types::{ByteCount, ByteRange, Failure, FailureClass, MIB, Reason, Sha256Digest};

/// Most of a store's answer that is read: a list of 10,000 parts is some 3 MiB.
const ANSWER: usize = 8 << 20;
/// Bytes read back at once.
const READ: ByteCount = 8 * MIB;

/// A part that a store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its entity tag, with quotes where the store writes them.
    pub etag: String,
    /// Bytes.
    pub size: ByteCount,
}

/// Addresses that a file row has for its upload.
#[derive(Deserialize)]
struct Addresses {
    #[serde(default, deserialize_with = "text")]
    upload_url: Option<String>,
    #[serde(default, deserialize_with = "text")]
    multipart_upload_url: Option<String>,
}

/// Addresses of a multipart upload.
#[derive(Deserialize)]
struct PartsAddresses {
    #[serde(default, deserialize_with = "text")]
    complete_url: Option<String>,
    #[serde(default, deserialize_with = "text")]
    list_parts_url: Option<String>,
}

impl Client {
    /// Puts a whole file. Safe to repeat: it replaces what was put before.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn put_whole(&self, upload: &Upload, content: Bytes) -> Result<(), Failure> {
        let address = self.upload_addresses(upload).await?.upload_url;
        let body = Body::Chunks(vec![content]);
        self.store(Verb::PUT, address, body, &upload.name).await?;
        Ok(())
    }

    /// Begins an upload in parts; its id at the store.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn begin_parts(&self, upload: &Upload) -> Result<String, Failure> {
        let address = self.upload_addresses(upload).await?.multipart_upload_url;
        let answer = self
            .store(Verb::POST, address, Body::Empty, &upload.name)
            .await?;
        let xml = String::from_utf8_lossy(&answer.body);
        let id = elements(&xml, "UploadId").next().map(unescaped);
        id.filter(|id| !id.is_empty()).ok_or_else(|| {
            Failure::transient("the storage began an upload in parts and did not name it")
        })
    }

    /// The parts that the store has of an upload; nothing when it does not know the upload (any
    /// more).
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn parts_there(
        &self,
        upload: &Upload,
        id: &str,
    ) -> Result<Option<BTreeMap<u32, Part>>, Failure> {
        let address = self.parts_addresses(upload, id).await?.list_parts_url;
        let answer = match self
            .store(Verb::GET, address, Body::Empty, &upload.name)
            .await
        {
            Ok(answer) => answer,
            Err(failure) if failure.reason == Reason::NotFound => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let xml = String::from_utf8_lossy(&answer.body);
        let mut parts = BTreeMap::new();
        for part in elements(&xml, "Part") {
            let of = |name| elements(part, name).next().map(unescaped);
            let number = of("PartNumber").and_then(|number| number.parse().ok());
            let size = of("Size").and_then(|size| size.parse().ok());
            if let (Some(number), Some(size), Some(etag)) = (number, size, of("ETag")) {
                parts.insert(number, Part { etag, size });
            }
        }
        Ok(Some(parts))
    }

    /// Puts a part. Safe to repeat: it replaces what was put before.
    ///
    /// # Errors
    ///
    /// The store's; `NotFound` when it does not know the upload (any more).
    pub async fn put_part(
        &self,
        upload: &Upload,
        id: &str,
        number: u32,
        parts: u32,
        content: Bytes,
    ) -> Result<Part, Failure> {
        let size = content.len() as u64;
        let call = self
            .of_file(Verb::GET, upload, &["multipart_url", "part"])
            .query("upload_id", id)
            .query("parts_num", parts)
            .query("per_page", 1)
            .query("page", number);
        let page: Value = self.json(&call).await?;
        let rows = page.get("objects").and_then(Value::as_array);
        let row = rows
            .into_iter()
            .flatten()
            .find(|row| row["number"] == number);
        let address = row.and_then(|row| row["url"].as_str()).map(str::to_owned);
        let answer = self
            .store(
                Verb::PUT,
                address,
                Body::Chunks(vec![content]),
                &upload.name,
            )
            .await?;
        let etag = answer.header(&ETAG).map(str::to_owned).ok_or_else(|| {
            Failure::transient(format!(
                "the storage took part {number} without an entity tag"
            ))
        })?;
        Ok(Part { etag, size })
    }

    /// Makes one object of the parts. A store that does not know the upload any more may have made
    /// it before: [`read_back`](Self::read_back) tells.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn finish_parts(
        &self,
        upload: &Upload,
        id: &str,
        parts: &BTreeMap<u32, Part>,
    ) -> Result<(), Failure> {
        let address = self.parts_addresses(upload, id).await?.complete_url;
        let mut xml = "<CompleteMultipartUpload>".to_owned();
        for (number, part) in parts {
            let etag = crate::sidecar::escaped(&part.etag);
            xml.push_str(&format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            ));
        }
        xml.push_str("</CompleteMultipartUpload>");
        let body = Body::Chunks(vec![xml.into()]);
        match self.store(Verb::POST, address, body, &upload.name).await {
            // The store begins its answer before it is done, and may say then that it failed.
            Ok(answer) if String::from_utf8_lossy(&answer.body).contains("<Error>") => {
                return Err(Failure::transient(
                    "the storage could not put the parts together",
                ));
            }
            Ok(_) => {}
            Err(failure) if failure.reason == Reason::NotFound => {}
            Err(failure) => return Err(failure),
        }
        let call = self
            .of_file(Verb::POST, upload, &["multipart", "cleanup"])
            .body(json!({"upload_id": id, "abort_upload": false}))
            .repeatable();
        // Only iconik's own notes about the parts are left behind.
        if let Err(error) = self.done(&call).await {
            tracing::debug!(%error, "notes about an upload in parts are left");
        }
        Ok(())
    }

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

    async fn upload_addresses(&self, upload: &Upload) -> Result<Addresses, Error> {
        let call = self
            .of_file(Verb::GET, upload, &[])
            .query("generate_signed_post_url", true);
        self.json(&call).await
    }

    async fn parts_addresses(&self, upload: &Upload, id: &str) -> Result<PartsAddresses, Error> {
        let call = self
            .of_file(Verb::GET, upload, &["multipart_url"])
            .query("upload_id", id)
            .query("type", "S3");
        self.json(&call).await
    }

    /// Sends a request to the store; only a success is `Ok`.
    async fn store(
        &self,
        verb: Verb,
        address: Option<String>,
        body: Body,
        name: &str,
    ) -> Result<Answer, Failure> {
        let address = address.filter(|address| !address.is_empty()).ok_or_else(|| {
            Failure::item(
                Reason::Other,
                format!("iconik gives no address to upload {name} to; may longhaul write to that storage?"),
            )
        })?;
        let url = SignedUrl::parse(&address).map_err(Failure::from)?;
        let request = Request::signed(verb, &url).body(body).repeat(Repeat::Safe);
        let response = self.0.http.send(request).await.map_err(Failure::from)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let retry_after = response.retry_after();
        let answer = response.answer(ANSWER).await.map_err(Failure::from)?;
        if matches!(
            status,
            StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT
        ) {
            return Ok(answer);
        }
        Err(bucket::refusal(status, &headers, &answer.body, retry_after).context(name))
    }
}

/// What stands in the elements of that name, in order; they are not nested.
fn elements<'x>(xml: &'x str, name: &'x str) -> impl Iterator<Item = &'x str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once(&open)?;
        let (inner, after) = behind.split_once(&close)?;
        rest = after;
        Some(inner)
    })
}

fn unescaped(text: &str) -> String {
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
