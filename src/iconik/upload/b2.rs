//! Backblaze B2: one POST, or a large file in parts.
//!
//! Every request goes to an address with a token of its own, which the store may withdraw at any
//! time (401, 408, 503): another is asked for then. B2 wants the SHA-1 of all that it gets. Which
//! parts it has cannot be asked through iconik, so their number is remembered beside the large
//! file's id; their SHA-1 are worked out again while the content passes.
//!
//! Source: Backblaze B2 native API, "b2_upload_file", "b2_upload_part".

use ::http::{HeaderValue, Method as Verb};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use super::Upload;
use super::content::{Ask, address};
use crate::http::{Body, Repeat, SignedUrl};
use crate::iconik::Client;
use crate::iconik::tolerant::{scalar, text};
use crate::types::{Failure, FailureClass, Reason};

/// Most parts of a large file.
pub(super) const PARTS: u64 = 10_000;
/// How often a request is sent, each time to another address.
const ATTEMPTS: u32 = 4;

/// A large file that is under way.
pub(super) struct Large {
    id: String,
    /// Parts that the store has from an earlier run.
    there: u32,
    sha1: Vec<String>,
    place: Option<Place>,
}

impl Large {
    /// The large file's id and the number of its parts that are there.
    pub(super) fn note(&self) -> String {
        let sent = u32::try_from(self.sha1.len()).unwrap_or(u32::MAX);
        format!("{}:{}", self.id, sent.max(self.there))
    }
}

/// Where a request goes, and what opens it.
struct Place {
    url: SignedUrl,
    token: HeaderValue,
}

impl Place {
    fn new(url: SignedUrl, token: Option<String>) -> Result<Self, Failure> {
        let token = token.and_then(|token| HeaderValue::from_str(&token).ok());
        let mut token = token.ok_or_else(|| {
            Failure::item(Reason::Other, "iconik gives no token to upload to B2 with")
        })?;
        token.set_sensitive(true);
        Ok(Self { url, token })
    }
}

/// What iconik says of a large file.
#[derive(Deserialize)]
struct Started {
    #[serde(default, deserialize_with = "text")]
    upload_file_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    upload_url: Option<String>,
    #[serde(default, deserialize_with = "text")]
    authorization_token: Option<String>,
    #[serde(default, deserialize_with = "text")]
    error_code: Option<String>,
}

impl Client {
    /// Puts a whole file.
    pub(super) async fn put_b2(&self, upload: &Upload, content: Bytes) -> Result<(), Failure> {
        let digest = header(&hex::encode(Sha1::digest(&content)))?;
        let mut attempt = 1;
        loop {
            let given = self.upload_addresses(upload).await?;
            let name = file_name(given.upload_filename.as_deref().unwrap_or(&upload.name))?;
            let token = given.upload_credentials.get("authorizationToken");
            let token = token.and_then(scalar);
            let place = Place::new(address(given.upload_url, upload)?, token)?;
            let ask = Ask::new(Verb::POST, &place.url, Body::Chunks(vec![content.clone()]))
                .header("authorization", place.token.clone())
                .header("x-bz-file-name", name)
                .header("x-bz-content-sha1", digest.clone())
                .header("content-type", HeaderValue::from_static("b2/x-auto"));
            match self.once(upload, ask).await {
                Err(failure) if elsewhere(&failure) && attempt < ATTEMPTS => attempt += 1,
                sent => return sent,
            }
        }
    }

    /// Goes on with the large file that was noted while the store knows it, else begins one.
    pub(super) async fn begin_large(
        &self,
        upload: &Upload,
        noted: Option<&str>,
    ) -> Result<Large, Failure> {
        let noted = noted.and_then(|noted| noted.rsplit_once(':'));
        if let Some((id, there)) = noted
            && let Ok(there) = there.parse()
        {
            match self.start(upload, Some(id)).await {
                Ok((id, place)) => {
                    return Ok(Large {
                        id,
                        there,
                        sha1: Vec::new(),
                        place: Some(place),
                    });
                }
                Err(failure) if failure.class == FailureClass::ItemIsWrong => {
                    tracing::debug!(%failure, "the large file is begun anew");
                }
                Err(failure) => return Err(failure),
            }
        }
        let (id, place) = self.start(upload, None).await?;
        Ok(Large {
            id,
            there: 0,
            sha1: Vec::new(),
            place: Some(place),
        })
    }

    /// Begins a large file, or gives another address for one.
    async fn start(&self, upload: &Upload, id: Option<&str>) -> Result<(String, Place), Failure> {
        let call = self
            .of_file(Verb::POST, upload, &["multipart", "b2", "start"])
            .body(json!({"upload_file_id": id}));
        let started: Started = self.json(&call).await?;
        if let Some(code) = started.error_code.filter(|code| !code.is_empty()) {
            let code: String = code.chars().take(40).collect();
            let what = format!("B2 does not take {} in parts: {code:?}", upload.name);
            return Err(Failure::item(Reason::Other, what));
        }
        let own = started.upload_file_id.or_else(|| id.map(str::to_owned));
        let own = own.filter(|own| !own.is_empty()).ok_or_else(|| {
            Failure::transient("the storage began an upload in parts and did not name it")
        })?;
        let url = address(started.upload_url, upload)?;
        Ok((own, Place::new(url, started.authorization_token)?))
    }

    /// Puts a part unless it is there. Whether bytes were sent.
    pub(super) async fn put_large_part(
        &self,
        upload: &Upload,
        own: &mut Large,
        number: u32,
        content: Bytes,
    ) -> Result<bool, Failure> {
        let digest = hex::encode(Sha1::digest(&content));
        let mut attempt = 1;
        while number > own.there {
            let place = match own.place.take() {
                Some(place) => place,
                None => self.start(upload, Some(&own.id)).await?.1,
            };
            let ask = Ask::new(Verb::POST, &place.url, Body::Chunks(vec![content.clone()]))
                .header("authorization", place.token.clone())
                .header("x-bz-part-number", HeaderValue::from(number))
                .header("x-bz-content-sha1", header(&digest)?);
            match self.once(upload, ask).await {
                Ok(()) => {
                    own.place = Some(place);
                    break;
                }
                Err(failure) if elsewhere(&failure) && attempt < ATTEMPTS => attempt += 1,
                Err(failure) => return Err(failure),
            }
        }
        own.sha1.push(digest);
        Ok(number > own.there)
    }

    /// Makes one file of the parts.
    pub(super) async fn finish_large(&self, upload: &Upload, own: &Large) -> Result<(), Failure> {
        let body: Value = json!({"sha1_list": own.sha1, "upload_file_id": own.id});
        let call = self
            .of_file(Verb::POST, upload, &["multipart", "b2", "finish"])
            .body(body);
        self.done(&call).await?;
        Ok(())
    }

    async fn once(&self, upload: &Upload, mut ask: Ask<'_>) -> Result<(), Failure> {
        // What is sent again goes to another address.
        ask.repeat = Repeat::IfNotSent;
        self.store(ask, upload).await.map(|_| ())
    }
}

/// Whether another address may serve.
fn elsewhere(failure: &Failure) -> bool {
    matches!(
        failure.class,
        FailureClass::RetryNow | FailureClass::RetryLater | FailureClass::Resign
    )
}

/// A file's name as B2 takes it: percent-encoded UTF-8, which iconik's may be already.
fn file_name(name: &str) -> Result<HeaderValue, Failure> {
    let plain = name.bytes().all(|byte| byte.is_ascii_graphic());
    if plain {
        return header(name);
    }
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    header(&percent_encoding::utf8_percent_encode(name, KEPT).to_string())
}

fn header(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|_| Failure::transient("a header cannot be written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_travel_percent_encoded_and_are_not_encoded_twice() {
        assert_eq!(file_name("a/b%20c.pdf").unwrap(), "a/b%20c.pdf");
        assert_eq!(file_name("a/b ü.pdf").unwrap(), "a/b%20%C3%BC.pdf");
    }
}
