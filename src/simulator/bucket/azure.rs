//! What a bucket takes in the manner of Azure: whole block blobs, and blocks with a list of them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use http::Method;
use md5::{Digest as _, Md5};

use super::uploads::{escaped, tag};
use super::{Bucket, Exchange, Master, Object, Reply, key, refusal};

/// Largest body of one request here; the real service takes 4,000 MiB.
const BODY: u64 = 256 << 20;

/// Blocks of a blob that no list names yet.
#[derive(Default)]
pub(super) struct Blocks(BTreeMap<String, Bytes>);

impl Bucket {
    /// Puts a blob, a block or a list of blocks.
    pub(super) async fn store_blob(&self, exchange: &mut Exchange) -> Reply {
        let query = exchange.query();
        let key = key(exchange);
        let body = match exchange.body.read_all(BODY).await {
            Ok(body) => body,
            Err(error) => return refusal(400, "IncompleteBody", &error.to_string()),
        };
        if exchange.method != Method::PUT {
            return refusal(
                405,
                "UnsupportedHttpVerb",
                "The resource doesn't support it.",
            );
        }
        let digest = BASE64_STANDARD.encode(Md5::digest(&body));
        if exchange
            .header("content-md5")
            .is_some_and(|wanted| wanted != digest)
        {
            return refusal(
                400,
                "Md5Mismatch",
                "The MD5 value specified in the request did not match the MD5 value calculated by the server.",
            );
        }
        match query.get("comp").map(String::as_str) {
            None if exchange.header("x-ms-blob-type") != Some("BlockBlob") => refusal(
                400,
                "MissingRequiredHeader",
                "An HTTP header that's mandatory for this request is not specified.",
            ),
            None => {
                let etag = tag(&body);
                self.inner().blocks.remove(&key);
                self.put(&key, Object::new(Master::literal(body), &etag));
                Reply::new(201).header("etag", &format!("\"{etag}\""))
            }
            Some("block") => {
                let id = query.get("blockid").cloned().unwrap_or_default();
                let mut inner = self.inner();
                let own = &mut inner.blocks.entry(key).or_default().0;
                let same = own.keys().all(|other| other.len() == id.len());
                if BASE64_STANDARD.decode(&id).is_err() || id.is_empty() || !same {
                    return refusal(
                        400,
                        "InvalidBlobOrBlock",
                        "The specified blob or block content is invalid.",
                    );
                }
                own.insert(id, body);
                Reply::new(201)
            }
            Some("blocklist") => self.commit_blocks(&key, &body),
            Some(_) => refusal(400, "InvalidQueryParameterValue", "comp is not supported"),
        }
    }

    fn commit_blocks(&self, key: &str, body: &[u8]) -> Reply {
        let wanted = String::from_utf8_lossy(body);
        let mut whole = BytesMut::new();
        let mut inner = self.inner();
        let own = inner.blocks.get(key).map(|blocks| &blocks.0);
        for name in wanted.split("<Latest>").skip(1) {
            let name = name.split('<').next().unwrap_or_default();
            let Some(block) = own.and_then(|own| own.get(name)) else {
                return refusal(
                    400,
                    "InvalidBlockList",
                    "The specified block list is invalid.",
                );
            };
            whole.extend_from_slice(block);
        }
        inner.blocks.remove(key);
        drop(inner);
        // The real service's tags are no digests.
        let etag = format!("0x8D{}", &tag(&whole)[..12].to_uppercase());
        self.put(key, Object::new(Master::literal(whole.freeze()), &etag));
        Reply::new(201).header("etag", &format!("\"{etag}\""))
    }

    /// The blocks of a blob that no list names yet.
    pub(super) fn list_blocks(&self, exchange: &Exchange) -> Reply {
        let key = key(exchange);
        let known = self.get(&key).is_some();
        let inner = self.inner();
        let own = inner.blocks.get(&key);
        if own.is_none() && !known {
            return refusal(404, "BlobNotFound", "The specified blob does not exist.");
        }
        let rows = own.into_iter().flat_map(|own| own.0.iter());
        let rows = rows.map(|(name, block)| {
            let (name, size) = (escaped(name), block.len());
            format!("<Block><Name>{name}</Name><Size>{size}</Size></Block>")
        });
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList><UncommittedBlocks>{}</UncommittedBlocks></BlockList>",
            rows.collect::<String>()
        );
        Reply::new(200).content("application/xml", xml)
    }
}
