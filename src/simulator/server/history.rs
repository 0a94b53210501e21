//! What was asked and answered, for tests and audits: bounded, without queries or bodies.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::simulator::faults::System;

/// Exchanges kept; older ones are dropped, the counters go on.
const KEPT: usize = 20_000;

/// One exchange, as the log shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Counts exchanges of the simulator from 1, in order of arrival.
    pub number: u64,
    /// Which system it came to.
    pub system: System,
    /// Which connection of the simulator, from 1.
    pub connection: u64,
    /// Its method.
    pub method: String,
    /// Its path, without the query (which may hold a signature or ticket).
    pub path: String,
    /// Its Range header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// Milliseconds from the start of the simulator to its arrival.
    pub at_ms: u64,
    /// Milliseconds from arrival until the last byte of the reply, or until it was cut.
    pub took_ms: u64,
    /// The reply's status; absent while it is worked on and when none was sent.
    pub status: Option<u16>,
    /// Request body bytes read.
    pub request_bytes: u64,
    /// Reply body bytes handed to the connection.
    pub reply_bytes: u64,
    /// Whether the exchange is over.
    pub done: bool,
    /// Names of the faults that acted on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

/// An exchange on its way; ends when dropped.
#[derive(Debug)]
pub(super) struct Entry {
    number: u64,
    system: System,
    connection: u64,
    method: String,
    path: String,
    range: Option<String>,
    arrived: Instant,
    started: Instant,
    status: AtomicU64,
    took_ms: AtomicU64,
    done: AtomicBool,
    faults: Vec<String>,
    pub(super) request_bytes: AtomicU64,
    pub(super) reply_bytes: AtomicU64,
}

impl Entry {
    pub(super) fn answered(&self, status: u16) {
        self.status.store(u64::from(status), Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        if !self.done.swap(true, Ordering::Relaxed) {
            let took = millis(self.arrived.elapsed());
            self.took_ms.store(took, Ordering::Relaxed);
        }
    }

    fn record(&self) -> Record {
        let done = self.done.load(Ordering::Relaxed);
        let status = self.status.load(Ordering::Relaxed);
        Record {
            number: self.number,
            system: self.system,
            connection: self.connection,
            method: self.method.clone(),
            path: self.path.clone(),
            range: self.range.clone(),
            at_ms: millis(self.arrived.duration_since(self.started)),
            took_ms: if done {
                self.took_ms.load(Ordering::Relaxed)
            } else {
                millis(self.arrived.elapsed())
            },
            status: u16::try_from(status).ok().filter(|&s| s != 0),
            request_bytes: self.request_bytes.load(Ordering::Relaxed),
            reply_bytes: self.reply_bytes.load(Ordering::Relaxed),
            done,
            faults: self.faults.clone(),
        }
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The log of a simulator; clones share it.
#[derive(Clone, Debug)]
pub struct History(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    started: Instant,
    exchanges: AtomicU64,
    connections: AtomicU64,
    entries: Mutex<VecDeque<Arc<Entry>>>,
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}

impl History {
    /// An empty log; its clock starts now.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            started: Instant::now(),
            exchanges: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            entries: Mutex::new(VecDeque::new()),
        }))
    }

    fn entries(&self) -> MutexGuard<'_, VecDeque<Arc<Entry>>> {
        self.0
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connection(&self) -> u64 {
        self.0.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn begin(
        &self,
        system: System,
        connection: u64,
        method: &str,
        path: &str,
        range: Option<&str>,
        faults: Vec<String>,
    ) -> Arc<Entry> {
        let entry = Arc::new(Entry {
            number: self.0.exchanges.fetch_add(1, Ordering::Relaxed) + 1,
            system,
            connection,
            method: method.to_owned(),
            path: path.to_owned(),
            range: range.map(str::to_owned),
            arrived: Instant::now(),
            started: self.0.started,
            status: AtomicU64::new(0),
            took_ms: AtomicU64::new(0),
            done: AtomicBool::new(false),
            faults,
            request_bytes: AtomicU64::new(0),
            reply_bytes: AtomicU64::new(0),
        });
        let mut entries = self.entries();
        if entries.len() == KEPT {
            entries.pop_front();
        }
        entries.push_back(Arc::clone(&entry));
        entry
    }

    /// The exchanges kept (the last 20 000), oldest first.
    pub fn records(&self) -> Vec<Record> {
        self.entries().iter().map(|e| e.record()).collect()
    }

    /// The exchanges kept that came to one system.
    pub fn of(&self, system: System) -> Vec<Record> {
        let entries = self.entries();
        let mine = entries.iter().filter(|e| e.system == system);
        mine.map(|e| e.record()).collect()
    }

    /// Exchanges so far, those no longer kept included.
    pub fn count(&self) -> u64 {
        self.0.exchanges.load(Ordering::Relaxed)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.0.connections.load(Ordering::Relaxed)
    }

    /// Forgets what is kept; counters and clock go on.
    pub fn clear(&self) {
        self.entries().clear();
    }
}
