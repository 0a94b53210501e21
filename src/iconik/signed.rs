//! Signed addresses in memory: fetched just before use, renewed before they end, each once.
//!
//! iconik states no lifetime, so it is read from the address itself. One slot per file; whoever
//! finds it empty fills it while the others wait, so that many chunks of one file cause one call.
//! The files of a small set are filled from one listing. Slots are bounded; the oldest go first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use url::Url;

use super::tolerant::parse_date;
use super::{Client, Error, File, FileStatus, Locator};
use crate::http::SignedUrl;
use crate::types::{FileId, FileSetId};

/// Slots kept, some 2 KiB each.
const SLOTS: usize = 4096;
/// An address with less time left than this is renewed before use.
const MARGIN: Duration = Duration::from_secs(60);
/// How long a file row counts as just read.
const ROW_AGE: Duration = Duration::from_secs(600);

/// A file row and its address.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) row: File,
    pub(super) url: Option<SignedUrl>,
    /// Which filling of the slot this is.
    pub(super) generation: u64,
    read: Instant,
    renew: Option<Instant>,
    /// Signed for us, rather than taken from a listing.
    fresh: bool,
    refused: bool,
}

impl Entry {
    fn new(mut row: File, generation: u64, fresh: bool) -> Self {
        let read = Instant::now();
        let text = row.url.take();
        let left = text
            .as_deref()
            .and_then(|text| time_left(text, Timestamp::now()));
        let renew = match left {
            // A fresh address that is already over says that our clock or reading is wrong.
            Some(left) if left.is_zero() && fresh => None,
            Some(left) => {
                // Short-lived addresses still have to be used for most of their life.
                let margin = if fresh { MARGIN.min(left / 4) } else { MARGIN };
                Some(read + left.saturating_sub(margin))
            }
            None => None,
        };
        Self {
            url: text.and_then(|text| SignedUrl::parse(&text).ok()),
            row,
            generation,
            read,
            renew,
            fresh,
            refused: false,
        }
    }

    fn usable(&self) -> bool {
        !self.refused && self.renew.is_none_or(|at| Instant::now() < at)
    }

    /// Whether the row can still be relied on. One that is not complete changes any moment.
    fn recent(&self, age: Duration) -> bool {
        self.row.status == FileStatus::Closed && self.read.elapsed() < age
    }
}

/// The slots of all files.
#[derive(Default)]
pub(super) struct Addresses {
    slots: Mutex<Slots>,
    /// When each file set was listed for its addresses; held while it is.
    listed: tokio::sync::Mutex<HashMap<FileSetId, Instant>>,
}

#[derive(Default)]
struct Slots {
    by_file: HashMap<FileId, Arc<Slot>>,
    order: VecDeque<FileId>,
}

#[derive(Default)]
struct Slot(tokio::sync::Mutex<Option<Entry>>);

impl Addresses {
    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, file: &FileId) -> Arc<Slot> {
        let mut slots = self.slots();
        if let Some(slot) = slots.by_file.get(file) {
            return Arc::clone(slot);
        }
        while slots.order.len() >= SLOTS {
            if let Some(oldest) = slots.order.pop_front() {
                slots.by_file.remove(&oldest);
            }
        }
        let slot = Arc::new(Slot::default());
        slots.by_file.insert(file.clone(), Arc::clone(&slot));
        slots.order.push_back(file.clone());
        slot
    }

    /// Keeps a listed row's address, unless somebody is getting a better one.
    fn prime(&self, row: File) {
        if row.url.is_none() {
            return;
        }
        let slot = self.slot(&row.id);
        if let Ok(mut entry) = slot.0.try_lock() {
            let generation = entry.as_ref().map_or(1, |entry| entry.generation + 1);
            if !entry.as_ref().is_some_and(Entry::usable) {
                *entry = Some(Entry::new(row, generation, false));
            }
        }
    }
}

impl Client {
    /// The file's row and an address that is good for a while.
    pub(super) async fn address(&self, at: &Locator) -> Result<Entry, Error> {
        self.entry(at, None).await
    }

    /// The same, with a row that is a few minutes old at most.
    pub(super) async fn address_and_row(&self, at: &Locator) -> Result<Entry, Error> {
        self.list_addresses(at).await?;
        self.entry(at, Some(ROW_AGE)).await
    }

    /// The same, with a row of this moment.
    pub(super) async fn address_now(&self, at: &Locator) -> Result<Entry, Error> {
        self.entry(at, Some(Duration::ZERO)).await
    }

    async fn entry(&self, at: &Locator, row_age: Option<Duration>) -> Result<Entry, Error> {
        let slot = self.0.addresses.slot(&at.file);
        let mut entry = slot.0.lock().await;
        if let Some(entry) = &*entry
            && entry.usable()
            && row_age.is_none_or(|age| entry.recent(age))
        {
            return Ok(entry.clone());
        }
        self.fill(at, &mut entry).await
    }

    async fn fill(&self, at: &Locator, entry: &mut Option<Entry>) -> Result<Entry, Error> {
        let row = self.file(&at.asset, &at.file).await?;
        let generation = entry.as_ref().map_or(1, |entry| entry.generation + 1);
        Ok(entry.insert(Entry::new(row, generation, true)).clone())
    }

    /// Notes that the storage refused an address.
    pub(super) async fn address_refused(&self, at: &Locator, generation: u64) {
        let slot = self.0.addresses.slot(&at.file);
        if let Some(entry) = &mut *slot.0.lock().await
            && entry.generation == generation
        {
            entry.refused = true;
        }
    }

    /// Gets the address anew, unless that was done since it was refused.
    pub(super) async fn renew_address(&self, at: &Locator) -> Result<(), Error> {
        let slot = self.0.addresses.slot(&at.file);
        let mut entry = slot.0.lock().await;
        // Several chunks are refused together and each asks for a renewal: the first gets it.
        if entry
            .as_ref()
            .is_some_and(|entry| entry.fresh && entry.usable())
        {
            return Ok(());
        }
        self.fill(at, &mut entry).await?;
        Ok(())
    }

    /// Takes the addresses of a small set of many files from one listing.
    async fn list_addresses(&self, at: &Locator) -> Result<(), Error> {
        let small = at.files > 1 && at.files <= self.config().addresses_from_listing.min(SLOTS / 2);
        if !small {
            return Ok(());
        }
        let mut listed = self.0.addresses.listed.lock().await;
        if listed
            .get(&at.file_set)
            .is_some_and(|when| when.elapsed() < ROW_AGE)
        {
            return Ok(());
        }
        let mut rows = self.files(&at.asset, &at.file_set, true);
        while let Some(row) = rows.try_next().await? {
            self.0.addresses.prime(row);
        }
        listed.retain(|_, when| when.elapsed() < ROW_AGE);
        listed.insert(at.file_set.clone(), Instant::now());
        Ok(())
    }
}

/// How long a signed address still opens, as far as it says so. S3 and its kin (`X-Amz-Date` and
/// `-Expires`), Google (`X-Goog-*`), both older forms (`Expires`, Unix time) and Azure (`se`).
fn time_left(address: &str, now: Timestamp) -> Option<Duration> {
    let url = Url::parse(address).ok()?;
    let query: HashMap<String, String> = url
        .query_pairs()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.into_owned()))
        .collect();
    let get = |name: &str| query.get(name).map(String::as_str);
    let end = ["x-amz", "x-goog"]
        .iter()
        .find_map(|vendor| {
            let from = compact_date(get(&format!("{vendor}-date"))?)?;
            let seconds: i64 = get(&format!("{vendor}-expires"))?.parse().ok()?;
            from.checked_add(SignedDuration::from_secs(seconds)).ok()
        })
        .or_else(|| Timestamp::from_second(get("expires")?.parse().ok()?).ok())
        .or_else(|| parse_date(get("se")?))?;
    Some(Duration::try_from(end.duration_since(now)).unwrap_or_default())
}

/// `20260203T101112Z`.
fn compact_date(text: &str) -> Option<Timestamp> {
    let civil = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    civil
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()
        .map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(query: &str) -> Option<u64> {
        let now: Timestamp = "2026-02-03T10:11:12Z".parse().unwrap();
        time_left(&format!("https://b.test/k?{query}"), now).map(|left| left.as_secs())
    }

    #[test]
    fn the_end_of_an_address_is_read_from_every_vendors_form() {
        assert_eq!(
            left("X-Amz-Date=20260203T100000Z&X-Amz-Expires=3600&X-Amz-Signature=s"),
            Some(3600 - 672)
        );
        assert_eq!(
            left("X-Goog-Date=20260203T101112Z&X-Goog-Expires=60"),
            Some(60)
        );
        assert_eq!(
            left("AWSAccessKeyId=a&Signature=s&Expires=1770113572"),
            Some(100)
        );
        assert_eq!(left("sv=2020&se=2026-02-03T10%3A12%3A12Z&sig=s"), Some(60));
        assert_eq!(left("Expires=1"), Some(0));
    }

    #[test]
    fn an_address_that_does_not_say_its_end_has_none() {
        for query in [
            "Authorization=token",
            "",
            "X-Amz-Date=soon&X-Amz-Expires=60",
            "X-Amz-Date=20260203T100000Z",
            "Expires=99999999999999999999",
            "X-Amz-Date=20260203T100000Z&X-Amz-Expires=9223372036854775807",
        ] {
            assert_eq!(left(query), None, "{query}");
        }
    }

    fn entry(expires_in: i64, fresh: bool) -> Entry {
        let end = Timestamp::now().as_second() + expires_in;
        let row = serde_json::from_value(serde_json::json!({
            "id": "f", "url": format!("https://b.test/k?Expires={end}")
        }));
        Entry::new(row.unwrap(), 1, fresh)
    }

    #[test]
    fn an_address_close_to_its_end_is_not_used_unless_it_was_just_signed() {
        assert!(entry(3600, false).usable());
        assert!(!entry(30, false).usable());
        assert!(
            entry(30, true).usable(),
            "short-lived addresses must be usable at all"
        );
        assert!(
            entry(-30, true).usable(),
            "our clock is wrong, not the address"
        );
    }
}
