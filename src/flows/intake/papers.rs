//! Papers from iconik as ledger items of their own, filed before the masters that need them.

use serde_json::json;

use super::Intake;
use super::item::{held, item};
use crate::content_server::Filing;
use crate::flows::rights::Licensing;
use crate::flows::rights::papers::{At, Found};
use crate::flows::{Error, Systems};
use crate::iconik::Master;
use crate::ledger::NewItem;
use crate::transfer::Record;
use crate::types::{NodeId, Reason};

/// What the keys of papers begin with.
const PAPER: &str = "paper/";
/// The fingerprint of a master that waits for papers which are filed before it.
const WAITS: &str = "refused until its papers are filed";
/// The fingerprint of one whose papers could not be filed as they are.
const STUCK: &str = "refused until its papers can be filed";

/// The papers of an asset.
#[derive(Default)]
pub(super) struct Gathered {
    /// Those that are documents of Content Server, with what they prove.
    pub(super) nodes: Vec<(NodeId, String)>,
    /// Those from iconik, as items.
    pub(super) items: Vec<(NewItem, Option<Master>)>,
    /// Those that are not filed yet, and why, for people.
    pub(super) waits_for: Vec<String>,
    /// Whether one of these stopped when it was to be filed.
    pub(super) is_stuck: bool,
    /// What is missing, for people.
    pub(super) missing: Vec<String>,
}

/// The asset that an item's key is about.
pub(in crate::flows) fn asset_of(key: &str) -> &str {
    let key = key.strip_prefix(PAPER).unwrap_or(key);
    key.split('/').next().unwrap_or_default()
}

/// Whether an item is a paper.
pub(in crate::flows) fn is_paper(key: &str) -> bool {
    key.starts_with(PAPER)
}

/// Makes items of the papers that are in iconik, and looks which are filed.
pub(super) fn gather(
    systems: &Systems,
    intake: &Intake,
    licensing: &Licensing,
    found: Found,
) -> Result<Gathered, Error> {
    let mut gathered = Gathered {
        missing: found.problems,
        ..Gathered::default()
    };
    for paper in found.papers {
        let master = match paper.at {
            At::Node(node) => {
                gathered.nodes.push((node, paper.role));
                continue;
            }
            At::Source(master) => *master,
        };
        let own = paper_item(systems, intake, licensing, &master, &paper.role);
        if let Some(known) = licensing.filed.item(&own.key)? {
            let is_same = known.fingerprint == own.fingerprint;
            match (known.state.as_str(), known.node) {
                ("done", Some(node)) if is_same => {
                    gathered.nodes.push((node, paper.role));
                    if known.record == own.record {
                        continue;
                    }
                }
                ("failed" | "parked" | "held" | "conflict" | "quarantined", _) => {
                    let why = known.message.unwrap_or_default();
                    gathered.is_stuck = true;
                    gathered
                        .waits_for
                        .push(format!("{} is not filed: {why}", own.name));
                }
                _ => gathered.waits_for.push(own.name.clone()),
            }
        } else {
            gathered.waits_for.push(own.name.clone());
        }
        if gathered.items.iter().all(|(there, _)| there.key != own.key) {
            gathered.items.push((own, Some(master)));
        }
    }
    Ok(gathered)
}

/// A paper as an item. Nothing of it depends on the master that needs it: several may.
fn paper_item(
    systems: &Systems,
    intake: &Intake,
    licensing: &Licensing,
    master: &Master,
    role: &str,
) -> NewItem {
    let file = master.files.first().map_or("", |file| file.id.as_str());
    let filing = Filing {
        folders: licensing.place.clone(),
        rights: intake
            .publish
            .as_ref()
            .and_then(|policy| policy.rights.clone()),
        ..Filing::below(systems.target)
    };
    let record = Record {
        filing: serde_json::to_value(filing).unwrap_or_default(),
        ..Record::default()
    };
    let mut own = item(systems, master, &[]);
    own.key = format!("{PAPER}{}/{}/{file}", master.asset, master.version);
    own.title = format!("{} ({role})", own.title);
    own.record = serde_json::to_string(&record).ok();
    // No master: iconik is not told where it was filed, and no flow takes it for one.
    own.source = json!({"paper": role, "of": master.asset}).to_string();
    super::item::mark_as_paper(systems, master, &mut own);
    own
}

/// Whether a fingerprint says that a master waits for its papers.
pub(super) fn waits(fingerprint: &str) -> bool {
    [WAITS, STUCK].contains(&fingerprint)
}

/// Whether an item is only held until the run that plans it has filed its papers.
pub(in crate::flows) fn comes_after_papers(item: &NewItem) -> bool {
    item.fingerprint == WAITS
}

/// A master that waits for its papers.
pub(super) fn waiting(item: NewItem, gathered: &Gathered) -> NewItem {
    let papers = gathered.waits_for.join("; ");
    held(
        item,
        Reason::Incomplete,
        if gathered.is_stuck { STUCK } else { WAITS },
        format!(
            "its papers come first ({papers}); once they are filed, the same run or the next files it"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_paper_is_about_its_asset_too() {
        assert_eq!(asset_of("a1/v1"), "a1");
        assert_eq!(asset_of("paper/a1/v1/f1"), "a1");
        assert!(is_paper("paper/a1/v1/f1") && !is_paper("a1/v1"));
    }
}
