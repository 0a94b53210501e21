//! What a person says about an approval that cannot be explained.

use serde::Serialize;
use serde_json::json;

use super::{Case, Ending, FLOW, Progress, Stage, Step, Verdict};
use crate::flows::Error;
use crate::ledger::{Change, Entry, Fact, Ledger};
use crate::types::{AssetId, NodeId, VersionId};
use jiff::Timestamp;

/// What a person says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ruling {
    /// This process is the one.
    Started(i64),
    /// There is none: start another.
    StartAgain,
    /// It came to this.
    Outcome(Verdict),
}

/// A case for a list.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// The asset.
    pub asset: AssetId,
    /// Its version.
    pub version: VersionId,
    /// The item's title.
    pub title: String,
    /// Its document.
    pub node: NodeId,
    /// The route.
    pub route: String,
    /// The process, when there is one.
    pub process: Option<i64>,
    /// How far it is, in a word.
    pub stage: &'static str,
    /// Whether a person has to decide.
    pub open: bool,
    /// Whether a step of it is late.
    pub overdue: bool,
    /// Its steps.
    pub steps: Vec<Step>,
    /// Why, for people.
    pub why: String,
    /// Since when, Unix milliseconds.
    pub since: i64,
}

/// The case that a fact of this flow describes, for a list.
///
/// # Errors
///
/// One that cannot be read.
pub fn listed(fact: &Fact, now: Timestamp) -> Result<Listed, Error> {
    let case = Case::of(fact)?;
    let running = matches!(case.stage, Stage::Running { .. });
    let mut why = case.why();
    if !case.done.refused.is_empty() {
        let refused: Vec<&str> = case
            .done
            .refused
            .values()
            .map(|(_, own)| own.as_str())
            .collect();
        why = format!("{why}; {}", refused.join("; "));
    }
    Ok(Listed {
        asset: AssetId(fact.object.clone()),
        version: VersionId(fact.field.clone()),
        title: case.title.clone(),
        node: case.node,
        route: case.route.clone(),
        process: case.process(),
        stage: case.word(),
        open: fact.open,
        overdue: running && case.progress().is_some_and(|own| own.is_overdue(now)),
        steps: case.progress().map_or(Vec::new(), |own| own.steps.clone()),
        why,
        since: fact.at,
    })
}

/// Records what a person says about the open case of an asset. The inner error is why it cannot
/// be said of that case; nothing when no case of the asset is open.
///
/// # Errors
///
/// The ledger's.
pub async fn decide(
    ledger: &Ledger,
    asset: &AssetId,
    version: Option<&VersionId>,
    ruling: Ruling,
    who: &str,
    because: &str,
) -> Result<Option<Result<(), String>>, Error> {
    let facts = ledger.remembered(FLOW, asset.as_str()).await?;
    let mut open = facts
        .into_iter()
        .filter(|fact| fact.open && version.is_none_or(|version| fact.field == version.as_str()));
    let Some(fact) = open.next() else {
        return Ok(None);
    };
    if let Some(other) = open.next() {
        return Ok(Some(Err(format!(
            "versions {} and {} both wait for a decision; say which with --asset-version",
            fact.field, other.field
        ))));
    }
    let before = Case::of(&fact)?;
    let progress = before.progress().cloned().unwrap_or_default();
    let mut case = before.clone();
    match (ruling, &before.stage) {
        (Ruling::Started(process), _) => {
            case.stage = Stage::Running {
                process,
                progress: Progress::default(),
            };
        }
        (Ruling::StartAgain, _) => {
            case.attempt += 1;
            case.stage = Stage::Intended;
            // Its route is chosen anew, and so the intent is written down anew.
            case.route.clear();
        }
        (Ruling::Outcome(_), Stage::Unclear { .. }) => {
            return Ok(Some(Err(
                "whether its process was started is not known, so it has no outcome yet; say --started PROCESS or --start-again"
                    .to_owned(),
            )));
        }
        (Ruling::Outcome(verdict), _) => {
            case.stage = Stage::Ended {
                process: before.process(),
                ending: Ending {
                    verdict,
                    by: Some(who.to_owned()),
                    at: Some(Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
                    comment: Some(because.to_owned()),
                },
                progress,
            };
        }
    }
    let now = Timestamp::now().as_millisecond();
    let version = VersionId(fact.field.clone());
    let line = json!({"asset": asset, "version": version, "node": case.node, "ruling": ruling, "who": who,
        "because": because, "before": before.stage});
    let change = Change::new()
        .fact(case.fact(asset, &version, now))
        .journal(Entry {
            event: "approval-decided".to_owned(),
            data: line.to_string(),
            ..Entry::default()
        });
    ledger.apply(change).await?;
    Ok(Some(Ok(())))
}
