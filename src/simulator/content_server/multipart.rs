//! Large File Upload: sessions whose parts arrive in any order and are never replaced.
//!
//! A session is bound to its user, to the cluster node that opened it when so configured, and to
//! nothing else: the destination is named only by the call that spends its key.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::answer::{Answer, Outcome, Refusal};
use super::call::Call;
use super::config::{Config, Multipart};
use super::content::Blob;
use super::world::World;

const BAD_KEY: &str = "Failed to complete request. Either the UploadKey is invalid, \
or you do not have permission to access this upload session";
const EXPIRED: &str = "Multipart Upload session expired";
const CLOSED: &str = "Invalid status. Cannot close an empty or already closed upload.";

/// One upload session.
struct Upload {
    user: i64,
    node: u32,
    file_name: String,
    mime: String,
    size: u64,
    part_size: u64,
    parts: BTreeMap<u64, Blob>,
    closed: Option<Blob>,
    touched: Duration,
    /// Gone by idleness: the content is forgotten, the key still known.
    expired: bool,
}

/// What a closed session holds.
pub(super) struct Ready {
    pub(super) blob: Blob,
    pub(super) file_name: String,
    pub(super) mime: String,
}

/// Where a part lies, for the receiver of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// First byte of the part in the file.
    pub(super) from: u64,
    /// Size of the file.
    pub(super) size: u64,
}

/// All upload sessions by key.
#[derive(Default)]
pub(super) struct Uploads {
    uploads: BTreeMap<String, Upload>,
    one_node: bool,
}

impl Upload {
    fn count(&self) -> u64 {
        self.size.div_ceil(self.part_size.max(1)).max(1)
    }

    fn length(&self, number: u64) -> u64 {
        let from = (number - 1) * self.part_size;
        self.part_size.min(self.size.saturating_sub(from))
    }
}

impl Uploads {
    fn open(
        &mut self,
        call: &Call,
        config: &Multipart,
        file_name: String,
        mime: String,
        size: u64,
    ) -> (String, u64) {
        let noise: [u8; 16] = rand::random();
        let key = hex::encode(noise);
        let upload = Upload {
            user: call.user,
            node: call.node,
            file_name,
            mime,
            size,
            part_size: config.part_size.max(1),
            parts: BTreeMap::new(),
            closed: None,
            touched: call.clock,
            expired: false,
        };
        let count = upload.count();
        self.uploads.insert(key.clone(), upload);
        (key, count)
    }

    fn known(&mut self, key: &str, call: &Call) -> Result<&mut Upload, Refusal> {
        let one_node = self.one_node;
        let upload = self.uploads.get_mut(key);
        let mine = |upload: &&mut Upload| {
            upload.user == call.user && (!one_node || upload.node == call.node)
        };
        let upload = upload
            .filter(mine)
            .ok_or_else(|| Refusal::failed(BAD_KEY))?;
        if upload.expired {
            return Err(Refusal::failed(EXPIRED));
        }
        upload.touched = call.clock;
        Ok(upload)
    }

    /// Where the part with that number begins, when the session and the number are known.
    pub(super) fn slot(&self, key: &str, number: &str) -> Option<Slot> {
        let upload = self.uploads.get(key)?;
        let number: u64 = number.parse().ok()?;
        (1..=upload.count()).contains(&number).then(|| Slot {
            from: (number - 1) * upload.part_size,
            size: upload.size,
        })
    }

    /// The content of a closed session, for the call that is about to spend it.
    pub(super) fn ready(&self, key: &str, call: &Call) -> Result<Ready, Refusal> {
        let upload = self.uploads.get(key);
        let mine = |upload: &&Upload| {
            upload.user == call.user && (!self.one_node || upload.node == call.node)
        };
        let upload = upload
            .filter(mine)
            .ok_or_else(|| Refusal::failed(BAD_KEY))?;
        if upload.expired {
            return Err(Refusal::failed(EXPIRED));
        }
        match &upload.closed {
            Some(blob) => Ok(Ready {
                blob: blob.clone(),
                file_name: upload.file_name.clone(),
                mime: upload.mime.clone(),
            }),
            // Nothing has been put into the upload directory yet.
            None => Err(Refusal::bad(
                "Error: File could not be found within the upload directory.",
            )),
        }
    }

    /// Puts a closed session's parts together wrongly: the first two exchanged, or the last one
    /// left out.
    pub(super) fn damage(&mut self, key: &str, exchange: bool) {
        let Some(upload) = self.uploads.get_mut(key) else {
            return;
        };
        if upload.closed.is_none() {
            return;
        }
        let mut parts: Vec<&Blob> = upload.parts.values().collect();
        if exchange && parts.len() > 1 {
            parts.swap(0, 1);
        } else {
            parts.pop();
        }
        upload.closed = Some(Blob::joined(parts));
    }

    /// A call took the session's content; with `once` the key is worth nothing from now on.
    pub(super) fn spend(&mut self, key: &str, once: bool) {
        if once {
            self.uploads.remove(key);
        }
    }

    /// Ends sessions that have been idle for `lifetime`.
    pub(super) fn expire(&mut self, clock: Duration, lifetime: Duration) {
        for upload in self.uploads.values_mut() {
            if !upload.expired && clock.saturating_sub(upload.touched) >= lifetime {
                upload.end();
            }
        }
    }

    /// Ends one session as if it had been idle, or every one.
    pub(super) fn expire_now(&mut self, key: Option<&str>) {
        for (other, upload) in &mut self.uploads {
            if key.is_none_or(|key| key == other) {
                upload.end();
            }
        }
    }

    /// Forgets one session as if another cluster node were asked, or every one.
    pub(super) fn forget(&mut self, key: Option<&str>) {
        self.uploads
            .retain(|other, _| key.is_some_and(|key| key != other));
    }

    /// Binds sessions to the cluster node that opened them.
    pub(super) fn bind(&mut self, one_node: bool) {
        self.one_node = one_node;
    }

    /// Sessions that are neither spent nor ended.
    pub(super) fn live(&self) -> usize {
        self.uploads
            .values()
            .filter(|upload| !upload.expired)
            .count()
    }
}

impl Upload {
    fn end(&mut self) {
        self.expired = true;
        self.parts.clear();
        self.closed = None;
    }
}

fn settings_of(config: &Config) -> &Multipart {
    &config.multipart
}

/// `GET /v2/multipart/settings`.
pub(super) fn settings(world: &mut World, call: &Call) -> Outcome {
    let config = settings_of(&world.config);
    Ok(call.results(json!({"data": {
        "is_enabled": config.enabled, "max_size": config.max_size, "min_size": config.min_size,
    }})))
}

/// `POST /v2/multipart`.
pub(super) fn start(world: &mut World, call: &Call) -> Outcome {
    let pattern = || Refusal::bad("Pattern of argument was not recognized.");
    let filled = |key: &str| {
        call.arguments
            .text(key)
            .filter(|text| !text.trim().is_empty())
    };
    let file_name = filled("file_name").ok_or_else(pattern)?;
    let mime = match filled("mime_type") {
        Some(mime) => mime,
        None if world.config.strict => return Err(pattern()),
        None => "application/octet-stream".to_owned(),
    };
    let size = call.arguments.number("file_size").map_err(|_| pattern())?;
    let size = size
        .and_then(|size| u64::try_from(size).ok())
        .ok_or_else(pattern)?;
    let config = world.config.multipart.clone();
    if !config.enabled || size < config.min_size || size > config.max_size {
        return Err(Refusal::failed(format!(
            "Invalid block size: File size must be between {} and {} bytes.",
            config.min_size, config.max_size
        )));
    }
    let (key, count) = world
        .uploads
        .open(call, &config, file_name.clone(), mime, size);
    let detail = json!({"upload_key": key, "file_name": file_name, "file_size": size});
    world.record(call, "upload_start", None, detail);
    Ok(call.results(json!({"data": {
        "upload_key": key, "part_size": config.part_size.max(1), "num_parts": count, "max_retries": config.max_retries,
    }})))
}

/// `POST /v2/multipart/{key}/{number}`: the part has been received to its last byte.
pub(super) fn part(world: &mut World, call: &mut Call, key: &str, number: &str) -> Outcome {
    let pattern = || Refusal::bad("Pattern of argument was not recognized.");
    let number: i64 = number.parse().map_err(|_| pattern())?;
    let file = call
        .take_file("part_content")
        .or_else(|| match world.config.strict {
            true => None,
            false => call.take_file("file"),
        });
    let check = world.config.multipart.check_part_length;
    let full = world.config.quota.is_some_and(|quota| world.held > quota);
    let upload = world.uploads.known(key, call)?;
    let count = upload.count();
    let number = u64::try_from(number)
        .ok()
        .filter(|number| (1..=count).contains(number));
    let number = number.ok_or_else(|| {
        Refusal::failed(format!(
            "Invalid BlockID: Expected BlockID between 1 and {count}"
        ))
    })?;
    if upload.parts.contains_key(&number) {
        return Err(Refusal::failed(format!(
            "Invalid BlockID: BlockID {number} has already been uploaded."
        )));
    }
    let file = file.ok_or_else(pattern)?;
    if full {
        return Err(super::versions::full());
    }
    let expected = upload.length(number);
    if check && file.blob.len() != expected {
        return Err(Refusal::failed(format!(
            "Invalid block size: Expected {expected} bytes, received {}.",
            file.blob.len()
        )));
    }
    if upload.closed.is_some() {
        return Err(Refusal::failed(CLOSED));
    }
    let len = file.blob.len();
    upload.parts.insert(number, file.blob);
    world.record(
        call,
        "part",
        None,
        json!({"upload_key": key, "part": number, "size": len}),
    );
    Ok(Answer::Json(json!({})))
}

/// `POST /v2/multipart/{key}`: puts the parts together in order.
pub(super) fn close(world: &mut World, call: &Call, key: &str) -> Outcome {
    let all = world.config.multipart.require_all_parts;
    let upload = world.uploads.known(key, call)?;
    if upload.closed.is_some() || upload.parts.is_empty() {
        return Err(Refusal::failed(CLOSED));
    }
    if all && (upload.parts.len() as u64) < upload.count() {
        return Err(Refusal::failed(format!(
            "Invalid status. Cannot close an incomplete upload: {} of {} parts received.",
            upload.parts.len(),
            upload.count()
        )));
    }
    let blob = Blob::joined(upload.parts.values());
    upload.closed = Some(blob.clone());
    world.record_content(call, "close", None, json!({"upload_key": key}), Some(blob));
    Ok(Answer::Json(json!({})))
}

/// `DELETE /v2/multipart/{key}`.
pub(super) fn cancel(world: &mut World, call: &Call, key: &str) -> Outcome {
    match world.uploads.known(key, call) {
        Ok(_) => {}
        Err(refusal) if refusal.text() == EXPIRED => {}
        Err(refusal) => return Err(refusal),
    }
    world.uploads.uploads.remove(key);
    world.record(call, "cancel", None, json!({"upload_key": key}));
    Ok(Answer::Json(json!({})))
}
