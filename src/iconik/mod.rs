//! The source system: iconik, a cloud media asset manager.
//!
//! [`Client`] speaks its REST interface: assets and their versions, collections, search, formats,
//! file sets, files, storages, metadata and jobs. [`Client::plan_asset`] turns an asset into the
//! files that make up its master; [`Reader`] hands out their bytes as a
//! [`Source`](crate::transfer::Source), from signed addresses or from mounted storages.
//!
//! ```text
//! asset ─ version ─ ORIGINAL format ─ file set (one copy on one storage) ─ files
//!   └ plan_asset chooses: active before archived, cloud before mounted        │ locator
//!                     Reader: sign just before use ─ probe ─ ranged GETs ◄────┘
//! ```
//!
//! Calls are the scarce thing here (50 a second, counted per application), so storages, views and
//! categories are kept, and the signed addresses of many small files come from one listing. Every
//! field of an answer may be missing or null, words may be new, dates have several forms; nothing
//! a server sends may panic or be guessed from. Listings advance or end in an error.
//!
//! Files go the other way too: [`Client::ensure_upload`] finds or makes the place of a file, whose
//! bytes then go straight to an S3 storage and are read back.
//!
//! It leaves to others what to do with a master, the ledger, and when to try again: every
//! [`Error`] says what it asks for. Deprecated scroll listings are not used.

mod assets;
mod attached;
mod bucket;
mod call;
mod choice;
mod collections;
mod describe;
mod error;
mod files;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod jobs;
mod lifecycle;
mod locator;
mod metadata;
mod mount;
mod pages;
mod people;
mod plan;
mod reader;
mod relations;
mod restore;
mod review;
mod search;
mod segments;
mod sign_in;
mod signed;
#[cfg(test)]
mod tests;
mod tolerant;
mod upload;
mod write_back;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;
use url::Url;

pub use assets::{ArchiveStatus, Asset, AssetKind, AssetStatus, AssetVersion, VersionStatus};
pub use attached::Attached;
pub use collections::{Collection, CollectionStatus};
pub use error::Error;
pub use files::{
    File, FileSet, FileSetKind, FileSetStatus, FileStatus, FileType, Format, FormatStatus, Method,
    Storage,
};
pub use jobs::{Job, JobEnd, JobReport, JobStatus, NewJob, Step, StepStatus, Told};
pub use lifecycle::{Archiving, Binned, NewLink, REFERENCE};
pub use locator::Locator;
pub use metadata::{FieldValues, Metadata, ViewValues, WriteMode, Writing};
pub use pages::Rows;
pub use plan::{AssetPlan, Master, MasterFile, Out, Versions, Why};
pub use reader::Reader;
pub use relations::{HistoryLine, RelationType};
pub use review::{Review, Vote};
pub use search::{Found, ObjectType, Selection};
pub use segments::{NewSegment, Segment, SegmentKind};
pub use sign_in::{SignedIn, User};
pub use tolerant::Person;
pub use upload::{NewUpload, Sending, Upload};
pub use write_back::ExternalId;

use crate::http::{self, Credential, Origin};
use crate::pace::Calls;

/// How iconik is reached; every default has its reason beside it.
#[derive(Clone, Debug)]
pub struct Config {
    /// The region's address, such as `https://app.iconik.io` or `https://eu.iconik.io`; a
    /// trailing `/API/` may be there or not. An account lives in one region.
    pub url: Url,
    /// The application's id (`App-ID`).
    pub app_id: String,
    /// The application's token (`Auth-Token`).
    pub token: SecretString,
    /// Calls a second, all clones together. The published limit is 50; a migration tool is known
    /// to live well with 45.
    pub calls_per_second: u32,
    /// Where storages without addresses (method `FILE`) are mounted here, by storage id or name.
    pub mounts: BTreeMap<String, PathBuf>,
    /// Storages to read from first when a master has several copies, by id or name.
    pub prefer_storages: Vec<String>,
    /// Files of one file set up to which signed addresses are taken from its listing. Above it a
    /// listing would hold more addresses than are used before they expire.
    pub addresses_from_listing: usize,
}

impl Config {
    /// The usual settings for an application in a region.
    pub fn new(url: Url, app_id: impl Into<String>, token: SecretString) -> Self {
        Self {
            url,
            app_id: app_id.into(),
            token,
            calls_per_second: 45,
            mounts: BTreeMap::new(),
            prefer_storages: Vec::new(),
            addresses_from_listing: 500,
        }
    }
}

/// The client. Cheap to clone; clones share connections, pace and caches.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    http: http::Client,
    config: Config,
    base: Url,
    credential: Credential,
    calls: Arc<Calls>,
    signed_in: tokio::sync::OnceCell<SignedIn>,
    storages: files::StorageCache,
    views: metadata::ViewCache,
    addresses: signed::Addresses,
    restores: restore::Restores,
    names: people::Names,
    made: std::sync::atomic::AtomicU64,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("iconik::Client")
            .field("base", &self.0.base.as_str())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client for one account. Nothing is sent yet; [`validate`](Self::validate) signs in.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when the address is not one of a web server, holds a secret, or the
    /// application's id is empty.
    pub fn new(http: http::Client, config: Config) -> Result<Self, Error> {
        let origin =
            Origin::of(&config.url).map_err(|error| Error::Config(format!("url: {error}")))?;
        if config.app_id.trim().is_empty() {
            return Err(Error::Config("app_id is empty".to_owned()));
        }
        let credential = Credential::new(
            origin,
            vec![
                (call::APP_ID, config.app_id.clone().into()),
                (call::AUTH_TOKEN, config.token.clone()),
            ],
        );
        Ok(Self(Arc::new(Inner {
            http,
            base: call::api_base(&config.url),
            credential,
            calls: Arc::new(Calls::new(config.calls_per_second)),
            signed_in: tokio::sync::OnceCell::new(),
            storages: files::StorageCache::default(),
            views: metadata::ViewCache::default(),
            addresses: signed::Addresses::default(),
            restores: restore::Restores::default(),
            names: people::Names::default(),
            made: std::sync::atomic::AtomicU64::new(0),
            config,
        })))
    }

    /// The limit on calls, shared by all clones.
    pub fn calls(&self) -> &Arc<Calls> {
        &self.0.calls
    }

    /// Calls made so far, all clones together; repeats of one call count once.
    pub fn calls_made(&self) -> u64 {
        self.0.made.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// The settings in force.
    pub fn config(&self) -> &Config {
        &self.0.config
    }
}
