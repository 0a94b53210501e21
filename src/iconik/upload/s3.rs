//! S3 and its kin: one PUT, or a multipart upload of which the store itself says after a restart
//! which parts it has.

use std::collections::BTreeMap;

use ::http::Method as Verb;
use ::http::header::ETAG;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Upload;
use super::content::{Ask, address, elements, unescaped};
use crate::http::Body;
use crate::iconik::tolerant::{text, texts};
use crate::iconik::{Client, Error};
use crate::types::{ByteCount, Failure, Reason};

/// Most parts that S3 takes.
pub(super) const PARTS: u64 = 10_000;

/// A part that a store has.
struct Part {
    /// Its entity tag, with quotes where the store writes them.
    etag: String,
    size: ByteCount,
}

/// A multipart upload that is under way.
pub(super) struct Parts {
    pub(super) id: String,
    there: BTreeMap<u32, Part>,
    done: BTreeMap<u32, String>,
}

/// Addresses of a multipart upload.
#[derive(Deserialize)]
struct PartsAddresses {
    #[serde(default, deserialize_with = "text")]
    complete_url: Option<String>,
    /// One for each thousand parts.
    #[serde(default, deserialize_with = "texts")]
    list_parts_url: Vec<String>,
}

impl Client {
    /// Puts a whole file. Safe to repeat: it replaces what was put before.
    pub(super) async fn put_whole(&self, upload: &Upload, content: Bytes) -> Result<(), Failure> {
        let url = address(self.upload_addresses(upload).await?.upload_url, upload)?;
        let ask = Ask::new(Verb::PUT, &url, Body::Chunks(vec![content]));
        self.store(ask, upload).await?;
        Ok(())
    }

    /// Goes on with the multipart upload `known` while the store knows it, else begins one.
    pub(super) async fn begin_parts(
        &self,
        upload: &Upload,
        known: Option<&str>,
        parts: u64,
    ) -> Result<Parts, Failure> {
        if let Some(id) = known
            && let Some(there) = self.parts_there(upload, id, parts).await?
        {
            return Ok(Parts {
                id: id.to_owned(),
                there,
                done: BTreeMap::new(),
            });
        }
        let given = self.upload_addresses(upload).await?.multipart_upload_url;
        let url = address(given, upload)?;
        let ask = Ask::new(Verb::POST, &url, Body::Empty);
        let answer = self.store(ask, upload).await?;
        let xml = String::from_utf8_lossy(&answer.body);
        let id = elements(&xml, "UploadId").next().map(unescaped);
        let id = id.filter(|id| !id.is_empty()).ok_or_else(|| {
            Failure::transient("the storage began an upload in parts and did not name it")
        })?;
        Ok(Parts {
            id,
            there: BTreeMap::new(),
            done: BTreeMap::new(),
        })
    }

    /// The parts that the store has of an upload; nothing when it does not know the upload (any
    /// more).
    async fn parts_there(
        &self,
        upload: &Upload,
        id: &str,
        parts: u64,
    ) -> Result<Option<BTreeMap<u32, Part>>, Failure> {
        let mut there = BTreeMap::new();
        let given = self.parts_addresses(upload, id, parts).await?;
        if given.list_parts_url.is_empty() {
            // Nothing can be said of it, so it is begun anew.
            return Ok(None);
        }
        for given in given.list_parts_url {
            let url = address(Some(given), upload)?;
            let ask = Ask::new(Verb::GET, &url, Body::Empty);
            let answer = match self.store(ask, upload).await {
                Ok(answer) => answer,
                Err(failure) if failure.reason == Reason::NotFound => return Ok(None),
                Err(failure) => return Err(failure),
            };
            let xml = String::from_utf8_lossy(&answer.body);
            for part in elements(&xml, "Part") {
                let of = |name| elements(part, name).next().map(unescaped);
                let number = of("PartNumber").and_then(|number| number.parse().ok());
                let size = of("Size").and_then(|size| size.parse().ok());
                if let (Some(number), Some(size), Some(etag)) = (number, size, of("ETag")) {
                    there.insert(number, Part { etag, size });
                }
            }
        }
        Ok(Some(there))
    }

    /// Puts a part unless the store has it: for all that is known, a part with the MD5 of the same
    /// bytes as its entity tag. Safe to repeat. Whether bytes were sent.
    pub(super) async fn put_part(
        &self,
        upload: &Upload,
        own: &mut Parts,
        number: u32,
        parts: u64,
        content: Bytes,
    ) -> Result<bool, Failure> {
        let tag = hex::encode(Md5::digest(&content));
        let same = own.there.get(&number).filter(|there| {
            there.size == content.len() as u64 && there.etag.trim_matches('"') == tag
        });
        if let Some(there) = same {
            own.done.insert(number, there.etag.clone());
            return Ok(false);
        }
        let call = self
            .of_file(Verb::GET, upload, &["multipart_url", "part"])
            .query("upload_id", &own.id)
            .query("parts_num", parts)
            .query("per_page", 1)
            .query("page", number);
        let page: Value = self.json(&call).await?;
        let rows = page.get("objects").and_then(Value::as_array);
        let row = rows
            .into_iter()
            .flatten()
            .find(|row| row["number"] == number);
        let given = row.and_then(|row| row["url"].as_str()).map(str::to_owned);
        let url = address(given, upload)?;
        let ask = Ask::new(Verb::PUT, &url, Body::Chunks(vec![content]));
        let answer = self.store(ask, upload).await?;
        let etag = answer.header(&ETAG).map(str::to_owned).ok_or_else(|| {
            Failure::transient(format!(
                "the storage took part {number} without an entity tag"
            ))
        })?;
        own.done.insert(number, etag);
        Ok(true)
    }

    /// Makes one object of the parts. A store that does not know the upload any more may have made
    /// it before: [`read_back`](Self::read_back) tells.
    pub(super) async fn finish_parts(&self, upload: &Upload, own: &Parts) -> Result<(), Failure> {
        let parts = own.done.len() as u64;
        let given = self.parts_addresses(upload, &own.id, parts).await?;
        let url = address(given.complete_url, upload)?;
        let mut xml = "<CompleteMultipartUpload>".to_owned();
        for (number, etag) in &own.done {
            let etag = crate::sidecar::escaped(etag);
            xml.push_str(&format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            ));
        }
        xml.push_str("</CompleteMultipartUpload>");
        let ask = Ask::new(Verb::POST, &url, Body::Chunks(vec![xml.into()]));
        match self.store(ask, upload).await {
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
            .body(json!({"upload_id": own.id, "abort_upload": false}))
            .repeatable();
        // Only iconik's own notes about the parts are left behind.
        if let Err(error) = self.done(&call).await {
            tracing::debug!(%error, "notes about an upload in parts are left");
        }
        Ok(())
    }

    async fn parts_addresses(
        &self,
        upload: &Upload,
        id: &str,
        parts: u64,
    ) -> Result<PartsAddresses, Error> {
        let call = self
            .of_file(Verb::GET, upload, &["multipart_url"])
            .query("upload_id", id)
            .query("max_part_number", parts);
        self.json(&call).await
    }
}
