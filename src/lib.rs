//! longhaul moves media masters from iconik to OpenText Content Server: streamed, hashed in
//! flight, resumable and proved.
//!
//! # One master's journey
//!
//! ```text
//! iconik asset ─ ORIGINAL format ─ file set ─ file     flows choose, the ledger stores
//!    │ signed URL, fetched just before use, renewed on expiry
//!    ▼
//! fetch    ranged GETs ahead, pinned to one entity tag and size, each range checked
//!    │ bytes, claimed from one memory budget before they are read
//!    ▼
//! hash     in file order, on its own thread; the hash state is kept per part
//!    │ a part leaves only after the hash has passed it
//!    ▼
//! send     parts in parallel, or one streamed form POST; each acknowledged part is a ledger row
//!    │
//! commit   intent recorded → create or add version → look up by marker before any repeat
//!    │
//! prove    size compared; read back and hashed, when the policy asks for it
//!    │
//! publish  description written and read back in staging → moved and renamed into place
//!    ▼
//! done     receipt in the chained journal, write-back to iconik
//! ```
//!
//! # Floors
//!
//! A module uses only floors below its own; `tests/all/architecture.rs` holds the rules that a
//! compiler cannot.
//!
//! | Floor | Modules | May not know |
//! |---|---|---|
//! | edge | [`settings`], [`cli`] | how anything is done |
//! | service | [`control`] | how bytes move; the terminal |
//! | purpose | [`flows`], [`report`] | sockets, SQL, terminal |
//! | systems | [`iconik`], [`content_server`] | each other; the ledger |
//! | engine | [`transfer`] | vendors, HTTP |
//! | wires, disk, documents | [`http`], [`ledger`], [`pace`], [`sidecar`] | transfers in progress |
//! | words | [`types`], [`telemetry`] | everything above |
//! | beside | [`simulator`] (uses [`types`] only) | the clients' own wire types |
//!
//! # Invariants
//!
//! Only [`ledger`] contains SQL; only [`http`] dials out (the simulated
//! webhooks reach this machine alone) and only [`control`] and [`simulator`] listen; only
//! [`cli`] prints or exits; [`transfer`] never names a vendor; the two systems never name each
//! other.

// In reading order: words first, the edge last.
pub mod types;

pub mod telemetry;

pub mod pace;

pub mod http;

pub mod ledger;

pub mod sidecar;

pub mod transfer;

pub mod iconik;

pub mod content_server;

pub mod flows;

pub mod report;

pub mod control;

pub mod settings;

pub mod cli;

#[cfg(feature = "simulator")]
pub mod simulator;

#[cfg(any(test, fuzzing))]
pub mod fuzzing;
