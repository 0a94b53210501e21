//! Between the configured systems.
//!
//! Everything runs in this process, with a ledger of its own in a temporary folder, so CPU time is
//! the difference between before and after. Planning is not measured.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Arguments, Measured, Real, cores};
use crate::cli::connect::{self, Connected};
use crate::cli::exit::Ended;
use crate::cli::output::{BAD, DIM, styled};
use crate::cli::select::{Filters, From, Selection};
use crate::cli::{Context, archive, flag};
use crate::content_server::Marked;
use crate::flows::Systems;
use crate::flows::intake::Intake;
use crate::flows::migrate::Library;
use crate::flows::trial::{self, Scratch};
use crate::ledger::{Ledger, NewRun};
use crate::settings::Resolved;
use crate::telemetry::Resources;
use crate::transfer::Stop;
use crate::types::{ByteCount, GIB, MIB, RunId, display_bytes};

/// What one run may move when `--most` is not given.
const MOST: ByteCount = 100 * GIB;

/// A measurement between the configured systems.
pub(super) struct Bench {
    settings: Resolved,
    connected: Connected,
    selection: Selection,
    intake: Intake,
    scratch: Scratch,
    /// What ran, each with a ledger of its own, as if nothing had been filed before.
    runs: Vec<(Ledger, RunId)>,
    /// The ledgers are in it, and closed before it goes.
    folder: tempfile::TempDir,
    most: ByteCount,
    /// What is measured, for a comparison.
    masters: Value,
    /// Scratch folders of earlier measurements that were killed.
    left: Vec<Marked>,
    stop: Stop,
}

impl Bench {
    /// Signs in, makes the scratch folder, and refuses what cannot be measured before that.
    pub(super) async fn prepare(context: &Context, arguments: &Arguments) -> anyhow::Result<Self> {
        let real = &arguments.real;
        let read_back = arguments
            .read_back
            .then(|| flag("read-back", "transfer.verify", "read-back"));
        let settings = context.settings(read_back.into_iter().collect())?;
        let (_, server) = settings.systems()?;
        let staging = server.target.staging;
        if !real.yes {
            return Err(Ended::usage(format!(
                "this reads masters from {} and writes them to a scratch folder in node {staging} of {}, which is deleted again (into the recycle bin there); say --yes to agree",
                settings.iconik()?.url,
                server.url,
            )));
        }
        let folder = tempfile::tempdir().context("making a folder for the ledger")?;
        let selection = selection(real, folder.path())?;
        let connected = connect::connect(&settings).await?;
        selection.check(&connected.systems).await?;
        let client = &connected.systems.content_server;
        let left = client.scratches(staging, trial::PREFIX).await?;
        let scratch = Scratch::make(client, staging).await?;
        let connected = Connected {
            staging: scratch.staging,
            systems: connected.systems,
        };
        let intake = Intake {
            sidecar: false,
            publish: None,
            rights: None,
            ..selection.intake(&settings, &connected).await?
        };
        Ok(Self {
            stop: crate::cli::signals::listen(Arc::clone(&context.output))?,
            settings,
            connected,
            selection,
            intake,
            scratch,
            folder,
            runs: Vec::new(),
            most: real.most.unwrap_or(MOST),
            masters: json!({"assets": real.asset, "collection": real.collection}),
            left,
        })
    }

    /// What stands where, in a line.
    pub(super) fn said(&self) -> String {
        let mut text = format!(
            "scratch folder {} (node {}) in Content Server",
            self.scratch.mark, self.scratch.node
        );
        for earlier in &self.left {
            let (name, node) = (&earlier.name, earlier.id);
            text.push_str(&format!(
                "\n{name} (node {node}) was left by an earlier measurement that was killed; delete it there"
            ));
        }
        text
    }

    pub(super) fn title(&self) -> String {
        "masters of the configured iconik to the configured Content Server".to_owned()
    }

    /// What the figures depend on.
    pub(super) fn conditions(&self) -> Value {
        json!({
            "masters": self.masters, "uploads": self.settings.content_server().map_or(0, |server| server.uploads),
            "streams": self.settings.source.streams, "verify": format!("{:?}", self.settings.transfer.verify), "items": self.settings.transfer.items,
            "memory": self.settings.transfer.memory, "optimised": !cfg!(debug_assertions), "cores": cores(),
        })
    }

    /// Plans and moves everything once.
    pub(super) async fn once(&mut self, number: u8) -> anyhow::Result<Measured> {
        let name = format!("run {number}");
        let client = &self.connected.systems.content_server;
        let systems = Systems {
            target: self.scratch.target(client, &name).await?,
            // Markers of its own, so that nothing is taken for what is filed already.
            instance: format!("{} {name}", self.scratch.mark),
            told: None,
            ..self.connected.systems.clone()
        };
        let path = self.folder.path().join(format!("{number}.db"));
        let ledger = connect::open_ledger(&path, "bench")?;
        let run = ledger
            .start_run(NewRun {
                command: "bench".into(),
                arguments: self.selection.told().to_string(),
            })
            .await?;
        self.runs.push((ledger.clone(), run));
        let assets = self.selection.enumerate(&systems);
        let planned = trial::plan(&systems, &ledger, run, &self.intake, &assets).await?;
        let of = |state: &str| planned.iter().find(|count| count.state == state);
        let Some(wanted) = of("planned").filter(|count| count.bytes > 0) else {
            return Err(Ended::usage(
                "there is nothing to measure: no master of these assets can be moved (`longhaul plan` says why)",
            ));
        };
        if wanted.bytes > self.most {
            return Err(Ended::usage(format!(
                "these masters are {}, more than {}: allow it with --most, or name fewer",
                display_bytes(wanted.bytes),
                display_bytes(self.most)
            )));
        }
        let pace = connect::pace(&self.settings);
        let connected = Connected {
            systems,
            staging: self.scratch.staging,
        };
        let engine = connect::engine(
            &self.settings,
            &connected,
            &ledger,
            &pace,
            self.stop.clone(),
            false,
        )?;
        let (start, before) = (Instant::now(), Resources::now());
        let bytes = trial::run(&engine, &ledger, run).await?;
        let seconds = start.elapsed().as_secs_f64().max(f64::EPSILON);
        let used = Resources::now();
        let cpu = used.cpu.saturating_sub(before.cpu).as_secs_f64();
        let waited = engine.progress().waited();
        Ok(Measured {
            seconds,
            mib_per_second: bytes as f64 / MIB as f64 / seconds,
            cpu_seconds_per_gib: cpu * GIB as f64 / bytes.max(1) as f64,
            peak_memory: used.peak_memory,
            waited_seconds: waited
                .into_iter()
                .map(|(name, time)| (name.to_owned(), json!(time.as_secs_f64())))
                .collect(),
        })
    }

    /// Deletes what was made, and says so.
    pub(super) async fn clean(&self, context: &Context) {
        let output = &context.output;
        let (node, mark) = (self.scratch.node, &self.scratch.mark);
        let client = &self.connected.systems.content_server;
        let (removed, why) = match self.scratch.remove(client, &self.runs).await {
            Ok(None) => (true, None),
            Ok(Some(foreign)) => (false, Some(foreign)),
            Err(error) => (false, Some(error.to_string())),
        };
        output.event(
            "bench-scratch",
            json!({"node": node, "name": mark, "removed": removed, "why": why}),
        );
        match why {
            None => output.note(styled(
                DIM,
                format!("  {mark} (node {node}) is deleted; it lies in the recycle bin"),
            )),
            Some(why) => output.say(styled(
                BAD,
                format!("  {mark} (node {node}) is still there: {why}; delete it by hand"),
            )),
        }
    }
}

/// What is named, as any run's selection; ids of assets go through a list in `folder`.
fn selection(real: &Real, folder: &Path) -> anyhow::Result<Selection> {
    let from = match &real.collection {
        Some(collection) => archive::collections(std::slice::from_ref(collection))?,
        None => {
            let wrong = real
                .asset
                .iter()
                .find(|id| uuid::Uuid::try_parse(id).is_err());
            if let Some(id) = wrong {
                return Err(Ended::usage(format!(
                    "{id:?} is no asset id; ids look like 8ae2c3d4-0000-11ee-8000-0242ac120002 (the end of the asset's address in iconik)"
                )));
            }
            let list = folder.join("assets.txt");
            std::fs::write(&list, real.asset.join("\n")).context("writing the list of assets")?;
            From::Library(Library::Ids(list))
        }
    };
    Selection::new("bench", from, Filters::default())
}
