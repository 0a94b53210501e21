//! Upload sessions ("Large File Upload"): numbered parts in any order, then one call that uses the
//! session's key.
//!
//! The server dictates the part size, keeps no list of parts that could be asked for, refuses to
//! replace a part it has, and names no destination before the key is used. Its answers to repeats
//! are therefore results: "already been uploaded" is a receipt, "already closed" says that an
//! earlier close went through.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use ::http::Method;
use serde::Deserialize;
use tokio::time::Instant;

use super::Client;
use super::call::segment;
use super::errors::{Effect, Error, Meaning};
use super::form::{FilePart, Form, media_type};
use super::wire;
use crate::http::CookieJar;
use crate::transfer::{Content, PartReceipt, Session, Window};
use crate::types::{ByteCount, Failure, Reason, UploadKey};

/// The parts' form field.
const PART_FIELD: &str = "part_content";

#[derive(Deserialize)]
struct Settings {
    #[serde(deserialize_with = "wire::flag")]
    is_enabled: bool,
    #[serde(default, deserialize_with = "wire::maybe_count")]
    min_size: Option<u64>,
    #[serde(default, deserialize_with = "wire::maybe_count")]
    max_size: Option<u64>,
}

#[derive(Deserialize)]
struct Started {
    #[serde(deserialize_with = "wire::key")]
    upload_key: String,
    #[serde(deserialize_with = "wire::count")]
    part_size: u64,
    #[serde(deserialize_with = "wire::count")]
    num_parts: u64,
}

/// How long the window counts as known.
const WINDOW_LIFE: Duration = Duration::from_secs(300);

impl Client {
    /// The sizes taken through upload sessions. A server that does not know the feature has none.
    /// They are an administrator's settings, so they are asked for once in a while only.
    pub(super) async fn get_window(&self) -> Result<Option<Window>, Error> {
        let mut known = self.0.window.lock().await;
        if let Some((asked, window)) = *known
            && asked.elapsed() < WINDOW_LIFE
        {
            return Ok(window);
        }
        let window = self.ask_window().await?;
        *known = Some((Instant::now(), window));
        Ok(window)
    }

    async fn ask_window(&self) -> Result<Option<Window>, Error> {
        let answer = match self
            .json(self.call(Method::GET, "v2/multipart/settings"))
            .await
        {
            Ok(answer) => answer,
            Err(error) if error.meaning() == Some(Meaning::NoRoute) => return Ok(None),
            Err(error) => return Err(error),
        };
        let settings: Settings = wire::parse(wire::saying(&answer, "is_enabled")?, "settings")?;
        let Some(max) = settings.max_size.filter(|_| settings.is_enabled) else {
            return Ok(None);
        };
        let min = settings.min_size.unwrap_or(0);
        Ok((min < max).then_some(Window { min, max }))
    }

    pub(super) async fn start_session(
        &self,
        file_name: &str,
        size: ByteCount,
        mime: &str,
    ) -> Result<Session, Error> {
        let jar = CookieJar::default();
        let call = self
            .call(Method::POST, "v2/multipart")
            .fields([
                ("file_name", file_name),
                ("file_size", &size.to_string()),
                ("mime_type", media_type(mime)),
            ])
            .cookies(jar.clone());
        let answer = self.json(call).await?;
        let started = wire::saying(&answer, "upload_key")?;
        let session = check_start(wire::parse(started, "start")?, size)?;
        self.jars().insert(session.key.clone(), jar);
        Ok(session)
    }

    pub(super) async fn post_part(
        &self,
        session: &Session,
        number: u32,
        content: Content,
    ) -> Result<PartReceipt, Error> {
        check_part(session, number, content.len())?;
        let form = Form::new(
            &[],
            FilePart {
                field: PART_FIELD,
                file_name: "blob",
                mime: "application/octet-stream",
                content,
            },
        );
        let path = format!("v2/multipart/{}/{number}", segment(session.key.as_str()));
        let call = self
            .call(Method::POST, &path)
            .secret_path()
            .form(form)
            .limit(self.0.config.part_limit)
            .cookies(self.jar(&session.key));
        match self.json(call).await {
            Ok(_) => Ok(PartReceipt::Stored),
            Err(error) if error.meaning() == Some(Meaning::PartThere) => {
                Ok(PartReceipt::AlreadyThere)
            }
            Err(error) => Err(self.note_gone(session, error)),
        }
    }

    /// Closing assembles the file, which takes the server its time.
    pub(super) async fn finish_session(&self, session: &Session) -> Result<(), Error> {
        let path = format!("v2/multipart/{}", segment(session.key.as_str()));
        let call = self
            .call(Method::POST, &path)
            .secret_path()
            .fields::<&str, &str>([])
            .limit(self.0.config.request_limit)
            .cookies(self.jar(&session.key));
        self.json(call)
            .await
            .map(drop)
            .map_err(|error| self.note_gone(session, error))
    }

    /// A session that is gone already is as good as cancelled.
    pub(super) async fn drop_session(&self, session: &Session) -> Result<(), Error> {
        let path = format!("v2/multipart/{}", segment(session.key.as_str()));
        let call = self
            .call(Method::DELETE, &path)
            .secret_path()
            .repeatable()
            .cookies(self.jar(&session.key));
        let done = match self.json(call).await {
            Err(error) if error.meaning() == Some(Meaning::SessionGone) => Ok(()),
            other => other.map(drop),
        };
        self.jars().remove(&session.key);
        done
    }

    /// The cookies of a session; a session opened before a restart starts with none.
    pub(super) fn jar(&self, key: &UploadKey) -> CookieJar {
        self.jars().entry(key.clone()).or_default().clone()
    }

    /// Forgets a session whose key has been used.
    pub(super) fn forget_session(&self, key: &UploadKey) {
        self.jars().remove(key);
    }

    fn note_gone(&self, session: &Session, error: Error) -> Error {
        if error.meaning() == Some(Meaning::SessionGone) {
            self.jars().remove(&session.key);
        }
        error
    }

    fn jars(&self) -> MutexGuard<'_, std::collections::HashMap<UploadKey, CookieJar>> {
        self.0
            .cookies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A failure about a session, never quoting its key: whoever has the key can add to the session.
pub(super) fn session_failure(
    error: Error,
    key: &UploadKey,
    doing: impl std::fmt::Display,
) -> Failure {
    let mut failure = error.into_failure(Effect::Repeatable).context(doing);
    for spelling in [key.as_str().to_owned(), segment(key.as_str())] {
        if !spelling.is_empty() {
            failure.message = failure.message.replace(&spelling, "[upload key]");
        }
    }
    failure
}

/// Whether the server's plan for the parts adds up.
fn check_start(started: Started, size: ByteCount) -> Result<Session, Error> {
    let Started {
        upload_key,
        part_size,
        num_parts,
    } = started;
    let expected = size.div_ceil(part_size.max(1));
    let parts = u32::try_from(num_parts)
        .ok()
        .filter(|_| part_size > 0 && num_parts == expected);
    // A key of dots alone would change the path that it stands in.
    let usable =
        !upload_key.chars().any(char::is_control) && !upload_key.bytes().all(|byte| byte == b'.');
    if !usable {
        return Err(Error::Unreadable(
            "the upload key is empty or no key".to_owned(),
        ));
    }
    match parts {
        Some(parts) if parts > 0 => Ok(Session {
            key: UploadKey(upload_key),
            part_size,
            parts,
        }),
        _ => Err(Error::Broken {
            failure: Failure::item(
                Reason::Unsupported,
                format!(
                    "the server planned {num_parts} parts of {part_size} bytes for {size} bytes, which cannot be followed"
                ),
            ),
            not_done: false,
        }),
    }
}

/// Whether a part has a number and a length that the session can take: every part but the last has
/// exactly the dictated size. What a server does with others is unknown, so it never sees one.
fn check_part(session: &Session, number: u32, len: ByteCount) -> Result<(), Error> {
    let last = number == session.parts;
    let fits = if last {
        (1..=session.part_size).contains(&len)
    } else {
        len == session.part_size
    };
    if (1..=session.parts).contains(&number) && fits {
        return Ok(());
    }
    Err(Error::Broken {
        failure: Failure::item(
            Reason::Mismatch,
            format!(
                "{len} bytes are no part {number} of {} parts of {} bytes",
                session.parts, session.part_size
            ),
        ),
        not_done: true,
    })
}
