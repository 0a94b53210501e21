//! Content on its way to a storage, in order and part by part, whatever the storage's protocol.

use bytes::Bytes;

use super::Upload;
use super::azure::{self, Blocks};
use super::b2::{self, Large};
use super::s3::{self, Parts};
use crate::http::SignedUrl;
use crate::iconik::{Client, Method};
use crate::types::{ByteCount, Failure, MIB};

/// Bytes of a part unless the content has too many: S3 wants 5 MiB at least, Google whole
/// multiples of 256 KiB.
const PART: ByteCount = 8 * MIB;

/// Content on its way to a storage.
pub struct Sending {
    part: ByteCount,
    /// Bytes that are there, or were sent.
    at: ByteCount,
    number: u32,
    way: Way,
}

enum Way {
    Put,
    Parts(Parts),
    Session(SignedUrl),
    Blob,
    Blocks(Blocks),
    File,
    Large(Large),
}

impl Sending {
    /// Bytes of each part but the last.
    pub fn part(&self) -> ByteCount {
        self.part
    }

    /// What to remember in order to go on after a restart, where that needs anything; it may change
    /// with each part. No secret.
    pub fn id(&self) -> Option<String> {
        match &self.way {
            Way::Parts(parts) => Some(parts.id.clone()),
            Way::Large(large) => Some(large.note()),
            Way::Put | Way::Session(_) | Way::Blob | Way::Blocks(_) | Way::File => None,
        }
    }
}

/// Whether content can be put on storages of this kind.
pub(super) fn is_served(method: &Method) -> bool {
    matches!(
        method,
        Method::S3 | Method::Gcs | Method::Azure | Method::B2
    )
}

impl Client {
    /// Begins to send content, or goes on with the sending whose [`id`](Sending::id) is `known`.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn begin_sending(
        &self,
        upload: &Upload,
        known: Option<&str>,
    ) -> Result<Sending, Failure> {
        let most = match upload.at.method {
            Method::Azure => azure::BLOCKS,
            Method::Gcs => u64::MAX,
            Method::B2 => b2::PARTS,
            _ => s3::PARTS,
        };
        let part = PART.max(upload.size.div_ceil(most));
        let small = upload.size <= part;
        let way = match upload.at.method {
            Method::Gcs => Way::Session(self.begin_session(upload).await?),
            Method::Azure if small => Way::Blob,
            Method::Azure => Way::Blocks(self.begin_blocks(upload).await?),
            Method::B2 if small => Way::File,
            Method::B2 => Way::Large(self.begin_large(upload, known).await?),
            _ if small => Way::Put,
            _ => {
                let parts = upload.size.div_ceil(part);
                Way::Parts(self.begin_parts(upload, known, parts).await?)
            }
        };
        Ok(Sending {
            part,
            at: 0,
            number: 0,
            way,
        })
    }

    /// Sends the next part, unless the store has it; whether bytes were sent. Content without bytes
    /// has one empty part.
    ///
    /// # Errors
    ///
    /// The store's. The sending cannot be gone on with then: begin again.
    pub async fn send_part(
        &self,
        upload: &Upload,
        sending: &mut Sending,
        content: Bytes,
    ) -> Result<bool, Failure> {
        let (start, len) = (sending.at, content.len() as u64);
        sending.number += 1;
        let number = sending.number;
        let new = match &mut sending.way {
            Way::Put => self.put_whole(upload, content).await.map(|()| true),
            Way::Blob => self.put_blob(upload, content).await.map(|()| true),
            Way::Session(session) => {
                let sent = self.put_chunk(upload, session, start, content).await;
                sent.map(|()| true)
            }
            Way::Parts(own) => {
                let parts = upload.size.div_ceil(sending.part);
                self.put_part(upload, own, number, parts, content).await
            }
            Way::Blocks(own) => self.put_block(upload, own, number, content).await,
            Way::File => self.put_b2(upload, content).await.map(|()| true),
            Way::Large(own) => self.put_large_part(upload, own, number, content).await,
        }?;
        sending.at += len;
        Ok(new)
    }

    /// Makes one object of what was sent.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn finish_sending(&self, upload: &Upload, sending: &Sending) -> Result<(), Failure> {
        match &sending.way {
            Way::Parts(own) => self.finish_parts(upload, own).await,
            Way::Blocks(own) => self.finish_blocks(upload, own).await,
            Way::Large(own) => self.finish_large(upload, own).await,
            // Made with its last byte.
            Way::Put | Way::Blob | Way::Session(_) | Way::File => Ok(()),
        }
    }
}
