//! `multipart/form-data` bodies with one binary part, streamed and of exactly known length.
//!
//! The head (the text fields and the file's part header) and the tail are small and held; the
//! content passes through as the `Bytes` it came in. A content that passes once is counted: a byte
//! too many or too few ends the request before its tail, so that the server never sees a complete
//! body that is not the one announced. [`Watch`] remembers what happened in it, because the error
//! of a broken request no longer knows whose fault it was.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::{self, StreamExt};

use crate::http::Body;
use crate::transfer::{ByteStream, Content};
use crate::types::{Failure, Reason};

/// What is known of a body that passes once, after the request has ended.
#[derive(Debug, Default)]
pub(super) struct Watch {
    failure: Mutex<Option<Failure>>,
    whole: AtomicBool,
}

impl Watch {
    /// The failure of the content's own source, if that is what ended the body.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether the body was handed out to its last byte. If not, no server can have seen a
    /// complete request.
    pub(super) fn whole(&self) -> bool {
        self.whole.load(Ordering::Acquire)
    }

    fn fail(&self, failure: Failure) -> Failure {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure.clone());
        failure
    }
}

/// A form with text fields and one binary part.
pub(super) struct Form {
    boundary: String,
    head: Bytes,
    tail: Bytes,
    content: Option<Content>,
}

/// The binary part of a form.
pub(super) struct FilePart<'a> {
    pub(super) field: &'a str,
    pub(super) file_name: &'a str,
    pub(super) mime: &'a str,
    pub(super) content: Content,
}

impl Form {
    /// A form of `fields`, in order, then `file`.
    pub(super) fn new(fields: &[(&str, &str)], file: FilePart<'_>) -> Self {
        // 122 random bits: no content holds it by chance.
        let boundary = format!("longhaul-{}", uuid::Uuid::new_v4().simple());
        let mut head = String::new();
        for (name, value) in fields {
            head.push_str(&format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n{value}\r\n",
                escape(name)
            ));
        }
        head.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\nContent-Type: {}\r\n\r\n",
            escape(file.field),
            escape(file.file_name),
            media_type(file.mime),
        ));
        let tail = format!("\r\n--{boundary}--\r\n");
        Self {
            boundary,
            head: head.into(),
            tail: tail.into(),
            content: Some(file.content),
        }
    }

    /// The value of the request's `Content-Type`.
    pub(super) fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    /// Whether [`body`](Self::body) can be called again.
    pub(super) fn replayable(&self) -> bool {
        matches!(self.content, Some(Content::Chunks(_)))
    }

    /// The body, and what to ask about it afterwards when it passes once. `None` when it has
    /// passed already.
    pub(super) fn body(&mut self) -> Option<(Body, Option<Arc<Watch>>)> {
        if let Some(Content::Chunks(chunks)) = &self.content {
            let mut frames = Vec::with_capacity(chunks.len() + 2);
            frames.push(self.head.clone());
            frames.extend(chunks.iter().filter(|chunk| !chunk.is_empty()).cloned());
            frames.push(self.tail.clone());
            return Some((Body::Chunks(frames), None));
        }
        let Some(Content::Stream { len, stream }) = self.content.take() else {
            return None;
        };
        let watch = Arc::new(Watch::default());
        let body = Body::Stream {
            len: self.head.len() as u64 + len + self.tail.len() as u64,
            stream: frame(
                self.head.clone(),
                stream,
                len,
                self.tail.clone(),
                watch.clone(),
            ),
        };
        Some((body, Some(watch)))
    }
}

/// Where a framed content stands.
enum Stage {
    Head(ByteStream),
    Content { stream: ByteStream, left: u64 },
    Done,
}

/// Head, exactly `len` bytes of content, tail. After an error nothing follows.
fn frame(head: Bytes, content: ByteStream, len: u64, tail: Bytes, watch: Arc<Watch>) -> ByteStream {
    stream::try_unfold(Stage::Head(content), move |stage| {
        let (head, tail, watch) = (head.clone(), tail.clone(), watch.clone());
        async move {
            let (mut stream, left) = match stage {
                Stage::Head(stream) => {
                    return Ok(Some((head, Stage::Content { stream, left: len })));
                }
                Stage::Content { stream, left } => (stream, left),
                Stage::Done => return Ok(None),
            };
            loop {
                match stream.next().await {
                    Some(Ok(chunk)) if chunk.is_empty() => {}
                    Some(Ok(chunk)) => match left.checked_sub(chunk.len() as u64) {
                        Some(left) => {
                            return Ok(Some((chunk, Stage::Content { stream, left })));
                        }
                        None => {
                            return Err(watch.fail(Failure::item(
                                Reason::Mismatch,
                                format!("the content is longer than the {len} bytes announced"),
                            )));
                        }
                    },
                    Some(Err(failure)) => return Err(watch.fail(failure)),
                    None if left == 0 => {
                        watch.whole.store(true, Ordering::Release);
                        return Ok(Some((tail, Stage::Done)));
                    }
                    None => {
                        return Err(watch.fail(Failure::transient(format!(
                            "the content ended {left} bytes before the {len} announced"
                        ))));
                    }
                }
            }
        }
    })
    .boxed()
}

/// A field or file name inside quotation marks, as browsers write it: UTF-8, with the three
/// characters that could end the header percent-encoded.
fn escape(name: &str) -> String {
    name.replace('"', "%22")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// `mime` when it can stand in a header, otherwise the type of unknown bytes.
pub(super) fn media_type(mime: &str) -> &str {
    let plausible = mime.contains('/') && mime.bytes().all(|b| (0x20..0x7f).contains(&b));
    if plausible {
        mime
    } else {
        "application/octet-stream"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(content: Content) -> FilePart<'static> {
        FilePart {
            field: "file",
            file_name: "Ann \"x\"\r\nSet-Cookie: a.mov",
            mime: "video/quicktime",
            content,
        }
    }

    fn streamed(len: u64, frames: Vec<Result<Bytes, Failure>>) -> Content {
        Content::Stream {
            len,
            stream: stream::iter(frames).boxed(),
        }
    }

    async fn collect(body: Body) -> (u64, Result<Vec<u8>, Failure>) {
        match body {
            Body::Empty => (0, Ok(Vec::new())),
            Body::Chunks(chunks) => {
                let all = chunks.concat();
                (all.len() as u64, Ok(all))
            }
            Body::Stream { len, mut stream } => {
                let mut all = Vec::new();
                while let Some(frame) = stream.next().await {
                    match frame {
                        Ok(frame) => all.extend_from_slice(&frame),
                        Err(failure) => return (len, Err(failure)),
                    }
                }
                (len, Ok(all))
            }
        }
    }

    #[tokio::test]
    async fn a_stranger_reads_the_same_fields_and_bytes() {
        for content in [
            Content::Chunks(vec![
                Bytes::from_static(b"ab"),
                Bytes::new(),
                Bytes::from_static(b"c"),
            ]),
            streamed(
                3,
                vec![Ok(Bytes::from_static(b"ab")), Ok(Bytes::from_static(b"c"))],
            ),
        ] {
            let mut form = Form::new(&[("body", "{\"a\":1}")], part(content));
            let boundary = multer::parse_boundary(form.content_type()).unwrap();
            let (body, _) = form.body().unwrap();
            let (len, bytes) = collect(body).await;
            let bytes = bytes.unwrap();
            assert_eq!(len, bytes.len() as u64);
            let mut reader = multer::Multipart::new(
                stream::iter([Ok::<_, std::io::Error>(Bytes::from(bytes))]),
                boundary,
            );
            let field = reader.next_field().await.unwrap().unwrap();
            assert_eq!(field.name(), Some("body"));
            assert_eq!(field.text().await.unwrap(), "{\"a\":1}");
            let file = reader.next_field().await.unwrap().unwrap();
            assert_eq!(file.name(), Some("file"));
            assert_eq!(file.file_name(), Some("Ann %22x%22%0D%0ASet-Cookie: a.mov"));
            assert_eq!(file.content_type().unwrap().as_ref(), "video/quicktime");
            assert_eq!(file.bytes().await.unwrap(), "abc");
            assert!(reader.next_field().await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn a_held_content_can_be_sent_again_and_a_passing_one_cannot() {
        let mut held = Form::new(&[], part(Content::Chunks(vec![Bytes::from_static(b"a")])));
        assert!(held.replayable() && held.body().is_some() && held.body().is_some());
        let mut passing = Form::new(&[], part(streamed(0, vec![])));
        assert!(!passing.replayable() && passing.body().is_some() && passing.body().is_none());
    }

    #[tokio::test]
    async fn a_content_of_another_length_ends_before_the_tail() {
        for (len, frames) in [
            (2, vec![Ok(Bytes::from_static(b"abc"))]),
            (4, vec![Ok(Bytes::from_static(b"abc"))]),
            (0, vec![Ok(Bytes::from_static(b"a"))]),
        ] {
            let (body, watch) = Form::new(&[], part(streamed(len, frames))).body().unwrap();
            let watch = watch.unwrap();
            assert!(collect(body).await.1.is_err());
            assert!(!watch.whole() && watch.failure().is_some());
        }
    }

    #[tokio::test]
    async fn the_sources_own_failure_is_remembered() {
        let failure = Failure::item(Reason::SourceChanged, "other entity tag");
        let (body, watch) = Form::new(&[], part(streamed(5, vec![Err(failure)])))
            .body()
            .unwrap();
        assert!(collect(body).await.1.is_err());
        assert_eq!(
            watch.unwrap().failure().unwrap().reason,
            Reason::SourceChanged
        );
    }

    #[test]
    fn a_media_type_that_cannot_stand_in_a_header_is_replaced() {
        assert_eq!(media_type("video/mp4; a=b"), "video/mp4; a=b");
        assert_eq!(media_type("a/b\r\nX: y"), "application/octet-stream");
        assert_eq!(media_type(""), "application/octet-stream");
    }
}
