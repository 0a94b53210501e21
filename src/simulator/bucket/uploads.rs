//! What a bucket takes: whole objects, and objects in parts in the manner of S3.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use http::Method;
use http::header::ETAG;
use md5::{Digest as _, Md5};

use super::{Bucket, Exchange, Master, Object, Reply, key, refusal};

/// Largest body of one request here; the real service takes 5 GiB.
const BODY: u64 = 256 << 20;
/// Smallest part but the last.
const SMALLEST: usize = 5 << 20;

/// Most parts in one list.
pub(crate) const LISTED: usize = 1000;

/// An upload in parts.
#[derive(Default)]
pub(super) struct Parts {
    key: String,
    parts: BTreeMap<u32, (Bytes, String)>,
}

pub(super) fn tag(content: &[u8]) -> String {
    hex::encode(Md5::digest(content))
}

fn gone() -> Reply {
    refusal(404, "NoSuchUpload", "The specified upload does not exist.")
}

impl Bucket {
    /// Puts an object or a part, begins and ends an upload in parts.
    pub(super) async fn store(&self, exchange: &mut Exchange) -> Reply {
        let query = exchange.query();
        let key = key(exchange);
        let body = match exchange.body.read_all(BODY).await {
            Ok(body) => body,
            Err(error) => return refusal(400, "IncompleteBody", &error.to_string()),
        };
        let upload = query.get("uploadId");
        let part = query
            .get("partNumber")
            .and_then(|number| number.parse().ok());
        match (&exchange.method, upload, part) {
            (&Method::PUT, None, None) => {
                let etag = tag(&body);
                self.put(&key, Object::new(Master::literal(body), &etag));
                tagged(Reply::new(200), &etag)
            }
            (&Method::PUT, Some(id), Some(number)) => {
                let etag = tag(&body);
                let mut inner = self.inner();
                let Some(own) = inner.uploads.get_mut(id).filter(|own| own.key == key) else {
                    return gone();
                };
                own.parts.insert(number, (body, etag.clone()));
                tagged(Reply::new(200), &etag)
            }
            (&Method::POST, None, None) if query.contains_key("uploads") => {
                let mut inner = self.inner();
                inner.serial += 1;
                let id = format!("upload&{}", inner.serial);
                let parts = Parts {
                    key: key.clone(),
                    ..Parts::default()
                };
                inner.uploads.insert(id.clone(), parts);
                let xml = format!(
                    "<InitiateMultipartUploadResult><Key>{}</Key><UploadId>{}</UploadId></InitiateMultipartUploadResult>",
                    escaped(&key),
                    escaped(&id)
                );
                Reply::new(200).content("application/xml", xml)
            }
            (&Method::POST, Some(id), None) => self.complete(id, &key, &body),
            (&Method::DELETE, Some(id), None) => match self.inner().uploads.remove(id) {
                Some(_) => Reply::new(204),
                None => gone(),
            },
            _ => refusal(
                405,
                "MethodNotAllowed",
                "The specified method is not allowed",
            ),
        }
    }

    /// The parts of an upload that are there: a thousand behind the one that the address names.
    pub(super) fn list_parts(&self, id: &str, exchange: &Exchange) -> Reply {
        let query = exchange.query();
        let behind = query.get("part-number-marker");
        let behind = behind.and_then(|number| number.parse().ok()).unwrap_or(0);
        let inner = self.inner();
        let Some(own) = inner.uploads.get(id) else {
            return gone();
        };
        let parts = own.parts.iter().filter(|(number, _)| **number > behind);
        let parts = parts.take(LISTED).map(|(number, (content, etag))| {
            format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag><Size>{}</Size></Part>",
                content.len()
            )
        });
        let xml = format!(
            "<ListPartsResult><UploadId>{}</UploadId>{}</ListPartsResult>",
            escaped(id),
            parts.collect::<String>()
        );
        Reply::new(200).content("application/xml", xml)
    }

    fn complete(&self, id: &str, key: &str, body: &[u8]) -> Reply {
        let mut inner = self.inner();
        let Some(own) = inner.uploads.get(id).filter(|own| own.key == key) else {
            return gone();
        };
        let wanted = String::from_utf8_lossy(body);
        let sizes: Vec<usize> = own.parts.values().map(|(part, _)| part.len()).collect();
        let small = sizes.iter().rev().skip(1).any(|size| *size < SMALLEST);
        let named = wanted.matches("<PartNumber>").count();
        let known = own
            .parts
            .values()
            .all(|(_, etag)| wanted.contains(etag.as_str()));
        if small {
            return refusal(
                400,
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
            );
        }
        if named != own.parts.len() || !known {
            return refusal(
                400,
                "InvalidPart",
                "One or more of the specified parts could not be found.",
            );
        }
        let mut whole = BytesMut::with_capacity(sizes.iter().sum());
        for (part, _) in own.parts.values() {
            whole.extend_from_slice(part);
        }
        let etag = format!("{}-{}", tag(&whole), own.parts.len());
        inner.uploads.remove(id);
        drop(inner);
        self.put(key, Object::new(Master::literal(whole.freeze()), &etag));
        Reply::new(200).content(
            "application/xml",
            "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>",
        )
    }

    /// Uploads in parts or blocks that were begun and not ended.
    pub fn open_uploads(&self) -> usize {
        let inner = self.inner();
        inner.uploads.len() + inner.blocks.len() + inner.large.len()
    }
}

fn tagged(reply: Reply, etag: &str) -> Reply {
    reply.header(ETAG.as_str(), &format!("\"{etag}\""))
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
