//! Azure Blob Storage: one block blob PUT, or blocks and a list of them.
//!
//! A block is named after its number and the MD5 of its bytes, so that a block of that name that
//! the store has already holds exactly these bytes. The store is asked for them after a restart;
//! an address that may not list them costs sending them again, and nothing else.
//!
//! Source: Azure Blob Storage REST API, "Put Blob", "Put Block", "Put Block List", "Get Block
//! List". A shared access signature does not cover the parameters that those add.

use std::collections::BTreeSet;

use ::http::{HeaderValue, Method as Verb};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use md5::{Digest as _, Md5};

use super::Upload;
use super::content::{Ask, address, elements, unescaped};
use crate::http::{Body, SignedUrl};
use crate::iconik::Client;
use crate::types::{Failure, FailureClass, Reason};

/// Most blocks that a blob has.
pub(super) const BLOCKS: u64 = 50_000;

/// Blocks that are under way.
pub(super) struct Blocks {
    there: BTreeSet<String>,
    done: Vec<String>,
}

impl Client {
    /// Puts a whole blob. Safe to repeat: it replaces what was put before.
    pub(super) async fn put_blob(&self, upload: &Upload, content: Bytes) -> Result<(), Failure> {
        let url = self.blob(upload).await?;
        let ask = Ask::new(Verb::PUT, &url, Body::Chunks(vec![content.clone()]))
            .header("x-ms-blob-type", HeaderValue::from_static("BlockBlob"))
            .header("content-md5", checksum(&content)?);
        self.store(ask, upload).await?;
        Ok(())
    }

    /// The blocks that the store has and that no blob is made of.
    pub(super) async fn begin_blocks(&self, upload: &Upload) -> Result<Blocks, Failure> {
        let url = self.blob(upload).await?;
        let url = url.with(&[("comp", "blocklist"), ("blocklisttype", "uncommitted")]);
        let ask = Ask::new(Verb::GET, &url, Body::Empty);
        let there = match self.store(ask, upload).await {
            Ok(answer) => {
                let xml = String::from_utf8_lossy(&answer.body);
                elements(&xml, "Name").map(unescaped).collect()
            }
            // No block yet, or an address for writing only.
            Err(failure)
                if failure.reason == Reason::NotFound || failure.class == FailureClass::Resign =>
            {
                BTreeSet::new()
            }
            Err(failure) => return Err(failure),
        };
        Ok(Blocks {
            there,
            done: Vec::new(),
        })
    }

    /// Puts a block unless the store has it. Safe to repeat. Whether bytes were sent.
    pub(super) async fn put_block(
        &self,
        upload: &Upload,
        own: &mut Blocks,
        number: u32,
        content: Bytes,
    ) -> Result<bool, Failure> {
        let name = name(number, &content);
        let new = !own.there.contains(&name);
        if new {
            let url = self.blob(upload).await?;
            let url = url.with(&[("comp", "block"), ("blockid", &name)]);
            let checksum = checksum(&content)?;
            let ask = Ask::new(Verb::PUT, &url, Body::Chunks(vec![content]))
                .header("content-md5", checksum);
            self.store(ask, upload).await?;
        }
        own.done.push(name);
        Ok(new)
    }

    /// Makes the blob of its blocks. Safe to repeat: it names the newest block of each name.
    pub(super) async fn finish_blocks(&self, upload: &Upload, own: &Blocks) -> Result<(), Failure> {
        let url = self.blob(upload).await?.with(&[("comp", "blocklist")]);
        let mut xml = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>".to_owned();
        for name in &own.done {
            xml.push_str(&format!("<Latest>{name}</Latest>"));
        }
        xml.push_str("</BlockList>");
        let ask = Ask::new(Verb::PUT, &url, Body::Chunks(vec![xml.into()]));
        self.store(ask, upload).await?;
        Ok(())
    }

    async fn blob(&self, upload: &Upload) -> Result<SignedUrl, Failure> {
        address(self.upload_addresses(upload).await?.upload_url, upload)
    }
}

/// Names of blocks are Base64, and all of a blob's are of one length.
fn name(number: u32, content: &[u8]) -> String {
    let digest = hex::encode(Md5::digest(content));
    BASE64_STANDARD.encode(format!("{number:06}-{digest}"))
}

/// The store refuses bytes that differ from it.
fn checksum(content: &[u8]) -> Result<HeaderValue, Failure> {
    let text = BASE64_STANDARD.encode(Md5::digest(content));
    HeaderValue::from_str(&text).map_err(|_| Failure::transient("a checksum cannot be written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_blocks_are_of_one_length_and_tell_numbers_and_bytes_apart() {
        let names = [name(1, b"a"), name(1, b"b"), name(50_000, b"a")];
        assert!(names.iter().all(|name| name.len() == names[0].len()));
        assert_eq!(BTreeSet::from(names).len(), 3);
    }
}
