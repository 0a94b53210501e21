//! A plan in numbers: what adds up over its decisions, how many calls and how many hours it takes.

use std::collections::BTreeMap;

use serde::Serialize;

use super::probe::Probe;
use super::{Action, Decision, Records, Verdict};
use crate::ledger::{self, Reader};
use crate::types::{ByteCount, RunId};

/// Assets named as examples of a reason.
const EXAMPLES: usize = 3;
/// Rows of a listing that iconik gives in one call.
const PAGE: u64 = 100;
/// Calls for each version that is looked at: formats, file sets, files.
const LOOK: u64 = 3;
/// Calls that tell iconik of a filed version: its asset read, its external id, a line of history.
const TELL: u64 = 3;
/// Finished runs that rates are taken from, the latest ones.
const RUNS: usize = 20;
/// A run that took less says more about signing in than about moving.
const LEAST: f64 = 1.0;

/// How many assets have a reason, and the first few of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Assets.
    pub assets: u64,
    /// The first few, with what was said of each.
    pub examples: Vec<(String, String)>,
}

/// The sums of a plan. Bytes and files are those that would move.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Assets looked at.
    pub assets: u64,
    /// Assets of which something moves.
    pub assets_in: u64,
    /// Assets of which nothing moves.
    pub assets_out: u64,
    /// Assets that wait for a person.
    pub assets_blocked: u64,
    /// Bytes of masters.
    pub bytes: ByteCount,
    /// Files of masters.
    pub files: u64,
    /// Documents to be made.
    pub new_documents: u64,
    /// Versions to be added to documents.
    pub new_versions: u64,
    /// Folders of documents to be made.
    pub new_folders: u64,
    /// Versions that the ledger knows as filed.
    pub already_filed: u64,
    /// Versions that only the destination knows.
    pub already_there: u64,
    /// Versions that a person declined.
    pub declined: u64,
    /// Versions that cannot be filed as they are.
    pub blocked: u64,
    /// Names that differ from the source's.
    pub names_changed: u64,
    /// Names that are taken by something else.
    pub conflicts: u64,
    /// Versions whose content another asset has too, moving or held for it.
    pub duplicates: u64,
    /// Their bytes.
    pub duplicate_bytes: ByteCount,
    /// Versions that would move and are not compared, because their source quotes no MD5.
    pub uncompared_without_md5: u64,
    /// Versions that would move and are not compared, because they have several files.
    pub uncompared_of_several_files: u64,
    /// Versions with files that have to be split.
    pub split: u64,
    /// The documents these become.
    pub segments: u64,
    /// Versions whose bytes may have to be restored first.
    pub archived: u64,
    /// Their bytes.
    pub archived_bytes: ByteCount,
    /// Bytes read from cloud storages.
    pub cloud_bytes: ByteCount,
    /// Calls to iconik that a run makes.
    pub calls: u64,
    /// What versions become beyond their bytes.
    pub records: Records,
    /// Assets that are in, by reason.
    pub moving: BTreeMap<String, Reason>,
    /// Assets that are out, by reason.
    pub left_out: BTreeMap<String, Reason>,
    /// Assets that wait for a person, by reason.
    pub waiting: BTreeMap<String, Reason>,
}

impl Totals {
    /// Adds an asset; `sidecar` says whether a run files metadata beside its masters.
    pub fn add(&mut self, decision: &Decision, sidecar: bool) {
        self.assets += 1;
        self.records.add(decision);
        let (count, reasons) = match decision.verdict {
            Verdict::In => (&mut self.assets_in, &mut self.moving),
            Verdict::Out => (&mut self.assets_out, &mut self.left_out),
            Verdict::Blocked => (&mut self.assets_blocked, &mut self.waiting),
        };
        *count += 1;
        if !reasons.contains_key(&decision.why) {
            reasons.insert(decision.why.clone(), Reason::default());
        }
        if let Some(reason) = reasons.get_mut(&decision.why) {
            reason.assets += 1;
            if reason.examples.len() < EXAMPLES {
                let title = if decision.title.is_empty() {
                    decision.asset.0.clone()
                } else {
                    decision.title.clone()
                };
                reason.examples.push((title, decision.detail.clone()));
            }
        }
        // The asset itself, and its share of a page of the listing.
        self.calls += 1 + u64::from(self.assets % PAGE == 1);
        for version in decision.versions.iter().flatten() {
            self.calls += LOOK + if sidecar { decision.views } else { 0 };
            match version.action {
                Action::NewDocument => self.new_documents += 1,
                Action::NewVersion => self.new_versions += 1,
                Action::NewFolder => self.new_folders += 1,
                Action::AlreadyFiled => self.already_filed += 1,
                Action::AlreadyThere => self.already_there += 1,
                Action::Declined => self.declined += 1,
                Action::Blocked => self.blocked += 1,
            }
            if version.duplicate_of.is_some() {
                self.duplicates += 1;
                self.duplicate_bytes += version.bytes;
            }
            if !version.action.moves() {
                continue;
            }
            match version.uncompared.as_deref() {
                Some("no-md5") => self.uncompared_without_md5 += 1,
                Some(_) => self.uncompared_of_several_files += 1,
                None => {}
            }
            self.bytes += version.bytes;
            self.files += version.files;
            self.names_changed += version.names_changed;
            self.conflicts += u64::from(version.filed_as.is_some());
            self.split += u64::from(version.segments > 0);
            self.segments += version.segments;
            if version.archived {
                self.archived += 1;
                self.archived_bytes += version.bytes;
            }
            if version.cloud {
                self.cloud_bytes += version.bytes;
            }
            self.calls += version.files.div_ceil(PAGE).max(1) + TELL;
        }
    }

    /// Versions that would be made in all.
    pub fn versions(&self) -> u64 {
        self.new_documents + self.new_versions + self.new_folders
    }
}

/// How fast a finished run was, from its start to its end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// The run.
    pub run: RunId,
    /// Items done.
    pub items: u64,
    /// Bytes done.
    pub bytes: ByteCount,
    /// Seconds.
    pub seconds: f64,
}

impl Rate {
    /// Bytes per second.
    #[expect(
        clippy::cast_precision_loss,
        reason = "an estimate needs no more than 15 digits"
    )]
    pub fn bytes_per_second(&self) -> f64 {
        self.bytes as f64 / self.seconds
    }
}

/// What is known of how fast this ledger's runs were.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Known {
    /// The latest runs that ended and filed something.
    pub rates: Vec<Rate>,
    /// What a probe measured, which counts when there was no run.
    pub probe: Option<Probe>,
}

impl Known {
    /// Reads the finished runs of a ledger.
    ///
    /// # Errors
    ///
    /// The ledger's.
    pub fn of(ledger: &Reader) -> Result<Self, ledger::Error> {
        let mut rates = Vec::new();
        let mut after = RunId(0);
        loop {
            let runs = ledger.runs(after, 500)?;
            let Some(last) = runs.last() else { break };
            after = last.id;
            for run in runs {
                let Some(ended) = run.ended.filter(|_| run.outcome == "done") else {
                    continue;
                };
                let summary = ledger.summary(run.id)?;
                let Some(done) = summary.iter().find(|count| count.state == "done") else {
                    continue;
                };
                let taken = ended.saturating_sub(run.started).max(0).unsigned_abs();
                let seconds = std::time::Duration::from_millis(taken).as_secs_f64();
                if seconds >= LEAST && done.bytes > 0 {
                    rates.push(Rate {
                        run: run.id,
                        items: done.items,
                        bytes: done.bytes,
                        seconds,
                    });
                }
            }
        }
        rates.drain(..rates.len().saturating_sub(RUNS));
        Ok(Self { rates, probe: None })
    }
}

/// How long a run takes, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Hours {
    /// What the limits alone demand: calls a second, and the bandwidth that was set.
    pub least: f64,
    /// As fast as the fastest finished run, if there is one.
    pub low: Option<f64>,
    /// As slow as the slowest one.
    pub high: Option<f64>,
}

impl Hours {
    /// The time for these bytes and calls.
    #[expect(
        clippy::cast_precision_loss,
        reason = "an estimate needs no more than 15 digits"
    )]
    pub fn of(
        bytes: ByteCount,
        calls: u64,
        calls_per_second: u32,
        bandwidth: Option<ByteCount>,
        known: &Known,
    ) -> Self {
        let by_calls = calls as f64 / f64::from(calls_per_second.max(1));
        let by_limit = bandwidth.map_or(0.0, |limit| bytes as f64 / limit.max(1) as f64);
        let least = by_calls.max(by_limit);
        let rates = || known.rates.iter().map(Rate::bytes_per_second);
        let measured = known.probe.as_ref().filter(|probe| probe.masters > 0);
        let fastest = rates().reduce(f64::max);
        let slowest = rates().reduce(f64::min);
        let fastest = fastest.or(measured.map(|probe| probe.fastest));
        let slowest = slowest.or(measured.map(|probe| probe.slowest));
        let time = |rate: f64| (bytes as f64 / rate).max(least);
        Self {
            least,
            low: fastest.map(time),
            high: slowest.map(time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::plan::Version;
    use crate::types::{GIB, MIB};

    fn version(action: Action, bytes: ByteCount) -> Version {
        serde_json::from_value(serde_json::json!({
            "key": "a/v", "action": action, "why": "new", "fingerprint": "f",
            "bytes": bytes, "files": 1, "cloud": true
        }))
        .unwrap()
    }

    fn decision(verdict: Verdict, why: &str, versions: Vec<Version>) -> Decision {
        Decision {
            asset: "a".into(),
            title: String::new(),
            verdict,
            why: why.to_owned(),
            detail: String::new(),
            collections: Vec::new(),
            versions: Some(versions),
            views: 2,
        }
    }

    #[test]
    fn only_what_moves_counts_as_bytes() {
        let mut totals = Totals::default();
        totals.add(
            &decision(
                Verdict::In,
                "new",
                vec![
                    version(Action::AlreadyFiled, 7),
                    version(Action::NewVersion, 5),
                ],
            ),
            false,
        );
        totals.add(
            &decision(
                Verdict::Blocked,
                "oversize",
                vec![version(Action::Blocked, 9)],
            ),
            false,
        );
        totals.add(&decision(Verdict::Out, "filter-name", Vec::new()), false);
        assert_eq!((totals.bytes, totals.files, totals.cloud_bytes), (5, 1, 5));
        assert_eq!((totals.assets, totals.versions()), (3, 1));
        assert_eq!((totals.already_filed, totals.blocked), (1, 1));
        assert_eq!(totals.left_out["filter-name"].assets, 1);
        assert_eq!(totals.waiting["oversize"].examples[0].0, "a");
        // A page; three assets; three versions looked at; one signed and told.
        assert_eq!(totals.calls, 1 + 3 + 3 * LOOK + 1 + TELL);
        let mut with = Totals::default();
        with.add(
            &decision(Verdict::In, "new", vec![version(Action::NewDocument, 5)]),
            true,
        );
        assert_eq!(with.calls, 1 + 1 + LOOK + 2 + 1 + TELL);
    }

    #[test]
    fn examples_stay_few_however_many_assets_share_a_reason() {
        let mut totals = Totals::default();
        for _ in 0..1000 {
            totals.add(&decision(Verdict::Out, "subclip", Vec::new()), false);
        }
        assert_eq!(totals.left_out["subclip"].assets, 1000);
        assert_eq!(totals.left_out["subclip"].examples.len(), EXAMPLES);
    }

    #[test]
    fn hours_are_a_range_that_no_limit_is_above() {
        let rate = |bytes, seconds| Rate {
            run: RunId(1),
            items: 1,
            bytes,
            seconds,
        };
        let known = Known {
            rates: vec![rate(100 * MIB, 1.0), rate(100 * MIB, 4.0)],
            probe: None,
        };
        let hours = Hours::of(100 * GIB, 0, 45, None, &known);
        assert_eq!((hours.low, hours.high), (Some(1024.0), Some(4096.0)));
        // A limit between the two.
        let hours = Hours::of(100 * GIB, 0, 45, Some(50 * MIB), &known);
        assert_eq!(
            (hours.least, hours.low, hours.high),
            (2048.0, Some(2048.0), Some(4096.0))
        );
        // Calls above both.
        let hours = Hours::of(100 * GIB, 450_000, 45, None, &known);
        assert_eq!((hours.low, hours.high), (Some(10_000.0), Some(10_000.0)));
        // What was measured counts when there is no run to go by.
        let probe = Probe {
            masters: 1,
            slowest: 50.0 * 1024.0 * 1024.0,
            fastest: 200.0 * 1024.0 * 1024.0,
            ..Probe::default()
        };
        let measured = Known {
            probe: Some(probe.clone()),
            ..Known::default()
        };
        let hours = Hours::of(100 * GIB, 0, 45, None, &measured);
        assert_eq!((hours.low, hours.high), (Some(512.0), Some(2048.0)));
        let both = Known {
            probe: Some(probe),
            ..known
        };
        let hours = Hours::of(100 * GIB, 0, 45, None, &both);
        assert_eq!(hours.low, Some(1024.0), "runs know more");
        let hours = Hours::of(100 * GIB, 4500, 45, None, &Known::default());
        assert_eq!((hours.least, hours.low), (100.0, None));
    }
}
