//! Settings: flags over environment over file over default, resolved into plain values.
//!
//! One file, `longhaul.toml`, found at `--config`, `LONGHAUL_CONFIG`, `./longhaul.toml` or
//! `$XDG_CONFIG_HOME/longhaul/longhaul.toml`. Every key is also an environment variable: its path
//! in capitals after `LONGHAUL_`, so `iconik.app_id` is `LONGHAUL_ICONIK_APP_ID`. A secret's
//! variable holds the secret itself, or with `_FILE`, `_ENV`, `_COMMAND` or `_CREDENTIAL`
//! behind its name says where it is. Every value remembers where it came from.
//!
//! ```text
//! keys ── the table: names, defaults, reasons        raw ── TOML with lines, words without types
//!    └──── layers ── who set what, typed readers ───────┘
//!             │        table ── entries of tables inside a setting; record ── [map] and [publish];
//!             │        approval, lifecycle, … ── the section of that name
//!             └──── words, secret ── rates, policies, places of secrets
//! ```
//!
//! Everything wrong is reported at once, each with its place. What a command does not need may be
//! missing: [`Resolved::iconik`] and [`Resolved::content_server`] say what is. How each module
//! understands its part is left to that module's own configuration.

mod approval;
mod exchange;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod keys;
mod layers;
mod lifecycle;
mod package;
mod price;
mod problem;
mod raw;
mod record;
mod references;
mod rights;
mod secret;
mod sections;
mod table;
mod words;

pub use approval::{ApprovalSettings, MarkSettings, OutcomeFrom, OutcomeSettings, RouteSettings};
pub use exchange::{ExchangeSettings, ShowAs};
pub use keys::{KEYS, Key, Kind, find};
pub use layers::{Flag, Shown, Sources};
pub use lifecycle::{AttributeSettings, DispositionSettings, LifecycleSettings, OutcomePlace};
pub use package::{PackageMark, PackageSettings};
pub use price::Price;
pub use problem::{Origin, Problem, Problems};
pub use record::{FACTS, Locked, PublishSettings, WorkspaceSettings, WriteBackSettings};
pub use references::{
    ReferenceCopy, ReferenceOrigin, ReferenceRule, ReferenceSettings, ReferenceShow,
};
pub use rights::{RightsSettings, RightsSidecar};
pub use secret::{Place, SecretError, SecretRef};
pub use sections::{
    ContentServerAuth, ContentServerSettings, IconikSettings, LedgerSettings, MigrateSettings,
    NetworkSettings, PaceSettings, PriceSettings, SourceSettings, Target, TransferSettings,
};
pub use words::{
    CalendarRule, Duplicates, Expected, Oversize, Proxy, Rate, SourceMd5, Verify, Versioning,
    Versions, parse_duration,
};

use std::path::PathBuf;

use layers::{Layers, Missing, Reader};

/// All settings, checked and typed.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The settings file, when there is one.
    pub file: Option<PathBuf>,
    /// Likely mistakes that are no errors, for people.
    pub warnings: Vec<String>,
    /// Every setting with its value and origin, in the order of [`KEYS`].
    pub shown: Vec<Shown>,
    /// How the source is read.
    pub source: SourceSettings,
    /// Where the ledger is.
    pub ledger: LedgerSettings,
    /// How masters move.
    pub transfer: TransferSettings,
    /// The package of a campaign.
    pub package: PackageSettings,
    /// How a library is migrated.
    pub migrate: MigrateSettings,
    /// How the systems are reached.
    pub network: NetworkSettings,
    /// How fast, and when.
    pub pace: PaceSettings,
    /// What bytes cost.
    pub prices: PriceSettings,
    /// Which field of the source fills which attribute.
    pub map: Vec<crate::sidecar::mapping::FieldMap>,
    /// The flows that run one after the other, as command lines.
    pub schedule: Vec<String>,
    /// How media become records.
    pub publish: PublishSettings,
    /// What proves that media may be used.
    pub rights: RightsSettings,
    /// Which workflow an asset goes into.
    pub approval: ApprovalSettings,
    /// What becomes of media that are not used any more.
    pub lifecycle: LifecycleSettings,
    /// Which documents are shown inside iconik.
    pub references: ReferenceSettings,
    /// What is exchanged of reviews.
    pub exchange: ExchangeSettings,
    iconik: Option<IconikSettings>,
    content_server: Option<ContentServerSettings>,
    missing: Vec<Missing>,
}

impl Resolved {
    /// How iconik is reached.
    ///
    /// # Errors
    ///
    /// Its settings that are missing.
    pub fn iconik(&self) -> Result<&IconikSettings, Problems> {
        self.iconik.as_ref().ok_or_else(|| self.lacks(&["iconik."]))
    }

    /// How Content Server is reached.
    ///
    /// # Errors
    ///
    /// Its settings that are missing.
    pub fn content_server(&self) -> Result<&ContentServerSettings, Problems> {
        self.content_server
            .as_ref()
            .ok_or_else(|| self.lacks(&["content_server."]))
    }

    /// Both systems.
    ///
    /// # Errors
    ///
    /// All settings of both that are missing, at once.
    pub fn systems(&self) -> Result<(&IconikSettings, &ContentServerSettings), Problems> {
        match (&self.iconik, &self.content_server) {
            (Some(iconik), Some(content_server)) => Ok((iconik, content_server)),
            _ => Err(self.lacks(&["iconik.", "content_server."])),
        }
    }

    fn lacks(&self, systems: &[&str]) -> Problems {
        Problems(
            self.missing
                .iter()
                .filter(|missing| systems.iter().any(|system| missing.key.starts_with(system)))
                .map(|missing| missing.problem.clone())
                .collect(),
        )
    }
}

/// Reads and checks all settings.
///
/// # Errors
///
/// Everything that is wrong, at once: unknown keys, wrong types, contradictions, an unreadable
/// file. What is merely missing is said by [`Resolved::systems`] and its siblings.
pub fn load(sources: &Sources) -> Result<Resolved, Problems> {
    let mut reader = Reader::new(Layers::gather(sources));
    let sections = sections::read(&mut reader);
    let problems = std::mem::take(&mut reader.problems);
    let (file, warnings, shown, missing) = reader.finish();
    match sections {
        Ok(sections) if problems.is_empty() => Ok(Resolved {
            file,
            warnings,
            shown,
            source: sections.source,
            ledger: sections.ledger,
            transfer: sections.transfer,
            package: sections.package,
            migrate: sections.migrate,
            network: sections.network,
            pace: sections.pace,
            prices: sections.prices,
            map: sections.map,
            schedule: sections.schedule,
            publish: sections.publish,
            rights: sections.rights,
            approval: sections.approval,
            lifecycle: sections.lifecycle,
            references: sections.references,
            exchange: sections.exchange,
            iconik: sections.iconik,
            content_server: sections.content_server,
            missing,
        }),
        _ => Err(Problems(problems)),
    }
}

#[cfg(test)]
mod tests;
