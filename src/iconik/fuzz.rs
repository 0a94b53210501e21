//! iconik's answers and its storage's headers, fed with any bytes.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::pages::Envelope;
use super::{Asset, Collection, File, FileSet, Format, Found, Job, Locator, Storage, User};

pub(crate) use super::bucket::fuzz as content_range;

/// A body as each kind of answer: a listing with rows of every kind, and each kind alone.
pub(crate) fn json(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    if let Ok(page) = serde_path_to_error::deserialize::<_, Envelope>(&value) {
        page.rows().iter().for_each(every_kind);
    }
    every_kind(&value);
}

fn every_kind(value: &Value) {
    fn read<T: DeserializeOwned + std::fmt::Debug>(value: &Value) {
        if let Ok(read) = serde_path_to_error::deserialize::<_, T>(value) {
            // What may be logged can be written, whatever it holds.
            assert!(!format!("{read:?}").is_empty());
        }
    }
    read::<Asset>(value);
    read::<Collection>(value);
    read::<File>(value);
    read::<FileSet>(value);
    read::<Format>(value);
    read::<Found>(value);
    read::<Job>(value);
    read::<Storage>(value);
    read::<User>(value);
    let _ = serde_path_to_error::deserialize::<_, Locator>(value);
}
