//! Reading request bodies: url-encoded forms, multipart forms with files, JSON where it is
//! taken. Files stream into a [`Sink`]; nothing of them is held in memory.

use std::io;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::HeaderMap;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};

use super::answer::Refusal;
use super::arguments::Arguments;
use super::content::{Blob, Sink};
use crate::types::{KIB, MIB};

/// Longest text field of a form.
const FIELD_LIMIT: u64 = 4 * MIB;

/// What a body may be and where its files go.
pub(super) struct Reading<'a> {
    /// Takes JSON objects as arguments.
    pub(super) json: bool,
    /// Longest body in bytes; beyond it the web server refuses.
    pub(super) limit: Option<u64>,
    /// Stops after this many body bytes, as a server does that notices something meanwhile.
    pub(super) stop_after: Option<u64>,
    /// Opens the sink for one file.
    pub(super) sink: &'a (dyn Fn() -> Sink + Send + Sync),
}

/// A file of a form, received to its last byte.
pub(super) struct FormFile {
    /// The field's name.
    pub(super) field: String,
    /// The file's name as the client gave it.
    pub(super) name: String,
    /// Its media type.
    pub(super) mime: Option<String>,
    /// The content.
    pub(super) blob: Blob,
}

/// A body that was read to its end.
#[derive(Default)]
pub(super) struct Form {
    /// Fields without a file.
    pub(super) arguments: Arguments,
    /// Fields with one, in the order sent.
    pub(super) files: Vec<FormFile>,
}

/// Why a body was not read to its end.
pub(super) enum Stop {
    /// The client went away, or what it sent is no form.
    Broken,
    /// The web server refuses the body.
    TooLarge,
    /// `stop_after` was reached.
    Reached,
    /// The body was read and is not acceptable.
    Refused(Refusal),
    /// The content could not be stored.
    Disk(io::Error),
}

/// Counts body bytes against the limits of a [`Reading`].
struct Meter {
    seen: u64,
    limit: u64,
    stop: u64,
}

impl Meter {
    fn add(&mut self, bytes: usize) -> Result<(), Stop> {
        self.seen += bytes as u64;
        if self.seen > self.limit {
            Err(Stop::TooLarge)
        } else if self.seen > self.stop {
            Err(Stop::Reached)
        } else {
            Ok(())
        }
    }
}

/// Carries a [`Stop`] through the form parser.
struct Stopped(std::sync::Mutex<Option<Stop>>);

impl std::fmt::Debug for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stopped")
    }
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the body was not read to its end")
    }
}

impl std::error::Error for Stopped {}

/// Reads `body` to its end, as its content type says.
///
/// # Errors
///
/// The [`Stop`] that ended the reading early. Files received until then are forgotten.
pub(super) async fn read<B>(
    headers: &HeaderMap,
    body: B,
    reading: Reading<'_>,
) -> Result<Form, Stop>
where
    B: Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
{
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let meter = Meter {
        seen: 0,
        limit: reading.limit.unwrap_or(u64::MAX),
        stop: reading.stop_after.unwrap_or(u64::MAX),
    };
    if essence == "multipart/form-data" {
        let boundary = multer::parse_boundary(kind).map_err(|_| Stop::Broken)?;
        return read_multipart(body, boundary, meter, reading.sink).await;
    }
    let raw = read_whole(body, meter).await?;
    let text = || {
        std::str::from_utf8(&raw)
            .map_err(|_| Stop::Refused(Refusal::bad("Body parameter is invalid")))
    };
    let mut form = Form::default();
    match essence.as_str() {
        "application/json" if raw.iter().all(u8::is_ascii_whitespace) => {}
        // Downloads name this type too, without a body.
        "application/json" if reading.json => {
            form.arguments.merge_json(text()?).map_err(Stop::Refused)?;
        }
        "application/json" => {
            return Err(Stop::Refused(Refusal::bad(
                "Parameters are required for PUT, POST, and PATCH methods",
            )));
        }
        // The published text describes some bodies as plain text holding the JSON.
        "text/plain" if text()?.trim_start().starts_with('{') => {
            form.arguments.merge_json(text()?).map_err(Stop::Refused)?;
        }
        _ => form.arguments = Arguments::from_form(&raw),
    }
    Ok(form)
}

async fn read_whole<B>(mut body: B, mut meter: Meter) -> Result<Vec<u8>, Stop>
where
    B: Stream<Item = io::Result<Bytes>> + Unpin,
{
    let mut raw = Vec::new();
    while let Some(data) = body.next().await {
        let data = data.map_err(|_| Stop::Broken)?;
        meter.add(data.len())?;
        if (raw.len() + data.len()) as u64 > FIELD_LIMIT {
            return Err(Stop::TooLarge);
        }
        raw.extend_from_slice(&data);
    }
    Ok(raw)
}

async fn read_multipart<B>(
    body: B,
    boundary: String,
    mut meter: Meter,
    sink: &(dyn Fn() -> Sink + Send + Sync),
) -> Result<Form, Stop>
where
    B: Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
{
    let stopped = |stop| Stopped(std::sync::Mutex::new(Some(stop)));
    let chunks = body.map(move |data| match data {
        Err(_) => Err(stopped(Stop::Broken)),
        Ok(data) => match meter.add(data.len()) {
            Ok(()) => Ok(data),
            Err(stop) => Err(stopped(stop)),
        },
    });
    let mut form = Form::default();
    let mut parts = multer::Multipart::new(chunks, boundary);
    while let Some(mut field) = parts.next_field().await.map_err(why)? {
        let name = field.name().unwrap_or_default().to_owned();
        let file_name = file_name(field.headers()).or_else(|| field.file_name().map(str::to_owned));
        // A part without a file name is text unless it says otherwise.
        let binary = field
            .content_type()
            .is_some_and(|mime| mime.essence_str() == "application/octet-stream");
        if file_name.is_some() || binary {
            let mime = field.content_type().map(ToString::to_string);
            let mut sink = sink();
            while let Some(chunk) = field.chunk().await.map_err(why)? {
                sink.write(&chunk).map_err(Stop::Disk)?;
            }
            form.files.push(FormFile {
                field: name,
                name: file_name.unwrap_or_default(),
                mime,
                blob: sink.finish(),
            });
        } else {
            let mut text = Vec::new();
            while let Some(chunk) = field.chunk().await.map_err(why)? {
                if (text.len() + chunk.len()) as u64 > FIELD_LIMIT {
                    return Err(Stop::TooLarge);
                }
                text.extend_from_slice(&chunk);
            }
            form.arguments
                .push(&name, String::from_utf8_lossy(&text).into_owned());
        }
    }
    // The closing boundary has come; what follows it belongs to nobody but ends the request.
    Ok(form)
}

/// The stop behind a parser's error; anything else is a form that broke off.
fn why(error: multer::Error) -> Stop {
    match error {
        multer::Error::StreamReadFailed(source) => source
            .downcast_ref::<Stopped>()
            .and_then(|stopped| stopped.0.lock().ok()?.take())
            .unwrap_or(Stop::Broken),
        multer::Error::IncompleteStream
        | multer::Error::IncompleteFieldData { .. }
        | multer::Error::IncompleteHeaders => Stop::Broken,
        _ => Stop::Refused(Refusal::bad("Pattern of argument was not recognized.")),
    }
}

/// The name in `filename*=UTF-8''…`, which the form parser does not read.
fn file_name(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_DISPOSITION)?.as_bytes();
    let value = std::str::from_utf8(value).ok()?;
    let lower = value.to_ascii_lowercase();
    let start = lower.find("filename*=utf-8''")? + "filename*=utf-8''".len();
    let encoded = value.get(start..)?.split(';').next()?.trim();
    percent_encoding::percent_decode_str(encoded)
        .decode_utf8()
        .ok()
        .map(|name| name.into_owned())
}

/// Reads what is left of a refused request, as far as a web server would, so that the client
/// sees the answer rather than a reset.
pub(super) async fn swallow<B>(body: &mut B)
where
    B: Stream<Item = io::Result<Bytes>> + Unpin,
{
    // Tomcat's `maxSwallowSize` is 2 MiB unless configured otherwise.
    let mut left = 2048 * KIB;
    while left > 0
        && let Some(Ok(data)) = body.next().await
    {
        left = left.saturating_sub(data.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::super::config::Keep;
    use super::super::content::Store;
    use super::*;

    async fn take(
        kind: &str,
        body: &[u8],
        json: bool,
        stop_after: Option<u64>,
    ) -> Result<Form, Stop> {
        let store = Store::new(None).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
        let reading = Reading {
            json,
            limit: Some(10_000),
            stop_after,
            sink: &|| store.receive(Keep::Store, 0, None),
        };
        // Small frames put field borders and boundaries in every position.
        let frames: Vec<_> = body
            .chunks(7)
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
            .collect();
        read(&headers, futures::stream::iter(frames), reading).await
    }

    const KIND: &str = "multipart/form-data; boundary=XX";

    #[tokio::test]
    async fn texts_and_files_are_told_apart_and_files_arrive_whole() {
        let body = "--XX\r\nContent-Disposition: form-data; name=\"body\"\r\n\r\n{\"type\":144}\r\n\
            --XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"ü.mov\"\r\n\
            Content-Type: video/quicktime\r\n\r\nab\r\n--Xcd\r\n--XX--\r\n";
        let Ok(form) = take(KIND, body.as_bytes(), false, None).await else {
            panic!("the form is well-formed");
        };
        assert_eq!(
            form.arguments.text("body").as_deref(),
            Some("{\"type\":144}")
        );
        let file = &form.files[0];
        assert_eq!((file.field.as_str(), file.name.as_str()), ("file", "ü.mov"));
        assert_eq!(file.mime.as_deref(), Some("video/quicktime"));
        let mut bytes = vec![0; 9];
        file.blob.read(0, &mut bytes).unwrap();
        assert_eq!(bytes, b"ab\r\n--Xcd");
    }

    #[tokio::test]
    async fn the_extended_file_name_wins() {
        let body = "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"; \
            filename*=UTF-8''%C3%BC.mov\r\n\r\n1\r\n--XX--\r\n";
        let form = take(KIND, body.as_bytes(), false, None).await.ok().unwrap();
        assert_eq!(form.files[0].name, "ü.mov");
    }

    #[tokio::test]
    async fn a_form_that_breaks_off_is_never_a_form() {
        let body =
            "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n123";
        assert!(matches!(
            take(KIND, body.as_bytes(), false, None).await,
            Err(Stop::Broken)
        ));
    }

    #[tokio::test]
    async fn json_bodies_are_refused_where_the_server_does_not_read_them() {
        let json = "application/json; charset=UTF-8";
        let refused = take(json, b"{\"a\":1}", false, None).await;
        assert!(matches!(refused, Err(Stop::Refused(refusal)) if refusal.status == 400));
        let form = take(json, b"{\"a\":1}", true, None).await.ok().unwrap();
        assert_eq!(form.arguments.number("a").unwrap(), Some(1));
        assert!(take(json, b"", false, None).await.is_ok());
    }

    #[tokio::test]
    async fn long_bodies_stop_at_the_limit_and_at_the_asked_place() {
        let long = vec![b'a'; 10_001];
        let form = "application/x-www-form-urlencoded";
        assert!(matches!(
            take(form, &long, false, None).await,
            Err(Stop::TooLarge)
        ));
        assert!(matches!(
            take(form, &long, false, Some(500)).await,
            Err(Stop::Reached)
        ));
        let mut multipart =
            b"--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n"
                .to_vec();
        multipart.extend_from_slice(&long);
        assert!(matches!(
            take(KIND, &multipart, false, None).await,
            Err(Stop::TooLarge)
        ));
        assert!(matches!(
            take(KIND, &multipart, false, Some(300)).await,
            Err(Stop::Reached)
        ));
    }

    #[tokio::test]
    async fn a_plain_text_body_may_hold_the_json() {
        let form = take("text/plain", b" {\"names\":[\"a\"]}", false, None)
            .await
            .ok()
            .unwrap();
        assert_eq!(form.arguments.texts("names"), ["a"]);
    }
}
